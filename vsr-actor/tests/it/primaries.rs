//! Where the primary is: hints, errors that carry them, and the stream of changes.

use crate::common::{add, cluster, cluster_with};
use std::time::Duration;
use tokio_stream::StreamExt;
use vsr_actor::{Config, ReplicaId, RequestError, StatusName, Verdict, ViewNumber, vsr_core::Body};

#[tokio::test(start_paused = true)]
async fn a_client_knows_the_latest_primary_that_its_replicas_know() {
    let cluster = cluster(3).await;
    let client = cluster.client();
    let first = client.primary_hint().expect("the group has formed");
    assert_eq!((first.replica, first.view), (cluster.primary().await.expect("formed"), ViewNumber(0)));
    let cut_off = cluster.handle(first.replica).expect("it runs");
    cluster.isolate(first.replica).expect("it exists");
    assert_eq!(add(&client, 1).await, Ok(1), "the others go on");
    let second = client.primary_hint().expect("somebody answered");
    assert!(second.view > first.view && second.replica != first.replica, "{second}");
    assert_eq!(cluster.handle(second.replica).expect("it runs").status().protocol.primary, second.replica);
    // Who is cut off knows no better, nor does a client that knows nobody else.
    assert_eq!(cut_off.client().primary_hint(), Some(first));
    cluster.heal();
    cluster.await_convergence().await.expect("all are connected");
    assert_eq!(cut_off.client().primary_hint(), Some(second));
    for id in cluster.ids() {
        cluster.crash(*id).await.expect("it runs");
    }
    assert_eq!(client.primary_hint(), None, "nobody is left to know");
}

#[tokio::test(start_paused = true)]
async fn a_view_that_does_not_start_is_not_told() {
    let cluster = cluster(3).await;
    let client = cluster.client();
    let first = client.primary_hint().expect("the group has formed");
    let lost = cluster.rule(|_, _, message| match message.body {
        Body::DoViewChange(_) => Verdict::Drop,
        _ => Verdict::Deliver,
    });
    cluster.crash(first.replica).await.expect("it runs");
    for id in cluster.ids().iter().copied().filter(|id| *id != first.replica) {
        let mut status = cluster.handle(id).expect("it runs").watch_status();
        // Both try one view after the other, and none of them starts.
        while status.latest().protocol.view < ViewNumber(3) {
            assert_eq!(client.primary_hint(), Some(first));
            status.next().await.expect("it runs");
        }
        assert_eq!(status.latest().protocol.status, StatusName::ViewChange);
    }
    assert_eq!(client.primary_hint(), Some(first));
    drop(lost);
    assert_eq!(add(&client, 1).await, Ok(1));
    let second = client.primary_hint().expect("somebody answered");
    assert!(second.view > first.view && second.replica == cluster.primary().await.expect("it has started"));
}

#[tokio::test(start_paused = true)]
async fn an_error_says_which_primary_may_be_asked_elsewhere() {
    let mut config = Config::default();
    config.client.deadline = Duration::from_secs(2);
    let cluster = cluster_with(3, config).await;
    let here = cluster.handle(ReplicaId(2)).expect("it runs");
    let client = here.client();
    assert_eq!(add(&client, 1).await, Ok(1));
    cluster.isolate(here.id()).expect("it exists");
    let read = client.read_linearizable(|_| ()).await.expect_err("no quorum is in reach");
    let hint = read.primary_hint().expect("the view it was in");
    assert_eq!((hint.replica, hint.view), (ReplicaId(0), ViewNumber(0)));
    assert!(read.to_string().ends_with("the last primary known is R0 of v0"), "{read}");
    // A request that this replica refuses, and no other took.
    cluster.crash(here.id()).await.expect("it runs");
    cluster.restart(here.id()).await.expect("its storage is fine");
    let fresh = cluster.handle(here.id()).expect("it runs").client();
    let request = add(&fresh, 2).await.expect_err("no primary is in reach");
    assert!(matches!(request, RequestError::NoPrimary { .. }), "{request}");
    assert_eq!(request.primary_hint(), fresh.primary_hint());
}

#[tokio::test(start_paused = true)]
async fn changes_of_the_primary_come_one_after_the_other_and_end_with_the_cluster() {
    let cluster = cluster(3).await;
    let client = cluster.client();
    let mut of_client = client.primary_changes();
    let mut of_cluster = cluster.primary_changes();
    let mut views = Vec::new();
    for _ in 0..3 {
        let hint = of_client.next().await.expect("the cluster lives");
        assert_eq!(of_cluster.next().await, Some(hint));
        assert_eq!(cluster.primary().await.expect("a primary"), hint.replica);
        views.push(hint.view);
        cluster.crash(hint.replica).await.expect("it runs");
        cluster.restart(hint.replica).await.expect("its storage is fine");
    }
    assert!(views.is_sorted_by(|a, b| a < b), "{views:?}");
    cluster.primary().await.expect("the two others go on");
    let late = client.primary_changes().next().await.expect("the cluster lives");
    assert_eq!(of_client.next().await, Some(late), "who comes late begins with the latest");
    cluster.shutdown().await.expect("nobody failed");
    assert_eq!(of_client.collect::<Vec<_>>().await, []);
    assert_eq!(client.primary_changes().collect::<Vec<_>>().await, []);
}
