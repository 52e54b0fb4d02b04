//! What a replica tells about itself.

use super::{Mode, Replica};
use crate::{
    event::StatusName,
    id::{OpNumber, ReplicaId, ViewNumber},
};
use serde::Serialize;

/// What a replica tells about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// Which replica.
    pub replica: ReplicaId,
    /// How many replicas the group has.
    pub replicas: usize,
    /// What it is doing.
    pub status: StatusName,
    /// The view it is in.
    pub view: ViewNumber,
    /// The latest view whose log it has installed: the view that clients may be told of (rule C14).
    pub log_view: ViewNumber,
    /// The primary of the view; itself, perhaps.
    pub primary: ReplicaId,
    /// Whether it is the primary of a started view.
    pub is_primary: bool,
    /// The paper's op-number.
    pub op: OpNumber,
    /// The paper's commit-number.
    pub commit: OpNumber,
    /// The highest operation that it has heard to be committed: a backup may hear of operations that are not in its log yet.
    pub commit_target: OpNumber,
    /// The highest operation whose reply is in.
    pub applied: OpNumber,
    /// The op of the latest durable snapshot.
    pub snapshot: OpNumber,
    /// Operations held in the log.
    pub log_ops: u64,
    /// Open sessions.
    pub sessions: usize,
    /// Reads beside the log that wait here.
    pub reads: usize,
    /// Who else is taken to be there: bit i is the member at place i. Asked by name: [`Replica::is_up`].
    pub peers: u64,
}

impl Status {
    /// What can be said of a replica that does not know its group yet: nothing but its name.
    #[must_use]
    pub fn not_joined(replica: ReplicaId) -> Self {
        let (view, op) = (ViewNumber(0), OpNumber(0));
        Self {
            replica,
            replicas: 0,
            status: StatusName::Bootstrapping,
            view,
            log_view: view,
            primary: replica,
            is_primary: false,
            op,
            commit: op,
            commit_target: op,
            applied: op,
            snapshot: op,
            log_ops: 0,
            sessions: 0,
            reads: 0,
            peers: 0,
        }
    }
}

impl Replica {
    /// Whether it is the primary of a started view.
    #[must_use]
    pub fn is_primary(&self) -> bool {
        matches!(&self.mode, Mode::Primary(primary) if primary.announced)
    }

    /// A copy of what it knows of itself.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            replica: self.config.replica,
            replicas: self.replicas(),
            status: self.mode.name(),
            view: self.view,
            log_view: self.log_view,
            primary: self.id_of(self.primary_of(self.view)),
            is_primary: self.is_primary(),
            op: self.log.op(),
            commit: self.commit,
            commit_target: self.mode.commit_target().max(self.commit),
            applied: self.commits.last_applied(),
            snapshot: self.snapshot.as_ref().map_or(OpNumber(0), |snapshot| snapshot.op()),
            log_ops: self.log.op().0 - self.log.base().0,
            sessions: self.sessions.len(),
            reads: self.reads.len(),
            peers: self.peers.up(),
        }
    }
}

impl Mode {
    fn commit_target(&self) -> OpNumber {
        match self {
            Self::Backup(backup) => backup.commit_target,
            _ => OpNumber(0),
        }
    }

    pub(super) fn name(&self) -> StatusName {
        match self {
            Self::Bootstrapping(_) => StatusName::Bootstrapping,
            Self::Primary(_) | Self::Backup(_) => StatusName::Normal,
            Self::ViewChange(_) => StatusName::ViewChange,
            Self::Recovering(_) => StatusName::Recovering,
            Self::Stopped => StatusName::Stopped,
        }
    }
}
