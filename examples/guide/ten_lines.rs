//! Chapter 1 of the guide: `cargo run -p vsr-examples --example guide_1`.
use vsr_actor::prelude::*;

#[derive(Default, Serialize, Deserialize)]
struct Account(i64);
impl StateMachine for Account {
    type Operation = i64;
    type Reply = i64;
    fn handle_commit(&mut self, _commit: &Commit, cents: i64) -> i64 {
        self.0 += cents;
        self.0
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cluster = Cluster::in_process(3, Account::default).await?;
    let account = cluster.client();
    println!("after a deposit: {}", account.request(500).await?);
    cluster.crash(cluster.primary().await?).await?;
    println!("after a crash and another: {}", account.request(20).await?);
    Ok(cluster.shutdown().await?)
}
