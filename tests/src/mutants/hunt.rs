//! Switches a rule off and looks at what becomes of its test.

use super::{Kill, Killer, Mutant};
use crate::scenario::{self, Failure};
use std::{fs, io};

/// What became of a mutant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its test failed, and for the reason it should.
    Killed {
        /// How many commands of the scenario that took.
        steps: usize,
    },
    /// Its test failed for another reason.
    KilledWrongly(Failure),
    /// Its test passed.
    Survived,
}

impl Outcome {
    /// Whether the mutant is dead, and died of what it should.
    #[must_use]
    pub fn is_killed(&self) -> bool {
        matches!(self, Self::Killed { .. })
    }
}

/// Runs the test of a mutant without its rule.
///
/// # Errors
/// When the scenario cannot be read.
pub fn hunt(mutant: &Mutant) -> io::Result<Outcome> {
    let Killer::Scenario(name) = mutant.killer;
    let text = fs::read_to_string(scenario::directory().join(name).with_extension("txt"))?;
    Ok(match scenario::run(&text, mutant.switch.off()) {
        Ok(_) => Outcome::Survived,
        Err(failure) if mutant.kill.is(&failure) => Outcome::Killed { steps: failure.steps },
        Err(failure) => Outcome::KilledWrongly(failure),
    })
}

impl Kill {
    /// Whether this is what happened.
    fn is(self, failure: &Failure) -> bool {
        match self {
            Self::Property(name) => failure.what.starts_with(&format!("{name}: ")),
            Self::Claim(text) => failure.command.strip_prefix("expect ") == Some(text),
            Self::Invariant(text) => {
                failure.what.strip_prefix("panic: ").is_some_and(|what| what.contains(text))
            }
        }
    }

    fn describe(self) -> String {
        match self {
            Self::Property(name) => name.into(),
            Self::Claim(text) => format!("`expect {text}`"),
            Self::Invariant(text) => format!("invariant: {text}"),
        }
    }
}

/// The head of the table.
pub const HEAD: &str = "| rule | switch | killed by | how | steps | outcome |\n|---|---|---|---|---|---|";

/// The head of the table with a column for what chance finds.
pub const HEAD_WITH_SEEDS: &str =
    "| rule | switch | killed by | how | steps | outcome | seeds |\n|---|---|---|---|---|---|---|";

/// The row of a mutant in the table, and whether it is dead and died of what it should.
///
/// # Errors
/// When a scenario cannot be read.
pub fn row(mutant: &Mutant) -> io::Result<(String, bool)> {
    let outcome = hunt(mutant)?;
    let (steps, text) = match &outcome {
        Outcome::Killed { steps } => (steps.to_string(), "killed".into()),
        Outcome::KilledWrongly(failure) => (failure.steps.to_string(), format!("KILLED WRONGLY: {failure}")),
        Outcome::Survived => (String::new(), "SURVIVED".into()),
    };
    let (rule, switch, killer) = (mutant.rule, mutant.switch.name(), mutant.killer.name());
    let how = mutant.kill.describe();
    Ok((format!("| {rule} | `{switch}` | {killer} | {how} | {steps} | {text} |"), outcome.is_killed()))
}
