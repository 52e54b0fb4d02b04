//! Everything that can happen to a small group, one thing after the other: breadth first, so that the first counterexample is a
//! shortest one.
//!
//! A state is three replicas, the real ones, each with its storage, and the messages under way to each. A step is one message
//! delivered, one write done, one time-out, one repetition, one request at a primary, or one crash and restart. The network forgets
//! nothing that may still matter: whatever was sent may arrive at any time, twice, or never. So of two states that differ in nothing
//! but what is under way, the one with more can do all that the other can: what is covered in this way is not taken up again.
//!
//! Replicas come into the same state over and over, whatever the others do. So each of their states is kept once, and what a step
//! makes of it is found out once, by the core itself; from then on the search only looks it up.

#[cfg(feature = "program")]
mod command;
mod group;
mod local;
mod pool;
mod report;
mod states;
mod store;
#[cfg(test)]
mod tests;

use crate::{checkers::Violation, process::resident_kib};
use group::{Group, Step};
use states::{Added, State, States};
use std::{fmt, time::Instant};
use vsr_core::{Mutations, ViewNumber};

#[cfg(feature = "program")]
pub use command::Arguments;
pub use report::{Counterexample, Report};

/// The size of the group.
const REPLICAS: usize = 3;

/// How far a search goes.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Operations that clients ask for, at any primary, any number of times.
    pub operations: u32,
    /// Views, with the first.
    pub views: u64,
    /// Crashes, each with a restart.
    pub crashes: u32,
    /// Writes are done when they are asked for; else each is a step, and a crash takes away what is not done.
    pub writes_at_once: bool,
    /// Backups repeat what got no answer, and ask others what the first they asked did not tell; else only primaries do, by their
    /// heartbeats. Nothing is ever lost, so most of it would say nothing new.
    pub repeats: bool,
    /// Steps from the first state; no bound if absent.
    pub depth: Option<usize>,
    /// States that are kept.
    pub states: usize,
    /// Memory of the process.
    pub memory_mib: u64,
    /// Rules that are switched off.
    pub mutations: Mutations,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            operations: 2,
            views: 3,
            crashes: 1,
            writes_at_once: false,
            repeats: false,
            depth: None,
            states: 100_000_000,
            memory_mib: 4096,
            mutations: Mutations::default(),
        }
    }
}

impl Bounds {
    fn last_view(&self) -> ViewNumber {
        ViewNumber(self.views - 1)
    }
}

/// Why a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Every state within the bounds was visited.
    Exhausted,
    /// The states beyond are too many steps away.
    Depth,
    /// As many states as there may be.
    States,
    /// As much memory as there may be.
    Memory,
    /// A property does not hold.
    Violation,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exhausted => "every state was visited",
            Self::Depth => "the depth asked for",
            Self::States => "the number of states asked for",
            Self::Memory => "the memory asked for",
            Self::Violation => "a violation",
        })
    }
}

/// Searches, breadth first.
#[must_use]
pub fn explore(bounds: Bounds) -> Report {
    let started = Instant::now();
    let mut search =
        Search { bounds, group: Group::new(bounds), states: States::new(), transitions: 0, depth: 0 };
    let found = search.run();
    let (end, counterexample) = match found {
        Ok(end) => (end, None),
        Err(found) => (End::Violation, Some(report::Counterexample::of(&mut search, *found))),
    };
    Report {
        states: search.states.len(),
        transitions: search.transitions,
        depth: search.depth,
        end,
        counterexample,
        beyond: search.group.beyond,
        core_steps: search.group.core_steps,
        replica_states: search.group.replica_states(),
        messages: search.group.messages(),
        seconds: started.elapsed().as_secs_f64(),
        memory_mib: resident_kib().unwrap_or(0) / 1024,
    }
}

/// A property that does not hold during, or after, a step from the state of this number.
#[derive(Debug)]
struct Found {
    state: usize,
    step: Step,
    violation: Violation,
}

#[derive(Debug)]
struct Search {
    bounds: Bounds,
    group: Group,
    states: States,
    transitions: u64,
    /// Steps to the states that were reached last.
    depth: usize,
}

impl Search {
    fn run(&mut self) -> Result<End, Box<Found>> {
        let first = self.group.first();
        self.states.add(&first, 0, |_, _, _| false);
        let mut level = vec![0];
        let mut next = Vec::new();
        while !level.is_empty() {
            if self.bounds.depth.is_some_and(|depth| self.depth >= depth) {
                return Ok(End::Depth);
            }
            let reached = self.states.len();
            for index in level {
                if let Some(end) = self.limit(index) {
                    return Ok(end);
                }
                self.expand(index, &mut next)?;
            }
            level = (reached..self.states.len()).filter(|index| !self.states.is_covered(*index)).collect();
            self.depth += usize::from(!level.is_empty());
        }
        Ok(End::Exhausted)
    }

    /// Takes every step from a state.
    fn expand(&mut self, index: usize, next: &mut Vec<(Step, State)>) -> Result<(), Box<Found>> {
        let found = |step, violation| Box::new(Found { state: index, step, violation });
        next.clear();
        let from = self.states.get(index);
        self.group.steps(&from, next).map_err(|(step, violation)| found(step, violation))?;
        self.transitions += next.len() as u64;
        for (step, state) in next.drain(..) {
            match self
                .states
                .add(&state, index, |replica, large, small| self.group.includes(replica, large, small))
            {
                Added::Yes => self.group.check(&state).map_err(|violation| found(step, violation))?,
                Added::Covered => {}
                Added::TooLarge => unreachable!("memory is used up before numbers are"),
            }
        }
        Ok(())
    }

    fn limit(&self, index: usize) -> Option<End> {
        const EVERY: usize = 1 << 14;
        if self.states.len() >= self.bounds.states {
            return Some(End::States);
        }
        let memory = || resident_kib().is_some_and(|kib| kib / 1024 >= self.bounds.memory_mib);
        (index.is_multiple_of(EVERY) && memory()).then_some(End::Memory)
    }
}
