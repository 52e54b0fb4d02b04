//! A replica that missed millions of operations comes back under load: the others must not stop for it.

use crate::group::{Figures, Load, Put, Table, Work, said};
use bytes::Bytes;
use std::time::{Duration, Instant};
use vsr_actor::{Cluster, ReplicaId};

const WORK: Work = Work { keys: 16_384, value_bytes: 64 };
const CLIENTS: usize = 256;
const BASELINE: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(120);

pub(super) fn what(behind: u64) -> String {
    format!(
        "a replica {behind} operations behind; three replicas in one process, in memory, 2 workers; {CLIENTS} clients, closed loop, 64-byte values, 16 384 keys"
    )
}

pub(super) async fn measure(behind: u64) -> Result<Figures, String> {
    // Spawned: what drives the load runs on a worker, like everything else.
    tokio::spawn(come_back(behind)).await.map_err(said)?
}

async fn come_back(behind: u64) -> Result<Figures, String> {
    let cluster = Cluster::builder(3, || Table::for_keys(WORK.keys)).start().await.map_err(said)?;
    let primary = cluster.primary().await.map_err(said)?;
    let away = cluster.ids().iter().copied().find(|id| *id != primary).ok_or("there is no backup")?;
    let client = cluster.client();
    // Answered when the group has formed, for which all must be there.
    client.request(Put { key: 0, value: Bytes::new() }).await.map_err(said)?;
    let mut load = Load::start((0..CLIENTS).map(|_| client.clone()), WORK)?;
    cluster.crash(away).await.map_err(said)?;
    load.reach(behind).await?;
    let without = load.measure_for(BASELINE).await?;
    let (took, with) = load.measure(catch_up(&cluster, primary, away)).await?;
    let after = load.measure_for(BASELINE).await?;
    load.stop().await?;
    cluster.shutdown().await.map_err(said)?;
    let of = |figures: &Figures, name: &str| figures.get(name).copied().unwrap_or(f64::NAN);
    let rate = "operations_per_second";
    let figures = [
        ("catch_up_seconds", took.as_secs_f64()),
        ("ops_per_second_before", of(&without, rate)),
        ("ops_per_second_meanwhile", of(&with, rate)),
        ("ops_per_second_afterwards", of(&after, rate)),
        ("longest_ms_before", of(&without, "longest_us") / 1e3),
        ("longest_ms_meanwhile", of(&with, "longest_us") / 1e3),
        ("longest_ms_afterwards", of(&after, "longest_us") / 1e3),
    ];
    Ok(figures.map(|(name, value)| (name.to_owned(), value)).into())
}

/// Starts the replica, and waits until it applies what the primary has just committed.
async fn catch_up(cluster: &Cluster<Table>, primary: ReplicaId, away: ReplicaId) -> Result<Duration, String> {
    let begun = Instant::now();
    cluster.restart(away).await.map_err(said)?;
    let primary = cluster.handle(primary).map_err(said)?;
    let back = cluster.handle(away).map_err(said)?;
    // Not its own progress is compared, but with the commit-number of the moment: it must have got ahead of the load.
    loop {
        let committed = primary.status().protocol.commit;
        tokio::time::sleep(Duration::from_millis(5)).await;
        if back.status().protocol.applied >= committed {
            return Ok(begun.elapsed());
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("it does not catch up: {}, {}", back.status(), primary.status()));
        }
    }
}
