//! Groups that live through everything, and what they tell of it.

use super::{Capture, agree, alone, capture::Series, metrics_fit};
use crate::{
    Client, Cluster, Config, Record, ReplicaError, ReplicaId, RequestError, TraceContext, Verdict,
    observe::EVENTS, prelude::*,
};
use std::{collections::BTreeMap, time::Duration};
use vsr_core::Body;

#[derive(Default, Serialize, Deserialize)]
struct Adder {
    total: u64,
}

/// What makes the state machine fail.
const POISON: u64 = u64::MAX;

impl StateMachine for Adder {
    type Operation = u64;
    type Reply = u64;

    fn handle_commit(&mut self, _commit: &Commit, add: u64) -> u64 {
        assert_ne!(add, POISON, "asked to");
        self.total += add;
        self.total
    }
}

async fn group(capture: &Capture) -> Cluster<Adder> {
    let mut config = Config::default();
    config.limits.snapshot_interval_ops = 16;
    config.limits.log_keep_ops = 4;
    config.replicated.sessions_max = 4;
    config.replicated.window = 8;
    config.client.deadline = Duration::from_secs(3);
    // Only this is measured by a clock that does not stand still.
    config.slow_callback = Duration::from_secs(3600);
    let cluster = Cluster::builder(3, Adder::default).config(config).seed(7).observer(capture.clone());
    cluster.start().await.expect("the configuration is valid")
}

async fn add(client: &Client<Adder>, times: u64) {
    for _ in 0..times {
        client.request(1).await.expect("a quorum is there");
    }
}

async fn settled(cluster: &Cluster<Adder>) -> (ReplicaId, Vec<ReplicaId>) {
    let primary = cluster.primary().await.expect("there is one");
    let backups = cluster.ids().iter().copied().filter(|id| *id != primary).collect();
    (primary, backups)
}

/// Nothing breaks.
async fn ordinary_days(cluster: &Cluster<Adder>) {
    let (primary, backups) = settled(cluster).await;
    for id in [primary, backups[0]] {
        let client = cluster.client_at(id).expect("it is there");
        add(&client, 3).await;
        client.read_linearizable(|adder| adder.total).await.expect("a quorum is there");
    }
    // One session more than there is room for.
    for _ in 0..4 {
        add(&cluster.client(), 1).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
}

/// Replicas die and come back, with and without their logs.
async fn deaths(cluster: &Cluster<Adder>) {
    let client = cluster.client();
    let (primary, _) = settled(cluster).await;
    cluster.crash(primary).await.expect("it runs");
    add(&client, 40).await;
    cluster.restart(primary).await.expect("its storage is whole");
    cluster.await_convergence().await.expect("all are connected");
    let (_, backups) = settled(cluster).await;
    cluster.crash(backups[0]).await.expect("it runs");
    cluster.lose_log(backups[0]).expect("it is down");
    add(&client, 1).await;
    cluster.restart(backups[0]).await.expect("it recovers");
    cluster.await_convergence().await.expect("all are connected");
}

/// Messages are lost.
async fn bad_networks(cluster: &Cluster<Adder>) {
    let (primary, backups) = settled(cluster).await;
    let (deaf, other) = (backups[0], backups[1]);
    // One backup hears nothing for a while: it votes, and takes its vote back; what it missed is sent again.
    let rule = cluster.rule(move |_, to, _| if to == deaf { Verdict::Drop } else { Verdict::Deliver });
    let client = cluster.client();
    add(&client, 1).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    drop(rule);
    cluster.await_convergence().await.expect("all are connected");
    let rule = cluster.rule(move |_, to, message| match message.body {
        Body::Prepare { .. } if to == deaf => Verdict::Drop,
        _ => Verdict::Deliver,
    });
    add(&client, 1).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(rule);
    cluster.await_convergence().await.expect("all are connected");
    // The reply to a client of a backup is late: it asks another replica, which knows the reply.
    let client = cluster.client_at(other).expect("it is there");
    add(&client, 1).await;
    let rule = cluster.rule(
        move |from, to, _| {
            if (from, to) == (primary, other) { Verdict::Drop } else { Verdict::Deliver }
        },
    );
    let late = client.submit(1).await.expect("there is room");
    tokio::time::sleep(Duration::from_millis(400)).await;
    drop(rule);
    late.await.expect("the network is whole again");
    // The first of two requests is lost.
    let rule = cluster.rule(|_, _, message| match message.body {
        Body::Request(_) => Verdict::Drop,
        _ => Verdict::Deliver,
    });
    let first = client.submit(1).await.expect("there is room");
    tokio::time::sleep(Duration::from_millis(10)).await;
    drop(rule);
    let second = client.submit(1).await.expect("there is room");
    first.await.expect("it is sent again");
    second.await.expect("it waited for the first");
}

/// A primary goes on alone for a while, with requests that nobody commits.
async fn a_lonely_primary(cluster: &Cluster<Adder>) {
    let (primary, backups) = settled(cluster).await;
    let alone = cluster.client_at(primary).expect("it is there");
    add(&alone, 1).await;
    let only = cluster.handle(primary).expect("it runs").client();
    add(&only, 1).await;
    cluster.isolate(primary).expect("it is there");
    let lost = alone.submit(1).await.expect("there is room");
    let others = cluster.client_at(backups[0]).expect("it is there");
    add(&others, 3).await;
    // Whoever asks nobody else gets nothing from it.
    only.request(1).await.expect_err("it has no quorum");
    only.read_linearizable(|adder| adder.total).await.expect_err("it has no quorum");
    cluster.heal();
    lost.await.expect("it is executed, once");
    cluster.await_convergence().await.expect("all are connected");
}

/// An operation that no replica can do.
async fn the_end(cluster: Cluster<Adder>) {
    let (primary, _) = settled(&cluster).await;
    let end = cluster.handle(primary).expect("it runs");
    cluster.client().request(POISON).await.expect_err("whoever knows it to be committed fails");
    end.join().await.expect_err("it failed");
}

/// Two of three replicas lose their logs at once.
async fn too_many_losses(cluster: Cluster<Adder>) {
    let (_, backups) = settled(&cluster).await;
    add(&cluster.client(), 1).await;
    for id in &backups {
        cluster.crash(*id).await.expect("it runs");
        cluster.lose_log(*id).expect("it is down");
    }
    for id in &backups {
        cluster.restart(*id).await.expect("it asks the others");
    }
    for id in &backups {
        let handle = cluster.handle(*id).expect("it was started");
        handle.join().await.expect_err("the log cannot come back");
    }
    let refused: Result<u64, RequestError> = cluster.client().request(1).await;
    refused.expect_err("there is no quorum");
    cluster.shutdown().await.expect_err("two had stopped");
}

/// What these lives do not show, and why. All of it is told in the tests of single events.
const UNSEEN: &[(&str, &str)] = &[
    ("vsr.callback.slow", "a plain state machine has no callbacks of an actor"),
    ("vsr.protocol.request.conflict", "a client of this crate uses no number twice"),
    ("vsr.recovery.digests_differ", "the state machine is deterministic, and no disk changes its state"),
    ("vsr.snapshot.failed", "memory has room for states"),
    ("vsr.state_transfer.snapshot_discarded", "nobody damages a snapshot on its way"),
    ("vsr.state_transfer.snapshot_not_kept", "memory has room for states"),
    ("vsr.state_transfer.snapshot_unreadable", "memory can be read"),
    ("vsr.storage.flushed", "the logs are in memory"),
    ("vsr.storage.noticed", "the logs are in memory"),
    ("vsr.storage.resumed", "the logs are in memory"),
    ("vsr.storage.stalled", "the logs are in memory"),
];

/// Told if the thread that writes snapshots out is slow, which no clock of a test decides.
const BY_CHANCE: &str = "vsr.snapshot.skipped";

#[tokio::test(start_paused = true)]
async fn what_groups_live_through_is_told_as_the_table_says() {
    let _alone = alone().await;
    let capture = Capture::default();
    let _subscriber = tracing::subscriber::set_default(capture.clone());
    let recorder = capture.clone();
    let _recorder = metrics::set_default_local_recorder(&recorder);
    let cluster = group(&capture).await;
    ordinary_days(&cluster).await;
    deaths(&cluster).await;
    bad_networks(&cluster).await;
    a_lonely_primary(&cluster).await;
    the_end(cluster).await;
    too_many_losses(group(&capture).await).await;

    agree(&capture);
    metrics_fit(&capture);
    let mut told: BTreeMap<&str, u64> = EVENTS.iter().map(|definition| (definition.name, 0)).collect();
    for heard in capture.observed() {
        *told.get_mut(heard.name).expect("agreed above") += 1;
    }
    let unseen = told.iter().filter(|(name, count)| **count == 0 && **name != BY_CHANCE);
    let unseen: Vec<_> = unseen.map(|(name, _)| *name).collect();
    let explained: Vec<_> = UNSEEN.iter().map(|(name, _)| *name).collect();
    assert_eq!(unseen, explained, "what is not told is explained, and only that");
    // What can be counted is counted right.
    for (metric, event) in [
        ("vsr_requests_total", "vsr.protocol.client_request.start"),
        ("vsr_request_duration_seconds", "vsr.protocol.client_request.stop"),
        ("vsr_operations_started_total", "vsr.state_machine.operation.start"),
        ("vsr_operation_duration_seconds", "vsr.state_machine.operation.stop"),
        ("vsr_view_changes_total", "vsr.view_change.complete"),
        ("vsr_messages_ignored_total", "vsr.protocol.message.ignored"),
        ("vsr_snapshot_duration_seconds", "vsr.snapshot.taken"),
    ] {
        assert_eq!(capture.total(metric), told[event], "{metric}");
    }
}

/// What is counted of operations and requests, at each replica.
async fn counted(observer: Option<Capture>) -> BTreeMap<Series, u64> {
    let capture = Capture::default();
    let recorder = capture.clone();
    let _recorder = metrics::set_default_local_recorder(&recorder);
    let cluster = Cluster::builder(3, Adder::default).seed(7);
    let cluster = match observer {
        Some(observer) => cluster.observer(observer),
        None => cluster,
    };
    let cluster = cluster.start().await.expect("the configuration is valid");
    let (primary, backups) = settled(&cluster).await;
    for id in [primary, backups[0]] {
        let client = cluster.client_at(id).expect("it is there");
        let trace = TraceContext::new(1, 2, TraceContext::SAMPLED).expect("neither is zero");
        let mut tickets = vec![client.with_trace(trace).submit(1).await.expect("there is room")];
        for _ in 0..4 {
            tickets.push(client.submit(1).await.expect("there is room"));
        }
        for ticket in tickets {
            ticket.await.expect("a quorum is there");
        }
    }
    cluster.await_convergence().await.expect("all are connected");
    let mut series = capture.series();
    series.retain(|(name, _), _| {
        ["vsr_requests_total", "vsr_request_duration_seconds"].contains(&name.as_str())
            || name.starts_with("vsr_operation")
    });
    series
}

#[tokio::test(start_paused = true)]
async fn metrics_are_the_same_whether_or_not_somebody_hears_of_each_operation() {
    let _alone = alone().await;
    let capture = Capture::default();
    let (heard, unheard) = (counted(Some(capture.clone())).await, counted(None).await);
    assert!(!capture.named("vsr.state_machine.operation.stop").is_empty());
    assert_eq!(unheard, heard);
    assert_eq!(
        heard.values().sum::<u64>(),
        10 + 10 + 3 * (10 + 10 + 12),
        "and 2 sessions were committed, too"
    );
}

#[tokio::test(start_paused = true)]
async fn an_observer_that_panics_ends_its_replica_and_is_not_called_again() {
    let _alone = alone().await;
    let capture = Capture::default();
    let panics = |record: &Record<'_>| assert!(record.name() != "vsr.state_machine.operation.stop", "enough");
    let cluster = Cluster::builder(1, Adder::default).observer(panics).observer(capture.clone());
    let cluster = cluster.start().await.expect("the configuration is valid");
    let replica = cluster.handle(cluster.ids()[0]).expect("it runs");
    cluster.client().request(1).await.expect("the turn goes to its end");
    match replica.join().await.expect_err("the observer panicked") {
        ReplicaError::Callback { callback: "observe", reason } => assert_eq!(reason, "enough"),
        other => panic!("{other}"),
    }
    assert_eq!(capture.named("vsr.replica.failed").len(), 1, "the other observer hears of it");
}
