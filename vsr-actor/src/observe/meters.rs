//! Every metric: its table, and the handles of one replica. A handle is fetched once: looking one up costs more than an operation
//! may.

use metrics::{
    IntoF64, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use std::{cell::Cell, sync::Arc, time::Duration};
use vsr_core::{GroupId, OpNumber, ReplicaId};

/// A metric of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metric {
    /// Its name: prefix `vsr_`, base units, `_total` for what only grows.
    pub name: &'static str,
    /// What it is.
    pub kind: MetricKind,
    /// The label it has besides those that all metrics of its table have.
    pub label: Option<&'static str>,
    /// What it says.
    pub meaning: &'static str,
}

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// What is the case now.
    Gauge,
    /// How often which value was seen; of durations, in seconds.
    Histogram,
}

impl MetricKind {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Those that all metrics of a table have.
pub(super) type Labels = Arc<[(&'static str, String)]>;

/// A kind of handle.
pub(super) trait Handle {
    const KIND: MetricKind;
    fn register(name: &'static str, labels: &[(&'static str, String)]) -> Self;
    fn describe(name: &'static str, meaning: &'static str);
}

#[derive(Clone)]
pub(crate) struct Counter(metrics::Counter);

impl Counter {
    pub(crate) fn take(&self, count: u64) {
        self.0.increment(count);
    }
}

impl Handle for Counter {
    const KIND: MetricKind = MetricKind::Counter;
    fn register(name: &'static str, labels: &[(&'static str, String)]) -> Self {
        Self(counter!(name, labels))
    }
    fn describe(name: &'static str, meaning: &'static str) {
        describe_counter!(name, meaning);
    }
}

pub(super) struct Gauge(metrics::Gauge);

impl Gauge {
    pub(super) fn take(&self, value: impl IntoF64) {
        self.0.set(value);
    }
}

impl Handle for Gauge {
    const KIND: MetricKind = MetricKind::Gauge;
    fn register(name: &'static str, labels: &[(&'static str, String)]) -> Self {
        Self(gauge!(name, labels))
    }
    fn describe(name: &'static str, meaning: &'static str) {
        describe_gauge!(name, meaning);
    }
}

pub(super) struct Histogram(metrics::Histogram);

impl Histogram {
    pub(super) fn take(&self, duration: impl Into<Option<Duration>>) {
        if let Some(duration) = duration.into() {
            self.0.record(duration);
        }
    }

    /// The same `count` times.
    pub(super) fn take_many(&self, duration: Duration, count: usize) {
        self.0.record_many(duration, count);
    }
}

impl Handle for Histogram {
    const KIND: MetricKind = MetricKind::Histogram;
    fn register(name: &'static str, labels: &[(&'static str, String)]) -> Self {
        Self(histogram!(name, labels))
    }
    fn describe(name: &'static str, meaning: &'static str) {
        describe_histogram!(name, Unit::Seconds, meaning);
    }
}

/// Handles that differ in one more label; each is registered when it is first needed.
pub(super) struct By<K, H> {
    name: &'static str,
    label: &'static str,
    labels: Labels,
    handles: Vec<(K, H)>,
}

impl<K: Copy + PartialEq + Label, H: Handle> By<K, H> {
    pub(super) fn new(name: &'static str, label: &'static str, labels: &Labels) -> Self {
        Self { name, label, labels: labels.clone(), handles: Vec::new() }
    }

    fn of(&mut self, key: K) -> &H {
        let known = self.handles.iter().position(|(known, _)| *known == key);
        let index = known.unwrap_or_else(|| {
            let mut labels = self.labels.to_vec();
            labels.push((self.label, key.label()));
            self.handles.push((key, H::register(self.name, &labels)));
            self.handles.len() - 1
        });
        &self.handles[index].1
    }
}

impl<K: Copy + PartialEq + Label, H: Handle + Clone> By<K, H> {
    /// For what happens so often that it is not to be looked up each time.
    pub(super) fn handle(&mut self, key: K) -> H {
        self.of(key).clone()
    }
}

impl<K: Copy + PartialEq + Label> By<K, Counter> {
    pub(super) fn take(&mut self, key: K, count: u64) {
        self.of(key).take(count);
    }
}

impl<K: Copy + PartialEq + Label> By<K, Gauge> {
    pub(super) fn take(&mut self, key: K, value: impl IntoF64) {
        self.of(key).take(value);
    }
}

/// The value of a label. All there can be are few: a metric costs the recorder memory for each of them.
pub(super) trait Label {
    fn label(self) -> String;
}

impl Label for &'static str {
    fn label(self) -> String {
        self.to_owned()
    }
}

impl Label for ReplicaId {
    fn label(self) -> String {
        self.0.to_string()
    }
}

/// What a gauge is set to: an op-number as a number.
pub(super) fn number(op: OpNumber) -> f64 {
    op.0 as f64
}

/// A handle turns a value into a number only if a recorder takes it: so it is found out whether there is one.
struct Asked<'a> {
    value: f64,
    asked: &'a Cell<bool>,
}

impl IntoF64 for Asked<'_> {
    fn into_f64(self) -> f64 {
        self.asked.set(true);
        self.value
    }
}

macro_rules! handle {
    ($handle:ident, $name:expr, $labels:expr) => {
        $handle::register($name, &**$labels)
    };
    ($handle:ident, $name:expr, $labels:expr, $label:literal, $key:ty) => {
        By::<$key, $handle>::new($name, $label, $labels)
    };
}

macro_rules! handle_type {
    ($handle:ident) => { $handle };
    ($handle:ident, $key:ty) => { By<$key, $handle> };
}

/// Makes the table and the handles of one list, so that they cannot differ.
macro_rules! meters {
    (
        $(#[doc = $about:literal])+ $struct:ident in $table:ident;
        $(#[doc = $meaning:literal] $name:ident: $handle:ident $(by $label:literal: $key:ty)?;)+
    ) => {
        $(#[doc = $about])+
        pub(super) struct $struct {
            $(#[doc = $meaning] pub(super) $name: handle_type!($handle $(, $key)?),)+
        }

        impl $struct {
            pub(super) fn register(labels: &Labels) -> Self {
                $($handle::describe(concat!("vsr_", stringify!($name)), $meaning.trim_ascii());)+
                Self {
                    $($name: handle!($handle, concat!("vsr_", stringify!($name)), labels $(, $label, $key)?),)+
                }
            }
        }

        /// Every metric there is, by kind and topic.
        pub static $table: &[Metric] = &[
            $(Metric {
                name: concat!("vsr_", stringify!($name)),
                kind: <$handle as Handle>::KIND,
                label: [$(Some($label),)? None][0],
                meaning: $meaning.trim_ascii(),
            },)+
        ];
    };
}

pub(super) use {handle, handle_type, meters};

impl Meters {
    /// Metrics go to the recorder that is installed now. Says whether there is one.
    pub(super) fn new(group: GroupId, replica: ReplicaId) -> (Self, bool) {
        let labels: Labels = Arc::new([("group", group.0.to_string()), ("replica", replica.0.to_string())]);
        let meters = Self::register(&labels);
        let asked = Cell::new(false);
        meters.up.take(Asked { value: 1.0, asked: &asked });
        (meters, asked.get())
    }
}

meters! {
    /// The metrics of one replica.
    Meters in METRICS;

    /// 1 while the replica's task runs, 0 when it has ended.
    up: Gauge;
    /// 1 for the status the replica is in, 0 for those it was in.
    status: Gauge by "status": &'static str;
    /// The view-number.
    view: Gauge;
    /// 1 at the primary of a started view, 0 elsewhere.
    is_primary: Gauge;
    /// The op-number: the end of the log.
    op_number: Gauge;
    /// The commit-number.
    commit_number: Gauge;
    /// The highest op whose reply is in.
    applied_number: Gauge;
    /// The op of the latest durable snapshot.
    snapshot_number: Gauge;
    /// Operations held in the log.
    log_operations: Gauge;
    /// Open sessions.
    sessions: Gauge;
    /// Reads beside the log that wait.
    reads_waiting: Gauge;
    /// Requests in the replica's mailbox at the end of the last turn that took some.
    requests_waiting: Gauge;
    /// At a primary: up to where each backup has acknowledged the log. Its lag is what this is below `vsr_op_number`.
    peer_acknowledged_number: Gauge by "peer": ReplicaId;

    /// Times this replica became primary.
    leaderships_total: Counter;
    /// How long this replica was primary, each time.
    leadership_duration_seconds: Histogram;

    /// Requests that clients of this replica handed in, retries included.
    requests_total: Counter;
    /// From a request's arrival at this replica to its reply here.
    request_duration_seconds: Histogram;
    /// Requests that this replica answered with an error, by reason. Clients try most of them again.
    request_exceptions_total: Counter by "reason": &'static str;
    /// Requests the protocol did not take, by reason, those of other replicas' clients included.
    requests_refused_total: Counter by "reason": &'static str;
    /// Requests that were executed already.
    requests_duplicate_total: Counter;
    /// Requests that came before an earlier one of their session.
    requests_held_total: Counter;
    /// Requests passed to the primary.
    requests_forwarded_total: Counter;
    /// Requests whose number was used for another operation.
    requests_conflicting_total: Counter;

    /// Entries proposed.
    prepares_sent_total: Counter;
    /// Proposals received.
    prepares_received_total: Counter;
    /// Acknowledgements sent.
    prepare_oks_sent_total: Counter;
    /// Acknowledgements counted.
    prepare_oks_received_total: Counter;
    /// Commit messages sent, each to all backups.
    commits_sent_total: Counter;
    /// Commit messages received.
    commits_received_total: Counter;
    /// Times entries were sent again.
    retransmissions_total: Counter;
    /// Messages dropped, by reason.
    messages_ignored_total: Counter by "reason": &'static str;

    /// Changes of status.
    status_changes_total: Counter;
    /// Changes of the view-number.
    view_number_changes_total: Counter;
    /// Changes between primary and backup.
    role_changes_total: Counter;
    /// Operations that became committed here.
    operations_committed_total: Counter;

    /// Views entered.
    view_changes_started_total: Counter;
    /// Views that started here.
    view_changes_total: Counter;
    /// From leaving a view until a later one started here.
    view_change_duration_seconds: Histogram;
    /// Own votes to leave a view.
    view_change_votes_cast_total: Counter;
    /// Own votes taken back.
    view_change_votes_cancelled_total: Counter;
    /// Votes of others received.
    view_change_votes_received_total: Counter;
    /// Times this primary voted itself out.
    abdications_total: Counter;
    /// Logs sent to the primary of a view to come.
    do_view_changes_sent_total: Counter;
    /// Logs received as the primary of a view to come.
    do_view_changes_received_total: Counter;
    /// Logs chosen for a new view.
    view_change_logs_chosen_total: Counter;
    /// New views announced, once for each backup.
    start_views_sent_total: Counter;
    /// Announcements of new views received.
    start_views_received_total: Counter;
    /// Logs of newer views that took the place of the own one.
    views_installed_total: Counter;

    /// Operations given to the state machine.
    operations_started_total: Counter;
    /// Time the state machine took for one operation; the mean of those that were committed together, unless somebody hears of each.
    operation_duration_seconds: Histogram;
    /// Operations that could not be applied; the replica ends with it.
    operation_exceptions_total: Counter;
    /// Callbacks that took longer than they should, by their name.
    callbacks_slow_total: Counter by "callback": &'static str;

    /// Requests for state sent.
    state_requests_sent_total: Counter;
    /// Requests for state received.
    state_requests_received_total: Counter;
    /// Pieces of logs sent.
    state_entries_sent_total: Counter;
    /// Pieces of logs received and used.
    state_entries_received_total: Counter;
    /// Pieces of snapshots sent.
    snapshot_pieces_sent_total: Counter;
    /// Pieces of snapshots received and kept.
    snapshot_pieces_received_total: Counter;
    /// Snapshots that arrived damaged, by reason.
    snapshots_discarded_total: Counter by "reason": &'static str;
    /// Pieces of snapshots that could not be read, and were not sent.
    snapshot_pieces_unreadable_total: Counter;
    /// Snapshots of which a piece that arrived could not be kept.
    snapshots_not_kept_total: Counter;
    /// Snapshots that took the place of the own state.
    snapshots_installed_total: Counter;

    /// Snapshots frozen, to be written out.
    snapshots_begun_total: Counter;
    /// Snapshots taken.
    snapshots_taken_total: Counter;
    /// Bytes of the snapshots taken.
    snapshot_bytes_total: Counter;
    /// From freezing a snapshot until it is written out.
    snapshot_duration_seconds: Histogram;
    /// Snapshots left out because the one before was not durable.
    snapshots_skipped_total: Counter;
    /// Snapshots that could not be written out.
    snapshots_failed_total: Counter;
    /// Times the log's beginning was given up.
    log_trims_total: Counter;

    /// Entries added to the log.
    entries_appended_total: Counter;
    /// Times uncommitted entries were replaced by those of another view.
    log_conflicts_total: Counter;
    /// Times enough replicas had the log up to a higher op.
    quorums_reached_total: Counter;

    /// Heartbeats sent: Commit messages that the timer asked for.
    heartbeats_sent_total: Counter;
    /// Heartbeats received: Commit messages that are a sign of life.
    heartbeats_received_total: Counter;
    /// Times nothing was heard of the primary.
    primary_timeouts_total: Counter;

    /// Recoveries begun, and rounds of them.
    recoveries_started_total: Counter;
    /// Questions of replicas that lost their logs.
    recovery_requests_received_total: Counter;
    /// Answers to such a question.
    recovery_responses_received_total: Counter;
    /// Times it became known which log is needed.
    recovery_targets_total: Counter;
    /// Logs that are back.
    recoveries_total: Counter;
    /// Times it was proven that too many logs are lost.
    memory_losses_proven_total: Counter;
    /// Times another replica's state machine came to something else.
    digests_differ_total: Counter;

    /// Sessions opened.
    sessions_registered_total: Counter;
    /// Sessions that had to go.
    sessions_evicted_total: Counter;
    /// Rounds of reads.
    read_rounds_total: Counter;
    /// Answers to a primary's probe.
    read_probe_oks_received_total: Counter;
    /// Answers of a primary to a read index.
    read_indexes_received_total: Counter;
    /// Reads not served, by reason.
    reads_refused_total: Counter by "reason": &'static str;

    /// Requests with a trace that clients of this replica handed in.
    traced_requests_total: Counter;
    /// Requests with a trace that backups passed to this replica.
    traced_forwards_total: Counter;
    /// Operations with a trace that were executed here.
    traced_commits_total: Counter;

    /// 1 while a peer is heard, by this replica or by its primary, 0 when it is not.
    peer_up: Gauge by "peer": ReplicaId;
    /// Times a peer was not heard any more.
    peers_lost_total: Counter;

    /// Flushes of the log.
    storage_flushes_total: Counter;
    /// Bytes they made durable.
    storage_flushed_bytes_total: Counter;
    /// How long each took.
    storage_flush_duration_seconds: Histogram;
    /// 1 while the storage waits for room, else 0.
    storage_stalled: Gauge;
    /// Times it began to wait for room.
    storage_stalls_total: Counter;
    /// Times something was not as it was left, and was put in order.
    storage_notices_total: Counter;

    /// Starts of the replica's task.
    replica_starts_total: Counter;
    /// Ends of the replica's task, by `shutdown`, `failure` or `abort`.
    replica_ends_total: Counter by "reason": &'static str;
    /// Times the replica was bound to a membership.
    bound_total: Counter;
    /// Times the group was formed.
    formed_total: Counter;
    /// Messages taken from the mailboxes: of other replicas, of clients, reads.
    mailbox_messages_total: Counter;
}
