//! Workload: 64-byte values, closed loop, every write flushed by a quorum before it is acknowledged; all on one disk, in one run.

use crate::{disk, load, report, servers::System};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The program `vsr-kv`, built for release.
    #[arg(long, default_value = "../target/release/vsr-kv")]
    vsr_kv: PathBuf,
    /// Leave out all but these: vsr-kv, etcd, redis.
    #[arg(long, value_delimiter = ',', default_values = ["vsr-kv", "etcd", "redis"])]
    only: Vec<String>,
    /// How often everything is measured.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How long each load lasts.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Numbers of clients.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 64, 256])]
    clients: Vec<usize>,
    /// Where the servers keep their data: the disk that is measured.
    #[arg(long, default_value = ".")]
    directory: PathBuf,
    /// Where the figures go, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// What was measured in one round of one system under one load.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Measured {
    pub(crate) system: String,
    pub(crate) round: usize,
    /// A 4 KiB write over zeros and its flush, before and after.
    pub(crate) flush_us: [f64; 2],
    /// Of the leader, for each write, where it tells.
    pub(crate) flushes_per_operation: Option<f64>,
    pub(crate) figures: load::Figures,
}

pub(crate) async fn run(options: Options) -> Result<(), String> {
    let wanted = |name: &str| options.only.iter().any(|only| only == name);
    if wanted("vsr-kv") && !options.vsr_kv.is_file() {
        let at = options.vsr_kv.display();
        return Err(format!(
            "there is no {at}: build it with `cargo build --release -p vsr-kv`, or name it with --vsr-kv"
        ));
    }
    let all =
        [("vsr-kv", System::VsrKv(options.vsr_kv.clone())), ("etcd", System::Etcd), ("redis", System::Redis)];
    let all = all.into_iter().filter(|(name, _)| wanted(name)).map(|(_, system)| system);
    let (systems, absent): (Vec<_>, Vec<_>) = all.partition(System::is_installed);
    for system in absent {
        println!("{system} is not installed: skipped.");
    }
    let mut measured = Vec::new();
    for round in 1..=options.rounds {
        for system in &systems {
            eprintln!("round {round} of {}: {system}", options.rounds);
            measured.extend(measure(system, round, &options).await?);
        }
    }
    print!("{}", report::table(&measured, &options.clients));
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&measured).map_err(|error| error.to_string())?;
        std::fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    Ok(())
}

/// All loads on one start of a system.
async fn measure(system: &System, round: usize, options: &Options) -> Result<Vec<Measured>, String> {
    let directory = tempfile::tempdir_in(&options.directory)
        .map_err(|error| format!("no directory in {}: {error}", options.directory.display()))?;
    let running = system.start(directory.path()).await?;
    let mut all = Vec::new();
    for count in &options.clients {
        let before = probe(directory.path()).await?;
        let clients = running.clients(*count).await?;
        let flushes_before = running.flushes().await?;
        let figures = load::run(clients, Duration::from_secs(options.seconds)).await;
        let figures = figures.map_err(|error| format!("{system}, {count} clients: {error}"))?;
        let flushes = running.flushes().await?.zip(flushes_before).map(|(after, before)| after - before);
        let flushes_per_operation = flushes.map(|flushes| flushes as f64 / figures.writes as f64);
        let flush_us = [before, probe(directory.path()).await?];
        all.push(Measured { system: system.to_string(), round, flush_us, flushes_per_operation, figures });
    }
    Ok(all)
}

async fn probe(directory: &Path) -> Result<f64, String> {
    let directory = directory.to_owned();
    let probed = tokio::task::spawn_blocking(move || disk::probe(&directory)).await;
    let time = probed.map_err(|error| error.to_string())?.map_err(|error| format!("the disk: {error}"))?;
    Ok(time.as_secs_f64() * 1e6)
}
