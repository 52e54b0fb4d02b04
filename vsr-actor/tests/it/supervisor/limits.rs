//! How soon a child is tried again, and when no more.

use super::{alone, journal, life, strict, supervisor};
use crate::common::Ask;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;
use vsr_actor::{
    Handle, Health, MemoryStorage, ReplicaError, Restart, StorageError, SupervisorConfig, SupervisorError,
};

use crate::common::Journal;

/// Fails a number of times, by an error and by a panic in turns, and notes when it was asked.
#[derive(Clone)]
struct Workshop {
    failures: Arc<AtomicU32>,
    asked: Arc<Mutex<Vec<Instant>>>,
    storage: MemoryStorage,
}

impl Workshop {
    fn new(failures: u32) -> Self {
        Self { failures: Arc::new(failures.into()), asked: Arc::default(), storage: MemoryStorage::default() }
    }

    async fn start(self) -> Result<Handle<Journal>, ReplicaError> {
        self.asked.lock().expect("no panic in here").push(Instant::now());
        let left = self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        match left {
            Ok(left) if left % 2 == 1 => Err(StorageError::new("no such disk").into()),
            Ok(_) => panic!("out of tools"),
            Err(_) => alone(Journal::default(), self.storage).await,
        }
    }

    fn waits(&self) -> Vec<Duration> {
        self.asked.lock().expect("no panic in here").windows(2).map(|pair| pair[1] - pair[0]).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_factory_that_fails_is_a_failed_start_and_is_tried_again_after_growing_waits() {
    let mut waits = Vec::new();
    for name in ["child", "child", "another"] {
        let mut config = strict();
        config.restarts_max = 9;
        config.backoff_max = Duration::from_millis(800);
        let supervisor = supervisor(config);
        let workshop = Workshop::new(6);
        let start = {
            let workshop = workshop.clone();
            move || workshop.clone().start()
        };
        let child = supervisor.start(name, Restart::Transient, start).await.expect("it goes on");
        child.await_running().await.expect("the seventh time");
        assert_eq!(child.restarts(), 6);
        let told = child.last_error().expect("it failed");
        assert!(matches!(&told, ReplicaError::Storage(_)), "{told}");
        supervisor.shutdown().await.expect("nobody was given up");
        waits.push(workshop.waits());
    }
    assert_eq!(waits[0], waits[1], "the same seed, the same chance");
    assert_ne!(waits[0], waits[2], "but children do not come at once");
    assert_eq!(waits[0].len(), 6);
    for (wait, step) in waits[0].iter().zip([100, 200, 400, 800, 800, 800]) {
        let step = Duration::from_millis(step);
        let tick = Duration::from_millis(1); // what tokio's clock counts
        assert!(*wait <= step + tick && *wait >= step * 3 / 4, "{wait:?} of {step:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_factory_that_panics_says_so() {
    let supervisor = supervisor(strict());
    let start = || -> std::future::Ready<Result<Handle<Journal>, ReplicaError>> { panic!("out of tools") };
    supervisor.start("child", Restart::Permanent, start).await.expect("it goes on");
    let told = supervisor.join().await.expect_err("it never starts").to_string();
    assert!(told.ends_with("the last time it failed: factory failed: out of tools"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_child_that_ends_too_often_is_given_up_and_the_supervisor_ends_with_it() {
    let supervisor = supervisor(strict());
    let good = supervisor.start("good", Restart::Permanent, journal()).await.expect("it goes on");
    let beside = good.await_running().await.expect("it starts");
    let workshop = Workshop::new(99);
    let start = {
        let workshop = workshop.clone();
        move || workshop.clone().start()
    };
    let bad = supervisor.start("bad", Restart::Permanent, start).await.expect("it goes on");
    let told = supervisor.join().await.expect_err("the child never starts");
    let SupervisorError::GivenUp { child, restarts: 2, period, error: Some(error) } = &told else {
        panic!("{told:?}")
    };
    assert_eq!((&**child, *period), ("bad", strict().period));
    assert!(matches!(error, ReplicaError::Storage(_)), "{error}");
    let text = told.to_string();
    assert!(
        text.starts_with("bad was given up: 2 restarts within 10s did not help; the last time it"),
        "{text}"
    );
    assert!(text.contains("no such disk"), "{text}");
    assert_eq!(workshop.waits().len(), 2, "one start, two restarts");
    assert!(matches!(beside.status().health, Health::Stopped), "in order: {}", beside.status());
    let over = bad.await_running().await.expect_err("it is over").to_string();
    assert!(over.starts_with("bad is not run any more") && over.contains("no such disk"), "{over}");
}

#[tokio::test(start_paused = true)]
async fn a_poisoned_replica_comes_to_the_limit_quickly_and_the_error_names_the_operation() {
    let supervisor = supervisor(SupervisorConfig::default());
    let child = supervisor.start("journal", Restart::Permanent, journal()).await.expect("it goes on");
    let replica = child.await_running().await.expect("it starts");
    assert!(replica.client().request(Ask::Panic).await.is_err());
    let Err(ReplicaError::Poisoned { op, .. }) = replica.join().await else { panic!("it goes on") };
    let begun = Instant::now();
    let told = supervisor.join().await.expect_err("it meets the same operation again");
    let SupervisorError::GivenUp {
        restarts: 5, error: Some(ReplicaError::Poisoned { op: again, .. }), ..
    } = &told
    else {
        panic!("{told:?}")
    };
    assert_eq!(*again, op);
    assert!(told.to_string().contains(&format!("poisoned at {op}: asked to")), "{told}");
    assert!(begun.elapsed() < Duration::from_millis(3200), "five waits, no more: {:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_calm_period_is_forgiven_in_the_limit_and_in_the_waits() {
    let config = strict();
    let supervisor = supervisor(config);
    let child = supervisor.start("child", Restart::Permanent, journal()).await.expect("it goes on");
    let mut waits = Vec::new();
    let mut restarts = 0;
    for _ in 0..3 {
        for _ in 0..config.restarts_max {
            let life_of_now = life(&child, restarts).await;
            let ended = Instant::now();
            life_of_now.shutdown().await.expect("it ran");
            restarts += 1;
            life(&child, restarts).await;
            waits.push(ended.elapsed());
        }
        tokio::time::sleep(config.period).await;
    }
    assert_eq!(child.restarts(), 6, "three times the limit, and never given up");
    for pair in waits.chunks(2) {
        assert!(pair[0] <= config.backoff_min + Duration::from_millis(1), "{waits:?}");
        assert!(pair[1] > config.backoff_min * 5 / 4, "it grows: {waits:?}");
    }
    // Without the calm it is too much.
    for _ in 0..config.restarts_max {
        life(&child, restarts).await.shutdown().await.expect("it ran");
        restarts += 1;
    }
    life(&child, restarts).await.shutdown().await.expect("it ran");
    let told = supervisor.join().await.expect_err("too often");
    assert!(matches!(&told, SupervisorError::GivenUp { error: None, .. }), "{told:?}");
    assert!(told.to_string().ends_with("the last time it came to a good end"), "{told}");
}
