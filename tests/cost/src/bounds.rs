//! The committed bounds, and whether they hold. A bound far above what is measured guards nothing, so that is a failure as well.

use crate::{measure::Cost, scenarios::Scenario};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    fs,
};

/// Where they are.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/bounds.toml");

/// What is measured is at least so much of its bound, or the bound is to be lowered.
const TIGHT: f64 = 0.85;
/// Of allocations: where there are next to none, a part of one is nothing.
const ALLOCATIONS_SLACK: f64 = 0.05;

/// Room of a new bound above what is measured: seeds of hash functions and of tokio differ from run to run, and the copying of the C
/// library from machine to machine.
const ROOM: f64 = 1.04;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bounds {
    /// What compiled the code that they were measured with: another compiler makes other instructions.
    rustc: String,
    scenario: BTreeMap<String, Bound>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bound {
    /// For each operation.
    allocations: f64,
    /// For each operation.
    instructions: f64,
    /// What the cost consists of.
    reason: String,
}

impl Bounds {
    /// Those of the file.
    ///
    /// # Errors
    /// It is not there, or not what it should be.
    pub(crate) fn committed() -> Result<Self, String> {
        let text = fs::read_to_string(FILE).map_err(|error| format!("cannot read {FILE}: {error}"))?;
        let bounds: Self = toml::from_str(&text).map_err(|error| format!("{FILE}: {error}"))?;
        let known = |name: &str| Scenario::ALL.iter().any(|scenario| scenario.to_string() == name);
        if let Some(name) = bounds.scenario.keys().find(|name| !known(name)) {
            return Err(format!("{FILE}: there is no scenario {name}: take its bound out"));
        }
        for scenario in Scenario::ALL {
            bounds.bound(scenario)?;
        }
        Ok(bounds)
    }

    fn bound(&self, scenario: Scenario) -> Result<&Bound, String> {
        let bound = self.scenario.get(&scenario.to_string());
        bound.ok_or_else(|| {
            format!("{FILE}: no bound for {scenario}: add [scenario.{scenario}] with a reason")
        })
    }

    /// New bounds from what was measured, for the same reasons.
    pub(crate) fn of(&self, measured: &[Cost]) -> Self {
        let mut scenario = self.scenario.clone();
        for cost in measured {
            if let Some(bound) = scenario.get_mut(&cost.scenario.to_string()) {
                bound.allocations = (cost.allocations * ROOM * 100.0).ceil() / 100.0;
                if let Some(instructions) = cost.instructions {
                    bound.instructions = (instructions * ROOM / 10.0).ceil() * 10.0;
                }
            }
        }
        Self { rustc: rustc(), scenario }
    }

    /// A table for people, and whether all bounds hold.
    pub(crate) fn judge(&self, measured: &[Cost]) -> (String, bool) {
        let mut text = format!("{:<10} {:>12} {:>9} {:>9}\n", "scenario", "each op", "measured", "bound");
        let mut advice = String::new();
        for cost in measured {
            let Some(bound) = self.scenario.get(&cost.scenario.to_string()) else { continue };
            let allocations = ("allocations", Some(cost.allocations), bound.allocations, ALLOCATIONS_SLACK);
            let instructions = ("instructions", cost.instructions, bound.instructions, 0.0);
            for (what, is, bound, slack) in [allocations, instructions] {
                let Some(is) = is else { continue };
                let verdict = verdict(is, bound, slack);
                let scenario = cost.scenario;
                let digits = if what == "allocations" { 2 } else { 0 };
                let _ = writeln!(
                    text,
                    "{scenario:<10} {what:>12} {is:>9.digits$} {bound:>9.digits$} {}",
                    verdict.unwrap_or("holds")
                );
                if let Some(verdict) = verdict {
                    let _ =
                        writeln!(advice, "{scenario}: {what} an operation: {is:.2}, {verdict} {bound:.2}.");
                }
            }
            if advice.contains(&format!("{}:", cost.scenario)) {
                let _ = writeln!(advice, "  what it consists of: {}", bound.reason);
            }
        }
        if advice.is_empty() {
            return (text, true);
        }
        let _ = write!(
            text,
            "\n{advice}\nMore than before: find what a change added, with `valgrind --tool=callgrind` on this program and the \
             arguments `--scenario S --operations N`. It is worth it, or less than before: `cargo run --release -p vsr-cost -- --update`\n\
             writes the bounds anew; say why in the commit. They were set with {}; this is {}.\n",
            self.rustc,
            rustc()
        );
        (text, false)
    }
}

/// What is wrong, if something is.
fn verdict(is: f64, bound: f64, slack: f64) -> Option<&'static str> {
    if is > bound {
        Some("ABOVE the bound of")
    } else if is < bound * TIGHT - slack {
        Some("far BELOW the bound of")
    } else {
        None
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "# What an operation may cost: `cargo run --release -p vsr-cost` measures it, with --update it writes this file."
        )?;
        writeln!(f, "# The reasons are written by people.")?;
        writeln!(f, "rustc = {:?}", self.rustc)?;
        for (name, Bound { allocations, instructions, reason }) in &self.scenario {
            write!(
                f,
                "\n[scenario.{name}]\nallocations = {allocations:.2}\ninstructions = {instructions:.1}\n"
            )?;
            writeln!(f, "reason = {reason:?}")?;
        }
        Ok(())
    }
}

/// Replaces the committed bounds.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write(text: &str) -> Result<(), String> {
    fs::write(FILE, text).map_err(|error| format!("cannot write {FILE}: {error}"))
}

fn rustc() -> String {
    let output = std::process::Command::new("rustc").arg("--version").output();
    let said = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    said.unwrap_or_else(|_| "an unknown compiler".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_has_a_bound_and_a_reason() {
        let bounds = Bounds::committed().expect("the committed file is read");
        assert!(bounds.scenario.values().all(|bound| bound.reason.len() > 20));
    }

    #[test]
    fn a_bound_is_neither_passed_nor_loose() {
        assert_eq!(verdict(10.0, 10.0, 0.0), None);
        assert_eq!(verdict(10.1, 10.0, 0.0), Some("ABOVE the bound of"));
        assert_eq!(verdict(8.4, 10.0, 0.0), Some("far BELOW the bound of"));
        assert_eq!(verdict(0.0, 0.05, ALLOCATIONS_SLACK), None);
    }

    #[test]
    fn what_is_written_is_read_as_the_same() {
        let bounds = Bounds::committed().expect("the committed file is read");
        let again: Bounds = toml::from_str(&bounds.to_string()).expect("it is TOML");
        assert_eq!(again.to_string(), bounds.to_string());
    }
}
