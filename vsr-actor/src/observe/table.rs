//! The table of events: docs/telemetry.md is written from here, and nothing is told that is not in it.

use super::{
    macros::{table, traced},
    meters::{Meters, number},
    record::{Definition, FieldDefinition, Lazy},
    value::{Field, Role, SpanId, TraceId, Value},
};
use std::time::Duration;
use tracing::Level;
use vsr_core::{
    Asked, ClientId, Ignored, MessageName, OpNumber, Refusal, ReplicaId, RequestNumber, SessionId,
    StatusName, ViewNumber,
};

// A row: its meaning, its variant and level, its name, the original's event it answers to, its fields, its metrics. Levels: what an
// operator wants to hear of is INFO and above, what helps to find a fault is DEBUG, what happens with every operation or heartbeat
// is TRACE.
table! {
    /// What happened, with everything that is special to it. What all events have in common is [`Common`](crate::observe::Common).
    Event<'a> in EVENTS, Meters, |common: &Lazy<'_>| {
        group = common.get().group.plain(),
        node_id = common.get().node_id.plain(),
        view_number = common.get().view_number.plain(),
        status = common.get().status.plain(),
        is_primary = common.get().is_primary,
        cluster_size = common.get().cluster_size.plain(),
        op_number = common.get().op_number.plain(),
        commit_number = common.get().commit_number.plain(),
    }
    "vsr::leadership" {
        /// This replica became primary of a view that has started.
        LeadershipStarted INFO "vsr.leadership.start" for "leadership start"
            { view: ViewNumber } [leaderships_total(1)];
        /// This replica is primary no more; for how long it was.
        LeadershipStopped INFO "vsr.leadership.stop" for "leadership stop"
            { view: ViewNumber, duration: Duration } [leadership_duration_seconds(*duration)];
    }
    "vsr::protocol" {
        /// A request of one of this replica's clients arrived, perhaps not for the first time.
        RequestStarted TRACE "vsr.protocol.client_request.start" for "protocol client_request start"
            { session: SessionId, request: RequestNumber } [requests_total(1)];
        /// The client is answered: the request is executed.
        RequestStopped TRACE "vsr.protocol.client_request.stop" for "protocol client_request stop"
            { session: SessionId, request: RequestNumber, duration: Duration } [request_duration_seconds(*duration)];
        /// This replica did not take the request, or knows no reply to it. The client tries again where that makes sense.
        RequestFailed DEBUG "vsr.protocol.client_request.exception" for "protocol client_request exception"
            { session: SessionId, request: RequestNumber, reason: &'static str, duration: Duration }
            [request_exceptions_total(*reason, 1)];
        /// An entry was proposed to all backups.
        PrepareSent TRACE "vsr.protocol.prepare.sent" for "protocol prepare sent"
            { first: OpNumber, last: OpNumber, commit: OpNumber } [prepares_sent_total(1)];
        /// An entry was proposed to this replica.
        PrepareReceived TRACE "vsr.protocol.prepare.received" for "protocol prepare received"
            { from: ReplicaId, first: OpNumber, last: OpNumber, commit: OpNumber } [prepares_received_total(1)];
        /// An acknowledgement was sent.
        PrepareOkSent TRACE "vsr.protocol.prepare_ok.sent" for "protocol prepare_ok sent"
            { to: ReplicaId, op: OpNumber } [prepare_oks_sent_total(1)];
        /// An acknowledgement was counted.
        PrepareOkReceived TRACE "vsr.protocol.prepare_ok.received" for "protocol prepare_ok received"
            { from: ReplicaId, op: OpNumber }
            [prepare_oks_received_total(1), peer_acknowledged_number(*from, number(*op))];
        /// The commit-number was sent to all backups, without an entry.
        CommitSent TRACE "vsr.protocol.commit.sent" for "protocol commit sent"
            { commit: OpNumber } [commits_sent_total(1)];
        /// The commit-number came from the primary, without an entry.
        CommitReceived TRACE "vsr.protocol.commit.received" for "protocol commit received"
            { from: ReplicaId, commit: OpNumber } [commits_received_total(1)];
        /// Entries were sent again to a backup that has not acknowledged them.
        Retransmitted TRACE "vsr.protocol.prepare.retransmitted"
            { to: ReplicaId, after: OpNumber } [retransmissions_total(1)];
        /// Requests were passed to the primary.
        RequestsForwarded TRACE "vsr.protocol.request.forwarded"
            { to: ReplicaId, requests: usize } [requests_forwarded_total(*requests as u64)];
        /// A request that came too early waits for those before it.
        RequestHeld TRACE "vsr.protocol.request.held"
            { of: Asked } [requests_held_total(1)];
        /// A request was found to be executed already.
        RequestDuplicate TRACE "vsr.protocol.request.duplicate"
            { of: Asked } [requests_duplicate_total(1)];
        /// The protocol did not take a request, of an own client or of another replica's.
        RequestRefused TRACE "vsr.protocol.request.refused"
            { of: Asked, reason: Refusal } [requests_refused_total(reason.name(), 1)];
        /// A client used one number for two operations.
        RequestConflict WARN "vsr.protocol.request.conflict"
            { of: Asked } [requests_conflicting_total(1)];
        /// A message was dropped.
        MessageIgnored DEBUG "vsr.protocol.message.ignored"
            { from: ReplicaId, message: MessageName, reason: Ignored } [messages_ignored_total(reason.name(), 1)];
    }
    "vsr::state" {
        /// The status changed.
        StatusChanged DEBUG "vsr.state.status_change" for "state status_change"
            { old_status: StatusName, new_status: StatusName } [status_changes_total(1)];
        /// The view-number changed.
        ViewNumberChanged DEBUG "vsr.state.view_change" for "state view_change"
            { old_view: ViewNumber, new_view: ViewNumber } [view_number_changes_total(1)];
        /// The replica became primary, or is so no more.
        RoleChanged DEBUG "vsr.state.role_change" for "state role_change"
            { old_role: Role, new_role: Role } [role_changes_total(1)];
        /// More is known to be committed.
        CommitAdvanced TRACE "vsr.state.commit_advance" for "state commit_advance"
            { operations_committed: u64, old_commit_number: OpNumber, new_commit_number: OpNumber }
            [operations_committed_total(*operations_committed)];
    }
    "vsr::view_change" {
        /// The replica left its view for a higher one, and its log is frozen until that one starts.
        ViewChangeStarted DEBUG "vsr.view_change.start" for "view_change start"
            { old_view: ViewNumber, new_view: ViewNumber } [view_changes_started_total(1)];
        /// This replica votes to leave the view.
        VoteCast DEBUG "vsr.view_change.vote_cast"
            { view: ViewNumber } [view_change_votes_cast_total(1)];
        /// The primary was heard again: the own vote is taken back.
        VoteCancelled DEBUG "vsr.view_change.vote_cancelled"
            { view: ViewNumber } [view_change_votes_cancelled_total(1)];
        /// Another replica votes to leave the view.
        VoteReceived DEBUG "vsr.view_change.vote_received" for "view_change vote_received"
            { from: ReplicaId, view: ViewNumber, total_votes: usize } [view_change_votes_received_total(1)];
        /// This primary hears too few backups, or leaves, and votes itself out.
        Abdicated WARN "vsr.view_change.abdicated"
            { view: ViewNumber } [abdications_total(1)];
        /// The log was sent to the primary of a view to come.
        DoViewChangeSent DEBUG "vsr.view_change.do_view_change.sent" for "view_change do_view_change sent"
            { to: ReplicaId, view: ViewNumber, log_view: ViewNumber, sender_op_number: OpNumber, sender_commit_number: OpNumber }
            [do_view_changes_sent_total(1)];
        /// A log was received by the primary of a view to come.
        DoViewChangeReceived DEBUG "vsr.view_change.do_view_change.received" for "view_change do_view_change received"
            { from: ReplicaId, log_view: ViewNumber, sender_op_number: OpNumber, sender_commit_number: OpNumber }
            [do_view_changes_received_total(1)];
        /// The log for the new view was chosen.
        LogChosen DEBUG "vsr.view_change.log_chosen"
            { view: ViewNumber, of: ReplicaId, log_view: ViewNumber, op: OpNumber, commit: OpNumber }
            [view_change_logs_chosen_total(1)];
        /// The new view was announced to a backup.
        StartViewSent DEBUG "vsr.view_change.start_view.sent"
            { to: ReplicaId, op: OpNumber } [start_views_sent_total(1)];
        /// A new view was announced.
        StartViewReceived DEBUG "vsr.view_change.start_view.received"
            { from: ReplicaId, view: ViewNumber, op: OpNumber } [start_views_received_total(1)];
        /// The log of a newer view took the place of the own one.
        ViewInstalled INFO "vsr.view_change.installed"
            { view: ViewNumber, op: OpNumber } [views_installed_total(1)];
        /// A view has started here; how long after the replica left the one before, if it left it by a view change.
        ViewChangeComplete INFO "vsr.view_change.complete" for "view_change complete"
            { view: ViewNumber, primary: ReplicaId, start_op: OpNumber, duration: Option<Duration> }
            [view_changes_total(1), view_change_duration_seconds(*duration)];
    }
    "vsr::state_machine" {
        /// A committed operation is given to the state machine.
        OperationStarted TRACE "vsr.state_machine.operation.start" for "state_machine operation start"
            { op: OpNumber } [operations_started_total(1)];
        /// The state machine is done with it.
        OperationStopped TRACE "vsr.state_machine.operation.stop" for "state_machine operation stop"
            { op: OpNumber, duration: Duration } [operation_duration_seconds(*duration)];
        /// The state machine could not do it: it panicked, or could not read it. The replica ends.
        OperationFailed ERROR "vsr.state_machine.operation.exception" for "state_machine operation exception"
            { op: OpNumber, reason: &'a str } [operation_exceptions_total(1)];
    }
    "vsr::callback" {
        /// A callback took longer than it should: meanwhile the replica did nothing else.
        CallbackSlow WARN "vsr.callback.slow"
            { callback: &'static str, message: &'static str, duration: Duration } [callbacks_slow_total(*callback, 1)];
    }
    "vsr::state_transfer" {
        /// State was asked for.
        GetStateSent DEBUG "vsr.state_transfer.request_sent" for "state_transfer request_sent"
            { to: ReplicaId, view: ViewNumber, after: OpNumber } [state_requests_sent_total(1)];
        /// Another replica asked for state.
        GetStateReceived DEBUG "vsr.state_transfer.request_received" for "state_transfer request_received"
            { from: ReplicaId, view: ViewNumber, after: OpNumber } [state_requests_received_total(1)];
        /// Entries were sent to a replica that asked.
        EntriesSent DEBUG "vsr.state_transfer.entries_sent"
            { to: ReplicaId, after: OpNumber, op: OpNumber } [state_entries_sent_total(1)];
        /// Entries that were asked for came, and were used.
        EntriesReceived DEBUG "vsr.state_transfer.entries_received"
            { from: ReplicaId, after: OpNumber, op: OpNumber } [state_entries_received_total(1)];
        /// A piece of a snapshot was sent to a replica that asked: what begins at `offset`, in bytes.
        PieceSent DEBUG "vsr.state_transfer.snapshot_sent" for "state_transfer snapshot_sent"
            { to: ReplicaId, op: OpNumber, offset: u64 } [snapshot_pieces_sent_total(1)];
        /// A piece of a snapshot came and was kept: `held` of `bytes` bytes are here now.
        PieceReceived DEBUG "vsr.state_transfer.snapshot_received" for "state_transfer snapshot_received"
            { from: ReplicaId, op: OpNumber, held: u64, bytes: u64 } [snapshot_pieces_received_total(1)];
        /// The pieces of a snapshot are thrown away: they do not make what they were said to be.
        PiecesDiscarded WARN "vsr.state_transfer.snapshot_discarded"
            { from: ReplicaId, op: OpNumber, reason: Ignored } [snapshots_discarded_total(reason.name(), 1)];
        /// A piece of the own snapshot that a replica asked for cannot be read, and is not sent. It will ask somebody else.
        PieceUnreadable ERROR "vsr.state_transfer.snapshot_unreadable"
            { to: ReplicaId, reason: &'a str } [snapshot_pieces_unreadable_total(1)];
        /// What had arrived of a snapshot could not be kept: no room, above all. It is fetched anew.
        StagingFailed WARN "vsr.state_transfer.snapshot_not_kept"
            { op: OpNumber, reason: &'a str } [snapshots_not_kept_total(1)];
        /// A snapshot took the place of the own state.
        SnapshotInstalled INFO "vsr.state_transfer.snapshot_installed"
            { op: OpNumber } [snapshots_installed_total(1)];
    }
    "vsr::replication" {
        /// An entry was added to the log.
        Appended TRACE "vsr.replication.log_append" for "replication log_append"
            { first: OpNumber, last: OpNumber } [entries_appended_total(1)];
        /// Uncommitted entries were replaced by those of another view.
        Truncated DEBUG "vsr.replication.log_conflict" for "replication log_conflict"
            { above: OpNumber, until: OpNumber } [log_conflicts_total(1)];
        /// Enough replicas have the log up to here.
        QuorumReached TRACE "vsr.replication.quorum_reached" for "replication quorum_reached"
            { op: OpNumber } [quorums_reached_total(1)];
    }
    "vsr::timer" {
        /// A heartbeat was sent to all backups: a Commit message that the timer asked for.
        HeartbeatSent TRACE "vsr.timer.heartbeat_sent" for "timer heartbeat_sent"
            { commit: OpNumber } [heartbeats_sent_total(1)];
        /// The primary lives: a Commit message that is newer than what was heard of it before. (A prepare says so, too.)
        HeartbeatReceived TRACE "vsr.timer.heartbeat_received" for "timer heartbeat_received"
            { from: ReplicaId, commit: OpNumber } [heartbeats_received_total(1)];
        /// Nothing was heard of the primary for this long.
        PrimaryTimedOut WARN "vsr.timer.primary_timeout" for "timer primary_timeout"
            { view: ViewNumber, timeout_ms: u64 } [primary_timeouts_total(1)];
    }
    "vsr::snapshot" {
        /// The state was frozen, to be written out on another thread.
        SnapshotBegun DEBUG "vsr.snapshot.begun"
            { op: OpNumber } [snapshots_begun_total(1)];
        /// A snapshot was taken; how long that took from freezing the state on.
        SnapshotTaken DEBUG "vsr.snapshot.taken"
            { op: OpNumber, bytes: u64, duration: Option<Duration> }
            [snapshots_taken_total(1), snapshot_bytes_total(*bytes), snapshot_duration_seconds(*duration)];
        /// A snapshot could not be written out: no room, above all. It is tried again after ten heartbeat time-outs, or when the next is due;
        /// until one succeeds the log is not trimmed.
        SnapshotFailed WARN "vsr.snapshot.failed"
            { op: OpNumber, reason: &'a str } [snapshots_failed_total(1)];
        /// A snapshot was due while the last was not durable yet, and is left out.
        SnapshotSkipped DEBUG "vsr.snapshot.skipped"
            { op: OpNumber } [snapshots_skipped_total(1)];
        /// The log's beginning was given up.
        Trimmed DEBUG "vsr.snapshot.log_trimmed"
            { through: OpNumber } [log_trims_total(1)];
    }
    "vsr::recovery" {
        /// The log was lost; the others are asked for it. A round ends with a time-out.
        RecoveryStarted INFO "vsr.recovery.start"
            { view: ViewNumber } [recoveries_started_total(1)];
        /// Another replica has lost its log.
        RecoveryReceived DEBUG "vsr.recovery.request_received"
            { from: ReplicaId, view: ViewNumber } [recovery_requests_received_total(1)];
        /// A replica that could answer did.
        RecoveryResponseReceived DEBUG "vsr.recovery.response_received"
            { from: ReplicaId, view: ViewNumber, op: Option<OpNumber> } [recovery_responses_received_total(1)];
        /// Enough replicas answered: this view's log is needed, at least up to here.
        RecoveryTargetKnown DEBUG "vsr.recovery.target_known"
            { view: ViewNumber, op: OpNumber } [recovery_targets_total(1)];
        /// The log is back.
        Recovered INFO "vsr.recovery.complete"
            { view: ViewNumber, op: OpNumber } [recoveries_total(1)];
        /// Too many replicas have lost their logs at once; the group cannot go on.
        MemoryLossProven ERROR "vsr.recovery.memory_loss_proven"
            { replicas: usize } [memory_losses_proven_total(1)];
        /// Another replica's state machine came to something else between these ops, and no quorum says who is right.
        DigestsDiffer ERROR "vsr.recovery.digests_differ"
            { from: ReplicaId, after: OpNumber, until: OpNumber } [digests_differ_total(1)];
    }
    "vsr::session" {
        /// A session was opened.
        SessionRegistered DEBUG "vsr.session.registered"
            { client: ClientId, session: SessionId } [sessions_registered_total(1)];
        /// A session had to go.
        SessionEvicted DEBUG "vsr.session.evicted"
            { session: SessionId } [sessions_evicted_total(1)];
    }
    "vsr::read" {
        /// One question was asked for some reads: a probe by the primary, a read index by a backup.
        ReadsAsked TRACE "vsr.read.asked"
            { round: u64, reads: usize } [read_rounds_total(1)];
        /// A backup is still in this primary's view.
        ProbeOkReceived TRACE "vsr.read.probe_ok_received"
            { from: ReplicaId, round: u64 } [read_probe_oks_received_total(1)];
        /// The primary said what a backup's reads must reflect.
        ReadIndexReceived TRACE "vsr.read.index_received"
            { from: ReplicaId, round: u64, index: OpNumber } [read_indexes_received_total(1)];
        /// A read was not served.
        ReadRefused TRACE "vsr.read.refused"
            { reason: Refusal } [reads_refused_total(reason.name(), 1)];
    }
    "vsr::trace" {
        /// A request that belongs to a trace arrived from one of this replica's clients.
        TracedRequest DEBUG "vsr.trace.request"
            { trace_id: TraceId, span_id: SpanId, session: SessionId, request: RequestNumber } [traced_requests_total(1)];
        /// A backup passed on a request that belongs to a trace.
        TracedForward DEBUG "vsr.trace.forwarded"
            { trace_id: TraceId, span_id: SpanId, from: ReplicaId } [traced_forwards_total(1)];
        /// An operation that belongs to a trace was executed here, in the view the replica is in; it was proposed in `proposed_in`.
        TracedCommit DEBUG "vsr.trace.commit"
            { trace_id: TraceId, span_id: SpanId, op: OpNumber, proposed_in: ViewNumber } [traced_commits_total(1)];
    }
    "vsr::peer" {
        /// Another replica is there: this one hears it, or the primary does.
        PeerUp INFO "vsr.peer.up"
            { peer: ReplicaId } [peer_up(*peer, 1.0)];
        /// Another replica was not heard within a time-out.
        PeerDown WARN "vsr.peer.down"
            { peer: ReplicaId } [peer_up(*peer, 0.0), peers_lost_total(1)];
    }
    "vsr::storage" {
        /// The storage flushed bytes to the disk: all writes that waited, in one go.
        StorageFlushed TRACE "vsr.storage.flushed"
            { bytes: u64, duration: Duration }
            [storage_flushes_total(1), storage_flushed_bytes_total(*bytes), storage_flush_duration_seconds(*duration)];
        /// The storage waits for room: nothing is acknowledged, reads go on. It goes on by itself when there is some.
        StorageStalled ERROR "vsr.storage.stalled"
            { reason: &'a str } [storage_stalled(1.0), storage_stalls_total(1)];
        /// The storage has got room again.
        StorageResumed INFO "vsr.storage.resumed"
            { } [storage_stalled(0.0)];
        /// The storage was not found as it was left, and what was done about it.
        StorageNoticed WARN "vsr.storage.noticed"
            { what: &'a str } [storage_notices_total(1)];
    }
    "vsr::replica" {
        /// The replica's task runs.
        ReplicaStarted INFO "vsr.replica.start"
            { } [replica_starts_total(1)];
        /// The replica was shut down.
        ReplicaStopped INFO "vsr.replica.stop"
            { } [up(0.0), replica_ends_total("shutdown", 1)];
        /// The replica stopped by itself, and why.
        ReplicaFailed ERROR "vsr.replica.failed"
            { reason: &'a str } [up(0.0), replica_ends_total("failure", 1)];
        /// The replica's task was aborted: by the drop of its last handle, by a crash in a test, or with its runtime.
        ReplicaAborted WARN "vsr.replica.aborted"
            { } [up(0.0), replica_ends_total("abort", 1)];
        /// The replica is bound to a membership.
        Bound DEBUG "vsr.replica.bound"
            { } [bound_total(1)];
        /// All members are bound to the same membership: the group exists.
        Formed INFO "vsr.replica.formed"
            { } [formed_total(1)];
        /// A turn took messages from the mailboxes; `requests_waiting` clients have more requests.
        MailboxTaken TRACE "vsr.replica.mailbox_taken"
            { messages: usize, requests: usize, reads: usize, requests_waiting: usize }
            [mailbox_messages_total((messages + requests + reads) as u64), requests_waiting(*requests_waiting as f64)];
    }
}
