//! Whether tasks that share a client are served alike.

use crate::common::{add, cluster};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tokio::{sync::Barrier, task::JoinSet};

/// More tasks than a worker's queue holds: the others wait in the runtime's global queue.
const TASKS: usize = 1024;
const REQUESTS: u64 = 60;

/// When the first one is through, none is far behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_thousand_tasks_on_one_worker_get_on_alike() {
    let cluster = cluster(3).await;
    let client = cluster.client();
    let answered: Arc<Vec<AtomicU64>> = Arc::new((0..TASKS).map(|_| AtomicU64::new(0)).collect());
    // Nobody begins before all are there: they are spawned from another thread.
    let all_there = Arc::new(Barrier::new(TASKS));
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let (client, answered, all_there) = (client.clone(), answered.clone(), all_there.clone());
        tasks.spawn(async move {
            all_there.wait().await;
            for _ in 0..REQUESTS {
                add(&client, task as u64).await.expect("the group is healthy");
                answered[task].fetch_add(1, Ordering::Relaxed);
            }
            answered.iter().map(|answered| answered.load(Ordering::Relaxed)).min()
        });
    }
    let slowest = tasks.join_next().await.expect("there are tasks").expect("it does not panic");
    assert!(slowest > Some(REQUESTS / 10), "one has {REQUESTS} replies, another one {slowest:?}");
    tasks.shutdown().await;
    cluster.shutdown().await.expect("nothing went wrong");
}
