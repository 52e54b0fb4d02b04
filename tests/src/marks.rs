//! Which marks are hit by seeds and scenarios, and why the others are not.

use crate::{
    checkers::{Coverage, Mark},
    disk::Switches,
    scenario,
};
use std::fs;

/// Marks that neither a seed nor a scenario hits, and why.
pub const EXPLAINED: &[(&str, &str)] = &[
    (
        "ignored OtherMembership",
        "a snapshot comes from a known member in a known life, and those are bound to one membership; the unit test forges one: a_snapshot_of_another_membership_is_not_taken",
    ),
    (
        "stop Divergence",
        "what is committed would have to change: a storage that somebody edited, or a bug; a checker calls it a violation wherever it happens. The tests of vsr-core/src/replica/divergence.rs restart replicas on such storages",
    ),
];

/// A mark, and who hits it.
#[derive(Clone, Debug)]
pub struct Row {
    /// The mark.
    pub mark: Mark,
    /// How often the seeds hit it.
    pub seeds: u64,
    /// How often the scenarios hit it.
    pub scenarios: u64,
    /// Why nobody hits it.
    pub explanation: Option<&'static str>,
}

impl Row {
    /// Whether anybody hits it.
    #[must_use]
    pub fn is_hit(&self) -> bool {
        self.seeds + self.scenarios > 0
    }

    /// What is wrong with it: either it is hit, or somebody knows why not.
    #[must_use]
    pub fn fault(&self) -> Option<&'static str> {
        match (self.is_hit(), self.explanation) {
            (false, None) => Some("never hit, and nobody knows why"),
            (true, Some(_)) => Some("hit, though it is explained why not"),
            _ => None,
        }
    }
}

/// All marks, with what seeds saw and what scenarios saw.
pub fn rows(seeds: &Coverage, scenarios: &Coverage) -> Vec<Row> {
    seeds
        .iter()
        .zip(scenarios.iter())
        .map(|((mark, seeds), (_, scenarios))| {
            let name = mark.to_string();
            let explanation = EXPLAINED.iter().find(|(known, _)| *known == name).map(|(_, why)| *why);
            Row { mark, seeds, scenarios, explanation }
        })
        .collect()
}

/// What all of this project's scenarios see.
///
/// # Errors
/// A scenario that cannot be read, or fails.
pub fn of_scenarios() -> Result<Coverage, String> {
    let directory = scenario::directory();
    let mut coverage = Coverage::default();
    for name in scenario::names(&directory).map_err(|error| error.to_string())? {
        let text = fs::read_to_string(directory.join(&name).with_extension("txt"))
            .map_err(|error| format!("{name}: {error}"))?;
        let seen =
            scenario::coverage(&text, Switches::default()).map_err(|failure| format!("{name}, {failure}"))?;
        coverage.merge(&seen);
    }
    Ok(coverage)
}
