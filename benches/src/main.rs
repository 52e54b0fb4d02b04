//! This project beside others, interleaved in one run: only the ratios within a run count.

mod all;
mod catch_up;
mod child;
mod client_path;
mod disk;
mod durable;
mod endurance;
mod failover;
mod floor;
mod group;
mod growth;
mod idle;
mod load;
mod options;
mod plot;
mod processes;
mod reads;
mod report;
mod servers;
mod view_change;

use clap::{Parser, Subcommand};
use std::process::ExitCode;
use vsr_benches::{memory, openraft::node};

#[derive(Debug, Parser)]
#[command(name = "vsr-benches")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Three processes on loopback, every write flushed before it is acknowledged: vsr-kv beside etcd, one Redis, and the durable floor.
    Durable(durable::Options),
    /// Three replicas and their clients in one process, in memory: this project beside other crates.
    Memory(memory::Options),
    /// What `memory` runs for each of its loads.
    #[command(hide = true)]
    MemoryOnce(memory::once::Options),
    /// The path of a client, with redis-benchmark: vsr-kv beside Redis, in memory and durable.
    Resp(client_path::Options),
    /// Kill -9 of the leader under load, time to the next acknowledged write: vsr-kv beside openraft and etcd.
    Failover(failover::Options),
    /// One member of a group of openraft: `failover` starts three.
    #[command(hide = true)]
    OpenraftNode(node::Options),
    /// Reads of three processes, those that see every acknowledged write and stale ones: vsr-kv beside etcd.
    Reads(reads::Options),
    /// One process of the durable floor: `durable` starts three.
    #[command(hide = true)]
    Floor(floor::Options),
    /// Ten million operations: throughput and memory by tenths.
    Endurance(endurance::Options),
    /// Cost as work grows: keys, size of operations, replicas, groups, length of the log; with one and with two worker threads.
    Growth(growth::Options),
    /// One point of `growth`, in a process of its own.
    #[command(hide = true)]
    GrowthOnce(growth::once::Options),
    /// A busy group beside a thousand idle ones.
    IdleGroups(idle::Options),
    /// One of the two processes of `idle-groups`.
    #[command(hide = true)]
    IdleOnce(idle::Once),
    /// A view change by itself, with ten thousand operations in the pipeline.
    ViewChange(view_change::Options),
    /// A replica catches up: a snapshot of 1 GiB on disk, and ten million operations in memory.
    CatchUp(catch_up::Options),
    /// All of these one after the other: results and pictures for docs/performance.
    All(all::Options),
    /// Draws the results of earlier runs as SVG.
    Plot(plot::Options),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Durable(options) => on_runtime(durable::run(options)),
        Command::Memory(options) => memory::run(&options),
        Command::MemoryOnce(options) => return memory::once::run(&options, None),
        Command::Resp(options) => on_runtime(client_path::run(options)),
        Command::Failover(options) => on_runtime(failover::run(options)),
        Command::OpenraftNode(options) => on_runtime(node::run(options)),
        Command::Reads(options) => on_runtime(reads::run(options)),
        Command::Floor(options) => floor::run(&options),
        Command::Endurance(options) => on_runtime(endurance::run(options)),
        Command::Growth(options) => growth::run(&options),
        Command::GrowthOnce(options) => growth::once::run(&options),
        Command::IdleGroups(options) => idle::run(&options),
        Command::IdleOnce(options) => idle::once(&options),
        Command::ViewChange(options) => on_runtime(view_change::run(options)),
        Command::CatchUp(options) => on_runtime(catch_up::run(options)),
        Command::All(options) => all::run(&options),
        Command::Plot(options) => plot::run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// For what drives servers, or is one: two threads.
fn on_runtime(run: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.map_err(|error| format!("no runtime: {error}"))?.block_on(run)
}
