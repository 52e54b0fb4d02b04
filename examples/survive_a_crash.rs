//! Eight writers keep writing while the primary is crashed and restarted three times; at the end every write is there exactly once.
//!
//! `cargo run -p vsr-examples --example survive_a_crash`
use std::time::{Duration, Instant};
use vsr_actor::{Config, prelude::*};

#[derive(Default, Serialize, Deserialize)]
struct Counter {
    total: u64,
}

impl StateMachine for Counter {
    type Operation = u64;
    type Reply = u64;
    fn handle_commit(&mut self, _commit: &Commit, add: u64) -> u64 {
        self.total += add;
        self.total
    }
}

const WRITERS: usize = 8;
const CRASHES: usize = 3;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut config = Config::default();
    // Five times faster than the default, so that the story is short.
    config.heartbeat_interval = Duration::from_millis(20);
    config.heartbeat_timeout = Duration::from_millis(100);
    let cluster = Cluster::builder(3, Counter::default).config(config).start().await?;

    let counter = cluster.client();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let (counter, stopped) = (counter.clone(), stopped.clone());
            tokio::spawn(async move {
                let (mut written, mut longest) = (0, Duration::ZERO);
                while !*stopped.borrow() {
                    let asked = Instant::now();
                    counter.request(1).await?;
                    written += 1;
                    longest = longest.max(asked.elapsed());
                }
                Ok::<_, vsr_actor::RequestError>((written, longest))
            })
        })
        .collect();

    for _ in 0..CRASHES {
        let primary = cluster.primary().await?;
        println!("{primary} is primary: crash it");
        cluster.crash(primary).await?;
        // Answered by the replica that takes over.
        let total = counter.request(0).await?;
        println!("{} took over at {total}; restart {primary}", cluster.primary().await?);
        cluster.restart(primary).await?;
    }

    stop.send_replace(true);
    let (mut written, mut longest) = (0, Duration::ZERO);
    for writer in writers {
        let (of_writer, pause) = writer.await??;
        written += of_writer;
        longest = longest.max(pause);
    }
    let total = counter.request(0).await?;
    println!("{written} writes acknowledged, {total} in the counter, longest wait {longest:?}");
    assert_eq!(total, written, "every acknowledged write is there exactly once");
    cluster.await_convergence().await?;
    Ok(cluster.shutdown().await?)
}
