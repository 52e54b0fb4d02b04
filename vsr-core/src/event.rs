//! What happened, as data: one variant for each thing worth telling, one reason for each message dropped (D3).

use crate::{
    effect::{Asked, Refusal},
    id::{ClientId, EpochNumber, OpNumber, ReplicaId, SessionId, ViewNumber},
    message::MessageName,
    state::BlobError,
};
use core::time::Duration;
use serde::Serialize;

/// Something that happened in a replica. Steps come with every message, turn or operation, and are told while the replica
/// [is observed](crate::Replica::set_observed).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are named after what they hold; each variant is documented")]
pub enum Event {
    /// This replica is bound to a membership.
    Bound,
    /// All members are bound to the same membership: the group exists.
    Formed,
    /// The status changed.
    StatusChanged { from: StatusName, to: StatusName },
    /// A higher view was entered.
    ViewEntered { from: ViewNumber, to: ViewNumber },
    /// This replica is in a view that has started.
    ViewStarted { view: ViewNumber, primary: ReplicaId, start_op: OpNumber },
    /// This replica became primary.
    LeadershipStarted { view: ViewNumber },
    /// This replica is primary no more.
    LeadershipStopped { view: ViewNumber },
    /// Nothing was heard of the primary.
    PrimaryTimedOut { view: ViewNumber, timeout: Duration },
    /// This replica votes to leave the view.
    VoteCast { view: ViewNumber },
    /// The primary was heard again.
    VoteCancelled { view: ViewNumber },
    /// Another replica votes to leave the view.
    VoteReceived { from: ReplicaId, view: ViewNumber, votes: usize },
    /// This primary hears too few backups, or leaves, and votes itself out.
    Abdicated { view: ViewNumber },
    /// The log was sent to the primary of a view to come.
    DoViewChangeSent { to: ReplicaId, view: ViewNumber, log_view: ViewNumber, op: OpNumber, commit: OpNumber },
    /// A log was received by the primary of a view to come.
    DoViewChangeReceived { from: ReplicaId, log_view: ViewNumber, op: OpNumber, commit: OpNumber },
    /// The log for the new view was chosen.
    LogChosen { view: ViewNumber, of: ReplicaId, log_view: ViewNumber, op: OpNumber, commit: OpNumber },
    /// The new view was announced.
    StartViewSent { to: ReplicaId, op: OpNumber },
    /// A new view was announced.
    StartViewReceived { from: ReplicaId, view: ViewNumber, op: OpNumber },
    /// An entry was added to the log. A step.
    Appended { first: OpNumber, last: OpNumber },
    /// Uncommitted entries were replaced by those of another view.
    Truncated { above: OpNumber, until: OpNumber },
    /// An entry was proposed. A step.
    PrepareSent { first: OpNumber, last: OpNumber, commit: OpNumber },
    /// An entry was proposed to this replica. A step.
    PrepareReceived { from: ReplicaId, first: OpNumber, last: OpNumber, commit: OpNumber },
    /// Entries were sent again to a backup that has not acknowledged them.
    Retransmitted { to: ReplicaId, after: OpNumber },
    /// An acknowledgement was sent. A step.
    PrepareOkSent { to: ReplicaId, op: OpNumber },
    /// An acknowledgement was counted. A step.
    PrepareOkReceived { from: ReplicaId, op: OpNumber },
    /// Enough replicas have the log up to here. A step.
    QuorumReached { op: OpNumber },
    /// The commit-number was sent: as a heartbeat, or because a backup's client waits for it. A step.
    CommitSent { commit: OpNumber, heartbeat: bool },
    /// The commit-number was received; a fresh one is a sign of life. A step.
    CommitReceived { from: ReplicaId, commit: OpNumber, fresh: bool },
    /// More is known to be committed. A step.
    CommitAdvanced { from: OpNumber, to: OpNumber },
    /// State was asked for.
    GetStateSent { to: ReplicaId, view: ViewNumber, after: OpNumber },
    /// Another replica asked for state.
    GetStateReceived { from: ReplicaId, view: ViewNumber, after: OpNumber },
    /// State was sent.
    NewStateSent { to: ReplicaId, after: OpNumber, op: OpNumber },
    /// State was received and used.
    NewStateReceived { from: ReplicaId, after: OpNumber, op: OpNumber },
    /// A piece of a snapshot was sent: what begins at `offset`.
    PieceSent { to: ReplicaId, op: OpNumber, offset: u64 },
    /// A piece of a snapshot was received and kept: `held` of `bytes` bytes are here now.
    PieceReceived { from: ReplicaId, op: OpNumber, held: u64, bytes: u64 },
    /// The pieces of a snapshot are thrown away: they do not make what they were said to be.
    PiecesDiscarded { from: ReplicaId, op: OpNumber, reason: Ignored },
    /// What had arrived of a snapshot could not be kept. It is fetched anew.
    StagingFailed { op: OpNumber, reason: BlobError },
    /// The staged log of a newer view took the place of the own one (decision 4).
    ViewInstalled { view: ViewNumber, op: OpNumber },
    /// The log was lost; the others are asked for it, until enough of them answer. A round ends with a time-out.
    RecoveryStarted { view: ViewNumber },
    /// Another replica has lost its log.
    RecoveryReceived { from: ReplicaId, view: ViewNumber },
    /// A replica that could answer did.
    RecoveryResponseReceived { from: ReplicaId, view: ViewNumber, op: Option<OpNumber> },
    /// Enough replicas answered: this view's log is needed, at least up to here.
    RecoveryTargetKnown { view: ViewNumber, op: OpNumber },
    /// The log is back.
    Recovered { view: ViewNumber, op: OpNumber },
    /// Too many replicas have lost their logs at once; the group cannot go on.
    MemoryLossProven { replicas: usize },
    /// A snapshot took the place of the own state.
    SnapshotInstalled { op: OpNumber },
    /// A snapshot was taken.
    SnapshotTaken { op: OpNumber, bytes: u64 },
    /// A snapshot could not be written out. It is tried again.
    SnapshotFailed { op: OpNumber, reason: BlobError },
    /// A snapshot was due while the last was not durable yet, and is left out.
    SnapshotSkipped { op: OpNumber },
    /// The log's beginning was given up.
    Trimmed { through: OpNumber },
    /// A session was opened.
    SessionRegistered { client: ClientId, session: SessionId },
    /// A session had to go.
    SessionEvicted { session: SessionId },
    /// A request was found to be executed already. A step.
    Duplicate { of: Asked },
    /// A request that came too early waits for those before it. A step.
    Held { of: Asked },
    /// Requests were passed to the primary. A step.
    Forwarded { to: ReplicaId, requests: usize },
    /// A request was not taken.
    Refused { of: Asked, reason: Refusal },
    /// One question was asked for some reads: a probe by the primary, a read index by a backup. A step.
    ReadsAsked { round: u64, reads: usize },
    /// A backup is still in this primary's view. A step.
    ProbeOkReceived { from: ReplicaId, round: u64 },
    /// The primary said what a backup's reads must reflect. A step.
    ReadIndexReceived { from: ReplicaId, round: u64, index: OpNumber },
    /// A read was not served.
    ReadRefused { reason: Refusal },
    /// A client used one number for two operations.
    Conflict { of: Asked },
    /// Another replica's state machine came to something else, and no quorum says who is right (decision 14). It happened between
    /// these ops.
    DigestsDiffer { from: ReplicaId, after: OpNumber, until: OpNumber },
    /// Another replica is there: this one hears it, or the primary does.
    PeerUp { peer: ReplicaId },
    /// Another replica was not heard within a time-out.
    PeerDown { peer: ReplicaId },
    /// A message was dropped.
    Ignored { from: ReplicaId, message: MessageName, reason: Ignored },
}

/// The name of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum StatusName {
    /// The group is not formed yet.
    Bootstrapping,
    /// In a view that has started.
    Normal,
    /// Between views.
    ViewChange,
    /// Without a log: it takes part in nothing until it has one again.
    Recovering,
    /// Fenced off.
    Stopped,
}

/// Why a message was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Ignored {
    /// From another cluster.
    OtherCluster,
    /// From another group.
    OtherGroup,
    /// From another epoch.
    OtherEpoch(EpochNumber),
    /// The sender is not a member, or is this replica.
    NotAMember,
    /// The sender's storage is not the one the group knows.
    OtherIncarnation,
    /// The view is beyond all bounds (rule A5).
    ViewTooHigh,
    /// The group is not formed yet.
    Bootstrapping,
    /// Nothing left to agree on.
    AlreadyFormed,
    /// This replica has no log, and no say, until it has recovered (rule F8).
    Recovering,
    /// Only a replica in a view that has started could answer.
    NotNormal,
    /// Only the primary of the view may say this (rule A2).
    NotFromPrimary,
    /// Only the primary can use this.
    NotPrimary,
    /// From a view that is over.
    OldView,
    /// From a view that this replica does not know to have started.
    NewerView,
    /// The view has started here.
    AlreadyStarted,
    /// Nothing may be said before the own view is durable.
    NotDurable,
    /// Damaged, or contradicts itself.
    Malformed,
    /// Does not follow from the own log (decision 13).
    ChainBroken,
    /// An acknowledgement of something this primary did not propose, or not ask.
    UnknownOp,
    /// The answer to a question that is not asked any more (decision 5).
    StaleNonce,
    /// Sent by a replica that may not serve it (decision 5).
    NotServable,
    /// Nothing new in it.
    NothingNew,
    /// A piece of another snapshot than the one that is arriving.
    OtherSnapshot,
    /// A snapshot of another membership.
    OtherMembership,
    /// An operation larger than this replica takes.
    TooLarge,
    /// There is no room for it.
    Full,
}
