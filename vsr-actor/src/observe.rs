//! Events as tracing and metrics: the only place that knows either.

use metrics::{Counter, Gauge, counter, gauge};
use std::{mem::Discriminant, sync::Arc, time::Duration};
use tracing::Level;
use vsr_core::{Event, GroupId, Ignored, ReplicaId, Status, StatusName};

/// Handles are fetched once: looking one up costs more than an operation may (D11).
pub(crate) struct Observer {
    group: GroupId,
    replica: ReplicaId,
    labels: Arc<[(&'static str, String); 2]>,
    view: Gauge,
    is_primary: Gauge,
    op: Gauge,
    commit: Gauge,
    applied: Gauge,
    sessions: Gauge,
    view_changes: Counter,
    entries: Counter,
    snapshots_taken: Counter,
    snapshots_installed: Counter,
    evictions: Counter,
    refused: Counter,
    duplicates: Counter,
    retransmitted: Counter,
    /// By reason, as they occur.
    ignored: Vec<(Discriminant<Ignored>, Counter)>,
}

impl Observer {
    /// Metrics go to the recorder that is installed now.
    pub(crate) fn new(group: GroupId, replica: ReplicaId) -> Self {
        let labels = Arc::new([("group", group.0.to_string()), ("replica", replica.0.to_string())]);
        let l = &*labels;
        Self {
            view: gauge!("vsr_view", l),
            is_primary: gauge!("vsr_is_primary", l),
            op: gauge!("vsr_op_number", l),
            commit: gauge!("vsr_commit_number", l),
            applied: gauge!("vsr_applied_number", l),
            sessions: gauge!("vsr_sessions", l),
            view_changes: counter!("vsr_view_changes_total", l),
            entries: counter!("vsr_entries_appended_total", l),
            snapshots_taken: counter!("vsr_snapshots_taken_total", l),
            snapshots_installed: counter!("vsr_snapshots_installed_total", l),
            evictions: counter!("vsr_sessions_evicted_total", l),
            refused: counter!("vsr_requests_refused_total", l),
            duplicates: counter!("vsr_requests_duplicate_total", l),
            retransmitted: counter!("vsr_retransmissions_total", l),
            ignored: Vec::new(),
            group,
            replica,
            labels,
        }
    }

    /// One event.
    pub(crate) fn event(&mut self, event: &Event) {
        self.count(event);
        macro_rules! tell {
            ($level:expr) => {
                tracing::event!(target: "vsr", $level, group = self.group.0, replica = self.replica.0, "{event:?}")
            };
        }
        match level(event) {
            Level::ERROR => tell!(Level::ERROR),
            Level::WARN => tell!(Level::WARN),
            Level::INFO => tell!(Level::INFO),
            Level::DEBUG => tell!(Level::DEBUG),
            _ => tell!(Level::TRACE),
        }
    }

    /// A callback took longer than it should.
    pub(crate) fn callback_slow(&mut self, callback: &'static str, message: &'static str, took: Duration) {
        let (group, replica) = (self.group.0, self.replica.0);
        tracing::warn!(target: "vsr", group, replica, callback, message, ?took, "a callback was slow");
    }

    /// The start, and the end of each turn that changed something.
    pub(crate) fn status(&self, status: &Status) {
        self.view.set(status.view.0 as f64);
        self.is_primary.set(f64::from(u8::from(status.is_primary && status.status == StatusName::Normal)));
        self.op.set(status.op.0 as f64);
        self.commit.set(status.commit.0 as f64);
        self.applied.set(status.applied.0 as f64);
        self.sessions.set(status.sessions as f64);
    }

    /// The replica ended, and why.
    pub(crate) fn ended(&self, error: Option<&crate::ReplicaError>) {
        let (group, replica) = (self.group.0, self.replica.0);
        match error {
            None => tracing::info!(target: "vsr", group, replica, "stopped"),
            Some(error) => tracing::error!(target: "vsr", group, replica, %error, "failed"),
        }
    }

    fn count(&mut self, event: &Event) {
        match event {
            Event::ViewStarted { .. } => self.view_changes.increment(1),
            Event::Appended { .. } => self.entries.increment(1),
            Event::SnapshotTaken { .. } => self.snapshots_taken.increment(1),
            Event::SnapshotInstalled { .. } => self.snapshots_installed.increment(1),
            Event::SessionEvicted { .. } => self.evictions.increment(1),
            Event::Refused { .. } => self.refused.increment(1),
            Event::Duplicate { .. } => self.duplicates.increment(1),
            Event::Retransmitted { .. } => self.retransmitted.increment(1),
            Event::Ignored { reason, .. } => self.count_ignored(*reason),
            _ => {}
        }
    }

    fn count_ignored(&mut self, reason: Ignored) {
        let which = std::mem::discriminant(&reason);
        if let Some((_, counter)) = self.ignored.iter().find(|(known, _)| *known == which) {
            counter.increment(1);
            return;
        }
        let mut labels = self.labels.to_vec();
        labels.push(("reason", reason.name().to_owned()));
        let counter = counter!("vsr_messages_ignored_total", &labels);
        counter.increment(1);
        self.ignored.push((which, counter));
    }
}

/// What an operator wants to hear of, what helps to find a fault, and what happens all the time.
fn level(event: &Event) -> Level {
    match event {
        Event::PrimaryTimedOut { .. }
        | Event::Abdicated { .. }
        | Event::Conflict { .. }
        | Event::MemoryLossProven { .. } => Level::WARN,
        Event::DigestsDiffer { .. } => Level::ERROR,
        Event::Formed
        | Event::ViewStarted { .. }
        | Event::LeadershipStarted { .. }
        | Event::LeadershipStopped { .. }
        | Event::ViewInstalled { .. }
        | Event::RecoveryStarted { .. }
        | Event::Recovered { .. }
        | Event::SnapshotInstalled { .. } => Level::INFO,
        Event::Appended { .. }
        | Event::PrepareSent { .. }
        | Event::PrepareReceived { .. }
        | Event::PrepareOkSent { .. }
        | Event::PrepareOkReceived { .. }
        | Event::QuorumReached { .. }
        | Event::CommitSent { .. }
        | Event::CommitReceived { .. }
        | Event::CommitAdvanced { .. }
        | Event::Forwarded { .. }
        | Event::Held { .. }
        | Event::Duplicate { .. }
        | Event::Retransmitted { .. }
        | Event::Refused { .. }
        | Event::ReadsAsked { .. }
        | Event::ProbeOkReceived { .. }
        | Event::ReadIndexReceived { .. }
        | Event::ReadRefused { .. } => Level::TRACE,
        _ => Level::DEBUG,
    }
}
