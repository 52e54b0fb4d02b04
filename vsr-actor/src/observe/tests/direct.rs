//! Each event told once, by itself.

use super::{Capture, agree, alone, metrics_fit};
use crate::{
    Config, LogStorage, MemoryStorage, Persisted, ReplicaError, StorageError,
    clock::Clock,
    observe::{EVENTS, Listeners, METRICS, Observer, Record, Telemetry, Value},
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use vsr_core::{
    Asked, BlobError, ClientId, Event, Ignored, MessageName, OpNumber, Refusal, Replica, ReplicaId,
    RequestNumber, SessionId, StatusName, TraceContext, ViewNumber, WriteId,
};

async fn replica(clock: Clock) -> Replica {
    let members: Vec<_> = (0..3).map(ReplicaId).collect();
    let restored = MemoryStorage::default().open(Persisted::default()).await.expect("it is empty");
    let config = Config::default().core(ReplicaId(1), members, 7);
    Replica::start(clock.now(), config, restored, &mut Vec::new()).expect("the configuration is valid")
}

fn listener(observer: impl Observer) -> Listeners {
    Listeners { observers: vec![Arc::new(observer)], off: false }
}

/// One of each. Those with state in between come in an order in which they could happen.
fn samples() -> Vec<Event> {
    let (me, from, to) = (ReplicaId(1), ReplicaId(0), ReplicaId(0));
    let (view, old) = (ViewNumber(4), ViewNumber(1));
    let [first, last, commit, op, after] = [11, 12, 10, 12, 9].map(OpNumber);
    let session = SessionId { slot: 0, number: OpNumber(3) };
    let of = Asked::Request(session, RequestNumber(5));
    let reason = Ignored::OldView;
    vec![
        Event::Bound,
        Event::Formed,
        Event::PrimaryTimedOut { view: old, timeout: Duration::from_millis(500) },
        Event::VoteCast { view: old },
        Event::VoteCancelled { view: old },
        Event::VoteReceived { from, view: old, votes: 2 },
        Event::StatusChanged { from: StatusName::Normal, to: StatusName::ViewChange },
        Event::ViewEntered { from: old, to: view },
        Event::DoViewChangeSent { to, view, log_view: old, op, commit },
        Event::DoViewChangeReceived { from, log_view: old, op, commit },
        Event::LogChosen { view, of: from, log_view: old, op, commit },
        Event::LeadershipStarted { view },
        Event::ViewStarted { view, primary: me, start_op: op },
        Event::StartViewSent { to, op },
        Event::Abdicated { view },
        Event::LeadershipStopped { view },
        Event::StartViewReceived { from, view: ViewNumber(6), op },
        Event::ViewInstalled { view: ViewNumber(6), op },
        Event::Appended { first, last },
        Event::Truncated { above: commit, until: op },
        Event::PrepareSent { first, last, commit },
        Event::PrepareReceived { from, first, last, commit },
        Event::Retransmitted { to, after },
        Event::PrepareOkSent { to, op },
        Event::PrepareOkReceived { from, op },
        Event::QuorumReached { op },
        Event::CommitSent { commit, heartbeat: true },
        Event::CommitReceived { from, commit, fresh: true },
        Event::CommitAdvanced { from: after, to: op },
        Event::GetStateSent { to, view, after },
        Event::GetStateReceived { from, view, after },
        Event::NewStateSent { to, after, op },
        Event::NewStateReceived { from, after, op },
        Event::PieceSent { to, op, offset: 0 },
        Event::PieceReceived { from, op, held: 1, bytes: 2 },
        Event::PiecesDiscarded { from, op, reason },
        Event::StagingFailed { op, reason: BlobError::new("no room") },
        Event::RecoveryStarted { view },
        Event::RecoveryReceived { from, view },
        Event::RecoveryResponseReceived { from, view, op: None },
        Event::RecoveryTargetKnown { view, op },
        Event::Recovered { view, op },
        Event::MemoryLossProven { replicas: 2 },
        Event::SnapshotInstalled { op },
        Event::SnapshotTaken { op, bytes: 100 },
        Event::SnapshotFailed { op, reason: BlobError::new("no room") },
        Event::SnapshotSkipped { op },
        Event::Trimmed { through: after },
        Event::SessionRegistered { client: ClientId(9), session },
        Event::SessionEvicted { session },
        Event::Duplicate { of },
        Event::Held { of: Asked::Register(ClientId(9)) },
        Event::Forwarded { to, requests: 3 },
        Event::Refused { of, reason: Refusal::NoPrimary },
        Event::ReadsAsked { round: 1, reads: 2 },
        Event::ProbeOkReceived { from, round: 1 },
        Event::ReadIndexReceived { from, round: 1, index: op },
        Event::ReadRefused { reason: Refusal::Behind },
        Event::Conflict { of },
        Event::DigestsDiffer { from, after, until: op },
        Event::PeerDown { peer: from },
        Event::PeerUp { peer: from },
        Event::Ignored { from, message: MessageName::Prepare, reason },
    ]
}

/// Tells everything there is to tell: of the protocol by its events, of the runtime by its methods.
fn tell_all(telemetry: &mut Telemetry, core: &Replica) {
    telemetry.started(core);
    for event in samples() {
        if let Event::SnapshotTaken { op, .. } = event {
            telemetry.snapshot_begun(core, op);
        }
        telemetry.event(core, &event);
    }
    let persisted = Persisted::default();
    persisted.flushed(512, Duration::from_millis(1));
    persisted.note("a bit had turned");
    let stall = |telemetry: &mut Telemetry| {
        persisted.stalled(StorageError::new("no room"));
        telemetry.storage(core, &persisted.take_news().unwrap_or_default());
    };
    stall(telemetry);
    persisted.advance(WriteId { boot: 1, sequence: 1 });
    telemetry.storage(core, &persisted.take_news().unwrap_or_default());
    stall(telemetry);
    let what = (SessionId { slot: 0, number: OpNumber(3) }, RequestNumber(5), core.deadline());
    telemetry.request_started(core, what.0, what.1);
    let trace = TraceContext::new(1, 2, TraceContext::SAMPLED).expect("neither is zero");
    telemetry.traced_request(core, what.0, what.1, &trace);
    telemetry.traced_forward(core, ReplicaId(0), &trace);
    telemetry.traced_commit(core, trace, OpNumber(12), ViewNumber(4));
    telemetry.request_answered(core, what, None);
    telemetry.request_answered(core, what, Some("Conflict"));
    let begun = telemetry.operation_started(core, OpNumber(12));
    telemetry.operation_stopped(core, OpNumber(12), begun);
    let error = ReplicaError::Poisoned { op: OpNumber(13), reason: "asked to".into() };
    telemetry.operation_failed(core, OpNumber(13), &error);
    telemetry.callback_slow("handle_call", "Get", Duration::from_secs(1));
    telemetry.mailbox_taken(core, 1, 2, 3, || 4);
    telemetry.piece_unreadable(core, ReplicaId(0), &BlobError::new("the disk is gone"));
}

#[tokio::test(start_paused = true)]
async fn every_event_reaches_tracing_metrics_and_observers_with_all_its_fields() {
    let _alone = alone().await;
    let capture = Capture::default();
    let _subscriber = tracing::subscriber::set_default(capture.clone());
    let recorder = capture.clone();
    let _recorder = metrics::set_default_local_recorder(&recorder);
    let clock = Clock::new();
    let core = replica(clock).await;
    let telemetry =
        || Telemetry::new(Config::default().group, core.status(), clock, listener(capture.clone()));
    for ending in 0..3 {
        let mut telemetry = telemetry();
        tell_all(&mut telemetry, &core);
        match ending {
            0 => telemetry.ended(None),
            1 => telemetry.ended(Some(&ReplicaError::Aborted)),
            _ => {}
        }
    }
    agree(&capture);
    metrics_fit(&capture);
    let told: BTreeSet<_> = capture.observed().iter().map(|heard| heard.name).collect();
    let rows: BTreeSet<_> = EVENTS.iter().map(|definition| definition.name).collect();
    assert_eq!(told, rows, "every row is told");
    let core_names: BTreeSet<_> = samples().iter().map(Event::name).collect();
    assert_eq!(
        core_names,
        Event::NAMES.iter().copied().collect(),
        "one sample of each of the protocol's events"
    );
    let used: BTreeSet<_> = capture.series().into_keys().map(|(name, _)| name).collect();
    assert_eq!(used, METRICS.iter().map(|metric| metric.name.to_owned()).collect());
    // What the table says an event changes was changed.
    for definition in EVENTS {
        for metric in definition.metrics.iter().filter(|name| !name.ends_with("vsr_up")) {
            assert_ne!(capture.total(metric), 0, "{} and {metric}", definition.name);
        }
    }
    assert_eq!(capture.total("vsr_operations_committed_total"), 3 * 3);
    assert_eq!(capture.gauge("vsr_peer_acknowledged_number", &[("replica", "1"), ("peer", "0")]), Some(12.0));
    assert_eq!(capture.gauge("vsr_up", &[("replica", "1")]), Some(0.0));
}

#[tokio::test(start_paused = true)]
async fn each_of_the_protocols_events_is_told_by_itself() {
    let _alone = alone().await;
    let capture = Capture::default();
    let clock = Clock::new();
    let core = replica(clock).await;
    let mut telemetry =
        Telemetry::new(Config::default().group, core.status(), clock, listener(capture.clone()));
    for event in samples() {
        let before = capture.observed().len();
        telemetry.event(&core, &event);
        assert!(capture.observed().len() > before, "nothing is told of {event:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_view_change_and_a_leadership_are_told_with_their_true_durations() {
    let _alone = alone().await;
    let capture = Capture::default();
    let _subscriber = tracing::subscriber::set_default(capture.clone());
    let clock = Clock::new();
    let core = replica(clock).await;
    let mut telemetry =
        Telemetry::new(Config::default().group, core.status(), clock, listener(capture.clone()));
    let (from, to, primary) = (ViewNumber(0), ViewNumber(1), ReplicaId(1));
    telemetry.event(&core, &Event::ViewEntered { from, to });
    tokio::time::advance(Duration::from_millis(1500)).await;
    telemetry.event(&core, &Event::ViewEntered { from: to, to: ViewNumber(4) });
    tokio::time::advance(Duration::from_millis(500)).await;
    telemetry.event(&core, &Event::LeadershipStarted { view: ViewNumber(4) });
    telemetry.event(&core, &Event::ViewStarted { view: ViewNumber(4), primary, start_op: OpNumber(0) });
    let complete = &capture.named("vsr.view_change.complete")[0];
    assert_eq!(complete.field("duration"), &Value::F64(2.0), "since the first view was left");
    let span = || capture.spans().into_iter().find(|span| span.name == "vsr.leadership").expect("it is open");
    assert!(!span().is_closed());
    tokio::time::advance(Duration::from_secs(60)).await;
    telemetry.event(&core, &Event::LeadershipStopped { view: ViewNumber(4) });
    assert_eq!(capture.named("vsr.leadership.stop")[0].field("duration"), &Value::F64(60.0));
    assert!(span().is_closed() && span().fields.contains(&("duration", Value::F64(60.0))));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_wants_is_not_even_looked_at() {
    let _alone = alone().await;
    let clock = Clock::new();
    let core = replica(clock).await;
    let group = Config::default().group;
    assert!(!Telemetry::new(group, core.status(), clock, Listeners::default()).is_watched());

    struct Changes(Capture);
    impl Observer for Changes {
        fn observe(&self, record: &Record<'_>) {
            self.0.observe(record);
        }
        fn wants(&self, definition: &'static crate::observe::Definition) -> bool {
            definition.name.starts_with("vsr.view_change.")
        }
    }
    let capture = Capture::default();
    let changes = Changes(capture.clone());
    let mut telemetry = Telemetry::new(group, core.status(), clock, listener(changes));
    assert!(!telemetry.is_watched(), "view changes are no single operations");
    tell_all(&mut telemetry, &core);
    let told = capture.observed();
    assert!(!told.is_empty() && told.iter().all(|heard| heard.target == "vsr::view_change"));

    let recorder = Capture::default();
    let _recorder = metrics::set_default_local_recorder(&recorder);
    let telemetry = Telemetry::new(group, core.status(), clock, Listeners::default());
    assert!(!telemetry.is_watched(), "a recorder counts what happens together");
}

#[tokio::test(start_paused = true)]
async fn a_recorder_is_told_together_what_nobody_hears_one_by_one() {
    let _alone = alone().await;
    let capture = Capture::default();
    let recorder = capture.clone();
    let _recorder = metrics::set_default_local_recorder(&recorder);
    let clock = Clock::new();
    let core = replica(clock).await;
    let group = Config::default().group;
    let mut telemetry = Telemetry::new(group, core.status(), clock, Listeners::default());
    let early = clock.now().monotonic;
    telemetry.requests_started(3);
    tokio::time::advance(Duration::from_secs(1)).await;
    let late = clock.now().monotonic;
    let begun = telemetry.operations_started();
    tokio::time::advance(Duration::from_secs(1)).await;
    telemetry.operations_stopped(begun, 3, 2);
    for since in [early, early, late] {
        telemetry.request_stopped(since);
    }
    telemetry.count_answered();
    telemetry.count_answered();
    assert_eq!(capture.total("vsr_requests_total"), 3);
    assert_eq!(capture.seconds("vsr_request_duration_seconds"), [2.0, 2.0, 1.0]);
    assert_eq!(capture.total("vsr_operations_started_total"), 3, "with the one that failed");
    assert_eq!(capture.seconds("vsr_operation_duration_seconds"), [0.5, 0.5], "each took as long");
}
