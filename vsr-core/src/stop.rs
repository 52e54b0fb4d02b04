//! Why a replica stops, or does not start.

use crate::{
    config::{ConfigError, ReplicatedLimits},
    id::{ClusterId, GroupId, Incarnation, OpNumber, ReplicaId},
};
use alloc::{
    string::{String, ToString},
    vec::Vec,
};

/// Why a running replica fenced itself off.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StopReason {
    /// A log that was proven to be the group's contradicts what this replica has committed.
    #[error(
        "{op} is committed here, and the group's log has something else there: this replica's storage was changed, or the protocol is broken; keep its data for examination"
    )]
    Divergence {
        /// Where they part.
        op: OpNumber,
    },
    /// The group knows another life of this replica's storage (decision 12).
    #[error(
        "{peer} belongs to a group in which {replica} has {expected}, but this storage is {found}: the storage of {replica} was wiped or replaced; restore it as it was at its end, if it is somewhere; a replica cannot be replaced yet, so without it the group goes on with those that are left"
    )]
    StrangeIncarnation {
        /// Who said so.
        peer: ReplicaId,
        /// This replica.
        replica: ReplicaId,
        /// What the group knows.
        expected: Incarnation,
        /// What this storage says.
        found: Incarnation,
    },
    /// Another replica is bound to another membership.
    #[error(
        "{peer} is bound to another membership than this replica: one of the members was wiped while the group was being formed, or is configured with other members; nothing was committed, so wipe all members and start again"
    )]
    BootstrapConflict {
        /// Who.
        peer: ReplicaId,
    },
    /// A quorum's state machines came to something else (decision 14).
    #[error(
        "the state machine is not deterministic: from an operation after {after} up to {until} a quorum of the other replicas has other replies, or another state, than this one; look for clocks, randomness, the order of a hash map, or different binaries"
    )]
    NotDeterministic {
        /// Up to here they were seen to agree.
        after: OpNumber,
        /// The first op at which they were seen to differ.
        until: OpNumber,
    },
    /// More replicas lost their logs at the same time than the others can make up for (rule F11).
    #[error(
        "{} lost their logs at the same time, and a lost log comes back only with the help of {needed} other replicas, of {replicas} in all: the group cannot go on; save the state of a replica that still runs, then wipe all of them and begin a new group from it",
        names(recovering)
    )]
    MemoryLost {
        /// Who is without a log, this replica among them.
        recovering: Vec<ReplicaId>,
        /// How many other replicas recovery needs.
        needed: usize,
        /// How many replicas the group has.
        replicas: usize,
    },
    /// Another replica is configured with other replicated limits (decision 10).
    #[error("{peer} was configured with {theirs:?}, this replica with {ours:?}: make them equal")]
    LimitsDiffer {
        /// Who.
        peer: ReplicaId,
        /// What it has.
        theirs: ReplicatedLimits,
        /// What is configured here.
        ours: ReplicatedLimits,
    },
}

fn names(replicas: &[ReplicaId]) -> String {
    replicas.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Why a replica did not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration breaks a rule.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The storage belongs to somebody else.
    #[error(
        "the storage belongs to {found_replica} of {found_group} in {found_cluster}, but {replica} of {group} in {cluster} was started on it: give each replica the storage that is its own, or the id and cluster of this one"
    )]
    OtherReplica {
        /// What the storage says.
        found_cluster: ClusterId,
        /// What the storage says.
        found_group: GroupId,
        /// What the storage says.
        found_replica: ReplicaId,
        /// As configured.
        cluster: ClusterId,
        /// As configured.
        group: GroupId,
        /// As configured.
        replica: ReplicaId,
    },
    /// The storage's group has other members.
    #[error(
        "the storage's group has other members, or the same in another order, than the configuration: members are fixed for the life of a group, only their addresses may change"
    )]
    OtherMembers,
    /// The storage's group has other replicated limits.
    #[error(
        "the group was formed with {stored:?}, but {configured:?} is configured: these limits cannot change, so configure the first ones again"
    )]
    OtherLimits {
        /// What the storage says.
        stored: ReplicatedLimits,
        /// What is configured.
        configured: ReplicatedLimits,
    },
    /// What the storage holds does not fit together.
    #[error(
        "the storage does not fit together at {at}: {what}; keep a copy for examination, and restore what was there before"
    )]
    Broken {
        /// Where.
        at: OpNumber,
        /// How.
        what: &'static str,
    },
}
