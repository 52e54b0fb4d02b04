//! Replicas die, networks break, and clients see nothing of it but time.

use crate::common::{Ask, Journal, add, cluster, read};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, sleep};
use vsr_actor::{Cluster, ReplicaId, Rule, Verdict, vsr_core::Body};

#[tokio::test(start_paused = true)]
async fn a_request_survives_the_crash_of_the_primary() {
    let cluster = cluster(3).await;
    let client = cluster.client();
    assert_eq!(add(&client, 1).await, Ok(1));
    let primary = cluster.primary().await.expect("a primary");
    let crashed = Instant::now();
    cluster.crash(primary).await.expect("it runs");
    assert_eq!(add(&client, 2).await, Ok(2));
    // Detection takes one time-out, and a time that is paused stands still for everything else but the timers' grain.
    let timeout = vsr_actor::Config::default().heartbeat_timeout;
    assert!(crashed.elapsed() <= timeout + Duration::from_millis(5), "{:?}", crashed.elapsed());
    assert_eq!(read(&client).await, [1, 2]);
    assert_ne!(cluster.primary().await.expect("another primary"), primary);
    cluster.shutdown().await.expect("nobody failed");
}

#[tokio::test(start_paused = true)]
async fn every_write_is_there_once_whoever_crashes_meanwhile() {
    const WRITES: u64 = 300;
    let cluster = cluster(3).await;
    let client = cluster.client();
    let writer = {
        let client = client.clone();
        tokio::spawn(async move {
            let mut tickets = std::collections::VecDeque::new();
            for item in 0..WRITES {
                tickets.push_back(client.submit(Ask::Add(item)).await.expect("there is room"));
                if tickets.len() == 20 {
                    let reply = tickets.pop_front().expect("20 of them").await;
                    assert!(reply.is_ok(), "{reply:?}");
                }
            }
            for ticket in tickets {
                ticket.await.expect("the group comes back each time");
            }
        })
    };
    for _ in 0..3 {
        let primary = cluster.primary().await.expect("a primary");
        cluster.crash(primary).await.expect("it runs");
        cluster.primary().await.expect("another primary");
        cluster.restart(primary).await.expect("its storage is fine");
    }
    writer.await.expect("no assertion failed");
    assert_eq!(read(&client).await, (0..WRITES).collect::<Vec<_>>());
    cluster.await_convergence().await.expect("all are connected");
}

#[tokio::test(start_paused = true)]
async fn all_replicas_may_crash_and_nothing_is_forgotten() {
    let cluster = cluster(3).await;
    let client = cluster.client();
    assert_eq!(add(&client, 1).await, Ok(1));
    for id in cluster.ids() {
        cluster.crash(*id).await.expect("it runs");
    }
    assert!(cluster.primary().await.is_err());
    for id in cluster.ids() {
        cluster.restart(*id).await.expect("its storage is fine");
    }
    assert_eq!(add(&client, 2).await, Ok(2));
    assert_eq!(read(&client).await, [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_primary_that_is_cut_off_is_replaced_and_comes_back() {
    let cluster = cluster(3).await;
    let client = cluster.client();
    assert_eq!(add(&client, 1).await, Ok(1));
    let primary = cluster.primary().await.expect("a primary");
    cluster.isolate(primary).expect("it exists");
    // The client still reaches the primary that is cut off: it must find its way to the others.
    assert_eq!(add(&client, 2).await, Ok(2));
    cluster.heal();
    cluster.await_convergence().await.expect("all are connected");
    assert_eq!(read(&client).await, [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_client_of_a_backup_is_served_through_it_and_without_it() {
    let cluster = cluster(3).await;
    let backup = ReplicaId(2);
    let client = cluster.client_at(backup).expect("it exists");
    assert_eq!(add(&client, 1).await, Ok(1));
    cluster.isolate(backup).expect("it exists");
    assert_eq!(add(&client, 2).await, Ok(2));
    cluster.heal();
    cluster.crash(backup).await.expect("it runs");
    assert_eq!(add(&client, 3).await, Ok(3));
    cluster.restart(backup).await.expect("its storage is fine");
    cluster.await_convergence().await.expect("all are connected");
    assert_eq!(read(&client).await, [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_missed_more_than_the_log_holds_gets_a_snapshot() {
    let mut config = vsr_actor::Config::default();
    config.limits.snapshot_interval_ops = 50;
    config.limits.log_keep_ops = 10;
    let cluster = crate::common::cluster_with(3, config).await;
    let client = cluster.client();
    cluster.crash(ReplicaId(2)).await.expect("it runs");
    for item in 0..200 {
        add(&client, item).await.expect("two of three are enough");
    }
    cluster.restart(ReplicaId(2)).await.expect("its storage is fine");
    cluster.await_convergence().await.expect("all are connected");
    // Now the others are gone: what it serves is its own.
    cluster.crash(ReplicaId(1)).await.expect("it runs");
    assert_eq!(read(&client).await.len(), 200);
    cluster.crash(ReplicaId(0)).await.expect("it runs");
    cluster.restart(ReplicaId(1)).await.expect("its storage is fine");
    assert_eq!(read(&client).await, (0..200).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_bad_network_costs_time_and_nothing_else() {
    let cluster = cluster(3).await;
    let client = cluster.client();
    let count = std::sync::atomic::AtomicU64::new(0);
    let rule =
        cluster.rule(move |_, _, _| match count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 7 {
            1 | 4 => Verdict::Drop,
            2 => Verdict::Duplicate,
            5 => Verdict::Delay(std::time::Duration::from_millis(30)),
            _ => Verdict::Deliver,
        });
    for item in 0..100 {
        add(&client, item).await.expect("some messages arrive");
    }
    drop(rule);
    cluster.await_convergence().await.expect("all are connected");
    assert_eq!(read(&client).await, (0..100).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_primary_that_stands_still_is_replaced_and_steps_back_when_it_goes_on() {
    let cluster = cluster(3).await;
    let client = cluster.client();
    assert_eq!(add(&client, 1).await, Ok(1));
    let primary = cluster.primary().await.expect("a primary");
    cluster.pause(primary).expect("it runs");
    assert_eq!(add(&client, 2).await, Ok(2));
    cluster.resume(primary).expect("it runs");
    cluster.await_convergence().await.expect("all are connected");
    assert_ne!(cluster.primary().await.expect("a primary"), primary);
    assert_eq!(read(&client).await, [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_wiped_replica_is_a_stranger() {
    let cluster = cluster(3).await;
    let client = cluster.client();
    assert_eq!(add(&client, 1).await, Ok(1));
    let id = ReplicaId(2);
    assert!(matches!(cluster.wipe(id), Err(vsr_actor::ClusterError::Running { .. })));
    cluster.crash(id).await.expect("it runs");
    cluster.wipe(id).expect("it is down");
    cluster.restart(id).await.expect("it starts, and learns then");
    let handle = cluster.handle(id).expect("it was started");
    let told = handle.join().await.expect_err("the group knows another storage").to_string();
    assert!(told.contains("wiped or replaced"), "{told}");
    assert!(!handle.status().health.is_running());
    assert_eq!(add(&client, 2).await, Ok(2));
}

/// Counts what backups forward to the primary, by who forwards it.
fn count_forwards(cluster: &Cluster<Journal>, from: Option<ReplicaId>) -> (Arc<AtomicUsize>, Rule) {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = count.clone();
    let rule = cluster.rule(move |sender, _, message| {
        if matches!(message.body, Body::Request(_)) && from.is_none_or(|from| from == sender) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        Verdict::Deliver
    });
    (count, rule)
}

#[tokio::test(start_paused = true)]
async fn a_client_goes_back_to_its_replica_when_the_network_is_whole_again() {
    let cluster = cluster(3).await;
    let backup = ReplicaId(2);
    let client = cluster.client_at(backup).expect("it exists");
    let (forwards, _rule) = count_forwards(&cluster, Some(backup));
    assert_eq!(add(&client, 0).await, Ok(1));
    assert!(forwards.swap(0, Ordering::Relaxed) > 0, "its replica is no primary");
    cluster.isolate(backup).expect("it exists");
    for item in 1..=30 {
        let begun = Instant::now();
        add(&client, item).await.expect("it finds another replica");
        if item > 1 {
            // Looking whether the replica is back is cheap.
            assert!(begun.elapsed().as_millis() < 310, "{item}: {:?}", begun.elapsed());
        }
        sleep(Duration::from_secs(1)).await;
    }
    cluster.heal();
    cluster.await_convergence().await.expect("all are connected");
    sleep(Duration::from_secs(15)).await;
    forwards.store(0, Ordering::Relaxed);
    for item in 31..=40 {
        add(&client, item).await.expect("the group is healthy");
    }
    assert_eq!(forwards.load(Ordering::Relaxed), 10);
    assert_eq!(read(&client).await, (0..=40).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_client_of_the_primary_goes_back_to_it_though_no_view_starts() {
    let cluster = cluster(3).await;
    let client = cluster.client();
    assert_eq!(add(&client, 0).await, Ok(1));
    let before = cluster.statuses()[0].protocol.view;
    // Long enough to make the client look elsewhere, too short for the others to vote.
    let primary = cluster.primary().await.expect("a primary");
    cluster.isolate(primary).expect("it exists");
    let slow = {
        let client = client.clone();
        tokio::spawn(async move { add(&client, 1).await })
    };
    sleep(Duration::from_millis(350)).await;
    cluster.heal();
    assert_eq!(slow.await.expect("no panic"), Ok(2));
    assert_eq!(cluster.statuses()[0].protocol.view, before, "the test is about one view");
    let (forwards, _rule) = count_forwards(&cluster, None);
    assert_eq!(add(&client, 2).await, Ok(3));
    assert_ne!(forwards.load(Ordering::Relaxed), 0, "it went elsewhere");
    sleep(Duration::from_secs(15)).await;
    forwards.store(0, Ordering::Relaxed);
    assert_eq!(add(&client, 3).await, Ok(4));
    assert_eq!(forwards.load(Ordering::Relaxed), 0, "it is back");
}

/// What waits in its mailbox is news to it, and comes before what its timers say.
#[tokio::test(start_paused = true)]
async fn a_backup_that_was_paused_hears_what_waits_before_it_misses_its_primary() {
    let votes = Arc::new(AtomicUsize::new(0));
    let seen = votes.clone();
    let cluster = Cluster::builder(3, Journal::default).observer(move |record: &vsr_actor::Record<'_>| {
        if record.name() == "vsr.view_change.vote_cast" {
            seen.fetch_add(1, Ordering::Relaxed);
        }
    });
    let cluster = cluster.start().await.expect("a valid configuration");
    let primary = cluster.primary().await.expect("a primary");
    let backups: Vec<_> = cluster.ids().iter().copied().filter(|id| *id != primary).collect();
    for backup in backups {
        cluster.pause(backup).expect("it runs");
        sleep(3 * vsr_actor::Config::default().heartbeat_timeout).await;
        cluster.resume(backup).expect("it runs");
        sleep(vsr_actor::Config::default().heartbeat_timeout).await;
    }
    assert_eq!(votes.load(Ordering::Relaxed), 0);
    assert_eq!(cluster.primary().await.expect("the same"), primary);
}
