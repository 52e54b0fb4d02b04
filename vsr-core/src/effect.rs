//! What a replica asks of its host, to be carried out in order.

use crate::{
    configuration::Record,
    entry::Entry,
    event::Event,
    id::{ClientId, OpNumber, ReadId, ReplicaId, RequestNumber, SessionId, WriteId},
    message::Message,
    snapshot::{Snapshot, StagePart},
    stop::StopReason,
};
use alloc::{boxed::Box, sync::Arc};
use bytes::Bytes;
use core::ops::Range;
use smallvec::SmallVec;

/// One thing to do.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Give it to the transport; it may be lost, doubled, delayed.
    Send {
        /// To whom.
        to: ReplicaId,
        /// What.
        message: Message,
    },
    /// Make it durable, whole or not at all, in order; then say [`Persisted`](crate::Input::Persisted).
    Append(Write),
    /// Apply operations of `entry` to the state machine, and hand each reply to [`applied`](crate::Replica::applied)
    /// before the next input.
    Commit {
        /// The entry.
        entry: Entry,
        /// Which of its operations: those in between are not for the state machine.
        range: Range<usize>,
    },
    /// Answer a client of this replica, if it still waits here.
    Answer {
        /// Which request.
        of: Asked,
        /// What to tell it.
        answer: Answer,
    },
    /// Run a read now, on the state as it is at this effect.
    Read {
        /// Which.
        id: ReadId,
        /// The op that the state reflects.
        at: OpNumber,
    },
    /// A read was not run, and will not be. It may be tried again, here or elsewhere.
    ReadRefused {
        /// Which.
        id: ReadId,
        /// Why.
        reason: Refusal,
    },
    /// Freeze the state machine's state, all commits before this effect included, and none after it. Write it out at leisure, and
    /// hand it in as [`SnapshotTaken`](crate::Input::SnapshotTaken): commits go on meanwhile, until the log has no room. There is
    /// one at a time, but for one that an [`InstallSnapshot`](Self::InstallSnapshot) made useless: what comes of that is ignored.
    TakeSnapshot {
        /// The op it reflects.
        op: OpNumber,
    },
    /// Hand in the state machine's own digest, if it has one, to [`digested`](crate::Replica::digested) before the next input: it is
    /// compared with those of the other replicas at this op (decision 14).
    TakeDigest {
        /// The op it reflects: all commits before this effect.
        op: OpNumber,
    },
    /// Keep a part of a state that arrives, elsewhere and at leisure, and say [`Staged`](crate::Input::Staged). There is one at a time:
    /// the next comes when the host has this one. Nothing of it needs to survive a crash.
    Stage(Box<StagePart>),
    /// What was staged so far is of no use any more, and what still comes of it is ignored.
    Unstage,
    /// Replace the state machine's state. Requests of this replica's clients that it covers are answered by
    /// [`lookup`](crate::Replica::lookup).
    InstallSnapshot(Arc<Snapshot>),
    /// Tell whoever listens.
    Observe(Event),
    /// This replica must not go on. The last effect there is.
    Stop(StopReason),
}

/// What must become durable together: all of it, or nothing.
#[derive(Clone, Debug)]
pub struct Write {
    /// Its name.
    pub id: WriteId,
    /// The record, if it changed: seldom.
    pub record: Option<Box<Record>>,
    /// Snapshot, entries and commit-number that the storage held are void: a log that was lost is replaced by this write. From
    /// then on the storage is [`Intact`](crate::LogState::Intact) again.
    pub reset: bool,
    /// A snapshot that replaces the one before.
    pub snapshot: Option<Arc<Snapshot>>,
    /// Entries above this op are void.
    pub truncate_above: Option<OpNumber>,
    /// New entries; they follow what is left.
    pub entries: Entries,
    /// Entries up to this op are not needed any more.
    pub trim_through: Option<OpNumber>,
    /// The commit-number known now, at most the last entry's op.
    pub commit: OpNumber,
}

/// Entries of a write, to be used like a vector of them. Most writes have one: that takes no memory of its own.
pub type Entries = SmallVec<[Entry; 1]>;

/// Which request of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Asked {
    /// Its registration.
    Register(ClientId),
    /// A request of its session.
    Request(SessionId, RequestNumber),
}

/// What a client is told when the state machine is not asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The session is open.
    Registered(SessionId),
    /// The request was executed before; this was its reply.
    Reply(Bytes),
    /// The request was not, and will not be, taken from here. Send it again later or elsewhere.
    Refused(Refusal),
    /// The request was executed, but its reply is not kept any more.
    ReplyGone,
    /// The session is no more: what was sent in it and not answered is unknown (decision 7).
    Evicted,
    /// The number was used for another operation: the client is wrong (decision 6).
    Conflict,
}

/// Why a replica did not take a request. It speaks of this copy alone, which left nothing behind: an earlier copy of the same
/// request, handed in here or elsewhere and not answered, may still be executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// There is no view with a primary right now.
    NoPrimary,
    /// Queue, credits or the room for reads are used up.
    Overloaded,
    /// The operation is larger than `operation_bytes_max`.
    TooLarge,
    /// The number is outside of the session's window.
    OutsideWindow,
    /// The state has not got to what the read must reflect within a time-out.
    Behind,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::Input;

    /// They are moved from buffer to buffer in every turn. Up to 128 bytes that is a few instructions, above it a call; so what
    /// is large and rare is boxed.
    #[test]
    fn what_every_turn_moves_is_small() {
        assert!(size_of::<Message>() <= 112 && size_of::<Input>() <= 128 && size_of::<Effect>() <= 128);
    }
}
