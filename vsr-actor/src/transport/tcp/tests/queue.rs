//! Queues keep their bounds, and the newest.

use super::{beat, numbered};
use crate::observe::TransportTelemetry;
use crate::transport::tcp::{queue::*, status::Count};
use tokio::{spawn, task::yield_now};
use vsr_core::{ClusterId, Incarnation, ReplicaId};

fn queue(messages_max: usize, bytes_max: usize) -> Queue {
    let counters = TransportTelemetry::new(ClusterId(0), ReplicaId(0)).counters(ReplicaId(1));
    Queue::new(messages_max, bytes_max, Count::new(counters.dropped))
}

async fn popped(queue: &Queue, bytes_max: usize) -> Vec<u64> {
    let mut batch = Vec::new();
    assert!(queue.pop(bytes_max, &mut batch).await);
    batch.iter().map(beat).collect()
}

#[tokio::test]
async fn the_newest_are_kept() {
    let full = queue(3, usize::MAX);
    (0..10).for_each(|number| full.push(numbered(number)));
    assert_eq!(full.depth(), Depth { messages: 3, bytes: 3 * numbered(0).size_hint(), dropped: 7 });
    assert_eq!(popped(&full, usize::MAX).await, [7, 8, 9]);
    assert_eq!(full.depth(), Depth { messages: 0, bytes: 0, dropped: 7 });
}

#[tokio::test]
async fn bytes_are_a_bound_of_their_own() {
    let bytes = numbered(0).size_hint();
    let full = queue(usize::MAX, 2 * bytes);
    (0..5).for_each(|number| full.push(numbered(number)));
    assert_eq!(full.depth(), Depth { messages: 2, bytes: 2 * bytes, dropped: 3 });
    let small = queue(usize::MAX, bytes - 1);
    small.push(numbered(0));
    assert_eq!(small.depth(), Depth { messages: 0, bytes: 0, dropped: 1 }, "it would never fit");
}

#[tokio::test]
async fn a_batch_ends_where_it_is_long_enough() {
    let waiting = queue(10, usize::MAX);
    (0..5).for_each(|number| waiting.push(numbered(number)));
    assert_eq!(popped(&waiting, 1).await, [0], "at least one");
    assert_eq!(popped(&waiting, numbered(0).size_hint() + 1).await, [1, 2]);
    waiting.close();
    waiting.push(numbered(9));
    assert_eq!(popped(&waiting, usize::MAX).await, [3, 4], "what was there when it was closed");
    assert!(!waiting.pop(1, &mut Vec::new()).await);
    assert_eq!(waiting.depth().dropped, 1);
}

#[tokio::test]
async fn whoever_waits_is_woken_by_the_first_message_and_by_the_end() {
    let shared = std::sync::Arc::new(queue(10, usize::MAX));
    let other = shared.clone();
    let waiting = spawn(async move {
        other.filled().await;
        let first = popped(&other, usize::MAX).await;
        (first, popped(&other, usize::MAX).await, other.pop(1, &mut Vec::new()).await)
    });
    for number in 0..2 {
        yield_now().await;
        assert!(!waiting.is_finished());
        shared.push(numbered(number));
    }
    yield_now().await;
    assert!(!waiting.is_finished());
    shared.close();
    assert_eq!(waiting.await.expect("no panic"), (vec![0], vec![1], false));
}

#[test]
fn what_is_cleared_is_dropped_and_the_incarnation_stays_known() {
    let old = queue(10, usize::MAX);
    assert_eq!(old.incarnation(), None);
    old.push(numbered(1));
    old.clear();
    assert_eq!(old.depth(), Depth { messages: 0, bytes: 0, dropped: 1 });
    assert_eq!(old.incarnation(), Some(Incarnation(5)));
}
