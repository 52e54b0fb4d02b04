//! A long run: is the millionth operation as fast as the first, and the process as small?

use crate::group::{Load, Table, Work, config_for, resident_mib, said};
use std::{path::PathBuf, time::Instant};
use vsr_actor::Cluster;
use vsr_benches::results::{Machine, Measured, Results};

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// Operations in all, in tenths.
    #[arg(long, default_value_t = 10_000_000)]
    operations: u64,
    /// Clients with one operation under way each.
    #[arg(long, default_value_t = 256)]
    clients: usize,
    /// Where the figures go, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

const WORK: Work = Work { keys: 16_384, value_bytes: 64 };
const PARTS: u64 = 10;

pub(crate) async fn run(options: Options) -> Result<(), String> {
    let machine = Machine::this();
    println!("{machine}");
    println!(
        "three replicas and {} clients on one runtime with 2 workers, in memory; Put of a 16-byte key and a 64-byte value, 16 384 keys",
        options.clients
    );
    let json = options.json.clone();
    // Spawned: what drives the load runs on a worker, like everything else.
    let measured = tokio::spawn(measure(options)).await.map_err(said)??;
    table(&measured);
    json.map_or(Ok(()), |path| Results { machine, measured }.write(&path))
}

async fn measure(options: Options) -> Result<Vec<Measured>, String> {
    let Options { operations, clients, .. } = options;
    let config = config_for(WORK.keys, WORK.value_bytes);
    let cluster =
        Cluster::builder(3, || Table::for_keys(WORK.keys)).config(config).start().await.map_err(said)?;
    let client = cluster.client();
    let mut load = Load::start((0..clients).map(|_| client.clone()), WORK)?;
    let mut measured = Vec::new();
    for part in 1..=PARTS {
        let (done, begun) = (load.done(), Instant::now());
        load.reach(operations * part / PARTS).await?;
        let rate = (load.done() - done) as f64 / begun.elapsed().as_secs_f64();
        let millions = (operations * part) as f64 / (PARTS * 1_000_000) as f64;
        let parameters = [
            ("millions", millions.to_string()),
            ("clients", clients.to_string()),
            ("workers", "2".to_owned()),
            ("window", "1024".to_owned()),
        ];
        let figures = [("operations_per_second", rate), ("resident_mib", resident_mib()?)];
        measured.push(Measured {
            bench: "endurance".to_owned(),
            system: "vsr".to_owned(),
            parameters: parameters.map(|(name, value)| (name.to_owned(), value)).into(),
            figures: figures.map(|(name, value)| (name.to_owned(), value)).into(),
            round: 1,
        });
    }
    load.stop().await?;
    cluster.shutdown().await.map_err(said)?;
    Ok(measured)
}

fn table(measured: &[Measured]) {
    println!("{:>12} {:>12} {:>14}", "millions", "ops/s", "resident MiB");
    for it in measured {
        let millions = it.parameters.get("millions").map_or("?", String::as_str);
        let (rate, memory) = (it.figure("operations_per_second"), it.figure("resident_mib"));
        println!("{millions:>12} {rate:>12.0} {memory:>14.1}");
    }
    if let [first, .., last] = measured {
        let ratio = |figure| last.figure(figure) / first.figure(figure);
        println!(
            "last tenth beside the first: throughput {:.2}, memory {:.2}",
            ratio("operations_per_second"),
            ratio("resident_mib")
        );
    }
}
