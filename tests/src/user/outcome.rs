//! How a simulation ends: what was survived, or what is wrong and how to see it again.

use crate::{checkers::Violation, prng::mix, simulation};
use std::{env, error::Error, fmt, path::Path, process::Command, thread};

/// The variable that sets the seed, and makes it the only one.
pub(super) const SEED_VARIABLE: &str = "VSR_SEED";

/// What a state machine can do wrong.
const USERS: [&str; 7] = ["determinism", "snapshot", "round trip", "panic", "tick", "invariant", "model"];

/// Lines of the story that a failure shows.
const STORY_LINES: usize = 25;

/// What simulations did that found nothing wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// How many were run.
    pub seeds: u64,
    /// Operations executed by the group; each is counted once, ticks included.
    pub operations: u64,
    /// Inputs to replicas.
    pub steps: u64,
    /// Crashes of replicas.
    pub crashes: u64,
    /// Partitions, of one direction or both.
    pub partitions: u64,
    /// Views that started after the first.
    pub view_changes: u64,
    /// Snapshots that replicas took of the state machine.
    pub snapshots_taken: u64,
    /// Snapshots that another replica sent, and that were installed.
    pub snapshots_installed: u64,
    /// Requests whose outcome no client ever learned.
    pub unknown: u64,
    /// Hash of all that happened: equal seeds, machines and settings give equal hashes.
    pub trace_hash: u64,
}

impl Report {
    pub(super) fn add(&mut self, run: &simulation::Report) {
        let totals = &run.totals;
        self.seeds += totals.seeds;
        self.operations += totals.requests;
        self.steps += totals.steps;
        self.crashes += totals.crashes;
        self.partitions += totals.partitions;
        self.view_changes += totals.view_changes;
        self.snapshots_taken += totals.coverage.of("SnapshotTaken");
        self.snapshots_installed += totals.coverage.of("SnapshotInstalled");
        self.unknown += totals.unknown;
        self.trace_hash = mix(self.trace_hash.rotate_left(5) ^ run.trace_hash);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} seeds, {} operations; survived {} crashes, {} partitions, {} view changes; \
             {} snapshots taken, {} installed",
            self.seeds,
            self.operations,
            self.crashes,
            self.partitions,
            self.view_changes,
            self.snapshots_taken,
            self.snapshots_installed
        )
    }
}

/// What is wrong. Its text, by `Display` and by `Debug`, is enough to see it again.
///
/// ```
/// use vsr_actor::prelude::*;
/// use vsr_test::{Failure, Simulation};
///
/// #[derive(Default, Serialize, Deserialize)]
/// struct Debts(i64);
///
/// impl StateMachine for Debts {
///     type Operation = i64;
///     type Reply = i64;
///     fn handle_commit(&mut self, _commit: &Commit, add: i64) -> i64 {
///         self.0 += add;
///         self.0
///     }
/// }
///
/// let failure: Failure = Simulation::new(1, Debts::default)
///     .clients(2)
///     .operations(50)
///     .snapshot_interval(10)
///     .workload(|random, _client| random.range(0, 20) as i64 - 10)
///     .invariant(|debts| if debts.0 < 5 { Ok(()) } else { Err(format!("{} is too much", debts.0)) })
///     .seeds(5)
///     .run()
///     .expect_err("somebody will owe so much");
/// assert_eq!(failure.property, "invariant");
/// println!("{failure}"); // with what happened before, and how to see it again
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// The seed that found it.
    pub seed: u64,
    /// What does not hold: `determinism`, `snapshot`, `round trip`, `panic`, `tick`, `invariant`, `model`; or something else: then
    /// it is a property of the protocol or of the simulator, and hardly the state machine's fault.
    pub property: &'static str,
    /// How it is broken: the first operation at which it shows, and what was different.
    pub what: String,
    /// What the same seed came to when it was run again to be told, if that was something else: then chance from outside of the
    /// seed reaches the state machine.
    pub again: Option<String>,
    /// The last lines of what happened.
    pub story: Box<[String]>,
    /// The command that runs this seed again.
    pub replay: Box<str>,
    /// Versions of this library and of the tree that was tested.
    pub setting: Box<str>,
}

impl Failure {
    /// `told` is the run of the same seed for which a story was kept.
    pub(super) fn new(seed: u64, violation: Violation, told: simulation::Report, same_run: bool) -> Self {
        let again = match told.violation {
            Some(again) if same_run && again == violation => None,
            Some(again) => Some(again.to_string()),
            None => Some("nothing wrong".into()),
        };
        let from = told.trace.len().saturating_sub(STORY_LINES);
        Self {
            seed,
            property: violation.property,
            what: violation.what,
            again,
            story: told.trace[from..].into(),
            replay: replay(seed).into(),
            setting: setting().into(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {}: {}", self.seed, self.property, self.what)?;
        if !USERS.contains(&self.property) {
            writeln!(
                f,
                "a property of vsr itself: if equal states have equal digests, this is a bug of vsr; please report it"
            )?;
        }
        if let Some(again) = &self.again {
            writeln!(f, "the same seed again: {again}")?;
            writeln!(
                f,
                "so the seed does not decide everything: look for the order of a HashMap, clocks, statics, addresses"
            )?;
        }
        writeln!(f, "the last of what happened:")?;
        for line in &self.story {
            writeln!(f, "  {line}")?;
        }
        writeln!(f, "setting: {}", self.setting)?;
        write!(f, "again: {}", self.replay)
    }
}

impl fmt::Debug for Failure {
    /// As `Display`: this is what `unwrap` and `main` print.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{self}")
    }
}

impl Error for Failure {}

/// The command for one seed, as far as the running program knows how it was started.
fn replay(seed: u64) -> String {
    let program = env::current_exe().unwrap_or_default();
    let name = program.file_stem().and_then(|name| name.to_str()).unwrap_or("the program").to_owned();
    let directory = program.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    let package = env::var("CARGO_PKG_NAME").map_or(String::new(), |package| format!(" -p {package}"));
    let command = match directory {
        // The harness of tests names its threads after them.
        Some("deps") => {
            let current = thread::current();
            let test = current.name().filter(|name| *name != "main");
            let test = test.map_or(String::new(), |test| format!(" {test} -- --exact"));
            format!("cargo test{package}{test}")
        }
        Some("examples") => format!("cargo run{package} --example {name}"),
        _ => format!("cargo run{package}"),
    };
    format!("{SEED_VARIABLE}={seed} {command}")
}

fn setting() -> String {
    let git = Command::new("git").args(["--no-optional-locks", "describe", "--always", "--dirty"]).output();
    let tree = git.ok().filter(|output| output.status.success());
    let tree =
        tree.map_or("unknown".into(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    format!("vsr-test {}, the tested tree at {tree}", env!("CARGO_PKG_VERSION"))
}
