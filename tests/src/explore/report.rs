//! What a search found, for people.

use super::{
    End, Found, Search,
    group::{Action, Group, Step},
    states::State,
};
use crate::{checkers::Violation, trace::describe};
use std::fmt;
use vsr_core::{StatusName, Timer};

/// How a search ended.
#[derive(Debug)]
pub struct Report {
    /// Different states of the group.
    pub states: usize,
    /// Steps between them, those that lead to a known state included.
    pub transitions: u64,
    /// Steps to the states that are furthest away.
    pub depth: usize,
    /// Why it ended.
    pub end: End,
    /// The way to a violation.
    pub counterexample: Option<Counterexample>,
    /// Steps that would have led to a view beyond the bound.
    pub beyond: u64,
    /// Steps the core took; all others were looked up.
    pub core_steps: u64,
    /// Different states of single replicas.
    pub replica_states: usize,
    /// Different messages.
    pub messages: usize,
    /// How long it took.
    pub seconds: f64,
    /// Memory of the process at the end.
    pub memory_mib: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { states, transitions, depth, end, seconds, .. } = self;
        writeln!(f, "{states} states, {transitions} transitions, depth {depth}; ended by: {end}")?;
        writeln!(
            f,
            "{} states of replicas, {} messages, {} steps of the core; {} steps led beyond the last view",
            self.replica_states, self.messages, self.core_steps, self.beyond
        )?;
        let speed = *states as f64 / seconds;
        write!(f, "{seconds:.1} s, {speed:.0} states/s, {} MiB", self.memory_mib)?;
        match &self.counterexample {
            Some(counterexample) => write!(f, "\n\n{counterexample}"),
            None => Ok(()),
        }
    }
}

/// The shortest way to a violation.
#[derive(Debug)]
pub struct Counterexample {
    /// What happens, in order.
    pub steps: Vec<String>,
    /// And then.
    pub violation: Violation,
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.steps.iter().enumerate() {
            writeln!(f, "{:3}. {step}", number + 1)?;
        }
        write!(f, "{} steps, and then {}", self.steps.len(), self.violation)
    }
}

impl Counterexample {
    pub(super) fn of(search: &mut Search, found: Found) -> Self {
        let path = search.states.path(found.state);
        let group = &mut search.group;
        let mut steps = Vec::new();
        for pair in path.windows(2) {
            let mut next = Vec::new();
            // Every step from here was taken before, and nothing was wrong.
            let _ = group.steps(&pair[0], &mut next);
            let step = next.iter().find(|(_, state)| *state == pair[1]).map(|(step, _)| *step);
            let step = step.expect("the state was reached from its parent");
            steps.push(tell(group, step, &pair[0], Some(&pair[1])));
        }
        steps.push(tell(group, found.step, &path[path.len() - 1], None));
        Self { steps, violation: found.violation }
    }
}

/// A step, and where it leaves the replica.
fn tell(group: &Group, step: Step, from: &State, to: Option<&State>) -> String {
    let replica = step.replica;
    let what = match step.action {
        Action::Deliver(message) => {
            let message = group.message(message);
            format!("R{replica} hears of {}: {}", message.from, describe(message))
        }
        Action::Request(request) => format!("R{replica} is asked for operation {}", request + 1),
        Action::Persist => format!("R{replica}'s oldest write is done"),
        Action::Timer(Timer::Repeat) => format!("R{replica} repeats what got no answer"),
        Action::Timer(Timer::Failure) => format!("R{replica} has waited long enough"),
        Action::Crash { done } => {
            let pending = group.local(replica, from.locals[replica]).store.pending();
            format!("R{replica} crashes with {done} of {pending} writes done, and starts again")
        }
    };
    let Some(to) = to else { return what };
    let local = group.local(replica, to.locals[replica]);
    let status = local.status();
    let role = match (status.status, status.is_primary) {
        (StatusName::Normal, true) => "primary".into(),
        (StatusName::Normal, false) => "normal".into(),
        (other, _) => format!("{other:?}"),
    };
    let pending = local.store.pending();
    format!(
        "{what}\n     -> {role} in {}, log of {} to {}, committed to {}, {pending} writes under way",
        status.view, status.log_view, status.op, status.commit
    )
}
