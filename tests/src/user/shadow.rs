//! The machine with which all replicas are compared. Beside it a second one lives from snapshot to snapshot: it is restored
//! again and again, each time from its own snapshot, which is written out when the state has moved on, and must never be told from
//! the first.

use super::{
    actor::{Actor, Shown, decode, write},
    parts::{Parts, Specification},
};
use crate::{checkers::Violation, subject::Hosted};
use bytes::Bytes;
use std::{any::type_name, fmt, rc::Rc};
use vsr_actor::{Commit, Frozen, Payload, StateMachine};
use vsr_core::{Entry, OpNumber};

/// A snapshot is taken after so many operations, and written out when the next is taken.
const SNAPSHOT_EVERY: u64 = 5;
/// How many machines are asked for their opinion when two differ: the order of a small map may be the same by chance.
const OPINIONS: usize = 8;

pub(super) struct Shadow<M: StateMachine> {
    parts: Rc<Parts<M>>,
    /// Never restored.
    first: Actor<M>,
    /// Absent until the first snapshot.
    second: Option<Actor<M>>,
    /// Has the state of the last snapshot but one.
    used: Option<Actor<M>>,
    restored_at: OpNumber,
    /// The latest snapshot, not written out yet.
    frozen: Option<Frozen>,
    frozen_at: OpNumber,
    specification: Option<Box<Specification<M>>>,
    /// All that was executed, and what came of it.
    history: Vec<(Entry, usize, Shown)>,
}

impl<M: StateMachine> Shadow<M> {
    pub(super) fn new(parts: &Rc<Parts<M>>) -> Self {
        Self {
            first: Actor::new(parts),
            second: None,
            used: None,
            restored_at: OpNumber(0),
            frozen: None,
            frozen_at: OpNumber(0),
            specification: parts.specification.as_ref().map(|begin| begin()),
            history: Vec::new(),
            parts: Rc::clone(parts),
        }
    }

    fn what(&self, entry: &Entry, index: usize) -> String {
        format!("{} {}", Commit::of(entry, index).op, self.parts.describe(entry, index))
    }

    /// Operation and reply must survive the way between client and replicas.
    fn check_payloads(&mut self, entry: &Entry, index: usize, reply: &Bytes) -> Result<(), Violation> {
        let parts = Rc::clone(&self.parts);
        let what = || format!("{} {}", Commit::of(entry, index).op, parts.describe(entry, index));
        let bytes = entry.operation(index);
        let operation = decode::<M::Operation>(bytes.clone(), "operation", &what)?;
        let mut again = Vec::new();
        operation.encode(&mut again);
        // A map among the arguments may come out in another order, but never longer or shorter.
        if again.len() != bytes.len() {
            let change = format!("{bytes:?} is read, and written again as {:?}", Bytes::from(again));
            return Err(Violation::new("round trip", format!("{}, its operation: {change}", what())));
        }
        let value = decode::<M::Reply>(reply.clone(), "reply", &what)?;
        let mut again = Vec::new();
        value.encode(&mut again);
        if again != *reply {
            let change = format!("{reply:?} is read, and written again as {:?}", Bytes::from(again));
            return Err(Violation::new("round trip", format!("{}, its reply: {change}", what())));
        }
        let Some(specification) = &mut self.specification else { return Ok(()) };
        specification(&operation, &value).map_err(|wanted| {
            let (wanted, reply) = (self.parts.describe_reply(&wanted), self.parts.describe_reply(reply));
            Violation::new("model", format!("{}: the reply is {reply}, that of the model {wanted}", what()))
        })
    }

    /// The restored machine must do what the other did.
    fn check_restored(&mut self, position: usize) -> Result<(), Violation> {
        let Some(second) = &mut self.second else { return Ok(()) };
        let (entry, index, shown) = self.history[position].clone();
        let other = second.show(&entry, index);
        if other.as_ref().is_ok_and(|other| *other == shown) {
            return Ok(());
        }
        let what = self.what(&entry, index);
        if let Some(other) = self.dissent(position)? {
            let difference = self.difference(&shown, &other);
            let what = format!("{what}, on two machines that executed the same operations: {difference}");
            return Err(Violation::new("determinism", what));
        }
        let difference = match other {
            Ok(other) => self.difference(&shown, &other),
            Err(violation) => violation.to_string(),
        };
        let text = format!(
            "the state restored from the snapshot of {} is not the one it was taken of; first difference at {what}, \
             without and with the snapshot: {difference}",
            self.restored_at
        );
        Err(Violation::new("snapshot", text))
    }

    /// What another machine shows that executed the same operations and was never restored, if that is something else.
    fn dissent(&self, position: usize) -> Result<Option<Shown>, Violation> {
        let (_, _, shown) = &self.history[position];
        for _ in 0..OPINIONS {
            let mut other = Actor::new(&self.parts);
            let mut last = None;
            for (entry, index, _) in &self.history[..=position] {
                last = Some(other.show(entry, *index)?);
            }
            if last.as_ref() != Some(shown) {
                return Ok(last);
            }
        }
        Ok(None)
    }

    fn difference(&self, one: &Shown, other: &Shown) -> String {
        if one.reply != other.reply {
            let reply = |shown: &Shown| self.parts.describe_reply(&shown.reply);
            format!("the reply is {} and {}", reply(one), reply(other))
        } else if one.next_tick != other.next_tick {
            format!("next_tick is {:?} and {:?}", one.next_tick, other.next_tick)
        } else {
            format!("the digest is {:x?} and {:x?}", one.digest, other.digest)
        }
    }

    /// Restores the second machine from the latest snapshot, and lets it execute what was executed since.
    fn restore_second(&mut self) -> Result<(), Violation> {
        let Some(frozen) = self.frozen.take() else { return Ok(()) };
        let when = format!("of {}", self.frozen_at);
        let state = write(frozen, &when)?;
        let restored = |mut machine: Actor<M>| {
            machine.restore_at(&state, &when)?;
            Ok(machine)
        };
        // Into a fresh machine, and the next time into one that still has an older state: a replica does both.
        let second = if let Some(used) = self.used.take() {
            restored(used)?
        } else {
            self.used = Some(restored(Actor::new(&self.parts))?);
            restored(Actor::new(&self.parts))?
        };
        self.second = Some(second);
        self.restored_at = self.frozen_at;
        let before =
            |(entry, index, _): &(Entry, usize, Shown)| Commit::of(entry, *index).op <= self.restored_at;
        let since = self.history.partition_point(before);
        (since..self.history.len()).try_for_each(|position| self.check_restored(position))
    }
}

impl<M: StateMachine> Hosted for Shadow<M> {
    fn apply(&mut self, entry: &Entry, index: usize) -> Result<Bytes, Violation> {
        let wanted = self.first.next_tick()?;
        let shown = self.first.show(entry, index)?;
        let commit = Commit::of(entry, index);
        if commit.request.is_some() {
            self.check_payloads(entry, index, &shown.reply)?;
        } else if wanted == shown.next_tick && wanted.is_some_and(|at| at <= commit.timestamp) {
            // The replica was told so already, and the protocol forgets a time that a tick has reached.
            let text =
                format!("{}: handle_tick leaves next_tick at {wanted:?}: no other tick will come", commit.op);
            return Err(Violation::new("tick", text));
        }
        let reply = shown.reply.clone();
        self.history.push((entry.clone(), index, shown));
        self.check_restored(self.history.len() - 1)?;
        if commit.op.0 >= self.frozen_at.0 + SNAPSHOT_EVERY {
            self.restore_second()?;
            let when = format!("after {}", commit.op);
            self.frozen = Some(self.second.as_ref().unwrap_or(&self.first).freeze(&when)?);
            self.frozen_at = commit.op;
        }
        Ok(reply)
    }

    fn next_tick(&self) -> Result<Option<u64>, Violation> {
        self.first.next_tick()
    }

    fn snapshot(&self) -> Result<Bytes, Violation> {
        self.first.snapshot()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), Violation> {
        self.first.restore(state)
    }

    fn digest(&self) -> Result<Option<u128>, Violation> {
        self.first.digest()
    }

    fn describe_operation(&self, operation: &Bytes) -> String {
        self.parts.describe_operation(operation)
    }

    fn describe_reply(&self, reply: &Bytes) -> String {
        self.parts.describe_reply(reply)
    }
}

impl<M: StateMachine> fmt::Debug for Shadow<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "model of {}", type_name::<M>())
    }
}
