//! A primary that dies, and what its clients see of it: nothing.

use crate::common::{Ask, cluster};

#[tokio::test(start_paused = true)]
async fn a_request_survives_the_crash_of_the_primary() {
    let cluster = cluster(3).await;
    let t = tokio::time::Instant::now();
    let client = cluster.client();
    assert_eq!(client.request(Ask::Add(1)).await, Ok(vec![1]));
    eprintln!("one {:?}", t.elapsed());
    let primary = cluster.primary().await.expect("a primary");
    cluster.crash(primary).await.expect("it runs");
    assert_eq!(client.request(Ask::Add(2)).await, Ok(vec![2]));
    eprintln!("two {:?}", t.elapsed());
    assert_eq!(client.request(Ask::Read).await, Ok(vec![1, 2]));
    assert_ne!(cluster.primary().await.expect("another primary"), primary);
    cluster.shutdown().await.expect("nobody failed");
}
