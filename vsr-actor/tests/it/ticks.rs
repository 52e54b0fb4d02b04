//! Replicated time: the state machine asks to be woken, and every replica wakes it at the same place of the log.

use std::time::Duration;
use tokio::time::sleep;
use vsr_actor::{Config, OpNumber, ReplicaId, prelude::*};

/// Rings at the times it was told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Clock {
    alarms: Vec<u64>,
    rung: Vec<Ring>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Ring {
    due: u64,
    at: u64,
    op: u64,
    seed: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Ask {
    /// Ring after so many milliseconds.
    After(u64),
    Show,
}

impl StateMachine for Clock {
    type Operation = Ask;
    type Reply = Clock;

    fn handle_commit(&mut self, commit: &Commit, ask: Ask) -> Clock {
        assert!(commit.request.is_some());
        if let Ask::After(milliseconds) = ask {
            self.alarms.push(commit.timestamp + milliseconds * 1_000_000);
            self.alarms.sort_unstable();
        }
        self.clone()
    }

    fn next_tick(&self) -> Option<u64> {
        self.alarms.first().copied()
    }

    fn handle_tick(&mut self, commit: &Commit) {
        assert!(commit.request.is_none(), "nobody asked for it");
        let Commit { op: OpNumber(op), timestamp: at, seed, .. } = *commit;
        let (due, later) = self.alarms.iter().partition(|due| **due <= at);
        self.alarms = later;
        self.rung.extend(Vec::into_iter(due).map(|due| Ring { due, at, op, seed }));
    }
}

async fn cluster(config: Config) -> Cluster<Clock> {
    Cluster::builder(3, Clock::default).config(config).seed(7).start().await.expect("valid")
}

async fn ask(client: &Client<Clock>, ask: Ask) -> Clock {
    client.request(ask).await.expect("the group is healthy")
}

#[tokio::test(start_paused = true)]
async fn a_state_machine_is_woken_when_it_asked_to_be() {
    let cluster = cluster(Config::default()).await;
    let client = cluster.client();
    ask(&client, Ask::After(5000)).await;
    // The earlier one, which was asked for later, comes first.
    let asked = ask(&client, Ask::After(2000)).await;
    assert_eq!(asked.alarms.len(), 2);
    sleep(Duration::from_millis(1900)).await;
    assert_eq!(ask(&client, Ask::Show).await, asked, "not before its time");
    sleep(Duration::from_millis(200)).await;
    let first = ask(&client, Ask::Show).await;
    assert_eq!((first.alarms.len(), first.rung.len()), (1, 1));
    sleep(Duration::from_millis(3000)).await;
    let both = ask(&client, Ask::Show).await;
    assert_eq!((both.alarms.len(), both.rung.len()), (0, 2));
    for (ring, due) in both.rung.iter().zip(&asked.alarms) {
        assert_eq!(ring.due, *due);
        assert!((ring.due..ring.due + 150_000_000).contains(&ring.at), "{ring:?}");
    }
    // Nothing comes after the last.
    let op = cluster.statuses()[0].protocol.op;
    sleep(Duration::from_secs(60)).await;
    assert_eq!(cluster.statuses()[0].protocol.op, op);
}

#[tokio::test(start_paused = true)]
async fn every_replica_is_woken_at_the_same_place_and_once() {
    let cluster = cluster(Config::default()).await;
    let client = cluster.client();
    for milliseconds in [100, 200, 300] {
        ask(&client, Ask::After(milliseconds)).await;
    }
    sleep(Duration::from_secs(1)).await;
    let seen = ask(&client, Ask::Show).await;
    assert_eq!(seen.rung.len(), 3);
    // Whoever is primary shows its own copy.
    for _ in 0..3 {
        let primary = cluster.primary().await.expect("a primary");
        cluster.crash(primary).await.expect("it runs");
        assert_eq!(ask(&client, Ask::Show).await, seen);
        cluster.restart(primary).await.expect("its storage is fine");
        cluster.await_convergence().await.expect("all are connected");
    }
}

#[tokio::test(start_paused = true)]
async fn an_alarm_outlives_the_primary_that_took_it() {
    let cluster = cluster(Config::default()).await;
    let client = cluster.client();
    let due = ask(&client, Ask::After(3000)).await.alarms[0];
    cluster.crash(cluster.primary().await.expect("a primary")).await.expect("it runs");
    sleep(Duration::from_secs(4)).await;
    let rung = ask(&client, Ask::Show).await.rung;
    assert_eq!(rung.len(), 1);
    assert!((due..due + 150_000_000).contains(&rung[0].at), "{rung:?}");
}

#[tokio::test(start_paused = true)]
async fn an_alarm_comes_with_the_snapshot() {
    let mut config = Config::default();
    config.limits.snapshot_interval_ops = 50;
    config.limits.log_keep_ops = 10;
    let cluster = cluster(config).await;
    let client = cluster.client();
    let late = ReplicaId(2);
    cluster.crash(late).await.expect("it runs");
    ask(&client, Ask::After(60_000)).await;
    for _ in 0..200 {
        ask(&client, Ask::Show).await;
    }
    cluster.restart(late).await.expect("its storage is fine");
    cluster.await_convergence().await.expect("all are connected");
    // It has not seen the operation, only what became of it; make it the one that must keep the time.
    while cluster.primary().await.expect("a primary") != late {
        let primary = cluster.primary().await.expect("a primary");
        cluster.handle(primary).expect("it runs").shutdown().await.expect("it hands over");
        cluster.primary().await.expect("another primary");
        cluster.restart(primary).await.expect("its storage is fine");
        cluster.await_convergence().await.expect("all are connected");
    }
    assert!(ask(&client, Ask::Show).await.rung.is_empty());
    sleep(Duration::from_secs(60)).await;
    assert_eq!(ask(&client, Ask::Show).await.rung.len(), 1);
}
