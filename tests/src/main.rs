//! `vsr-test simulate` searches, `vsr-test mutants` proves that the tests are alive, `vsr-test scenario` tells a story;
//! `vsr-test failover` and `vsr-test bench` measure; `vsr-test maelstrom` talks to nodes that are
//! processes; `vsr-test chaos` breaks replicas that are processes on disks.

mod chaos;
mod maelstrom;
mod measure;

use clap::{Parser, Subcommand};
use measure::{Load, failover, idle, linearizability, steps, storage, telemetry, throughput, transport};
use std::{
    path::PathBuf,
    process::ExitCode,
    sync::Mutex,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Instant,
};
use vsr_core::Mutation;
use vsr_test::{
    disk::{StorageMutation, Switches},
    explore, marks,
    mutants::{HEAD, HEAD_WITH_SEEDS, MUTANTS, row, search},
    scenario::crashes,
    shrink::shrink,
    simulation::{Options, Report, Telling, Totals, run},
};

#[derive(Parser)]
#[command(about = "Simulations, scenarios and mutants of the protocol")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs seeds: anything may break, nothing may be wrong.
    Simulate {
        /// How many.
        #[arg(long, default_value_t = 200)]
        seeds: u64,
        /// The first one; drawn from the system's entropy if absent.
        #[arg(long)]
        seed: Option<u64>,
        /// How many replicas; each seed decides for itself if absent.
        #[arg(long)]
        replicas: Option<usize>,
        /// Every crash takes the log and leaves the record; each seed decides for itself if absent.
        #[arg(long)]
        view_durable: bool,
        /// Any number of replicas may crash at once, even where that takes their logs; nobody waits for progress afterwards.
        #[arg(long)]
        too_many_losses: bool,
        /// Switches a rule off: see whether chance notices.
        #[arg(long)]
        mutate: Option<String>,
        /// Shows how often each path was taken.
        #[arg(long)]
        coverage: bool,
        /// Prints the hash of each seed's trace, to be compared with that of another run or build.
        #[arg(long)]
        hashes: bool,
        /// Makes a short scenario of the first seed that fails, too.
        #[arg(long)]
        shrink: bool,
    },
    /// Makes a short scenario of a seed that fails.
    Shrink {
        /// The seed.
        #[arg(long)]
        seed: u64,
        /// How many replicas, if the seed was run with a number.
        #[arg(long)]
        replicas: Option<usize>,
        /// Whether the seed was run so that every crash takes the log.
        #[arg(long)]
        view_durable: bool,
        /// Whether it was run so that too many lose their logs.
        #[arg(long)]
        too_many_losses: bool,
        /// The rule that was switched off, if one was.
        #[arg(long)]
        mutate: Option<String>,
        /// Where to write the scenario; to stdout if absent.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Takes every step from every state of a small group, as far as it is told to.
    Explore(explore::Arguments),
    /// Switches off one rule after the other; each time its test must fail, and for the right reason.
    Mutants {
        /// Only this switch.
        #[arg(long)]
        only: Option<String>,
        /// Adds a column: how many seeds of the simulation it takes until one notices, of at most so many.
        #[arg(long, value_name = "SEEDS")]
        search: Option<u64>,
    },
    /// Counts which paths fixed seeds and the scenarios take; each must be taken, or it must be known why not.
    Marks {
        /// How many seeds, from 1 on.
        #[arg(long, default_value_t = 300)]
        seeds: u64,
    },
    /// Crashes the primary of a busy group in this process again and again: how long until the next acknowledged write?
    Failover {
        /// How often, with each setting of the timers.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
        runs: u32,
    },
    /// Throughput and memory of a group in this process while its log grows.
    Bench {
        /// How many operations.
        #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(10..))]
        operations: u64,
        /// How many tasks, each with one operation under way.
        #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..))]
        clients: u64,
        /// One of the three replicas is down all the time.
        #[arg(long)]
        one_down: bool,
        /// Linearizable reads beside the log instead of writes.
        #[arg(long)]
        reads: bool,
    },
    /// What telemetry costs: the load of `bench`, in turns with it and without, in one process.
    Telemetry {
        /// How many pairs of slices for each kind of listener.
        #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u32).range(1..))]
        pairs: u32,
        /// How many operations a slice.
        #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u64).range(10..))]
        operations: u64,
        /// Only what it costs where nobody listens.
        #[arg(long)]
        disabled: bool,
    },
    /// What a log in files costs on the disk under a directory: flushes, throughput, the time of a start.
    Storage {
        /// Where a directory for it is made.
        #[arg(long, default_value = ".")]
        directory: PathBuf,
        /// Operations for each number of clients, and in the log when it is started again.
        #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1000..))]
        operations: u64,
    },
    /// Starts groups that have nothing to do: what they cost, and what a busy one gets done beside them.
    Idle {
        /// How many groups of three.
        #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
        groups: u64,
    },
    /// What sockets cost: a group over TCP on loopback, and one whose messages are handed over, in turns.
    Transport {
        /// How many operations a slice.
        #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(256..))]
        operations: u64,
        /// How many slices for each number of clients and each transport.
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
        rounds: u32,
    },
    /// Steps of the core a second in one thread, with invariants and without.
    Steps {
        /// How many seeds, from 1 on.
        #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..))]
        seeds: u64,
    },
    /// How long it takes to check histories of 10 000 operations.
    Linearizability {
        /// How many.
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
        histories: u64,
    },
    /// Plays Maelstrom to nodes that are processes: clients, latency, partitions, and a check of what was seen.
    Maelstrom(maelstrom::Arguments),
    /// Runs replicas that are processes, and kills, stops, cuts off and damages them, while clients work and are checked.
    Chaos(chaos::Arguments),
    /// Is a broken node of Maelstrom, to see whether that is found.
    #[command(hide = true)]
    BrokenNode {
        /// What is wrong with it.
        #[arg(value_enum)]
        broken: maelstrom::Broken,
    },
    /// Tells a story again and again, with a crash before each effect of each replica.
    Crashes,
    /// Runs scenario files and prints them as they come out.
    Scenario {
        /// The files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Simulate {
            seeds,
            seed,
            replicas,
            view_durable,
            too_many_losses,
            mutate,
            coverage,
            hashes,
            shrink,
        } => {
            let options = Options { replicas, view_durable, too_many_losses, ..Options::default() };
            let Some(options) = switched_off(mutate.as_deref(), options) else { return ExitCode::from(2) };
            if hashes {
                return print_hashes(seed.unwrap_or(1), seeds, options);
            }
            simulate(seed.unwrap_or_else(entropy), seeds, options, coverage, shrink, mutate.as_deref())
        }
        Command::Shrink { seed, replicas, view_durable, too_many_losses, mutate, out } => {
            let options = Options { replicas, view_durable, too_many_losses, ..Options::default() };
            let Some(options) = switched_off(mutate.as_deref(), options) else { return ExitCode::from(2) };
            shrunk(seed, options, mutate.as_deref(), out)
        }
        Command::Explore(arguments) => arguments.run(),
        Command::Steps { seeds } => printed(steps(seeds)),
        Command::Linearizability { histories } => printed(linearizability(histories)),
        Command::Mutants { only, search } => mutants(only.as_deref(), search),
        Command::Marks { seeds } => all_marks(seeds),
        Command::Maelstrom(arguments) => arguments.run(),
        Command::Chaos(arguments) => arguments.run(),
        Command::BrokenNode { broken } => printed(maelstrom::broken_node(broken).map_err(Into::into)),
        Command::Crashes => crash_everywhere(),
        Command::Scenario { files } => scenarios(&files),
        Command::Failover { runs } => measured(failover(runs)),
        Command::Storage { directory, operations } => measured(storage(directory, operations)),
        Command::Idle { groups } => measured(idle(groups)),
        Command::Transport { operations, rounds } => measured(transport(operations, rounds)),
        Command::Telemetry { pairs, operations, disabled } => {
            measured(telemetry(pairs, operations, disabled))
        }
        Command::Bench { operations, clients, one_down, reads } => {
            measured(throughput(Load { operations, clients, one_down, reads }))
        }
    }
}

/// The options without the rule of a name; nothing if there is no such rule.
fn switched_off(name: Option<&str>, mut options: Options) -> Option<Options> {
    if name.is_none_or(|name| switch_off(name, &mut options)) {
        return Some(options);
    }
    let core = Mutation::ALL.iter().map(|mutation| mutation.name());
    let storage = StorageMutation::ALL.iter().map(|mutation| mutation.name());
    eprintln!("no such mutation; there are: {}", core.chain(storage).collect::<Vec<_>>().join(", "));
    None
}

fn shrunk(seed: u64, options: Options, mutate: Option<&str>, out: Option<PathBuf>) -> ExitCode {
    std::panic::set_hook(Box::new(|_| {}));
    let started = Instant::now();
    let shrunk = match shrink(seed, options, mutate) {
        Ok(shrunk) => shrunk,
        Err(error) => {
            eprintln!("seed {seed}: {error}");
            return ExitCode::FAILURE;
        }
    };
    eprintln!("seed {seed}: {}", shrunk.violation);
    eprintln!(
        "{} steps, {} commands recorded, {} left after {} replays in {:.1} s",
        shrunk.steps,
        shrunk.recorded,
        shrunk.lines.len(),
        shrunk.replays,
        started.elapsed().as_secs_f64()
    );
    let Some(out) = out else {
        println!("{}", shrunk.text);
        return ExitCode::SUCCESS;
    };
    match std::fs::write(&out, shrunk.text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", out.display());
            ExitCode::FAILURE
        }
    }
}

fn measured(work: impl Future<Output = Result<(), Box<dyn std::error::Error>>>) -> ExitCode {
    match tokio::runtime::Runtime::new() {
        Ok(runtime) => printed(runtime.block_on(work)),
        Err(error) => printed(Err(error.into())),
    }
}

fn printed(result: Result<(), Box<dyn std::error::Error>>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn mutants(only: Option<&str>, seeds: Option<u64>) -> ExitCode {
    // A panic is one way for a mutant to die, told in its row.
    std::panic::set_hook(Box::new(|_| {}));
    let chosen: Vec<_> =
        MUTANTS.iter().filter(|mutant| only.is_none_or(|name| mutant.switch.name() == name)).collect();
    let by_chance = seeds.map(|seeds| search(&chosen, seeds));
    println!("{}", if by_chance.is_some() { HEAD_WITH_SEEDS } else { HEAD });
    let mut survivors = 0;
    for (index, mutant) in chosen.iter().enumerate() {
        let (row, killed) = match row(mutant) {
            Ok(row) => row,
            Err(error) => {
                eprintln!("{}: {error}", mutant.killer.name());
                return ExitCode::from(2);
            }
        };
        survivors += usize::from(!killed);
        match by_chance.as_ref().map(|found| found[index]) {
            None => println!("{row}"),
            Some(None) => println!("{row} not by chance |"),
            Some(Some(seeds)) => println!("{row} {seeds} |"),
        }
    }
    println!("\n{} mutants, {survivors} survived or died of something else", chosen.len());
    if survivors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn crash_everywhere() -> ExitCode {
    for replica in 0..3 {
        match crashes::everywhere(crashes::STORY, replica) {
            Ok(effects) => println!("R{replica}: a crash before each of {effects} effects, all survived"),
            Err(failure) => {
                println!("{failure}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

fn scenarios(files: &[PathBuf]) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for file in files {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) => {
                eprintln!("{}: {error}", file.display());
                return ExitCode::from(2);
            }
        };
        match vsr_test::scenario::run(&text, Switches::default()) {
            Ok(output) => print!("{output}"),
            Err(failure) => {
                println!("{}, {failure}", file.display());
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

/// Switches the rule of a name off; false if there is none.
fn switch_off(name: &str, options: &mut Options) -> bool {
    if let Some(mutation) = Mutation::ALL.iter().find(|mutation| mutation.name() == name) {
        options.mutations = options.mutations.with(*mutation);
    } else if let Some(mutation) = StorageMutation::ALL.iter().find(|mutation| mutation.name() == name) {
        options.storage = options.storage.with(*mutation);
    } else {
        return false;
    }
    true
}

/// A seed nobody chose, short enough to be read aloud.
fn entropy() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0) >> 24
}

fn simulate(
    first: u64,
    seeds: u64,
    options: Options,
    coverage: bool,
    shrinks: bool,
    mutate: Option<&str>,
) -> ExitCode {
    println!("{seeds} seeds from {first}");
    // A panic is a finding, told with its seed below.
    std::panic::set_hook(Box::new(|_| {}));
    let started = Instant::now();
    let (totals, failure) = run_all(first, seeds, options);
    print_totals(&totals, started.elapsed().as_secs_f64(), coverage);
    let Some(failure) = failure else { return ExitCode::SUCCESS };
    // The same seed again, this time with somebody who writes down what happens.
    let told = run(failure.seed, Options { telling: Telling::Details, ..options });
    for line in &told.trace {
        println!("{line}");
    }
    if let Some(violation) = &failure.violation {
        println!("\nseed {}: {violation}", failure.seed);
    }
    let mut which = format!("--seed {}", failure.seed);
    if let Some(replicas) = options.replicas {
        which += &format!(" --replicas {replicas}");
    }
    if options.too_many_losses {
        which += " --too-many-losses";
    }
    if options.view_durable {
        which += " --view-durable";
    }
    if let Some(name) = mutate {
        which += &format!(" --mutate {name}");
    }
    println!("again: cargo run --release -p vsr-test -- simulate --seeds 1 {which}");
    println!("shrink: cargo run --release -p vsr-test -- shrink {which}");
    if shrinks {
        shrunk(failure.seed, options, mutate, None);
    }
    ExitCode::FAILURE
}

/// Runs seeds on all cores, until one fails.
fn run_all(first: u64, seeds: u64, options: Options) -> (Totals, Option<Report>) {
    let next = AtomicU64::new(0);
    let result = Mutex::new((Totals::default(), None::<Report>));
    let worker = || loop {
        let index = next.fetch_add(1, Ordering::Relaxed);
        if index >= seeds {
            break;
        }
        let report = run(first.wrapping_add(index), options);
        let mut result = result.lock().expect("no worker panics");
        result.0.merge(&report.totals);
        if report.violation.is_some() && result.1.as_ref().is_none_or(|known| report.seed < known.seed) {
            next.store(seeds, Ordering::Relaxed);
            result.1 = Some(report);
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(worker);
        }
    });
    result.into_inner().expect("no worker panics")
}

fn all_marks(seeds: u64) -> ExitCode {
    let (totals, failure) = run_all(1, seeds, Options::default());
    if let Some(Report { seed, violation: Some(violation), .. }) = failure {
        eprintln!("seed {seed}: {violation}");
        return ExitCode::FAILURE;
    }
    let scenarios = match marks::of_scenarios() {
        Ok(scenarios) => scenarios,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let rows = marks::rows(&totals.coverage, &scenarios);
    println!("{:32} {:>12} {:>12}", "mark", "in seeds", "in scenarios");
    for row in &rows {
        let notes = [row.fault(), row.explanation];
        let notes = notes.into_iter().flatten().collect::<Vec<_>>().join(": ");
        let line = format!("{:32} {:>12} {:>12}  {notes}", row.mark, row.seeds, row.scenarios);
        println!("{}", line.trim_end());
    }
    let hit = rows.iter().filter(|row| row.is_hit()).count();
    let faults = rows.iter().filter(|row| row.fault().is_some()).count();
    println!("\n{} marks, {hit} hit, {} explained, {faults} at fault", rows.len(), marks::EXPLAINED.len());
    if faults == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print_hashes(first: u64, seeds: u64, options: Options) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for seed in first..first.saturating_add(seeds) {
        let report = run(seed, options);
        println!("{seed} {:016x}", report.trace_hash);
        if let Some(violation) = report.violation {
            println!("seed {seed}: {violation}");
            code = ExitCode::FAILURE;
        }
    }
    code
}

fn print_totals(totals: &Totals, elapsed: f64, coverage: bool) {
    println!(
        "{} seeds, {} steps, {} requests, {} reads, {} crashes, {} partitions, {} view changes, {} evictions, {} snapshots installed, {} unknown outcomes",
        totals.seeds,
        totals.steps,
        totals.requests,
        totals.reads,
        totals.crashes,
        totals.partitions,
        totals.view_changes,
        totals.coverage.of("SessionEvicted"),
        totals.coverage.of("SnapshotInstalled"),
        totals.unknown,
    );
    println!("{elapsed:.1} s, {:.0} steps/s with all invariants", totals.steps as f64 / elapsed);
    if coverage {
        for (name, count) in totals.coverage.iter() {
            println!("  {name:32} {count}");
        }
    }
}
