//! The protocol's events as rows of the table.

use super::Event;
use vsr_core::Event as Core;

impl<'a> Event<'a> {
    /// What is told as it is. Nothing for what [`Telemetry`](super::Telemetry) adds to, and tells in its own words.
    pub(super) fn of(event: &'a Core) -> Option<Self> {
        Some(match *event {
            Core::Bound => Self::Bound {},
            Core::Formed => Self::Formed {},
            Core::StatusChanged { from, to } => Self::StatusChanged { old_status: from, new_status: to },
            Core::PrimaryTimedOut { view, timeout } => {
                let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
                Self::PrimaryTimedOut { view, timeout_ms }
            }
            Core::VoteCast { view } => Self::VoteCast { view },
            Core::VoteCancelled { view } => Self::VoteCancelled { view },
            Core::VoteReceived { from, view, votes } => Self::VoteReceived { from, view, total_votes: votes },
            Core::Abdicated { view } => Self::Abdicated { view },
            Core::DoViewChangeSent { to, view, log_view, op, commit } => Self::DoViewChangeSent {
                to,
                view,
                log_view,
                sender_op_number: op,
                sender_commit_number: commit,
            },
            Core::DoViewChangeReceived { from, log_view, op, commit } => Self::DoViewChangeReceived {
                from,
                log_view,
                sender_op_number: op,
                sender_commit_number: commit,
            },
            Core::LogChosen { view, of, log_view, op, commit } => {
                Self::LogChosen { view, of, log_view, op, commit }
            }
            Core::StartViewSent { to, op } => Self::StartViewSent { to, op },
            Core::StartViewReceived { from, view, op } => Self::StartViewReceived { from, view, op },
            Core::Appended { first, last } => Self::Appended { first, last },
            Core::Truncated { above, until } => Self::Truncated { above, until },
            Core::PrepareSent { first, last, commit } => Self::PrepareSent { first, last, commit },
            Core::PrepareReceived { from, first, last, commit } => {
                Self::PrepareReceived { from, first, last, commit }
            }
            Core::Retransmitted { to, after } => Self::Retransmitted { to, after },
            Core::PrepareOkSent { to, op } => Self::PrepareOkSent { to, op },
            Core::PrepareOkReceived { from, op } => Self::PrepareOkReceived { from, op },
            Core::QuorumReached { op } => Self::QuorumReached { op },
            Core::CommitAdvanced { from, to } => Self::CommitAdvanced {
                operations_committed: to.0.saturating_sub(from.0),
                old_commit_number: from,
                new_commit_number: to,
            },
            Core::GetStateSent { to, view, after } => Self::GetStateSent { to, view, after },
            Core::GetStateReceived { from, view, after } => Self::GetStateReceived { from, view, after },
            Core::NewStateSent { to, after, op } => Self::EntriesSent { to, after, op },
            Core::NewStateReceived { from, after, op } => Self::EntriesReceived { from, after, op },
            Core::PieceSent { to, op, offset } => Self::PieceSent { to, op, offset },
            Core::PieceReceived { from, op, held, bytes } => Self::PieceReceived { from, op, held, bytes },
            Core::PiecesDiscarded { from, op, reason } => Self::PiecesDiscarded { from, op, reason },
            Core::StagingFailed { op, ref reason } => Self::StagingFailed { op, reason: reason.as_str() },
            Core::RecoveryStarted { view } => Self::RecoveryStarted { view },
            Core::RecoveryReceived { from, view } => Self::RecoveryReceived { from, view },
            Core::RecoveryResponseReceived { from, view, op } => {
                Self::RecoveryResponseReceived { from, view, op }
            }
            Core::RecoveryTargetKnown { view, op } => Self::RecoveryTargetKnown { view, op },
            Core::Recovered { view, op } => Self::Recovered { view, op },
            Core::MemoryLossProven { replicas } => Self::MemoryLossProven { replicas },
            Core::SnapshotInstalled { op } => Self::SnapshotInstalled { op },
            Core::SnapshotSkipped { op } => Self::SnapshotSkipped { op },
            Core::Trimmed { through } => Self::Trimmed { through },
            Core::SessionRegistered { client, session } => Self::SessionRegistered { client, session },
            Core::SessionEvicted { session } => Self::SessionEvicted { session },
            Core::Duplicate { of } => Self::RequestDuplicate { of },
            Core::Held { of } => Self::RequestHeld { of },
            Core::Forwarded { to, requests } => Self::RequestsForwarded { to, requests },
            Core::Refused { of, reason } => Self::RequestRefused { of, reason },
            Core::ReadsAsked { round, reads } => Self::ReadsAsked { round, reads },
            Core::ProbeOkReceived { from, round } => Self::ProbeOkReceived { from, round },
            Core::ReadIndexReceived { from, round, index } => Self::ReadIndexReceived { from, round, index },
            Core::ReadRefused { reason } => Self::ReadRefused { reason },
            Core::Conflict { of } => Self::RequestConflict { of },
            Core::DigestsDiffer { from, after, until } => Self::DigestsDiffer { from, after, until },
            Core::PeerUp { peer } => Self::PeerUp { peer },
            Core::PeerDown { peer } => Self::PeerDown { peer },
            Core::Ignored { from, message, reason } => Self::MessageIgnored { from, message, reason },
            // The compiler cannot see that all are here, for another crate may add some: a test does.
            _ => return None,
        })
    }
}
