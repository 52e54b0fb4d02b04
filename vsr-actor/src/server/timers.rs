//! Timers of an actor: they live in it, so they end with it.

use super::Turn;
use crate::StateMachine;
use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};
use vsr_core::Time;

/// A timer that was started by [`Context::send_after`](super::Context::send_after) or
/// [`send_interval`](super::Context::send_interval); [`Context::cancel`](super::Context::cancel) stops it. Dropping it changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timer(u64);

pub(super) enum Tick<M: StateMachine> {
    Once(Turn<M>),
    Every(Duration, Box<dyn FnMut() -> Turn<M> + Send>),
}

pub(super) struct Timers<M: StateMachine> {
    due: BTreeMap<(Time, u64), Tick<M>>,
    at: HashMap<u64, Time>,
    last: u64,
}

impl<M: StateMachine> Default for Timers<M> {
    fn default() -> Self {
        Self { due: BTreeMap::new(), at: HashMap::new(), last: 0 }
    }
}

impl<M: StateMachine> Timers<M> {
    pub(super) fn start(&mut self, at: Time, tick: Tick<M>) -> Timer {
        self.last += 1;
        self.arm(self.last, at, tick);
        Timer(self.last)
    }

    fn arm(&mut self, id: u64, at: Time, tick: Tick<M>) {
        self.due.insert((at, id), tick);
        self.at.insert(id, at);
    }

    /// Whether there was something to stop.
    pub(super) fn cancel(&mut self, Timer(id): Timer) -> bool {
        let at = self.at.remove(&id);
        at.is_some_and(|at| self.due.remove(&(at, id)).is_some())
    }

    pub(super) fn next(&self) -> Option<Time> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    pub(super) fn len(&self) -> usize {
        self.due.len()
    }

    /// The next timer that is due. One that repeats is armed again: from when it was due, or from now if a whole period was missed, so
    /// that an actor that was late gets no burst of ticks.
    pub(super) fn take_due(&mut self, now: Time) -> Option<Turn<M>> {
        let entry = self.due.first_entry().filter(|entry| entry.key().0 <= now)?;
        let ((at, id), tick) = entry.remove_entry();
        self.at.remove(&id);
        match tick {
            Tick::Once(turn) => Some(turn),
            Tick::Every(period, mut make) => {
                let turn = make();
                let next = at.after(period);
                let next = if next > now { next } else { now.after(period) };
                self.arm(id, next, Tick::Every(period, make));
                Some(turn)
            }
        }
    }
}
