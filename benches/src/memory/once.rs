//! One system, one number of clients, once: a process of its own, so that nobody inherits another's heap.

use super::systems::System;
use serde::{Deserialize, Serialize};
use std::{process::ExitCode, time::Duration};

#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Options {
    #[arg(long)]
    system: System,
    #[arg(long)]
    clients: usize,
    #[arg(long)]
    seconds: f64,
    #[arg(long)]
    workers: usize,
}

/// What the process prints, as one line of JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Figures {
    pub operations: u64,
    pub seconds: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub cpu_ns_per_operation: f64,
    pub allocations_per_operation: Option<f64>,
}

/// Measures, and prints. `allocations` is how many there were in this process, if it counts them.
#[must_use]
pub fn run(options: &Options, allocations: Option<fn() -> u64>) -> ExitCode {
    match measure(options, allocations).and_then(|it| serde_json::to_string(&it).map_err(|it| it.to_string()))
    {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {}, {} clients: {error}", options.system.name(), options.clients);
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options, allocations: Option<fn() -> u64>) -> Result<Figures, String> {
    let Options { system, clients, seconds, workers } = *options;
    let time = Duration::try_from_secs_f64(seconds).map_err(|error| format!("--seconds: {error}"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build();
    let runtime = runtime.map_err(|error| format!("no runtime: {error}"))?;
    // Spawned: what drives the load runs on a worker, like everything else.
    let load = runtime.block_on(runtime.spawn(system.measure(clients, time, allocations)));
    let load = load.map_err(|error| error.to_string())??;
    if load.operations == 0 {
        return Err("not one operation was committed".to_owned());
    }
    let each = |total: f64| total / load.operations as f64;
    Ok(Figures {
        operations: load.operations,
        seconds: load.took.as_secs_f64(),
        p50_us: load.p50.as_secs_f64() * 1e6,
        p99_us: load.p99.as_secs_f64() * 1e6,
        cpu_ns_per_operation: each(load.processor.as_nanos() as f64),
        allocations_per_operation: load.allocations.map(|count| each(count as f64)),
    })
}
