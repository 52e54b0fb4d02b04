//! What replicas say to each other. The names are the paper's.

use crate::{
    configuration::Membership,
    entry::Entry,
    id::{ClusterId, EpochNumber, GroupId, Hash, Incarnation, Nonce, OpNumber, ReplicaId, ViewNumber},
    run::Run,
    snapshot::{Held, Piece},
    state::BlobError,
};
use alloc::{boxed::Box, vec::Vec};
use serde::{Deserialize, Serialize};

/// A message between replicas: who speaks, in which view, and what. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Cluster of the sender; another cluster's messages are dropped.
    pub cluster: ClusterId,
    /// Group of the sender.
    pub group: GroupId,
    /// Configuration the sender is in.
    pub epoch: EpochNumber,
    /// View of the sender: durable before the message exists (rule F1).
    pub view: ViewNumber,
    /// The sender.
    pub from: ReplicaId,
    /// Which life of the sender's storage speaks (decision 12).
    pub incarnation: Incarnation,
    /// What it says.
    pub body: Body,
}

/// What a message says. The view it says it in is the message's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// "I exist; this is the group as I know it" (decision 12).
    Bootstrap(Box<Bootstrap>),
    /// A backup passes its clients' requests to the primary. Never passed on again.
    Request(Run),
    /// The primary proposes an entry.
    Prepare {
        /// The entry.
        entry: Entry,
        /// The primary's commit-number; never above the entry.
        commit: OpNumber,
        /// Counts what the primary broadcast in this view: an old one is no sign of life.
        beat: u64,
    },
    /// "My log equals the primary's up to `op`, and is durable."
    PrepareOk {
        /// Cumulative; 0 is a legal answer to a heartbeat.
        op: OpNumber,
        /// Hash of the entry that ends at `op`.
        hash: Hash,
    },
    /// The primary is alive, and this much is committed.
    Commit {
        /// The primary's commit-number.
        commit: OpNumber,
        /// As in prepare.
        beat: u64,
        /// The next one comes within the heartbeat interval times two to the power of this: an idle group speaks less often.
        pace: u8,
        /// Whom the primary hears: bit i is the member at place i.
        heard: u64,
    },
    /// "I am in this view, and want out" (decision 2). Changes nothing at its sender.
    StartViewChange,
    /// To the primary of the view: the sender's log.
    DoViewChange(Box<DoViewChange>),
    /// The view has started with this log.
    StartView(Box<StartView>),
    /// Asks for what follows `after` in the log of `view`.
    GetState {
        /// The view asked for; may be above the asker's own, and promises nothing.
        view: ViewNumber,
        /// What the asker has.
        after: OpNumber,
        /// Its hash there.
        hash: Hash,
        /// Comes back with the answer.
        nonce: Nonce,
        /// The asker has the beginning of a snapshot, and wants the rest.
        held: Option<Box<Held>>,
    },
    /// The answer.
    NewState(Box<NewState>),
    /// What the sender's state machine came to, to be compared (decision 14).
    Digests(Vec<Digest>),
    /// "I lost my log; the view is the highest I have promised" (rule F8).
    Recovery {
        /// Comes back with the answers; a new one for each round.
        nonce: Nonce,
        /// Drawn at the sender's start: tells one loss from another.
        boot: u64,
    },
    /// What the receiver of a recovery can do for its sender.
    RecoveryResponse(Box<RecoveryResponse>),
    /// The primary asks who is still in its view: reads wait for it (rule G2).
    Probe {
        /// Counts the rounds of reads.
        id: u64,
    },
    /// "I am normal in your view." Speaks for earlier probes, too.
    ProbeOk {
        /// The probe.
        id: u64,
    },
    /// A backup asks what its reads must reflect (rule G4).
    ReadIndex {
        /// Of the asker's boot.
        nonce: Nonce,
        /// Counts its rounds of reads.
        id: u64,
    },
    /// The answer. Serves the asker's earlier rounds, too.
    ReadIndexOk {
        /// From the question.
        nonce: Nonce,
        /// From the question.
        id: u64,
        /// Committed, and no less than any op that a client was answered for before the question.
        index: OpNumber,
    },
    /// "I want something, or do not know when you speak next": the primary goes back to its usual pace, and so do all who wait for it.
    Wake,
}

/// What an unformatted group agrees on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// The membership the sender is bound to, if it is.
    pub membership: Option<Membership>,
    /// Whether the sender's group is formed: it has voted, or may have.
    pub formed: bool,
}

/// A sender's log, as far as it may be uncommitted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DoViewChange {
    /// The latest view whose log the sender installed: the paper's v'.
    pub log_view: ViewNumber,
    /// Time of the last operation the sender knows.
    pub timestamp: u64,
    /// Everything above the sender's commit-number.
    pub suffix: Suffix,
}

/// The log a view starts with, from the primary's commit-number on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartView {
    /// The op at which the view started (decision 4).
    pub start_op: OpNumber,
    /// The primary's commit-number.
    pub commit: OpNumber,
    /// Everything above `suffix.base`.
    pub suffix: Suffix,
}

/// A piece of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewState {
    /// The view that was asked for.
    pub view: ViewNumber,
    /// From the request.
    pub nonce: Nonce,
    /// Whether the sender is normal in exactly that view; otherwise it sends only what is committed (decision 5).
    pub normal: bool,
    /// The op at which that view started, if `normal`.
    pub start_op: OpNumber,
    /// The sender's commit-number.
    pub commit: OpNumber,
    /// What was asked for, or as much of it as one answer holds.
    pub part: Part,
}

/// What an answer to a request for state brings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    /// A piece of a snapshot, in place of entries the sender no longer has.
    Snapshot(Piece),
    /// What follows.
    Entries(Suffix),
}

/// What a replica's state machine came to at an op.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// The op; the same ones on all replicas.
    pub op: OpNumber,
    /// Over all replies up to it.
    pub replies: u64,
    /// Over the state, where the state machine can tell.
    pub state: Option<u128>,
}

/// An answer to a replica that lost its log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryResponse {
    /// From the question.
    pub nonce: Nonce,
    /// What the sender is.
    pub standing: Standing,
}

/// What the sender of a recovery response is, in the message's view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// The primary of a started view.
    Primary {
        /// Its op-number: everything the recovering replica can have acknowledged in this view is at or below it.
        op: OpNumber,
    },
    /// A backup that has installed the log of the view.
    Backup,
    /// It lost its log as well.
    Recovering {
        /// Drawn at its start.
        boot: u64,
        /// Whom else it has heard recovering, and in which boot.
        heard: Vec<(ReplicaId, u64)>,
    },
}

/// Entries that follow a point of a log without a gap.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Suffix {
    /// The op before the first entry.
    pub base: OpNumber,
    /// The hash there.
    pub base_hash: Hash,
    /// In order.
    pub entries: Vec<Entry>,
}

impl Suffix {
    /// The last op it reaches.
    #[must_use]
    pub fn op(&self) -> OpNumber {
        self.entries.last().map_or(self.base, Entry::last)
    }

    /// The hash there.
    #[must_use]
    pub fn hash(&self) -> Hash {
        self.entries.last().map_or(self.base_hash, Entry::hash)
    }

    /// Whether the entries are intact and follow each other: asked of everything that comes from outside.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        let (mut op, mut hash) = (self.base, self.base_hash);
        for entry in &self.entries {
            if !entry.is_intact() || entry.parent() != hash || op.0.checked_add(1) != Some(entry.first().0) {
                return false;
            }
            (op, hash) = (entry.last(), entry.hash());
        }
        true
    }
}

impl Message {
    /// Whether all of it is in memory. What is not is a piece of a snapshot whose state lies elsewhere.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        self.body.piece().is_none_or(|piece| piece.bytes.is_here())
    }

    /// Reads what is not in memory. May take as long as a disk takes: not on the replica's task.
    ///
    /// # Errors
    /// When it cannot be read. The message is best dropped: the protocol repairs that.
    pub fn load(&mut self) -> Result<(), BlobError> {
        self.body.piece_mut().map_or(Ok(()), |piece| piece.bytes.load())
    }
}

impl Body {
    pub(crate) fn piece(&self) -> Option<&Piece> {
        match self {
            Self::NewState(body) => match &body.part {
                Part::Snapshot(piece) => Some(piece),
                Part::Entries(_) => None,
            },
            _ => None,
        }
    }

    pub(crate) fn piece_mut(&mut self) -> Option<&mut Piece> {
        match self {
            Self::NewState(body) => match &mut body.part {
                Part::Snapshot(piece) => Some(piece),
                Part::Entries(_) => None,
            },
            _ => None,
        }
    }

    /// Its name, for transcripts, traces and metrics.
    #[must_use]
    pub fn name(&self) -> MessageName {
        match self {
            Self::Bootstrap(_) => MessageName::Bootstrap,
            Self::Request(_) => MessageName::Request,
            Self::Prepare { .. } => MessageName::Prepare,
            Self::PrepareOk { .. } => MessageName::PrepareOk,
            Self::Commit { .. } => MessageName::Commit,
            Self::StartViewChange => MessageName::StartViewChange,
            Self::DoViewChange(_) => MessageName::DoViewChange,
            Self::StartView(_) => MessageName::StartView,
            Self::GetState { .. } => MessageName::GetState,
            Self::NewState(_) => MessageName::NewState,
            Self::Digests(_) => MessageName::Digests,
            Self::Recovery { .. } => MessageName::Recovery,
            Self::RecoveryResponse(_) => MessageName::RecoveryResponse,
            Self::Probe { .. } => MessageName::Probe,
            Self::ProbeOk { .. } => MessageName::ProbeOk,
            Self::ReadIndex { .. } => MessageName::ReadIndex,
            Self::ReadIndexOk { .. } => MessageName::ReadIndexOk,
            Self::Wake => MessageName::Wake,
        }
    }
}

/// The name of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is the name of a variant of `Body`")]
pub enum MessageName {
    Bootstrap,
    Request,
    Prepare,
    PrepareOk,
    Commit,
    StartViewChange,
    DoViewChange,
    StartView,
    GetState,
    NewState,
    Digests,
    Recovery,
    RecoveryResponse,
    Probe,
    ProbeOk,
    ReadIndex,
    ReadIndexOk,
    Wake,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{Origin, Request, RunBuilder};
    use alloc::vec;

    fn entry(first: u64, parent: Hash, ops: usize) -> Entry {
        let mut run = RunBuilder::default();
        for _ in 0..ops {
            run.push(&Request::new(Origin::Tick, bytes::Bytes::new()));
        }
        Entry::new(OpNumber(first), ViewNumber(0), 0, parent, run.finish())
    }

    #[test]
    fn a_suffix_is_a_chain_from_its_base() {
        let first = entry(1, Hash(0), 2);
        let second = entry(3, first.hash(), 1);
        let suffix = |base, entries| Suffix { base: OpNumber(base), base_hash: Hash(0), entries };
        assert!(suffix(0, vec![first.clone(), second.clone()]).is_intact());
        assert!(!suffix(1, vec![first.clone()]).is_intact(), "begins elsewhere");
        assert!(!suffix(0, vec![second.clone()]).is_intact(), "has a gap");
        assert!(!suffix(0, vec![first, entry(3, Hash(1), 1)]).is_intact(), "is no chain");
    }

    #[test]
    fn no_garbage_makes_a_suffix_panic() {
        for (base, first, ops) in
            [(u64::MAX, 0, 1), (0, 0, 0), (u64::MAX, u64::MAX, 2), (0, u64::MAX, 2), (0, 1, 0)]
        {
            let suffix = Suffix {
                base: OpNumber(base),
                base_hash: Hash(0),
                entries: vec![entry(first, Hash(0), ops)],
            };
            assert!(!suffix.is_intact());
        }
    }
}
