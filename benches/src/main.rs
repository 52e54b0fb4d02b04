//! This project beside others, interleaved in one run: only the ratios within a run count.

mod disk;
mod durable;
mod load;
mod processes;
mod report;
mod servers;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(name = "vsr-benches")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Three processes on loopback, every write flushed before it is acknowledged: vsr-kv beside etcd, and beside one Redis.
    Durable(durable::Options),
}

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    let Command::Durable(options) = Arguments::parse().command;
    match durable::run(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
