//! A run of operations: heads that say where each came from, and one buffer with all their bytes.

use crate::{
    id::{ClientId, RequestNumber, SessionId},
    trace_context::TraceContext,
};
use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};
use bytes::Bytes;
use core::{fmt::Write as _, ops::Range};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Where an operation comes from, and with it what committing it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Origin {
    /// Opens a session for a client (decision 6). Carries no bytes; the state machine never sees it.
    Register {
        /// Drawn by the client. A client id with a live session gets that session again.
        client: ClientId,
    },
    /// A request of a session.
    Request {
        /// The session it belongs to.
        session: SessionId,
        /// Its place in the session: executed after every lower number and never twice.
        request: RequestNumber,
        /// The client has the replies of all lower numbers: they need not be kept.
        acked_below: RequestNumber,
        /// [`checksum`] of the operation: one number, one operation.
        checksum: u64,
    },
    /// Replicated time moves on because the state machine asked for it (decision 16).
    Tick,
}

/// The checksum that binds an operation to its request number.
#[must_use]
pub fn checksum(operation: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(operation)
}

/// An operation on its way into the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// Who wants it.
    pub origin: Origin,
    /// What the state machine will be given.
    pub operation: Bytes,
    /// The trace of its caller, if there is one: most requests have none, so it takes little room.
    pub trace: Option<Arc<TraceContext>>,
}

impl Request {
    /// A request that belongs to no trace.
    #[must_use]
    pub fn new(origin: Origin, operation: Bytes) -> Self {
        Self { origin, operation, trace: None }
    }
}

/// Origin of one operation of a run, and where its bytes end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Head {
    /// Where the operation comes from.
    pub origin: Origin,
    /// End of its bytes in the run's body; they begin where those of the operation before it end.
    pub end: u32,
}

/// Operations side by side. Their bytes travel behind the message, outside of the codec.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Run {
    heads: Vec<Head>,
    /// Of those operations that belong to a trace: most do not, and without any this is one byte of a message.
    traces: Option<Box<Traces>>,
    body: Bytes,
}

/// Traces of some operations of a run, each with the place of its operation, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
struct Traces(Vec<(u32, TraceContext)>);

impl Traces {
    fn is_well_formed(&self, len: usize) -> bool {
        let in_order = self.0.windows(2).all(|pair| pair[0].0 < pair[1].0);
        in_order && self.0.last().is_some_and(|(place, _)| (*place as usize) < len)
    }
}

impl Run {
    /// Operations that lie one behind the other in `body`: where each comes from, how long it is, and its trace.
    pub(crate) fn new(
        body: Bytes,
        operations: impl Iterator<Item = (Origin, usize, Option<Arc<TraceContext>>)>,
    ) -> Self {
        // As much room as it needs: a run is kept as long as its entry.
        let heads = Vec::with_capacity(operations.size_hint().0);
        let mut run = RunBuilder { heads, ..RunBuilder::default() };
        for (origin, bytes, trace) in operations {
            run.push_head(origin, bytes, trace.as_deref());
        }
        Self { body, ..run.finish() }
    }

    /// How many operations.
    #[must_use]
    pub fn len(&self) -> usize {
        self.heads.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// All heads, in order.
    #[must_use]
    pub fn heads(&self) -> &[Head] {
        &self.heads
    }

    /// The bytes of all operations, one after the other.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The bytes of the operation at `index`: a slice of the shared body, not a copy.
    #[must_use]
    pub fn operation(&self, index: usize) -> Bytes {
        self.body.slice(self.part(index))
    }

    /// Where in the body the bytes of the operation at `index` are.
    #[must_use]
    pub fn part(&self, index: usize) -> Range<usize> {
        let start = if index == 0 { 0 } else { self.heads[index - 1].end as usize };
        start..self.heads[index].end as usize
    }

    /// The trace that the operation at `index` belongs to.
    #[must_use]
    pub fn trace(&self, index: usize) -> Option<TraceContext> {
        let traces = self.traces();
        let found = traces.binary_search_by_key(&index, |(place, _)| *place as usize);
        found.ok().map(|found| traces[found].1)
    }

    /// All traces, each with the place of its operation.
    #[must_use]
    pub fn traces(&self) -> &[(u32, TraceContext)] {
        self.traces.as_ref().map_or(&[], |traces| &traces.0)
    }

    /// The operations, in order.
    pub fn requests(&self) -> impl Iterator<Item = Request> + '_ {
        (0..self.len()).map(|i| Request {
            origin: self.heads[i].origin,
            operation: self.operation(i),
            trace: self.trace(i).map(Arc::new),
        })
    }

    /// Whether heads and body fit together; what came from outside is asked before it is used.
    pub(crate) fn is_well_formed(&self) -> bool {
        let mut end = 0;
        for head in &self.heads {
            if head.end < end {
                return false;
            }
            end = head.end;
        }
        !self.heads.is_empty()
            && end as usize == self.body.len()
            && self.traces.as_ref().is_none_or(|traces| traces.is_well_formed(self.len()))
    }

    /// What the codec must put behind (or find behind) the message.
    pub(crate) fn trailing_len(&self) -> usize {
        self.heads.last().map_or(0, |head| head.end as usize)
    }

    pub(crate) fn attach(&mut self, body: Bytes) {
        self.body = body;
    }
}

/// Collects operations until they are a run.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct RunBuilder {
    heads: Vec<Head>,
    traces: Option<Box<Traces>>,
    body: Vec<u8>,
}

impl RunBuilder {
    pub(crate) fn push(&mut self, request: &Request) {
        self.body.extend_from_slice(&request.operation);
        self.push_head(request.origin, request.operation.len(), request.trace.as_deref());
    }

    #[inline]
    fn push_head(&mut self, origin: Origin, bytes: usize, trace: Option<&TraceContext>) {
        if let Some(trace) = trace {
            self.traces.get_or_insert_default().0.push((self.heads.len() as u32, *trace));
        }
        let start = self.heads.last().map_or(0, |head| head.end);
        self.heads.push(Head { origin, end: start + bytes as u32 });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.body.len()
    }

    /// What was collected; the next run begins.
    pub(crate) fn finish(&mut self) -> Run {
        let Self { heads, traces, body } = core::mem::take(self);
        Run { heads, traces, body: body.into() }
    }
}

/// In a binary format the body is left out: it travels raw behind the message. People get it as hexadecimal text.
impl Serialize for Run {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            (&self.heads, &self.traces, to_hex(&self.body)).serialize(serializer)
        } else {
            (&self.heads, &self.traces).serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Run {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let (heads, traces, text) =
                <(Vec<Head>, Option<Box<Traces>>, String)>::deserialize(deserializer)?;
            let body = from_hex(&text).ok_or_else(|| D::Error::custom("the body is not hexadecimal"))?;
            Ok(Self { heads, traces, body })
        } else {
            let (heads, traces) = Deserialize::deserialize(deserializer)?;
            Ok(Self { heads, traces, body: Bytes::new() })
        }
    }
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

pub(crate) fn from_hex(text: &str) -> Option<Bytes> {
    let digits = text.as_bytes();
    let value = |digit: u8| char::from(digit).to_digit(16).map(|d| d as u8);
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    digits
        .chunks(2)
        .map(|pair| Some(value(pair[0])? << 4 | value(pair[1])?))
        .collect::<Option<Vec<u8>>>()
        .map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Entry, Hash, OpNumber, ViewNumber, codec};

    fn run(traced: &[u128]) -> Run {
        let mut run = RunBuilder::default();
        for trace in traced {
            let trace = TraceContext::new(*trace, 7, 1).map(Arc::new);
            run.push(&Request { trace, ..Request::new(Origin::Tick, Bytes::new()) });
        }
        run.finish()
    }

    fn hash(run: Run) -> Hash {
        Entry::new(OpNumber(1), ViewNumber(0), 0, Hash(0), run).hash()
    }

    #[test]
    fn traces_are_found_by_place_and_survive_the_way() {
        let run = run(&[0, 5, 0, 6]);
        let found: Vec<_> = (0..5).map(|index| run.trace(index).map(TraceContext::trace_id)).collect();
        assert_eq!(found, [None, Some(5), None, Some(6), None]);
        assert_eq!(codec::decode_value::<Run>(&codec::encode_value(&run)), Ok(run.clone()));
        let requests: Vec<_> = run.requests().map(|request| request.trace.map(|trace| *trace)).collect();
        assert_eq!(requests, [None, run.trace(1), None, run.trace(3)]);
    }

    #[test]
    fn no_trace_costs_a_byte_and_no_allocation() {
        let run = run(&[0, 0]);
        assert!(run.traces.is_none());
        assert_eq!(codec::encode_value(&run).len(), codec::encode_value(&run.heads).len() + 1);
    }

    #[test]
    fn traces_are_part_of_the_hash() {
        let hashes = [run(&[0, 5]), run(&[5, 0]), run(&[0, 6]), run(&[0, 0])].map(hash);
        let distinct: alloc::collections::BTreeSet<_> = hashes.iter().collect();
        assert_eq!(distinct.len(), hashes.len());
    }

    #[test]
    fn traces_out_of_place_are_refused() {
        let trace = run(&[5]).trace(0).expect("it was given one");
        for places in [&[][..], &[2], &[1, 1], &[1, 0]] {
            let traces = Some(Box::new(Traces(places.iter().map(|place| (*place, trace)).collect())));
            assert!(!Run { traces, ..run(&[0, 0]) }.is_well_formed(), "{places:?}");
        }
    }
}
