//! What can happen to a replica.

use crate::{
    configuration::Record,
    entry::Entry,
    id::{OpNumber, ReadId, StageId, WriteId},
    message::Message,
    run::Request,
    snapshot::Snapshot,
    state::{BlobError, State},
};
use alloc::{sync::Arc, vec::Vec};

/// One thing that happened, in the order in which the host heard of it.
#[derive(Clone, Debug)]
pub enum Input {
    /// A message from a replica. It may be old, doubled, damaged or a lie.
    Message(Message),
    /// A request of a client of this replica.
    Request(Request),
    /// A client of this replica wants to read the state beside the log; answered by [`Effect::Read`](crate::Effect::Read) or
    /// [`Effect::ReadRefused`](crate::Effect::ReadRefused), unless the replica stops before.
    Read {
        /// Its name.
        id: ReadId,
        /// What the read must reflect.
        kind: ReadKind,
    },
    /// Writes are done: this one and all before it (decision 11).
    Persisted(WriteId),
    /// [`deadline`](crate::Replica::deadline) has passed.
    Timer,
    /// The state machine's answer to [`TakeSnapshot`](crate::Effect::TakeSnapshot), any time later.
    SnapshotTaken {
        /// As in the effect.
        op: OpNumber,
        /// What the state machine wrote; or why there is no room for it. Then the log goes on until it has none either, and the state is
        /// frozen again after a while.
        state: Result<State, BlobError>,
    },
    /// The host's answer to [`Stage`](crate::Effect::Stage), any time later.
    Staged {
        /// As in the effect.
        id: StageId,
        /// What came of it. After a failure nothing is staged.
        result: Result<Staged, BlobError>,
    },
    /// The state machine wants replicated time to reach this (nanoseconds since 1970), or nothing (decision 16).
    NextTick(Option<u64>),
    /// The host is about to stop this replica: hand the view over (decision 2).
    Leave,
}

/// What came of a part of a state.
#[derive(Clone, Debug)]
pub enum Staged {
    /// It is there; more is to come.
    Part,
    /// It was the last one, and this is the state. Its digest is that of the bytes that came: the protocol compares it (rule D6).
    Whole(State),
}

/// What a read must reflect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReadKind {
    /// Every operation that any client had an answer to when the read came (rule G2; at a backup G4).
    Linearizable,
    /// The operation at this op and all before it: whatever the replica knows of the others.
    After(OpNumber),
}

/// What a replica's storage held when it was opened.
#[derive(Clone, Debug, Default)]
pub struct Restored {
    /// Nothing, if the storage was never used.
    pub record: Option<Record>,
    /// The latest snapshot.
    pub snapshot: Option<Arc<Snapshot>>,
    /// The log; it may begin before the snapshot's op, not after the one that follows it.
    pub entries: Vec<Entry>,
    /// The largest commit-number that was stored (decision 3).
    pub commit: OpNumber,
    /// Whether the log can be trusted.
    pub log: LogState,
}

/// What became of the log, the snapshot and the commit-number while the replica was down. The record is durable in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogState {
    /// Everything that was reported as persisted is there.
    #[default]
    Intact,
    /// Some of it may be missing: it was held in memory (VIEW-DURABLE), or a part that may have been acknowledged is damaged
    /// (rule F5). Snapshot, entries and commit-number are not looked at, and the replica gets everything from the others. The
    /// storage says so at every start until a write with [`reset`](crate::Write::reset) is durable.
    Lost,
}
