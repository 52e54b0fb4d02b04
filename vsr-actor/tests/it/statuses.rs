//! The status of a replica as a stream.

use crate::common::{add, cluster};
use tokio_stream::StreamExt;
use vsr_actor::{Health, ReplicaId};

#[tokio::test(start_paused = true)]
async fn the_stream_begins_with_now_shows_changes_and_ends_with_the_last_word() {
    let cluster = cluster(3).await;
    let client = cluster.client();
    assert_eq!(add(&client, 1).await, Ok(1));
    cluster.await_convergence().await.expect("all are connected");
    let replica = cluster.handle(ReplicaId(1)).expect("it runs");
    let mut statuses = replica.status_stream();
    let now = statuses.next().await.expect("it runs");
    assert_eq!(now.protocol, replica.status().protocol);
    // In a task of its own: it must be woken.
    let follower = tokio::spawn(async move {
        let mut seen = Vec::new();
        while let Some(status) = statuses.next().await {
            seen.push(status);
        }
        seen
    });
    assert_eq!(add(&client, 2).await, Ok(2));
    cluster.crash(ReplicaId(0)).await.expect("it runs");
    assert_eq!(add(&client, 3).await, Ok(3));
    cluster.crash(ReplicaId(1)).await.expect("it runs");
    let seen = follower.await.expect("no panic");
    let place = |status: &vsr_actor::Status| (status.protocol.view, status.protocol.commit);
    assert!(seen.iter().is_sorted_by_key(place), "{seen:?}");
    assert!(seen.iter().any(|status| status.protocol.is_primary), "it took over: {seen:?}");
    let last = seen.last().expect("it was seen to change");
    assert!(matches!(last.health, Health::Failed(_)), "the last one says how it ended: {last}");
    assert_eq!(last.protocol, replica.status().protocol);
}
