//! Names of what has many variants, for metrics and counts.

use crate::{
    effect::{Answer, Refusal},
    event::{Event, Ignored},
    stop::StopReason,
};

/// The match is exhaustive: a variant without a name does not compile.
macro_rules! named {
    ($type:ident: $($variant:ident)*) => {
        impl $type {
            /// The names of all variants.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($variant)),*];

            /// The place of its variant in [`NAMES`](Self::NAMES).
            #[must_use]
            pub const fn index(&self) -> usize {
                enum Index { $($variant),* }
                match self { $(Self::$variant { .. } => Index::$variant as usize),* }
            }

            /// The name of its variant.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                Self::NAMES[self.index()]
            }
        }
    };
}

named! {
    Event:
    Bound Formed StatusChanged ViewEntered ViewStarted LeadershipStarted LeadershipStopped PrimaryTimedOut
    VoteCast VoteCancelled VoteReceived Abdicated DoViewChangeSent DoViewChangeReceived LogChosen
    StartViewSent StartViewReceived Appended Truncated PrepareSent PrepareReceived Retransmitted
    PrepareOkSent PrepareOkReceived QuorumReached CommitSent CommitReceived CommitAdvanced GetStateSent
    GetStateReceived NewStateSent NewStateReceived PieceSent PieceReceived PiecesDiscarded StagingFailed ViewInstalled
    RecoveryStarted RecoveryReceived RecoveryResponseReceived RecoveryTargetKnown Recovered MemoryLossProven
    SnapshotInstalled SnapshotTaken SnapshotFailed SnapshotSkipped Trimmed SessionRegistered SessionEvicted Duplicate Held
    Forwarded Refused ReadsAsked ProbeOkReceived ReadIndexReceived ReadRefused Conflict DigestsDiffer
    PeerUp PeerDown Ignored
}

named! {
    Ignored:
    OtherCluster OtherGroup OtherEpoch NotAMember OtherIncarnation ViewTooHigh Bootstrapping AlreadyFormed
    Recovering NotNormal NotFromPrimary NotPrimary OldView NewerView AlreadyStarted NotDurable Malformed
    ChainBroken UnknownOp StaleNonce NotServable NothingNew OtherSnapshot OtherMembership TooLarge Full
}

named! {
    Refusal:
    NoPrimary Overloaded TooLarge OutsideWindow Behind
}

named! {
    Answer:
    Registered Reply Refused ReplyGone Evicted Conflict
}

named! {
    StopReason:
    Divergence StrangeIncarnation BootstrapConflict NotDeterministic MemoryLost LimitsDiffer
}
