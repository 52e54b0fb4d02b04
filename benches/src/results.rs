//! Results of all benches in one form: what was measured, under which parameters, on which machine.

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fs, path::Path, process::Command};

/// A run of one bench: everything that a plot, or a reader, needs to know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Results {
    pub machine: Machine,
    pub measured: Vec<Measured>,
}

/// One system, once, under one set of parameters.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measured {
    /// The subcommand.
    pub bench: String,
    pub system: String,
    /// What was varied, and what has to be known to repeat it: "clients" → "64".
    pub parameters: BTreeMap<String, String>,
    /// What came out, its unit in the name: "p50_us" → 12.5.
    pub figures: BTreeMap<String, f64>,
    /// From 1.
    pub round: usize,
}

impl Measured {
    /// A figure, or NaN where this system was not asked for it.
    #[must_use]
    pub fn figure(&self, name: &str) -> f64 {
        self.figures.get(name).copied().unwrap_or(f64::NAN)
    }

    /// Whether a parameter has this value.
    #[must_use]
    pub fn with(&self, parameter: &str, value: impl ToString) -> bool {
        self.parameters.get(parameter).is_some_and(|it| *it == value.to_string())
    }
}

/// Where it was measured, and what.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Machine {
    pub processor: String,
    pub cores: usize,
    pub kernel: String,
    pub rustc: String,
    /// Of this repository; "+" follows where the tree differs from the commit.
    pub revision: String,
}

impl Machine {
    /// What this machine tells about itself; "unknown" where it does not.
    #[must_use]
    pub fn this() -> Self {
        let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").ok();
        let dirty =
            said("git", &["status", "--porcelain", "--untracked-files=no"]).is_some_and(|it| !it.is_empty());
        let revision =
            said("git", &["rev-parse", "--short", "HEAD"]).map(|it| if dirty { it + "+" } else { it });
        let unknown = || "unknown".to_owned();
        Self {
            processor: model.map_or_else(unknown, |(_, it)| it.trim().to_owned()),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: kernel.map_or_else(unknown, |it| it.trim().to_owned()),
            rustc: said("rustc", &["--version"]).unwrap_or_else(unknown),
            revision: revision.unwrap_or_else(unknown),
        }
    }
}

impl std::fmt::Display for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { processor, cores, kernel, rustc, revision } = self;
        write!(f, "{cores} cores of {processor}, Linux {kernel}, {rustc}, revision {revision}")
    }
}

impl Results {
    /// Writes them as JSON.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), String> {
        let text = serde_json::to_string_pretty(self).map_err(|error| error.to_string())?;
        fs::write(path, text + "\n").map_err(|error| format!("cannot write {}: {error}", path.display()))
    }
}

/// The middle one; NaN of nothing.
#[must_use]
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count => (values[(count - 1) / 2] + values[count / 2]) / 2.0,
    }
}

/// The lowest and the highest.
#[must_use]
pub fn spread(values: &[f64]) -> (f64, f64) {
    values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), it| (low.min(*it), high.max(*it)))
}

fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
