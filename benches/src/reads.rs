//! Reads of three processes, through the leader: those that see every acknowledged write, and those that may be stale.

use crate::{
    load::{Load, Work},
    options::{Build, Loads, Places},
    report::Table,
    servers::{self, System},
};
use std::{collections::BTreeMap, time::Duration};
use vsr_benches::results::{Machine, Measured, Results};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    build: Build,
    /// How long each load lasts.
    #[arg(long, default_value_t = 2)]
    seconds: u64,
    #[command(flatten)]
    loads: Loads,
    #[command(flatten)]
    places: Places,
}

const KINDS: [(Work, &str); 2] = [(Work::Get, "linearizable"), (Work::StaleGet, "stale")];

pub(crate) async fn run(options: Options) -> Result<(), String> {
    let all = [System::VsrKv { program: options.build.vsr_kv.clone() }, System::Etcd];
    let (systems, absent) = servers::installed(all.iter())?;
    let mut measured = Vec::new();
    for round in 1..=options.loads.rounds {
        for system in &systems {
            eprintln!("round {round} of {}: {system}", options.loads.rounds);
            measured.extend(measure(system, round, &options).await?);
        }
    }
    let results = Results { machine: Machine::this(), measured };
    println!("{}", results.machine);
    println!(
        "GET of 64-byte values of 16384 keys, closed loop, {} s a load, from one thread, through the leader; nothing is written meanwhile",
        options.seconds
    );
    println!(
        "linearizable: a quorum confirms each read, here and in etcd. stale: READONLY here, serializable in etcd: of the one replica that is asked. vsr-kv has no lease reads"
    );
    absent.iter().for_each(|absent| println!("{absent}"));
    let load = |it: &Measured| format!("{} clients, {}", it.parameters["clients"], it.parameters["reads"]);
    print!("{}", Table::new(&results.measured, load).text());
    options.places.write(&results)
}

/// All loads on one start of a system.
async fn measure(system: &System, round: usize, options: &Options) -> Result<Vec<Measured>, String> {
    let directory = options.places.fresh()?;
    let running = system.start(directory.path()).await?;
    running.fill().await?;
    let mut all = Vec::new();
    for clients in &options.loads.clients {
        for (work, reads) in KINDS {
            let time = Duration::from_secs(options.seconds);
            let load = Load { work, clients: *clients, connections: options.loads.connections, time };
            let figures = running.load(load).await;
            let figures =
                figures.map_err(|error| format!("{system}, {clients} clients, {reads}: {error}"))?;
            let parameters = BTreeMap::from([
                ("clients".to_owned(), clients.to_string()),
                ("connections".to_owned(), system.connections(&load).to_string()),
                ("reads".to_owned(), reads.to_owned()),
            ]);
            all.push(Measured {
                bench: "reads".to_owned(),
                system: system.to_string(),
                parameters,
                figures: figures.named(),
                round,
            });
        }
    }
    Ok(all)
}
