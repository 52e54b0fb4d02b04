//! What an operation costs, in allocations and instructions, held to bounds that are committed: `cargo run --release -p vsr-cost`.
//!
//! Neither number depends on how fast or how busy a machine is. Each scenario runs once with N operations and once with 2N: what the
//! second costs more is what N operations cost, and starting, forming the group and ending cancel out. Instructions are counted by
//! valgrind, which runs this program again; where it is not installed they are not looked at, and that is said.

mod bounds;
mod measure;
mod scenarios;

use bounds::Bounds;
use clap::Parser;
use scenarios::Scenario;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::{alloc::System, process::ExitCode};

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[derive(Debug, Parser)]
#[command(
    about = "What an operation costs in allocations and instructions, and whether that is within the committed bounds"
)]
struct Arguments {
    /// Prints what is measured as the table of bounds, with some room, instead of judging it. The reasons are kept.
    #[arg(long)]
    print: bool,
    /// Writes that table: for a change that is known to cost more, or less.
    #[arg(long, conflicts_with = "print")]
    update: bool,
    /// Runs one scenario and says nothing: what valgrind is given.
    #[arg(long, hide = true, requires = "operations")]
    scenario: Option<Scenario>,
    #[arg(long, hide = true)]
    operations: Option<u64>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether everything is within its bounds.
fn run(arguments: &Arguments) -> Result<bool, String> {
    if let (Some(scenario), Some(operations)) = (arguments.scenario, arguments.operations) {
        return scenario.run(operations).map(|()| true);
    }
    if cfg!(debug_assertions) {
        return Err("instructions of a debug build mean nothing: cargo run --release -p vsr-cost".to_owned());
    }
    let bounds = Bounds::committed()?;
    let measured = measure::all()?;
    if arguments.print || arguments.update {
        let text = bounds.of(&measured).to_string();
        if arguments.update {
            bounds::write(&text)?;
        } else {
            print!("{text}");
        }
        return Ok(true);
    }
    let (text, holds) = bounds.judge(&measured);
    print!("{text}");
    Ok(holds)
}
