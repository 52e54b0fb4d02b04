//! An entry of the log: a run of operations, atomic in log, acknowledgement, hash and transfer (decision 18).

use crate::{
    id::{Hash, OpNumber, ViewNumber},
    run::{Origin, Run},
    trace_context::TraceContext,
};
use alloc::sync::Arc;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

/// One link of the log. Shared: a clone costs a reference count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Entry(Arc<Link>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Link {
    first: OpNumber,
    view: ViewNumber,
    timestamp: u64,
    parent: Hash,
    hash: Hash,
    run: Run,
}

impl Entry {
    /// Links `run` to the entry whose hash is `parent`. Operation i of the run has op-number `first + i` and time `timestamp + i`.
    pub(crate) fn new(first: OpNumber, view: ViewNumber, timestamp: u64, parent: Hash, run: Run) -> Self {
        let mut link = Link { first, view, timestamp, parent, hash: Hash::default(), run };
        link.hash = link.compute_hash();
        Self(Arc::new(link))
    }

    /// Op-number of its first operation.
    #[must_use]
    pub fn first(&self) -> OpNumber {
        self.0.first
    }

    /// Op-number of its last operation.
    #[must_use]
    pub fn last(&self) -> OpNumber {
        OpNumber(self.0.first.0 + self.0.run.len() as u64 - 1)
    }

    /// The view in which it was proposed; inheriting it into later views changes nothing (decision 13).
    #[must_use]
    pub fn view(&self) -> ViewNumber {
        self.0.view
    }

    /// Time of its last operation, in nanoseconds since 1970 by the clock of the primary that proposed it.
    #[must_use]
    pub fn last_timestamp(&self) -> u64 {
        self.timestamp(self.len() - 1)
    }

    /// Time of the operation at `index`.
    #[must_use]
    pub fn timestamp(&self, index: usize) -> u64 {
        self.0.timestamp.saturating_add(index as u64)
    }

    /// Hash of the entry before this one.
    #[must_use]
    pub fn parent(&self) -> Hash {
        self.0.parent
    }

    /// Hash of this entry and all before it.
    #[must_use]
    pub fn hash(&self) -> Hash {
        self.0.hash
    }

    /// How many operations it holds; at least one.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "an entry is never empty")]
    pub fn len(&self) -> usize {
        self.0.run.len()
    }

    /// Bytes of all its operations.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.run.body().len()
    }

    /// What its operations take beside their bytes, about.
    pub(crate) fn heads_bytes(&self) -> usize {
        let run = &self.0.run;
        size_of_val(run.heads()) + size_of_val(run.traces())
    }

    /// Where the operation at `index` comes from.
    #[must_use]
    pub fn origin(&self, index: usize) -> Origin {
        self.0.run.heads()[index].origin
    }

    /// The bytes of the operation at `index`.
    #[must_use]
    pub fn operation(&self, index: usize) -> Bytes {
        self.0.run.operation(index)
    }

    /// The trace that the operation at `index` belongs to: for whoever watches, never for the state machine.
    #[must_use]
    pub fn trace(&self, index: usize) -> Option<TraceContext> {
        self.0.run.trace(index)
    }

    /// The operations.
    #[must_use]
    pub fn run(&self) -> &Run {
        &self.0.run
    }

    /// Whether the entry is what its hash says: asked of every entry that comes from outside.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        let link = &*self.0;
        link.run.is_well_formed()
            && link.first.0 > 0
            && link.first.0.checked_add(link.run.len() as u64).is_some()
            && link.hash == link.compute_hash()
    }

    pub(crate) fn trailing_len(&self) -> usize {
        self.0.run.trailing_len()
    }

    /// Gives a freshly decoded entry its body.
    pub(crate) fn attach(&mut self, body: Bytes) {
        Arc::make_mut(&mut self.0).run.attach(body);
    }
}

/// Its hash stands for all that is in it.
impl core::hash::Hash for Entry {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        self.0.hash.hash(state);
    }
}

impl Link {
    fn compute_hash(&self) -> Hash {
        let mut hasher = Xxh3::new();
        hasher.update(&self.parent.0.to_le_bytes());
        hasher.update(&self.first.0.to_le_bytes());
        hasher.update(&self.view.0.to_le_bytes());
        hasher.update(&self.timestamp.to_le_bytes());
        for head in self.run.heads() {
            let mut fields = [0u8; 40];
            match head.origin {
                Origin::Register { client } => {
                    fields[0] = 1;
                    fields[8..24].copy_from_slice(&client.0.to_le_bytes());
                }
                Origin::Request { session, request, acked_below, checksum } => {
                    fields[0] = 2;
                    fields[4..8].copy_from_slice(&session.slot.to_le_bytes());
                    fields[8..16].copy_from_slice(&session.number.0.to_le_bytes());
                    fields[16..24].copy_from_slice(&request.0.to_le_bytes());
                    fields[24..32].copy_from_slice(&acked_below.0.to_le_bytes());
                    fields[32..40].copy_from_slice(&checksum.to_le_bytes());
                }
                Origin::Tick => fields[0] = 3,
            }
            hasher.update(&fields);
            hasher.update(&head.end.to_le_bytes());
        }
        for (place, trace) in self.run.traces() {
            let mut fields = [0u8; 32];
            (fields[0], fields[1]) = (4, trace.flags());
            fields[4..8].copy_from_slice(&place.to_le_bytes());
            fields[8..24].copy_from_slice(&trace.trace_id().to_le_bytes());
            fields[24..32].copy_from_slice(&trace.span_id().to_le_bytes());
            hasher.update(&fields);
        }
        hasher.update(self.run.body());
        Hash(hasher.digest128())
    }
}
