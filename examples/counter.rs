//! A counter that survives the loss of its primary: `cargo run -p vsr-examples --example counter`.
use vsr_actor::prelude::*;

#[derive(Default, Serialize, Deserialize)]
struct Counter {
    total: i64,
}

impl StateMachine for Counter {
    type Operation = i64;
    type Reply = i64;
    fn handle_commit(&mut self, _commit: &Commit, add: i64) -> i64 {
        self.total += add;
        self.total
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cluster = Cluster::in_process(3, Counter::default).await?;
    let counter = cluster.client();
    assert_eq!(counter.request(5).await?, 5);
    cluster.crash(cluster.primary().await?).await?; // fail over
    assert_eq!(counter.request(7).await?, 12); // exactly once, no retry code
    Ok(cluster.shutdown().await?)
}
