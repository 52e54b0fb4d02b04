//! How a supervisor ends: by its owner, a token, a set of tasks; in which order, and what it leaves.

use super::{ID, alone, journal, replica_of, strict, supervisor};
use crate::common::{Journal, add, cluster, cluster_with, until_tasks_are};
use std::{
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    runtime::Handle as Runtime,
    sync::mpsc,
    task::{JoinSet, yield_now},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use vsr_actor::{
    Config, ConfigError, Handle, Health, MemoryStorage, ReplicaError, ReplicaId, Restart, Supervisor,
    SupervisorConfig, SupervisorError, prelude::*,
};

fn tasks() -> usize {
    Runtime::current().metrics().num_alive_tasks()
}

/// Writes its name down when it ends.
struct Signed {
    name: &'static str,
    log: Arc<Mutex<Vec<&'static str>>>,
}

impl Drop for Signed {
    fn drop(&mut self) {
        self.log.lock().expect("no panic in here").push(self.name);
    }
}

impl Snapshot for Signed {
    fn snapshot(&self) -> vsr_actor::Frozen {
        vsr_actor::Frozen::new(|_| Ok(()))
    }

    fn restore(&mut self, _from: &mut dyn std::io::Read) -> std::io::Result<()> {
        Ok(())
    }
}

impl StateMachine for Signed {
    type Operation = ();
    type Reply = ();

    fn handle_commit(&mut self, _commit: &Commit, (): ()) {}
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_the_last_one_started_first_and_leaves_no_task() {
    let before = tasks();
    let log = Arc::new(Mutex::new(Vec::new()));
    let supervisor = supervisor(SupervisorConfig::default());
    for name in ["first", "second", "third"] {
        let log = log.clone();
        let start = move || alone(Signed { name, log: log.clone() }, MemoryStorage::default());
        let child = supervisor.start(name, Restart::Permanent, start).await.expect("it goes on");
        child.await_running().await.expect("it starts");
    }
    supervisor.shutdown().await.expect("nobody was given up");
    assert_eq!(*log.lock().expect("no panic in here"), ["third", "second", "first"]);
    until_tasks_are(before).await;
}

#[tokio::test(start_paused = true)]
async fn each_child_hands_its_view_over_before_the_next_one_is_stopped() {
    let cluster = Arc::new(cluster(3).await);
    let supervisor = supervisor(SupervisorConfig::default());
    let primary = cluster.primary().await.expect("the group has formed");
    let backups = cluster.ids().iter().filter(|id| **id != primary);
    for id in backups.chain([&primary]) {
        let start = replica_of(&cluster, *id);
        let child = supervisor.start(id.to_string(), Restart::Permanent, start).await.expect("it goes on");
        child.await_running().await.expect("it runs");
    }
    let mut primaries = cluster.primary_changes();
    let first = tokio_stream::StreamExt::next(&mut primaries).await.expect("the group has formed");
    supervisor.shutdown().await.expect("nobody was given up");
    let statuses = cluster.statuses();
    assert!(statuses.iter().all(|status| matches!(status.health, Health::Stopped)), "{statuses:?}");
    let others = statuses.iter().filter(|status| status.protocol.replica != primary);
    for status in others {
        assert!(status.protocol.view > first.view, "it saw the next view: {status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_child_that_does_not_shut_down_in_time_is_aborted_and_named() {
    let mut config = Config::default();
    config.heartbeat_timeout = Duration::from_secs(20);
    let cluster = Arc::new(cluster_with(3, config).await);
    let mut config = SupervisorConfig::default();
    config.shutdown_timeout = Duration::from_secs(1);
    let quit = CancellationToken::new();
    let supervisor = Supervisor::builder().config(config).until(quit.clone()).start().expect("valid");
    let beside = supervisor.start("beside", Restart::Permanent, journal()).await.expect("it goes on");
    let start = replica_of(&cluster, ID);
    let child = supervisor.start("primary", Restart::Permanent, start).await.expect("it goes on");
    let replica = child.await_running().await.expect("it runs");
    let other = beside.await_running().await.expect("it starts");
    // Nobody is there to take over, and the primary waits for somebody for two heartbeat time-outs.
    for id in [ReplicaId(1), ReplicaId(2)] {
        cluster.crash(id).await.expect("it runs");
    }
    let begun = Instant::now();
    quit.cancel();
    tokio::time::sleep(config.shutdown_timeout / 2).await;
    let late = supervisor.start("late", Restart::Permanent, journal()).await.map(drop);
    assert!(matches!(late, Err(SupervisorError::Ended)), "nothing is started meanwhile: {late:?}");
    let told = supervisor.join().await.expect_err("it took too long");
    assert_eq!(told.to_string(), "primary did not shut down within 1s and was aborted");
    assert_eq!(begun.elapsed(), Duration::from_secs(1));
    assert!(matches!(replica.status().health, Health::Failed(ReplicaError::Aborted)), "{}", replica.status());
    assert!(matches!(other.status().health, Health::Stopped), "the rest in order: {}", other.status());
}

#[tokio::test(start_paused = true)]
async fn a_child_that_waits_for_its_restart_holds_no_shutdown_up() {
    let mut config = SupervisorConfig::default();
    (config.backoff_min, config.backoff_max) = (Duration::from_secs(600), Duration::from_secs(600));
    let supervisor = supervisor(config);
    let child = supervisor.start("child", Restart::Permanent, journal()).await.expect("it goes on");
    child.await_running().await.expect("it starts").shutdown().await.expect("it ran");
    while child.restarts() == 0 {
        yield_now().await;
    }
    let begun = Instant::now();
    supervisor.shutdown().await.expect("nobody was given up");
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn the_callers_token_shuts_it_down_in_order() {
    let before = tasks();
    let quit = CancellationToken::new();
    let supervisor = Supervisor::builder().until(quit.clone()).start().expect("valid");
    let child = supervisor.start("child", Restart::Permanent, journal()).await.expect("it goes on");
    let replica = child.await_running().await.expect("it starts");
    // Not even this one holds it up: its factory never comes back.
    let (called, mut calls) = mpsc::channel(1);
    let start = move || {
        called.try_send(()).expect("called once");
        pending::<Result<Handle<Journal>, ReplicaError>>()
    };
    let never = supervisor.start("never", Restart::Permanent, start).await.expect("it goes on");
    calls.recv().await.expect("it is called");
    quit.cancel();
    child.await_end().await;
    never.await_end().await;
    assert!(matches!(replica.status().health, Health::Stopped), "{}", replica.status());
    supervisor.join().await.expect("nobody was given up");
    until_tasks_are(before).await;
    // The other way round it is nobody's end but its own.
    let quit = CancellationToken::new();
    Supervisor::builder().until(quit.clone()).start().expect("valid").shutdown().await.expect("it is empty");
    assert!(!quit.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn in_a_set_of_tasks_its_end_is_one_among_others() {
    let before = tasks();
    let mut set = JoinSet::new();
    let given_up = supervisor(strict());
    let start = || async { Err::<Handle<Journal>, _>(ReplicaError::Aborted) };
    given_up.start("child", Restart::Permanent, start).await.expect("it goes on");
    given_up.spawn_into(&mut set);
    let told = set.join_next().await.expect("one task").expect("no panic");
    assert!(matches!(&told, Err(SupervisorError::GivenUp { child, .. }) if &**child == "child"), "{told:?}");

    let aborted = supervisor(strict());
    let child = aborted.start("child", Restart::Permanent, journal()).await.expect("it goes on");
    let replica = child.await_running().await.expect("it starts");
    let handle = aborted.spawn_into(&mut set);
    yield_now().await;
    handle.abort();
    assert!(set.join_next().await.expect("one task").is_err(), "cancelled");
    assert!(matches!(replica.join().await, Err(ReplicaError::Aborted)));
    until_tasks_are(before).await;
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_that_is_dropped_takes_everything_with_it() {
    let before = tasks();
    let supervisor = supervisor(SupervisorConfig::default());
    let child = supervisor.start("child", Restart::Permanent, journal()).await.expect("it goes on");
    let start = || async { Err::<Handle<Journal>, _>(ReplicaError::Aborted) };
    let waits = supervisor.start("waits", Restart::Permanent, start).await.expect("it goes on");
    let replica = child.await_running().await.expect("it starts");
    assert_eq!(add(&replica.client(), 1).await, Ok(1));
    assert!(tasks() > before);
    drop(supervisor);
    // Handles and children that somebody holds keep nothing alive.
    assert!(matches!(replica.join().await, Err(ReplicaError::Aborted)));
    child.await_end().await;
    waits.await_end().await;
    until_tasks_are(before).await;
    assert!(child.handle().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_configuration_that_breaks_a_rule_starts_nothing() {
    let start = |change: fn(&mut SupervisorConfig)| {
        let mut config = SupervisorConfig::default();
        change(&mut config);
        Supervisor::builder().config(config).start().map(drop).expect_err("it breaks a rule")
    };
    assert_eq!(start(|config| config.period = Duration::ZERO), ConfigError::Zero { name: "period" });
    let told = start(|config| config.shutdown_timeout = Duration::ZERO);
    assert_eq!(told, ConfigError::Zero { name: "shutdown_timeout" });
    let told = start(|config| config.backoff_min = Duration::ZERO).to_string();
    assert!(told.contains("backoff_min") && told.contains("10s"), "{told}");
    let told = start(|config| config.backoff_max = Duration::from_millis(1));
    assert!(matches!(told, ConfigError::Backoff { .. }), "{told}");
}
