//! Workload: 64-byte values, closed loop, every write flushed by a quorum before it is acknowledged; all on one disk, in one run.

mod goals;

use crate::{
    disk,
    load::{Load, Work},
    options::{Loads, Places},
    report::Table,
    servers::{self, Absent, System},
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};
use vsr_benches::results::{Machine, Measured, Results};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The program `vsr-kv`, built for release; several builds under different names are compared.
    #[arg(long, value_delimiter = ',', default_values = ["../target/release/vsr-kv"])]
    vsr_kv: Vec<PathBuf>,
    /// Leave out all but these.
    #[arg(long, value_delimiter = ',', default_values = ["vsr-kv", "etcd", "redis", "floor", "floor-zeros"])]
    only: Vec<String>,
    /// How long each load lasts.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    #[command(flatten)]
    loads: Loads,
    #[command(flatten)]
    places: Places,
}

pub(crate) async fn run(options: Options) -> Result<(), String> {
    let wanted = |system: &&System| options.only.contains(&system.key().to_owned());
    let builds = options.vsr_kv.iter().map(|program| System::VsrKv { program: program.clone() });
    let others = [
        System::Etcd,
        System::Redis { durable: true },
        System::Floor { zero_filled: false },
        System::Floor { zero_filled: true },
    ];
    let all: Vec<_> = builds.chain(others).collect();
    let (systems, absent) = servers::installed(all.iter().filter(wanted))?;
    let mut measured = Vec::new();
    for round in 1..=options.loads.rounds {
        for system in &systems {
            eprintln!("round {round} of {}: {system}", options.loads.rounds);
            measured.extend(measure(system, round, &options).await?);
        }
    }
    let results = Results { machine: Machine::this(), measured };
    print(&results, &options, &absent);
    options.places.write(&results)
}

fn print(results: &Results, options: &Options, absent: &[Absent]) {
    println!("{}", results.machine);
    let connections = match options.loads.connections {
        0 => "a connection each (etcd: at most 16)".to_owned(),
        most => format!("at most {most} connections"),
    };
    println!(
        "64-byte values over 16384 keys, closed loop, {} s a load, to the leader; clients: {connections}, one thread for all of them",
        options.seconds
    );
    absent.iter().for_each(|absent| println!("{absent}"));
    let load = |it: &Measured| format!("{} clients", it.parameters["clients"]);
    let (table, said) = Table::new(&results.measured, load).without_throttled();
    print!("{said}{}\n{}", table.text(), goals::judged(&table));
}

/// All loads on one start of a system.
async fn measure(system: &System, round: usize, options: &Options) -> Result<Vec<Measured>, String> {
    let directory = options.places.fresh()?;
    let running = system.start(directory.path()).await?;
    let mut all = Vec::new();
    for count in &options.loads.clients {
        let time = Duration::from_secs(options.seconds);
        let load = Load { work: Work::Put, clients: *count, connections: options.loads.connections, time };
        let before = probe(directory.path()).await?;
        let flushes_before = running.flushes().await?;
        let mut figures =
            running.load(load).await.map_err(|error| format!("{system}, {count} clients: {error}"))?;
        if let Some((after, before)) = running.flushes().await?.zip(flushes_before) {
            let flushes = (after - before) as f64 / figures.answered as f64;
            figures.more.insert("flushes_per_operation".to_owned(), flushes);
        }
        figures.more.insert("flush_before_us".to_owned(), before);
        figures.more.insert("flush_after_us".to_owned(), probe(directory.path()).await?);
        let parameters = [("clients", *count), ("connections", system.connections(&load))];
        let parameters: BTreeMap<String, String> =
            parameters.into_iter().map(|(name, value)| (name.to_owned(), value.to_string())).collect();
        all.push(Measured {
            bench: "durable".to_owned(),
            system: system.to_string(),
            parameters,
            figures: figures.named(),
            round,
        });
    }
    Ok(all)
}

async fn probe(directory: &Path) -> Result<f64, String> {
    let directory = directory.to_owned();
    let probed = tokio::task::spawn_blocking(move || disk::probe(&directory)).await;
    let time = probed.map_err(|error| error.to_string())?.map_err(|error| format!("the disk: {error}"))?;
    Ok(time.as_secs_f64() * 1e6)
}
