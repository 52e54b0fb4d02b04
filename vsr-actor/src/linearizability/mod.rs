//! Checks that what clients saw could have been produced by one machine that does one operation at a time.
//!
//! A test records [`Call`]s, with [`Recorder`] or on its own, and hands them to [`check`] or, if operations on different keys do not
//! influence each other, to [`check_by_key`], which is far faster. A call whose outcome is unknown may have taken effect at any time
//! after it was made, or never. A call that is known not to have been executed must not be recorded.
//!
//! ```
//! use vsr_actor::linearizability::{Model, Recorder, check};
//!
//! /// A register: writes return the value that they replace.
//! struct Register;
//! impl Model for Register {
//!     type State = u64;
//!     type Op = u64;
//!     type Reply = u64;
//!     fn initial() -> u64 { 0 }
//!     fn step(state: &u64, op: &u64) -> (u64, u64) { (*op, *state) }
//! }
//!
//! let recorder = Recorder::new();
//! let first = recorder.invoke(1);
//! let second = recorder.invoke(2);
//! recorder.returned(second, 0);
//! recorder.returned(first, 2);
//! check::<Register>(&recorder.into_calls()).expect("2 came before 1, and both were under way at once");
//! ```

mod search;

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The machine, one operation at a time.
pub trait Model {
    /// What it remembers.
    type State: Clone + Eq + Hash;
    /// What it is asked.
    type Op;
    /// What it answers.
    type Reply: PartialEq;

    /// The state before the first operation.
    fn initial() -> Self::State;

    /// The state after an operation, and the reply.
    fn step(state: &Self::State, op: &Self::Op) -> (Self::State, Self::Reply);
}

/// One call of a client, as the client saw it. Times are of one clock, in any unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call<O, R> {
    /// What was asked.
    pub op: O,
    /// When.
    pub invoked: u64,
    /// How it ended.
    pub outcome: CallOutcome<R>,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallOutcome<R> {
    /// With a reply.
    Returned {
        /// When the reply came; not before the call.
        at: u64,
        /// The reply.
        reply: R,
    },
    /// Without one: it may have taken effect at any time after the call, may do so still, or never.
    Unknown,
}

/// Why a history was not accepted. Positions are indices into the checked calls.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// No order of the calls explains all replies.
    #[error("not linearizable: {explained} replies can be explained, but then not that of call {call}")]
    NotLinearizable {
        /// The first reply, in the order of the returns, that no order of the calls explains together with those before it.
        call: usize,
        /// How many replies the best order explains.
        explained: usize,
    },
    /// The search was given up: too many calls at once that do not tell their order.
    #[error("undecided after {configurations} configurations, at call {call}")]
    Undecided {
        /// How many were looked at.
        configurations: usize,
        /// How far the best order came, as above.
        call: usize,
    },
}

/// After how many configurations a search is given up.
const CONFIGURATIONS_MAX: usize = 5_000_000;

/// Checks a history.
///
/// # Errors
/// See [`Violation`].
pub fn check<M: Model>(calls: &[Call<M::Op, M::Reply>]) -> Result<(), Violation> {
    let all: Vec<_> = calls.iter().enumerate().collect();
    search::search::<M>(&all, CONFIGURATIONS_MAX)
}

/// Checks a history of operations that each concern one key, and do not influence other keys: key by key, each from the initial state.
///
/// # Errors
/// The first key found whose history is not accepted, and why.
pub fn check_by_key<M: Model, K: Eq + Hash>(
    calls: &[Call<M::Op, M::Reply>],
    key: impl Fn(&M::Op) -> K,
) -> Result<(), (K, Violation)> {
    let mut keys = HashMap::new();
    let mut histories: Vec<(K, Vec<_>)> = Vec::new();
    for (position, call) in calls.iter().enumerate() {
        let index = *keys.entry(key(&call.op)).or_insert_with(|| {
            histories.push((key(&call.op), Vec::new()));
            histories.len() - 1
        });
        histories[index].1.push((position, call));
    }
    for (key, history) in histories {
        search::search::<M>(&history, CONFIGURATIONS_MAX).map_err(|violation| (key, violation))?;
    }
    Ok(())
}

/// Records calls of many tasks; its clock counts events, so no two happen at once.
///
/// ```
/// use vsr_actor::linearizability::{Call, CallId, CallOutcome, Model, Recorder, Violation, check, check_by_key};
///
/// /// Many registers: writing one returns what was in it.
/// struct Registers;
/// impl Model for Registers {
///     type State = u64;
///     type Op = (&'static str, u64);
///     type Reply = u64;
///     fn initial() -> u64 { 0 }
///     fn step(state: &u64, (_key, new): &Self::Op) -> (u64, u64) { (*new, *state) }
/// }
///
/// let recorder = Recorder::new();
/// let refused: CallId = recorder.invoke(("x", 9)); // known not to have been executed
/// let first = recorder.invoke(("x", 1));
/// recorder.returned(first, 0);
/// recorder.invoke(("x", 2)); // never answered: it may be executed at any time
/// let calls: Vec<Call<_, _>> = recorder.into_calls_without(&[refused]);
/// assert_eq!(calls[1].outcome, CallOutcome::Unknown);
/// check_by_key::<Registers, _>(&calls, |(key, _)| *key).expect("each register by itself");
///
/// let late = Call { op: ("x", 3), invoked: 10, outcome: CallOutcome::Returned { at: 11, reply: 0 } };
/// let wrong = check::<Registers>(&[calls[0].clone(), late]);
/// assert!(matches!(wrong, Err(Violation::NotLinearizable { call: 1, .. })), "1 was in it");
/// ```
pub struct Recorder<O, R> {
    recorded: Mutex<Recorded<O, R>>,
}

struct Recorded<O, R> {
    clock: u64,
    calls: Vec<Call<O, R>>,
}

/// A call that a [`Recorder`] knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallId(usize);

impl<O, R> Recorder<O, R> {
    /// Nothing recorded.
    #[must_use]
    pub fn new() -> Self {
        Self { recorded: Mutex::new(Recorded { clock: 0, calls: Vec::new() }) }
    }

    /// A call is about to be made. Until it is said to have returned, its outcome is unknown.
    pub fn invoke(&self, op: O) -> CallId {
        let mut recorded = self.recorded();
        recorded.clock += 1;
        let invoked = recorded.clock;
        recorded.calls.push(Call { op, invoked, outcome: CallOutcome::Unknown });
        CallId(recorded.calls.len() - 1)
    }

    /// The reply has come.
    pub fn returned(&self, call: CallId, reply: R) {
        let mut recorded = self.recorded();
        recorded.clock += 1;
        let at = recorded.clock;
        recorded.calls[call.0].outcome = CallOutcome::Returned { at, reply };
    }

    /// All calls, in the order in which they were made. Calls that are known not to have been executed must be taken out: see
    /// [`into_calls_without`](Self::into_calls_without).
    #[must_use]
    pub fn into_calls(self) -> Vec<Call<O, R>> {
        self.recorded.into_inner().unwrap_or_else(PoisonError::into_inner).calls
    }

    /// All calls but those that were not executed.
    #[must_use]
    pub fn into_calls_without(self, not_executed: &[CallId]) -> Vec<Call<O, R>> {
        let out: std::collections::HashSet<_> = not_executed.iter().map(|call| call.0).collect();
        let calls = self.into_calls().into_iter().enumerate();
        calls.filter(|(index, _)| !out.contains(index)).map(|(_, call)| call).collect()
    }

    fn recorded(&self) -> MutexGuard<'_, Recorded<O, R>> {
        // Each change is whole before anything of the caller's can panic.
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<O, R> Default for Recorder<O, R> {
    fn default() -> Self {
        Self::new()
    }
}

impl<O, R> fmt::Debug for Recorder<O, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("calls", &self.recorded().calls.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
