//! The command line.

mod signal;

use clap::{Parser, Subcommand};
use signal::StopSignal;
use std::{error::Error, io::IsTerminal, path::PathBuf, process::ExitCode};
use tracing::{info, warn};
use tracing_subscriber::EnvFilter;
use vsr_actor::{Config, observe::prometheus};
use vsr_kv::demo::{self, Demo};
use vsr_kv::dev::{self, Dev};
use vsr_kv::maelstrom;
use vsr_kv::serve::{Flags, Options, Serve, ServeError};
use vsr_kv::server::Settings;

/// A replicated key-value server that speaks the Redis protocol.
#[derive(Debug, Parser)]
#[command(name = "vsr-kv", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs three replicas in this process, each behind a port of its own.
    Dev {
        /// Port of the first replica; the others take the two after it. 0: any free ports.
        #[arg(long, default_value_t = 6379, value_parser = clap::value_parser!(u16).range(0..=65533))]
        port: u16,
        /// Where the replicas keep everything, each in a directory of its own.
        #[arg(long, value_name = "DIR", default_value = "vsr-data")]
        data: PathBuf,
        /// Keep everything in memory instead: it is gone when the program ends.
        #[arg(long, conflicts_with = "data")]
        memory: bool,
    },
    /// Runs one replica of a group whose others are other processes, on other machines usually.
    Serve(Box<Flags>),
    /// Shows that nothing is lost: clients write and read while primaries die, then everything is checked.
    Demo {
        /// How long the clients work.
        #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=3600))]
        seconds: u64,
        /// How many clients there are.
        #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=512))]
        clients: u64,
    },
    /// Is a node of Maelstrom, the workbench for distributed systems: lines of JSON on standard input and output.
    Maelstrom {
        /// How often the primary speaks.
        #[arg(long, default_value = "100ms")]
        heartbeat_interval: humantime::Duration,
        /// How long a backup waits for its primary before it votes for another.
        #[arg(long, default_value = "500ms")]
        heartbeat_timeout: humantime::Duration,
        /// How long a request may take before its client gets an error.
        #[arg(long, default_value = "900ms")]
        deadline: humantime::Duration,
        /// Keep everything in this directory, each node in one of its own there: a node that is started again goes on. In memory if
        /// absent.
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // In a demonstration primaries die on purpose, and what happens is told anyway.
    let level = match arguments.command {
        Command::Demo { .. } => "error",
        Command::Serve(_) => "info",
        _ => "warn",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr).init();
    let result = match arguments.command {
        Command::Serve(flags) => return serve(*flags),
        Command::Dev { port, data, memory } => {
            on_all_processors(dev(port, (!memory).then_some(data))).map(|()| true)
        }
        Command::Maelstrom { heartbeat_interval, heartbeat_timeout, deadline, data } => {
            let mut config = maelstrom::config();
            config.heartbeat_interval = heartbeat_interval.into();
            config.heartbeat_timeout = heartbeat_timeout.into();
            config.client.deadline = deadline.into();
            on_all_processors(node(config, data))
        }
        Command::Demo { seconds, clients } => {
            on_all_processors(async move { demo::run(Demo { seconds, clients }).await.map_err(Into::into) })
        }
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// For several replicas in one process, and for what only tries out.
fn on_all_processors<T>(work: impl Future<Output = Result<T, Box<dyn Error>>>) -> Result<T, Box<dyn Error>> {
    tokio::runtime::Runtime::new()?.block_on(work)
}

async fn dev(port: u16, data: Option<PathBuf>) -> Result<(), Box<dyn Error>> {
    let mut stop = StopSignal::new()?;
    let dev = Dev::start(port, data, dev::config(), Settings::default()).await?;
    tokio::select! {
        banner = dev.banner() => {
            println!("{}", banner?);
            stop.received().await?;
        }
        result = stop.received() => result?,
    }
    println!("\nShutting down.");
    Ok(dev.shutdown().await?)
}

/// A replica, until it fails or is told to end.
fn serve(flags: Flags) -> ExitCode {
    let served = flags.complete().map_err(ServeError::from).and_then(|options| {
        let runtime = options.runtime().map_err(ServeError::Threads)?;
        runtime.block_on(serve_until_told(options))
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            if let Some(advice) = error.advice() {
                eprintln!("{advice}");
            }
            error.exit_code()
        }
    }
}

async fn serve_until_told(options: Options) -> Result<(), ServeError> {
    let mut stop = StopSignal::new()?;
    let serve = tokio::select! {
        started = Serve::start(options, Some(prometheus::record()?)) => started?,
        told = stop.received() => return Ok(told?),
    };
    println!("{}", serve.banner());
    tokio::select! {
        error = serve.failed() => return Err(error),
        told = stop.received() => told?,
    }
    info!(
        "told to end: no more connections are taken, what is under way is answered, another replica takes over"
    );
    tokio::select! {
        ended = serve.shutdown() => ended?,
        told = stop.received() => {
            told?;
            warn!("told to end again: ending at once");
            // Not by returning: that would wait for what the first order has begun.
            std::process::exit(1);
        }
    }
    info!("ended in order");
    Ok(())
}

/// A node of Maelstrom, until its input ends.
async fn node(config: Config, data: Option<PathBuf>) -> Result<bool, Box<dyn Error>> {
    let input = tokio::io::BufReader::new(tokio::io::stdin());
    if let Err(error) = maelstrom::run(input, tokio::io::stdout(), config, data).await {
        // Not by returning: the runtime would wait for the next line of the input, which may never come.
        eprintln!("error: {error}");
        std::process::exit(1);
    }
    Ok(true)
}
