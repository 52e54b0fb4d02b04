//! What one replica tells: of the protocol's events, and of the runtime's own.

use super::{
    Event, Role, SpanId, TraceId,
    meters::Meters,
    observers::{Listeners, Observers},
    record::{Lazy, Source},
    value::status_name,
};
use crate::{ReplicaError, clock::Clock, storage::News};
use std::time::Duration;
use tracing::{Level, Span, level_filters::LevelFilter};
use vsr_core::{
    BlobError, Body, GroupId, Message, OpNumber, Replica, ReplicaId, RequestNumber, SessionId, Status,
    StatusName, Time, TraceContext, ViewNumber,
};

/// Tells tracing, metrics and observers what happens in one replica. Also what was under way when it is dropped.
pub(crate) struct Telemetry {
    group: GroupId,
    clock: Clock,
    meters: Meters,
    /// Whether a recorder takes the metrics.
    metered: bool,
    observers: Observers,
    /// Tells nothing at all: the other side of a measure of what telemetry costs.
    off: bool,
    phase: Phase,
    /// As it was shown last.
    status: Status,
    leading: Option<Leading>,
    /// The view-number that was told last.
    view: ViewNumber,
    /// When the view was left for which no other has started yet.
    left: Option<Time>,
    /// The snapshot that is being written out, and since when.
    freezing: Option<(OpNumber, Time)>,
    /// Requests that came in one turn and are answered in another: when they came, and how many were not counted yet.
    answered: Option<(Time, usize)>,
}

#[derive(PartialEq, Eq)]
enum Phase {
    New,
    Running,
    Ended,
}

/// The time as primary.
struct Leading {
    view: ViewNumber,
    since: Time,
    span: Span,
}

impl Telemetry {
    /// Metrics go to the recorder that is installed now.
    pub(crate) fn new(group: GroupId, status: Status, clock: Clock, listeners: Listeners) -> Self {
        let Listeners { observers, off } = listeners;
        let (meters, metered) = Meters::new(group, status.replica);
        Self {
            group,
            clock,
            meters,
            metered,
            observers: Observers::new(observers),
            off,
            phase: Phase::New,
            view: status.view,
            status,
            leading: None,
            left: None,
            freezing: None,
            answered: None,
        }
    }

    /// The only way to tell anything.
    fn tell(&mut self, source: Source<'_>, event: &Event<'_>) {
        if self.off {
            return;
        }
        let common = Lazy::new(self.group, source);
        event.tell(&mut self.meters, &common);
        self.observers.tell(event, &common);
    }

    fn tell_last(&mut self, event: &Event<'_>) {
        let status = self.status;
        self.tell(Source::Last(&status), event);
    }

    /// Whether anybody hears of what happens in every step of the protocol.
    pub(crate) fn is_heard(&self) -> bool {
        let anybody =
            self.metered || self.observers.are_there() || LevelFilter::current() >= LevelFilter::DEBUG;
        anybody && !self.off
    }

    /// Whether anybody hears of single operations and requests: asked before anything is done for them. Whoever only
    /// counts does not: what happens together is counted together.
    pub(crate) fn is_watched(&self) -> bool {
        let anybody = self.observers.want_all()
            || tracing::enabled!(target: "vsr::state_machine", Level::TRACE)
            || tracing::enabled!(target: "vsr::protocol", Level::TRACE);
        anybody && !self.off
    }

    fn is_metered(&self) -> bool {
        self.metered && !self.off
    }

    /// An observer that panicked is the end of the replica.
    pub(crate) fn check(&mut self) -> Result<(), ReplicaError> {
        self.observers.check()
    }

    fn now(&self) -> Time {
        self.clock.now().monotonic
    }

    fn since(&self, begun: Time) -> Duration {
        Duration::from_nanos(self.now().0.saturating_sub(begun.0))
    }

    /// The task runs.
    pub(crate) fn started(&mut self, core: &Replica) {
        self.phase = Phase::Running;
        self.meters.status.take(status_name(self.status.status), 1.0);
        self.status(&core.status());
        self.tell(Source::Now(core), &Event::ReplicaStarted {});
    }

    /// The end of each turn that changed something.
    pub(crate) fn status(&mut self, status: &Status) {
        if self.off {
            return;
        }
        if self.status.status != status.status {
            self.meters.status.take(status_name(self.status.status), 0.0);
            self.meters.status.take(status_name(status.status), 1.0);
        }
        self.status = *status;
        if !self.metered {
            return;
        }
        let meters = &self.meters;
        meters.view.take(status.view.0 as f64);
        meters.is_primary.take(f64::from(u8::from(status.is_primary && status.status == StatusName::Normal)));
        meters.op_number.take(status.op.0 as f64);
        meters.commit_number.take(status.commit.0 as f64);
        meters.applied_number.take(status.applied.0 as f64);
        meters.snapshot_number.take(status.snapshot.0 as f64);
        meters.log_operations.take(status.log_ops as f64);
        meters.sessions.take(status.sessions as f64);
        meters.reads_waiting.take(status.reads as f64);
    }

    /// The replica ended, and why.
    pub(crate) fn ended(&mut self, error: Option<&ReplicaError>) {
        self.phase = Phase::Ended;
        let status = self.status;
        self.stop_leading(Source::Last(&status));
        match error {
            None => self.tell_last(&Event::ReplicaStopped {}),
            Some(error) => self.tell_last(&Event::ReplicaFailed { reason: &error.to_string() }),
        }
    }

    /// Something happened in the protocol.
    pub(crate) fn event(&mut self, core: &Replica, event: &vsr_core::Event) {
        if self.off {
            return;
        }
        let source = Source::Now(core);
        match *event {
            vsr_core::Event::LeadershipStarted { view } => self.start_leading(source, core, view),
            vsr_core::Event::LeadershipStopped { .. } => self.stop_leading(source),
            vsr_core::Event::ViewEntered { from, to } => {
                self.left.get_or_insert(self.clock.now().monotonic);
                self.view_is(source, to);
                self.tell(source, &Event::ViewChangeStarted { old_view: from, new_view: to });
            }
            vsr_core::Event::ViewInstalled { view, op } => {
                self.view_is(source, view);
                self.tell(source, &Event::ViewInstalled { view, op });
            }
            vsr_core::Event::ViewStarted { view, primary, start_op } => {
                let duration = self.left.take().map(|left| self.since(left));
                self.tell(source, &Event::ViewChangeComplete { view, primary, start_op, duration });
            }
            vsr_core::Event::SnapshotTaken { op, bytes } => {
                let begun = self.freezing.take_if(|(frozen, _)| *frozen == op);
                let duration = begun.map(|(_, begun)| self.since(begun));
                self.tell(source, &Event::SnapshotTaken { op, bytes, duration });
            }
            vsr_core::Event::SnapshotFailed { op, ref reason } => {
                self.freezing = None;
                self.tell(source, &Event::SnapshotFailed { op, reason: reason.as_str() });
            }
            vsr_core::Event::CommitSent { commit, heartbeat } => {
                self.tell(source, &Event::CommitSent { commit });
                if heartbeat {
                    self.tell(source, &Event::HeartbeatSent { commit });
                }
            }
            vsr_core::Event::CommitReceived { from, commit, fresh } => {
                self.tell(source, &Event::CommitReceived { from, commit });
                if fresh {
                    self.tell(source, &Event::HeartbeatReceived { from, commit });
                }
            }
            _ => {
                if let Some(event) = Event::of(event) {
                    self.tell(source, &event);
                }
            }
        }
    }

    fn start_leading(&mut self, source: Source<'_>, core: &Replica, view: ViewNumber) {
        let node_id = core.status().replica.0;
        let span = tracing::info_span!(
            target: "vsr::leadership",
            "vsr.leadership",
            group = self.group.0,
            node_id,
            view_number = view.0,
            duration = tracing::field::Empty,
        );
        let entered = span.clone();
        self.leading = Some(Leading { view, since: self.now(), span });
        entered.in_scope(|| {
            self.tell(source, &Event::LeadershipStarted { view });
            self.tell(source, &Event::RoleChanged { old_role: Role::Backup, new_role: Role::Primary });
        });
    }

    /// Nothing, if it does not lead.
    fn stop_leading(&mut self, source: Source<'_>) {
        let Some(Leading { view, since, span }) = self.leading.take() else { return };
        let duration = self.since(since);
        span.record("duration", duration.as_secs_f64());
        span.in_scope(|| {
            self.tell(source, &Event::LeadershipStopped { view, duration });
            self.tell(source, &Event::RoleChanged { old_role: Role::Primary, new_role: Role::Backup });
        });
    }

    fn view_is(&mut self, source: Source<'_>, view: ViewNumber) {
        let old = std::mem::replace(&mut self.view, view);
        if old != view {
            self.tell(source, &Event::ViewNumberChanged { old_view: old, new_view: view });
        }
    }

    /// A client of this replica asked.
    pub(crate) fn request_started(&mut self, core: &Replica, session: SessionId, request: RequestNumber) {
        self.tell(Source::Now(core), &Event::RequestStarted { session, request });
    }

    /// It is answered: with a reply, or with an error.
    pub(crate) fn request_answered(
        &mut self,
        core: &Replica,
        (session, request, since): (SessionId, RequestNumber, Time),
        error: Option<&'static str>,
    ) {
        let duration = self.since(since);
        let event = match error {
            None => Event::RequestStopped { session, request, duration },
            Some(reason) => Event::RequestFailed { session, request, reason, duration },
        };
        self.tell(Source::Now(core), &event);
    }

    /// Clients of this replica asked so many times, and nobody hears of each.
    pub(crate) fn requests_started(&self, count: usize) {
        if self.is_metered() {
            self.meters.requests_total.take(count as u64);
        }
    }

    /// One of them, which came at `since`, is answered with a reply: to be counted with its like.
    pub(crate) fn request_stopped(&mut self, since: Time) {
        match &mut self.answered {
            Some((came, count)) if *came == since => *count += 1,
            _ => {
                self.count_answered();
                self.answered = Some((since, 1));
            }
        }
    }

    /// Counts all that were answered.
    pub(crate) fn count_answered(&mut self) {
        if let Some((since, count)) = self.answered.take()
            && self.is_metered()
        {
            self.meters.request_duration_seconds.take_many(self.since(since), count);
        }
    }

    /// A client of this replica asked, and its request belongs to a trace.
    pub(crate) fn traced_request(
        &mut self,
        core: &Replica,
        session: SessionId,
        request: RequestNumber,
        trace: &TraceContext,
    ) {
        let (trace_id, span_id) = (TraceId(trace.trace_id()), SpanId(trace.span_id()));
        self.tell(Source::Now(core), &Event::TracedRequest { trace_id, span_id, session, request });
    }

    /// A message came: requests of a backup's clients, perhaps, of which some belong to traces.
    pub(crate) fn message(&mut self, core: &Replica, message: &Message) {
        let Body::Request(run) = &message.body else { return };
        for (_, trace) in run.traces() {
            self.traced_forward(core, message.from, trace);
        }
    }

    pub(super) fn traced_forward(&mut self, core: &Replica, from: ReplicaId, trace: &TraceContext) {
        let (trace_id, span_id) = (TraceId(trace.trace_id()), SpanId(trace.span_id()));
        self.tell(Source::Now(core), &Event::TracedForward { trace_id, span_id, from });
    }

    /// An operation that belongs to a trace was executed.
    pub(crate) fn traced_commit(
        &mut self,
        core: &Replica,
        trace: TraceContext,
        op: OpNumber,
        proposed_in: ViewNumber,
    ) {
        let (trace_id, span_id) = (TraceId(trace.trace_id()), SpanId(trace.span_id()));
        self.tell(Source::Now(core), &Event::TracedCommit { trace_id, span_id, op, proposed_in });
    }

    /// The state machine gets an operation; when that was.
    pub(crate) fn operation_started(&mut self, core: &Replica, op: OpNumber) -> Time {
        self.tell(Source::Now(core), &Event::OperationStarted { op });
        self.now()
    }

    /// It is done with it.
    pub(crate) fn operation_stopped(&mut self, core: &Replica, op: OpNumber, begun: Time) {
        let duration = self.since(begun);
        self.tell(Source::Now(core), &Event::OperationStopped { op, duration });
    }

    /// The state machine gets operations of which nobody hears one by one; when that was.
    pub(crate) fn operations_started(&self) -> Option<Time> {
        self.is_metered().then(|| self.now())
    }

    /// It got so many, and is done with the first ones: all, or all but the last.
    pub(crate) fn operations_stopped(&self, begun: Option<Time>, got: usize, done: usize) {
        let Some(begun) = begun else { return };
        self.meters.operations_started_total.take(got as u64);
        let each = self.since(begun) / u32::try_from(done).unwrap_or(u32::MAX).max(1);
        self.meters.operation_duration_seconds.take_many(each, done);
    }

    /// It could not do it.
    pub(crate) fn operation_failed(&mut self, core: &Replica, op: OpNumber, error: &ReplicaError) {
        self.tell(Source::Now(core), &Event::OperationFailed { op, reason: &error.to_string() });
    }

    /// What the storage has told since it was asked last.
    pub(crate) fn storage(&mut self, core: &Replica, news: &News) {
        for (bytes, duration) in news.flushes.iter().copied() {
            self.tell(Source::Now(core), &Event::StorageFlushed { bytes, duration });
        }
        for what in &news.notes {
            self.tell(Source::Now(core), &Event::StorageNoticed { what });
        }
        match &news.stalled {
            _ if !news.stall_changed => {}
            Some(error) => {
                self.tell(Source::Now(core), &Event::StorageStalled { reason: &error.to_string() });
            }
            None => self.tell(Source::Now(core), &Event::StorageResumed {}),
        }
    }

    /// A callback took longer than it should.
    pub(crate) fn callback_slow(
        &mut self,
        callback: &'static str,
        message: &'static str,
        duration: Duration,
    ) {
        self.tell_last(&Event::CallbackSlow { callback, message, duration });
    }

    /// The state is frozen, and is being written out from now on.
    pub(crate) fn snapshot_begun(&mut self, core: &Replica, op: OpNumber) {
        self.freezing = Some((op, self.now()));
        self.tell(Source::Now(core), &Event::SnapshotBegun { op });
    }

    /// A piece of a snapshot that another replica asked for cannot be read.
    pub(crate) fn piece_unreadable(&mut self, core: &Replica, to: ReplicaId, reason: &BlobError) {
        self.tell(Source::Now(core), &Event::PieceUnreadable { to, reason: reason.as_str() });
    }

    /// A turn took messages out of the mailboxes.
    pub(crate) fn mailbox_taken(
        &mut self,
        core: &Replica,
        messages: usize,
        requests: usize,
        reads: usize,
        requests_waiting: impl FnOnce() -> usize,
    ) {
        if messages + requests + reads > 0 && (self.is_metered() || self.is_watched()) {
            let requests_waiting = requests_waiting();
            let event = Event::MailboxTaken { messages, requests, reads, requests_waiting };
            self.tell(Source::Now(core), &event);
        }
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if self.phase == Phase::Running {
            let status = self.status;
            self.stop_leading(Source::Last(&status));
            self.tell_last(&Event::ReplicaAborted {});
        }
    }
}
