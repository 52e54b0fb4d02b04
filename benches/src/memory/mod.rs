//! Workload: three replicas and their clients in one process, in memory; this project beside others, and beside what limits them all.

mod goals;
mod load;
pub mod once;
mod report;
mod systems;
pub(crate) mod workload;

use crate::results::{Machine, Measured, Results};
use once::Figures;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};
use systems::System;

/// How long allocations are counted: their number does not depend on it.
const COUNTED_SECONDS: f64 = 0.5;

/// As it is called in results.
const BENCH: &str = "memory";

#[derive(Debug, clap::Args)]
pub struct Options {
    /// How often everything is measured.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How long each load is measured, after a warm-up of 0.4 s.
    #[arg(long, default_value_t = 1.5)]
    seconds: f64,
    /// Numbers of clients.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 64, 256, 1024])]
    clients: Vec<usize>,
    /// Leave out all systems but these.
    #[arg(long, value_delimiter = ',', value_enum, default_values_t = System::DEFAULT)]
    only: Vec<System>,
    /// Worker threads of the one runtime that all replicas and clients share.
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Where the figures go, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Measures all systems in turn, each load in a process of its own, and prints what they came to.
///
/// # Errors
/// A system that fails; a file that cannot be written.
pub fn run(options: &Options) -> Result<(), String> {
    let machine = Machine::this();
    println!("{machine}");
    println!(
        "3 replicas and the clients on one runtime with {} workers; Put {{ 16-byte key, 64-byte value }} over 16 384 keys, in memory;",
        options.workers
    );
    println!("closed loop, {} s each, {} rounds, interleaved", options.seconds, options.rounds);
    let timed = std::env::current_exe().map_err(|error| format!("where is this program? {error}"))?;
    let counting = build_counting(&timed)?;
    let mut measured = Vec::new();
    for round in 1..=options.rounds {
        for clients in &options.clients {
            eprintln!("round {round} of {}: {clients} clients", options.rounds);
            for system in &options.only {
                let figures =
                    measure(&mut timed_command(&timed), *system, *clients, options.seconds, options)?;
                measured.push(result(options, *system, *clients, round, figures));
            }
        }
    }
    for clients in &options.clients {
        eprintln!("allocations: {clients} clients");
        for system in &options.only {
            let figures = measure(&mut Command::new(&counting), *system, *clients, COUNTED_SECONDS, options)?;
            add_allocations(&mut measured, *system, *clients, &figures);
        }
    }
    print!("{}", report::tables(&measured, &options.only, &options.clients));
    print!("{}", goals::table(&measured, &options.only, &options.clients));
    options.json.as_ref().map_or(Ok(()), |path| Results { machine, measured }.write(path))
}

fn timed_command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg("memory-once");
    command
}

/// The program that counts allocations, beside this one: built when it is out of date.
fn build_counting(timed: &Path) -> Result<PathBuf, String> {
    const NAME: &str = "vsr-benches-counting";
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--locked", "--bin", NAME, "--manifest-path", manifest]);
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    let directory = timed.parent().and_then(Path::parent).ok_or("this program has no target directory")?;
    let built = build.arg("--target-dir").arg(directory).status();
    if !built.map_err(|error| format!("cannot run cargo to build {NAME}: {error}"))?.success() {
        return Err(format!("{NAME}, which counts allocations, does not build"));
    }
    Ok(timed.with_file_name(NAME))
}

fn measure(
    command: &mut Command,
    system: System,
    clients: usize,
    seconds: f64,
    options: &Options,
) -> Result<Figures, String> {
    let arguments = [
        ("--system", system.name().to_owned()),
        ("--clients", clients.to_string()),
        ("--seconds", seconds.to_string()),
        ("--workers", options.workers.to_string()),
    ];
    for (name, value) in arguments {
        command.arg(name).arg(value);
    }
    let output = command.stderr(std::process::Stdio::inherit()).output();
    let output = output.map_err(|error| format!("cannot run {command:?}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{} with {clients} clients failed: {}", system.name(), output.status));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("{command:?} printed no figures: {error}"))
}

fn result(options: &Options, system: System, clients: usize, round: usize, figures: Figures) -> Measured {
    let parameters = [
        ("clients", clients.to_string()),
        ("workers", options.workers.to_string()),
        ("seconds", options.seconds.to_string()),
        ("window", "1024".to_owned()),
    ];
    let figures = [
        ("operations_per_second", figures.operations as f64 / figures.seconds),
        ("p50_us", figures.p50_us),
        ("p99_us", figures.p99_us),
        ("cpu_ns_per_operation", figures.cpu_ns_per_operation),
    ];
    Measured {
        bench: BENCH.to_owned(),
        system: system.name().to_owned(),
        parameters: parameters.map(|(name, value)| (name.to_owned(), value)).into(),
        figures: BTreeMap::from(figures.map(|(name, value)| (name.to_owned(), value))),
        round,
    }
}

/// Counted once, and the same in all rounds.
fn add_allocations(measured: &mut [Measured], system: System, clients: usize, figures: &Figures) {
    for it in measured.iter_mut().filter(|it| it.system == system.name() && it.with("clients", clients)) {
        let count = figures.allocations_per_operation.unwrap_or(f64::NAN);
        it.figures.insert("allocations_per_operation".to_owned(), count);
    }
}
