//! All processes killed at once, again and again: they come back by themselves, and nothing is lost.

use super::{
    Arguments,
    group::{Group, Setting},
    verify::{self, Verdict},
    workload::{Clients, Shared},
};
use std::{
    error::Error,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::sleep;

/// How long the group works between two kills, at least.
const WORK: Duration = Duration::from_millis(100);
/// Writes that are acknowledged in that time, at least.
const WRITES: usize = 20;
/// How long those may take.
const WRITES_WITHIN: Duration = Duration::from_secs(30);
/// Beyond this many operations no snapshot is taken.
const NO_SNAPSHOT: u64 = 1_000_000;

pub(super) async fn run(
    program: &Path,
    root: &Path,
    arguments: &Arguments,
    times: u32,
    seed: u64,
) -> Result<Vec<String>, Box<dyn Error>> {
    let replicas = usize::from(arguments.replicas);
    let snapshot_interval = if arguments.operations > 0 { NO_SNAPSHOT } else { super::SNAPSHOT_INTERVAL };
    let setting = Setting { program, root, replicas, seed, snapshot_interval, small_disks: &[] };
    let (mut group, _) = Group::new(setting).await?;
    group.start_all()?;
    group.all_ready().await?;
    let addresses: Vec<_> = group.replicas.iter().map(|replica| replica.redis).collect();
    let rest_max = if arguments.operations > 0 { 0 } else { super::REST_MAX };
    let shared = Arc::new(Shared::new(addresses, rest_max, false));
    let clients = Clients::start(&shared, usize::from(arguments.clients), seed);
    let (mut ready, mut served, mut problems) = (Vec::new(), Vec::new(), Vec::new());
    while (shared.history.len() as u64) < arguments.operations {
        sleep(WORK).await;
    }
    for round in 1..=times {
        sleep(WORK).await;
        if let Err(problem) = writes(&shared, WRITES).await {
            problems.push(format!("before kill {round}: {problem}"));
            break;
        }
        group.kill_all().await?;
        let before = shared.history.acknowledged();
        let began = Instant::now();
        group.start_all()?;
        if let Err(problem) = group.all_ready().await {
            problems.push(format!("after kill {round}: {problem}"));
            break;
        }
        ready.push(began.elapsed());
        if let Err(problem) = writes(&shared, 1).await {
            problems.push(format!("after kill {round}: {problem}"));
            break;
        }
        debug_assert!(shared.history.acknowledged() > before);
        served.push(began.elapsed());
    }
    clients.stop().await;
    let reads = if problems.is_empty() { Some(verify::final_reads(&group, &shared).await) } else { None };
    group.kill_all().await?;
    drop(group);
    let shared = Arc::into_inner(shared).ok_or("clients have ended")?;
    let verdict = Verdict::of(shared.history, reads.transpose(), &mut problems);
    println!("all {replicas} processes killed at once {} times, seed {seed}", ready.len());
    println!("{verdict}");
    println!("from the start of the processes until all are ready: {}", figures(&mut ready));
    println!("until a write is acknowledged: {}", figures(&mut served));
    Ok(problems)
}

/// Waits until so many more writes are acknowledged.
async fn writes(shared: &Shared, more: usize) -> Result<(), String> {
    let (began, before) = (Instant::now(), shared.history.acknowledged());
    while shared.history.acknowledged() < before + more {
        if began.elapsed() > WRITES_WITHIN {
            return Err(format!("no {more} writes acknowledged within {WRITES_WITHIN:?}"));
        }
        sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

fn figures(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let millis = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 1e3);
    format!("median {:.0} ms, worst {:.0} ms", millis(times.get(times.len() / 2)), millis(times.last()))
}
