//! Who the replicas of a group are, and what of that survives a crash.

use crate::{
    config::ReplicatedLimits,
    id::{ClusterId, EpochNumber, GroupId, Incarnation, OpNumber, ReplicaId, ViewNumber},
};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// One replica of a group: its name, and which life of its storage belongs to the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Member {
    /// Its name.
    pub id: ReplicaId,
    /// The life of its storage that was formatted; any other is a stranger (decision 12).
    pub incarnation: Incarnation,
}

/// What all replicas of a group agreed on before the first vote.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Membership {
    /// Always 0 until reconfiguration exists.
    pub epoch: EpochNumber,
    /// In the order that gives each view its primary.
    pub members: Vec<Member>,
    /// Bounds that shape the replicated state.
    pub limits: ReplicatedLimits,
}

/// The record every replica keeps beside its log: who it is, and which views it promised.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Record {
    /// Cluster the storage was formatted for.
    pub cluster: ClusterId,
    /// Group it was formatted for.
    pub group: GroupId,
    /// Replica it was formatted for.
    pub replica: ReplicaId,
    /// Drawn when the storage was first used; other replicas know this one by it.
    pub incarnation: Incarnation,
    /// The membership this replica is bound to: once set it never changes within an epoch.
    pub membership: Option<Membership>,
    /// Whether all members were seen to be bound to it: before that there are no votes.
    pub formed: bool,
    /// The highest view promised.
    pub view: ViewNumber,
    /// The latest view whose log was installed.
    pub log_view: ViewNumber,
    /// The op at which that view started.
    pub start_op: OpNumber,
}
