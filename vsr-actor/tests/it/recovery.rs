//! Replicas that lost their log, or their whole storage.

use crate::common::{Journal, add, cluster, read};
use std::time::Duration;
use tokio::time::timeout;
use vsr_actor::{Cluster, ReplicaError, ReplicaId, StatusName, vsr_core::StopReason};

const R1: ReplicaId = ReplicaId(1);
const R2: ReplicaId = ReplicaId(2);

async fn crash_and_lose(cluster: &Cluster<Journal>, id: ReplicaId) {
    cluster.crash(id).await.expect("it runs");
    cluster.lose_log(id).expect("it is down");
}

#[tokio::test(start_paused = true)]
async fn each_replica_in_turn_may_lose_its_log() {
    let cluster = cluster(3).await;
    let client = cluster.client();
    let mut written = Vec::new();
    for round in 0..6 {
        written.push(round);
        add(&client, round).await.expect("a quorum has its log");
        let id = ReplicaId((round % 3) as u32);
        crash_and_lose(&cluster, id).await;
        cluster.restart(id).await.expect("it starts");
        cluster.await_convergence().await.expect("it gets its log back");
    }
    assert_eq!(read(&client).await, written);
    cluster.shutdown().await.expect("nobody failed");
}

#[tokio::test(start_paused = true)]
async fn a_replica_without_a_log_has_no_vote() {
    let cluster = cluster(3).await;
    let client = cluster.client().with_deadline(Duration::from_secs(60));
    add(&client, 1).await.expect("a quorum has its log");
    cluster.await_convergence().await.expect("they agree");
    // R2 alone has its log now: R1 must not make a quorum with it.
    cluster.crash(ReplicaId(0)).await.expect("it runs");
    crash_and_lose(&cluster, R1).await;
    cluster.restart(R1).await.expect("it starts");
    let late = client.submit(crate::common::Ask::Add(2)).await.expect("there is room");
    let r1 = cluster.handle(R1).expect("it runs");
    let mut status = r1.watch_status();
    assert_eq!(status.latest().protocol.status, StatusName::Recovering);
    let changes = async {
        while let Some(status) = status.next().await {
            assert_eq!(status.protocol.status, StatusName::Recovering);
        }
    };
    timeout(Duration::from_secs(10), changes).await.expect_err("it waits for R0");
    cluster.restart(ReplicaId(0)).await.expect("its storage is whole");
    assert_eq!(late.await, Ok(vec![2]));
    cluster.await_convergence().await.expect("R1 has its log back");
    assert_eq!(read(&client).await, [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn too_many_that_lost_their_logs_stop_and_say_why() {
    let cluster = cluster(3).await;
    let client = cluster.client();
    add(&client, 1).await.expect("a quorum has its log");
    crash_and_lose(&cluster, R1).await;
    crash_and_lose(&cluster, R2).await;
    for id in [R1, R2] {
        cluster.restart(id).await.expect("it starts");
    }
    for id in [R1, R2] {
        let ended = cluster.handle(id).expect("it was started").join().await;
        let Err(ReplicaError::Fenced(StopReason::MemoryLost { recovering, .. })) = ended else {
            panic!("{id}: {ended:?}")
        };
        assert_eq!(recovering, [R1, R2]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_wiped_storage_is_refused_with_what_to_do() {
    let cluster = cluster(3).await;
    let client = cluster.client();
    add(&client, 1).await.expect("a quorum has its log");
    cluster.crash(R1).await.expect("it runs");
    cluster.wipe(R1).expect("it is down");
    cluster.restart(R1).await.expect("it starts, and meets the others");
    let Err(error) = cluster.handle(R1).expect("it was started").join().await else { panic!("a stranger") };
    assert!(matches!(error, ReplicaError::Fenced(StopReason::StrangeIncarnation { .. })), "{error:?}");
    assert!(error.to_string().contains("restore it as it was at its end"), "{error}");
    assert_eq!(add(&client, 2).await, Ok(2), "the others go on");
}
