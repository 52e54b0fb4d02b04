//! Everything, one after the other, each in a process of its own: results and pictures as they are committed.

use crate::plot;
use std::{path::PathBuf, process::Command};

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// Where results and pictures go.
    #[arg(long, default_value = "../docs/performance")]
    directory: PathBuf,
    /// Leave out all but these.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// A few seconds each, to see whether everything runs: no figures to be committed.
    #[arg(long)]
    quick: bool,
}

/// A subcommand, and what it is told when there is no time.
const BENCHES: [(&str, &str); 10] = [
    ("memory", "--rounds 1 --seconds 0.2"),
    ("durable", "--rounds 1 --seconds 1"),
    ("resp", "--rounds 1 --requests 5000"),
    ("reads", "--rounds 1 --seconds 1"),
    ("failover", "--times 2"),
    ("growth", "--rounds 1 --seconds 0.1 --workers 2"),
    ("endurance", "--operations 300000"),
    ("idle-groups", "--rounds 3 --seconds 0.3 --groups 100"),
    ("view-change", "--rounds 2 --operations 2000"),
    ("catch-up", "--rounds 1 --mib 64 --behind 300000"),
];

/// Goes on when one fails, and says so at the end.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let Options { directory, only, quick } = options;
    std::fs::create_dir_all(directory).map_err(|error| format!("no {}: {error}", directory.display()))?;
    let program = std::env::current_exe().map_err(|error| format!("where is this program? {error}"))?;
    let mut failed = Vec::new();
    for (name, quickly) in BENCHES {
        if !only.is_empty() && !only.iter().any(|only| only == name) {
            continue;
        }
        println!("\n=== {name}");
        let mut command = Command::new(&program);
        command.arg(name).arg("--json").arg(directory.join(format!("{name}.json")));
        if *quick {
            command.args(quickly.split(' '));
        }
        let status = command.status().map_err(|error| format!("cannot run this program again: {error}"))?;
        if !status.success() {
            failed.push(name);
        }
    }
    plot::draw_all(directory)?;
    if failed.is_empty() { Ok(()) } else { Err(format!("these failed: {}", failed.join(", "))) }
}
