//! From the crash of the primary to the next acknowledged write.

use std::{
    error::Error,
    time::{Duration, Instant},
};
use vsr_actor::{Config, prelude::*};

#[derive(Default, Serialize, Deserialize)]
struct Counter {
    total: u64,
}

impl StateMachine for Counter {
    type Operation = u64;
    type Reply = u64;

    fn handle_commit(&mut self, _: &Commit, add: u64) -> u64 {
        self.total += add;
        self.total
    }
}

/// Crashes the primary of a busy group `runs` times, with default timers and with fast ones, and prints median and worst pause.
///
/// # Errors
/// A request failed, or the group did not come back.
pub(crate) async fn failover(runs: u32) -> Result<(), Box<dyn Error>> {
    println!(
        "{runs} crashes of the primary each; 16 writers; pause until the first write that is acknowledged after the crash"
    );
    println!("{:>12} {:>12} {:>12} {:>12}", "heartbeat", "time-out", "median", "worst");
    for (interval, timeout) in [(100, 500), (20, 100)] {
        let mut config = Config::default();
        config.heartbeat_interval = Duration::from_millis(interval);
        config.heartbeat_timeout = Duration::from_millis(timeout);
        let mut pauses = pauses(config, runs).await?;
        pauses.sort();
        let (median, worst) = (pauses[pauses.len() / 2], pauses[pauses.len() - 1]);
        println!("{interval:>9} ms {timeout:>9} ms {:>9} ms {:>9} ms", median.as_millis(), worst.as_millis());
    }
    Ok(())
}

async fn pauses(config: Config, runs: u32) -> Result<Vec<Duration>, Box<dyn Error>> {
    const WRITERS: usize = 16;
    let cluster = Cluster::builder(3, Counter::default).config(config).start().await?;
    let counter = cluster.client();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let (counter, stopped) = (counter.clone(), stopped.clone());
            tokio::spawn(async move {
                let mut written = 0;
                while !*stopped.borrow() {
                    counter.request(1).await?;
                    written += 1;
                }
                Ok::<u64, vsr_actor::RequestError>(written)
            })
        })
        .collect();
    let mut pauses = Vec::new();
    for _ in 0..runs {
        let primary = cluster.primary().await?;
        // A client of its own, at a backup: it has nothing under way when the primary goes.
        let backup = cluster
            .ids()
            .iter()
            .copied()
            .find(|id| *id != primary)
            .ok_or("a group of one has no failover")?;
        let witness = cluster.client_at(backup)?;
        witness.request(0).await?;
        cluster.crash(primary).await?;
        let crashed = Instant::now();
        witness.request(0).await?;
        pauses.push(crashed.elapsed());
        cluster.restart(primary).await?;
        witness.request(0).await?;
    }
    stop.send(true)?;
    let mut written = 0;
    for writer in writers {
        written += writer.await??;
    }
    let total = counter.request(0).await?;
    if total != written {
        return Err(format!("{written} writes were acknowledged, but {total} were executed").into());
    }
    cluster.shutdown().await?;
    Ok(pauses)
}
