//! Every rule that can be switched off, who must notice, and how.

mod hunt;
mod search;
mod table;

pub use hunt::{HEAD, HEAD_WITH_SEEDS, Outcome, hunt, row};
pub use search::search;
pub use table::MUTANTS;

use crate::disk::{StorageMutation as Careless, StorageMutations, Switches};
use vsr_core::{Mutation, Mutations};

/// A rule, what is done without it, and who notices.
#[derive(Clone, Copy, Debug)]
pub struct Mutant {
    /// The rule or decision.
    pub rule: &'static str,
    /// What is switched off.
    pub switch: Switch,
    /// Who notices.
    pub killer: Killer,
    /// What exactly must go wrong: a mutant that dies of something else proves nothing about its rule.
    pub kill: Kill,
}

/// What is switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// A rule of the core.
    Core(Mutation),
    /// A rule of the storage.
    Storage(Careless),
}

/// The test that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Killer {
    /// A file in `tests/scenarios`, without its ending.
    Scenario(&'static str),
}

/// How a mutant must die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kill {
    /// A checker finds its property broken: its name as in `Violation::property`.
    Property(&'static str),
    /// A claim of the scenario is untrue: the text behind `expect`.
    Claim(&'static str),
    /// An invariant of the core does not hold: what its assertion says.
    Invariant(&'static str),
}

impl Switch {
    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Core(mutation) => mutation.name(),
            Self::Storage(mutation) => mutation.name(),
        }
    }

    /// Everything else left as it should be.
    #[must_use]
    pub fn off(self) -> Switches {
        match self {
            Self::Core(mutation) => Mutations::default().with(mutation).into(),
            Self::Storage(mutation) => StorageMutations::default().with(mutation).into(),
        }
    }
}

impl Killer {
    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Scenario(name) => name,
        }
    }
}
