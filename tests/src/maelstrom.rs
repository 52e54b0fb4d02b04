//! `vsr-test maelstrom`: plays Maelstrom to nodes of its kind, with what Maelstrom does to them.

mod course;
mod history;
mod network;
mod planted;
mod processes;
#[cfg(test)]
mod tests;
mod validate;

pub(crate) use planted::{Broken, run as broken_node};

use course::{Counts, Course, Outcome, Settings};
use processes::{Processes, Program};
use std::{
    error::Error,
    io,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

/// Which nodes, and what is done to them.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How many runs.
    #[arg(long, default_value_t = 20)]
    seeds: u64,
    /// The seed of the first run; drawn from the system's entropy if absent.
    #[arg(long)]
    seed: Option<u64>,
    /// How many nodes; may be given again.
    #[arg(long, default_values_t = [3_u8], value_parser = clap::value_parser!(u8).range(1..=9))]
    nodes: Vec<u8>,
    /// Cuts nodes off from each other, again and again.
    #[arg(long)]
    partition: bool,
    /// How many clients, each with one request under way.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u8).range(1..))]
    clients: u8,
    /// How long clients work in each run.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Mean latency between nodes, in milliseconds.
    #[arg(long, default_value_t = 3)]
    latency: u64,
    /// The program to test; `vsr-kv` beside this program if absent. It gets the arguments behind `--`, `maelstrom` and short time-outs
    /// if there are none.
    #[arg(long)]
    bin: Option<PathBuf>,
    #[arg(last = true)]
    arguments: Vec<String>,
    /// Tests nodes that are broken: succeeds if every run finds that they are.
    #[arg(long, value_enum, conflicts_with = "bin")]
    broken: Option<Broken>,
    /// Where to write the history of the first run that fails.
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
}

/// Of a hundred requests so many must be served, and one of each kind done: else a run means nothing.
const SERVED_PERCENT_MIN: u64 = 50;

/// What came out of one run.
struct Verdict {
    counts: Counts,
    /// What is wrong apart from the history.
    problems: Vec<String>,
    /// Why the history is not that of registers, and the key it was found at.
    violation: Option<(u64, String)>,
    checked_in: Duration,
}

fn judge(outcome: &Outcome) -> Verdict {
    let counts = Counts::of(&outcome.rows);
    let mut problems = outcome.problems.clone();
    for (what, ok) in [("read", counts.reads), ("write", counts.writes), ("compare-and-set", counts.swaps)] {
        if ok == 0 {
            problems.push(format!("not one {what} was done"));
        }
    }
    if counts.served_percent() < SERVED_PERCENT_MIN {
        problems.push(format!("only {} % of the requests were served", counts.served_percent()));
    }
    let began = Instant::now();
    let violation = history::check(&outcome.rows).err().map(|(key, why)| (key, format!("key {key}: {why}")));
    Verdict { counts, problems, violation, checked_in: began.elapsed() }
}

impl Arguments {
    /// Runs all seeds with all numbers of nodes.
    pub(crate) fn run(self) -> ExitCode {
        match self.runs() {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::from(2)
            }
        }
    }

    fn runs(&self) -> Result<bool, Box<dyn Error>> {
        let program = self.program()?;
        let first = self.seed.unwrap_or_else(crate::entropy);
        // Processes are scheduled as the system likes.
        println!("seeds from {first}: the schedule of a run repeats with its seed, its outcome need not");
        let head = [
            "seed",
            "nodes",
            "requests",
            "ok",
            "refused",
            "not done",
            "unknown",
            "partitions",
            "dropped",
            "check/ms",
        ];
        println!("{}", row(&head.map(str::to_owned)));
        let mut all_well = true;
        for nodes in &self.nodes {
            let settings = Settings {
                nodes: usize::from(*nodes),
                clients: usize::from(self.clients),
                load: Duration::from_secs(self.seconds),
                latency: Duration::from_millis(self.latency),
                partitions: self.partition,
            };
            let mut sum = Sum::default();
            for seed in first..first.saturating_add(self.seeds) {
                all_well &= self.one(&program, seed, settings, &mut sum, all_well)?;
            }
            println!("{sum}");
        }
        Ok(all_well)
    }

    /// One run: whether it came out as it must.
    fn one(
        &self,
        program: &Program,
        seed: u64,
        settings: Settings,
        sum: &mut Sum,
        first: bool,
    ) -> Result<bool, Box<dyn Error>> {
        let mut course = Course::new(seed, settings);
        let mut processes = Processes::start(program, settings.nodes)
            .map_err(|error| format!("{} does not start: {error}", program.path.display()))?;
        processes.drive(&mut course);
        let outcome = course.into_outcome();
        let verdict = judge(&outcome);
        let Counts { requests, refused, not_done, unknown, .. } = verdict.counts;
        let numbers = [
            seed,
            settings.nodes as u64,
            requests,
            verdict.counts.ok(),
            refused,
            not_done,
            unknown,
            outcome.partitions,
            outcome.dropped,
        ];
        let mut cells = numbers.map(|number| number.to_string()).to_vec();
        cells.push(format!("{:.1}", verdict.checked_in.as_secs_f64() * 1e3));
        println!("{}", row(&cells));
        sum.add(&verdict, &outcome);
        for problem in &verdict.problems {
            println!("  {problem}");
        }
        if let Some((_, why)) = &verdict.violation {
            println!("  {why}");
        }
        let sound = verdict.problems.is_empty() && verdict.violation.is_none();
        if self.broken.is_some() {
            let found = verdict.problems.is_empty() && verdict.violation.is_some();
            if !found {
                println!("  the fault was not found");
            }
            return Ok(found);
        }
        if !sound && first {
            self.tell(&outcome, &verdict, &processes)?;
        }
        Ok(sound)
    }

    /// Everything that helps to understand a failure.
    fn tell(&self, outcome: &Outcome, verdict: &Verdict, processes: &Processes) -> io::Result<()> {
        for (node, log) in processes.logs().iter().enumerate().filter(|(_, log)| !log.is_empty()) {
            println!("the end of what n{node} logged:\n{log}");
        }
        if let Some((key, _)) = verdict.violation {
            println!("the history of key {key}:\n{}", history::table(&outcome.rows, Some(key)));
        }
        match &self.history {
            Some(path) => std::fs::write(path, history::table(&outcome.rows, None)),
            None => Ok(()),
        }
    }

    fn program(&self) -> Result<Program, Box<dyn Error>> {
        let me = std::env::current_exe()?;
        if let Some(broken) = self.broken {
            use clap::ValueEnum;
            let name = broken.to_possible_value().map(|value| value.get_name().to_owned());
            return Ok(Program {
                path: me,
                arguments: vec!["broken-node".into(), name.unwrap_or_default().into()],
            });
        }
        let beside = || me.with_file_name(format!("vsr-kv{}", std::env::consts::EXE_SUFFIX));
        let path = self.bin.clone().unwrap_or_else(beside);
        if !path.exists() {
            return Err(format!(
                "{} is not there: cargo build --release -p vsr-kv, or name a program with --bin",
                path.display()
            )
            .into());
        }
        // Partitions are ten times shorter than those of Maelstrom, so a node must be faster to see them.
        let short = "maelstrom --heartbeat-interval 20ms --heartbeat-timeout 100ms --deadline 600ms";
        let arguments = match &self.arguments[..] {
            [] if self.bin.is_none() => short.split(' ').map(Into::into).collect(),
            given => given.iter().map(Into::into).collect(),
        };
        Ok(Program { path, arguments })
    }
}

fn row(cells: &[String]) -> String {
    cells.iter().map(|cell| format!("{cell:>10}")).collect::<Vec<_>>().join(" ")
}

/// All runs with one number of nodes.
#[derive(Default)]
struct Sum {
    runs: u64,
    requests: u64,
    ok: u64,
    refused: u64,
    unknown: u64,
    partitions: u64,
    messages: u64,
    served_percent_min: Option<u64>,
    checked_in_max: Duration,
}

impl Sum {
    fn add(&mut self, verdict: &Verdict, outcome: &Outcome) {
        self.runs += 1;
        self.requests += verdict.counts.requests;
        self.ok += verdict.counts.ok();
        self.refused += verdict.counts.refused;
        self.unknown += verdict.counts.unknown;
        self.partitions += outcome.partitions;
        self.messages += outcome.messages;
        let served = verdict.counts.served_percent();
        self.served_percent_min = Some(self.served_percent_min.map_or(served, |least| least.min(served)));
        self.checked_in_max = self.checked_in_max.max(verdict.checked_in);
    }
}

impl std::fmt::Display for Sum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { runs, requests, ok, refused, unknown, partitions, messages, .. } = self;
        write!(
            f,
            "{runs} runs: {requests} requests, {ok} ok, {refused} refused by the register, {unknown} unknown, at least {} % served in each; \
             {partitions} partitions, {messages} messages between nodes; longest check {:.1} ms",
            self.served_percent_min.unwrap_or_default(),
            self.checked_in_max.as_secs_f64() * 1e3
        )
    }
}
