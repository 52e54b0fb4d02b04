//! What comes back, and with what.

use super::{ID, alone, journal, life, replica_of, strict, supervisor};
use crate::common::{add, read};
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};
use tokio_stream::StreamExt;
use vsr_actor::{
    Health, MemoryStorage, ReplicaError, Restart, SupervisorConfig, SupervisorError, prelude::*,
};

/// A sum that panics at the unlucky number, as often as there are mines left: what is not part of its state.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Mined {
    sum: u64,
    #[serde(skip)]
    mines: Arc<AtomicU32>,
}

const UNLUCKY: u64 = 13;

impl StateMachine for Mined {
    type Operation = u64;
    type Reply = u64;

    fn handle_commit(&mut self, _commit: &Commit, add: u64) -> u64 {
        let mine = |mines: u32| mines.checked_sub(1);
        let hit = add == UNLUCKY && self.mines.fetch_update(Ordering::SeqCst, Ordering::SeqCst, mine).is_ok();
        assert!(!hit, "a mine");
        self.sum += add;
        self.sum
    }
}

#[tokio::test(start_paused = true)]
async fn a_replica_whose_machine_panics_once_comes_back_and_catches_up() {
    let mines = Arc::new(AtomicU32::new(1));
    let factory = {
        let mines = mines.clone();
        move || Mined { sum: 0, mines: mines.clone() }
    };
    let cluster = Arc::new(Cluster::builder(3, factory).seed(7).start().await.expect("valid"));
    let supervisor = supervisor(SupervisorConfig::default());
    let mut children = Vec::new();
    for id in cluster.ids() {
        let start = replica_of(&cluster, *id);
        children.push(supervisor.start(id.to_string(), Restart::Permanent, start).await.expect("it goes on"));
    }
    let client = cluster.client();
    assert_eq!(client.request(1).await, Ok(1));
    assert_eq!(client.request(UNLUCKY).await, Ok(14), "the others carry on");
    assert_eq!(client.request(2).await, Ok(16));
    let fallen = children.iter().find(|child| child.last_error().is_some()).expect("one found the mine");
    life(fallen, 1).await;
    assert!(matches!(fallen.last_error(), Some(ReplicaError::Poisoned { .. })), "{fallen:?}");
    cluster.await_convergence().await.expect("all run again");
    assert!(cluster.statuses().iter().all(|status| status.health.is_running()));
    for id in cluster.ids() {
        let here = cluster.handle(*id).expect("it runs").client();
        assert_eq!(here.read_stale(|mined| mined.sum).await.expect("it runs").value, 16, "{id}");
    }
    assert_eq!(children.iter().map(|child| child.restarts()).sum::<u64>(), 1);
    supervisor.shutdown().await.expect("nobody was given up");
}

#[tokio::test(start_paused = true)]
async fn children_of_different_machines_come_back_with_what_they_had() {
    let supervisor = supervisor(SupervisorConfig::default());
    let mines = Arc::new(AtomicU32::new(1));
    let storage = MemoryStorage::default();
    let mined = {
        let mines = mines.clone();
        move || alone(Mined { sum: 0, mines: mines.clone() }, storage.clone())
    };
    let sum = supervisor.start("sum", Restart::Permanent, mined).await.expect("it goes on");
    let items = supervisor.start("items", Restart::Permanent, journal()).await.expect("it goes on");
    let first = sum.await_running().await.expect("it starts");
    let beside = items.await_running().await.expect("it starts");
    assert_eq!(add(&beside.client(), 7).await, Ok(1));
    let client = first.client();
    assert_eq!(client.request(1).await, Ok(1));
    assert!(client.request(UNLUCKY).await.is_err(), "its only replica is gone");
    assert!(matches!(first.join().await, Err(ReplicaError::Poisoned { .. })));
    let second = life(&sum, 1).await;
    // What was committed is there: the number that was unlucky, too, for the mine is gone.
    assert_eq!(second.client().request(2).await, Ok(16));
    assert_eq!(sum.name(), "sum");
    // One for one: the other child was left alone.
    assert_eq!(items.restarts(), 0);
    assert!(beside.status().health.is_running());
    assert_eq!(read(&beside.client()).await, [7]);
    supervisor.shutdown().await.expect("nobody was given up");
    assert!(matches!(second.status().health, Health::Stopped), "in order: {}", second.status());
}

/// Whether a child is there again after a good end, and after a bad one.
async fn comes_back(restart: Restart, well: bool) -> bool {
    let supervisor = supervisor(strict());
    let (mines, storage) = (Arc::new(AtomicU32::new(1)), MemoryStorage::default());
    let start = move || alone(Mined { sum: 0, mines: mines.clone() }, storage.clone());
    let child = supervisor.start("child", restart, start).await.expect("it goes on");
    let mut lives = child.handles();
    let first = lives.next().await.expect("it starts");
    if well {
        first.shutdown().await.expect("it ran");
    } else {
        assert!(first.client().request(UNLUCKY).await.is_err());
        assert!(first.join().await.is_err());
    }
    if lives.next().await.is_some() {
        return true;
    }
    assert_eq!(child.restarts(), 0);
    let told = child.await_running().await.expect_err("it is over");
    assert!(matches!(&told, SupervisorError::ChildEnded { error, .. } if error.is_none() == well), "{told}");
    // The supervisor goes on without it.
    let other = supervisor.start("other", Restart::Temporary, journal()).await.expect("it goes on");
    other.await_running().await.expect("it starts");
    supervisor.shutdown().await.expect("nobody was given up");
    false
}

#[tokio::test(start_paused = true)]
async fn how_a_child_ended_decides_with_its_kind_whether_it_is_started_again() {
    assert!(comes_back(Restart::Permanent, true).await);
    assert!(comes_back(Restart::Permanent, false).await);
    assert!(!comes_back(Restart::Transient, true).await);
    assert!(comes_back(Restart::Transient, false).await);
    assert!(!comes_back(Restart::Temporary, true).await);
    assert!(!comes_back(Restart::Temporary, false).await);
}

#[tokio::test(start_paused = true)]
async fn a_clusters_factory_that_panics_is_an_error_of_the_start_and_may_be_tried_again() {
    let broken = Arc::new(AtomicU32::new(0));
    let factory = {
        let broken = broken.clone();
        move || {
            let failures = |left: u32| left.checked_sub(1);
            let fails = broken.fetch_update(Ordering::SeqCst, Ordering::SeqCst, failures).is_ok();
            assert!(!fails, "no material");
            Mined::default()
        }
    };
    let cluster = Cluster::builder(3, factory.clone()).seed(7).start().await.expect("valid");
    assert_eq!(cluster.client().request(1).await, Ok(1));
    cluster.crash(ID).await.expect("it runs");
    broken.store(1, Ordering::SeqCst);
    let failed = cluster.restart(ID).await.expect_err("the factory panics");
    assert!(failed.to_string().contains("factory failed: no material"), "{failed}");
    assert!(cluster.handle(ID).is_err(), "it is down");
    assert_eq!(cluster.client().request(2).await, Ok(3), "the others do not mind");
    cluster.restart(ID).await.expect("the factory works again");
    cluster.await_convergence().await.expect("all run");

    let before = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    broken.store(1, Ordering::SeqCst);
    let failed = Cluster::in_process(3, factory).await.expect_err("the factory panics");
    assert!(failed.to_string().contains("factory failed: no material"), "{failed}");
    crate::common::until_tasks_are(before).await;
}
