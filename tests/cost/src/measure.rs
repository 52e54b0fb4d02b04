//! Counts what N operations cost: the difference between a run of N and one of 2N.

use crate::{COUNTED, scenarios::Scenario};
use std::process::Command;

/// Enough for all that is done once in so many operations, too few for a snapshot, which other threads write out.
const OPERATIONS: u64 = 8192;

/// What an operation of a scenario costs.
#[derive(Clone, Debug)]
pub(crate) struct Cost {
    pub(crate) scenario: Scenario,
    /// A vector that has to move counts, too.
    pub(crate) allocations: f64,
    /// Nothing where they cannot be counted.
    pub(crate) instructions: Option<f64>,
}

/// All scenarios.
///
/// # Errors
/// One fails, or valgrind does something unexpected.
pub(crate) fn all() -> Result<Vec<Cost>, String> {
    let counts =
        Command::new("valgrind").arg("--version").output().is_ok_and(|output| output.status.success());
    if !counts {
        println!("valgrind is not installed: instructions are not looked at.");
    }
    let one = |scenario| {
        let allocations = each(|operations| allocations(scenario, operations))?;
        let instructions = counts.then(|| each(|operations| instructions(scenario, operations)));
        Ok(Cost { scenario, allocations, instructions: instructions.transpose()? })
    };
    Scenario::ALL.into_iter().map(one).collect()
}

fn each(count: impl Fn(u64) -> Result<u64, String>) -> Result<f64, String> {
    let (once, twice) = (count(OPERATIONS)?, count(2 * OPERATIONS)?);
    Ok((twice as f64 - once as f64) / OPERATIONS as f64)
}

fn allocations(scenario: Scenario, operations: u64) -> Result<u64, String> {
    let count = || COUNTED.stats().allocations + COUNTED.stats().reallocations;
    let before = count();
    scenario.run(operations).map_err(|error| format!("{scenario}: {error}"))?;
    Ok((count() - before) as u64)
}

/// All of a process, under callgrind. It writes its profile nowhere: the sum is enough.
fn instructions(scenario: Scenario, operations: u64) -> Result<u64, String> {
    let program = std::env::current_exe().map_err(|error| format!("where is this program? {error}"))?;
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(program);
    command.args(["--scenario", &scenario.to_string(), "--operations", &operations.to_string()]);
    let output = command.output().map_err(|error| format!("cannot run valgrind: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok());
    match collected {
        Some(count) if output.status.success() => Ok(count),
        _ => Err(format!("{scenario} under valgrind: {}\n{said}", output.status)),
    }
}
