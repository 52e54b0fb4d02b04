//! An entry of the log: a run of operations, atomic in log, acknowledgement, hash and transfer (decision 18).

use crate::{
    id::{Hash, OpNumber, ViewNumber},
    run::{Head, Origin, Run},
    trace_context::TraceContext,
};
use alloc::sync::Arc;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

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
    #[serde(skip)]
    proven: Proven,
}

/// Whether the hash is known to be that of the rest, because this process computed it. It says nothing about what the entry is, and
/// does not travel with it: what was decoded is not proven.
#[derive(Clone, Copy, Debug, Default)]
struct Proven(bool);

impl PartialEq for Proven {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Proven {}

impl Entry {
    /// Links `run` to the entry whose hash is `parent`. Operation i of the run has op-number `first + i` and time `timestamp + i`.
    pub(crate) fn new(first: OpNumber, view: ViewNumber, timestamp: u64, parent: Hash, run: Run) -> Self {
        let (hash, proven) = (Hash::default(), Proven(true));
        let mut link = Link { first, view, timestamp, parent, hash, run, proven };
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

    /// Op-number of the operation at `index`.
    #[must_use]
    pub fn op(&self, index: usize) -> OpNumber {
        OpNumber(self.0.first.0 + index as u64)
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

    /// Whether the entry is what its hash says: asked of every entry that comes from outside. One that this process has made and
    /// shares is not hashed again.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        let link = &*self.0;
        link.run.is_well_formed()
            && link.first.0 > 0
            && link.first.0.checked_add(link.run.len() as u64).is_some()
            && (link.proven.0 || link.hash == link.compute_hash())
    }

    pub(crate) fn trailing_len(&self) -> usize {
        self.0.run.trailing_len()
    }

    /// Gives a freshly decoded entry its body.
    pub(crate) fn attach(&mut self, body: Bytes) {
        let link = Arc::make_mut(&mut self.0);
        link.run.attach(body);
        link.proven = Proven(false);
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
        let mut fields = Fields::new();
        fields.put(&self.parent.0.to_le_bytes());
        fields.put(&self.first.0.to_le_bytes());
        fields.put(&self.view.0.to_le_bytes());
        fields.put(&self.timestamp.to_le_bytes());
        for head in self.run.heads() {
            fields.put(&head_fields(head));
        }
        for (place, trace) in self.run.traces() {
            let mut trace_fields = [0u8; 32];
            (trace_fields[0], trace_fields[1]) = (4, trace.flags());
            trace_fields[4..8].copy_from_slice(&place.to_le_bytes());
            trace_fields[8..24].copy_from_slice(&trace.trace_id().to_le_bytes());
            trace_fields[24..32].copy_from_slice(&trace.span_id().to_le_bytes());
            fields.put(&trace_fields);
        }
        Hash(fields.finish(self.run.body()))
    }
}

fn head_fields(head: &Head) -> [u8; 44] {
    let mut fields = [0u8; 44];
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
    fields[40..].copy_from_slice(&head.end.to_le_bytes());
    fields
}

/// Hashes many small fields as one text. They are put side by side first, for the hasher likes large pieces; a text that fits as a
/// whole needs no hasher with a memory.
struct Fields {
    hasher: Option<Xxh3>,
    bytes: [u8; Self::BYTES],
    len: usize,
}

impl Fields {
    const BYTES: usize = 1024;

    fn new() -> Self {
        Self { hasher: None, bytes: [0; Self::BYTES], len: 0 }
    }

    fn put<const N: usize>(&mut self, field: &[u8; N]) {
        if self.len + N > Self::BYTES {
            self.pass_on();
        }
        self.bytes[self.len..self.len + N].copy_from_slice(field);
        self.len += N;
    }

    fn pass_on(&mut self) {
        self.hasher.get_or_insert_with(Xxh3::new).update(&self.bytes[..self.len]);
        self.len = 0;
    }

    /// The hash of all fields and what follows them.
    fn finish(&mut self, body: &[u8]) -> u128 {
        if self.hasher.is_none()
            && let Some(rest) = self.bytes[self.len..].get_mut(..body.len())
        {
            rest.copy_from_slice(body);
            return xxh3_128(&self.bytes[..self.len + body.len()]);
        }
        self.pass_on();
        let hasher = self.hasher.get_or_insert_with(Xxh3::new);
        hasher.update(body);
        hasher.digest128()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{Request, RunBuilder};

    fn entry(ops: u64, bytes: usize) -> Entry {
        let mut run = RunBuilder::default();
        for n in 0..ops {
            let origin = Origin::Register { client: crate::ClientId(n.into()) };
            run.push(&Request::new(origin, alloc::vec![n as u8; bytes].into()));
        }
        Entry::new(OpNumber(3), ViewNumber(1), 7, Hash(5), run.finish())
    }

    /// The hash is part of the format: the same bytes in the same order, however they are fed.
    #[test]
    fn the_hash_does_not_depend_on_the_pieces_it_is_fed_in() {
        for (ops, bytes) in [(1, 0), (1, 80), (1, 939), (1, 940), (1, 941), (22, 1), (23, 0), (100, 80)] {
            let entry = entry(ops, bytes);
            let mut text = alloc::vec::Vec::new();
            text.extend_from_slice(&5u128.to_le_bytes());
            [3u64, 1, 7].iter().for_each(|field| text.extend_from_slice(&field.to_le_bytes()));
            for head in entry.run().heads() {
                text.extend_from_slice(&head_fields(head));
            }
            text.extend_from_slice(entry.run().body());
            assert_eq!(entry.hash(), Hash(xxh3_128(&text)), "{ops} operations of {bytes} bytes");
        }
    }

    #[test]
    fn what_was_made_elsewhere_is_hashed_before_it_is_believed() {
        let mut own = entry(2, 8);
        assert!(own.is_intact());
        own.attach(Bytes::from_static(b"sixteen bytes!!!"));
        assert!(!own.is_intact(), "another body");
        let mut bytes = alloc::vec::Vec::new();
        entry(2, 8).encode(&mut bytes);
        assert!(Entry::decode(&mut bytes.clone().into()).is_ok_and(|decoded| decoded.is_intact()));
        *bytes.last_mut().expect("there are some") ^= 1;
        assert!(Entry::decode(&mut bytes.into()).is_ok_and(|decoded| !decoded.is_intact()));
    }
}
