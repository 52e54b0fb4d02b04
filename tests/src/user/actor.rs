//! A user's state machine as the simulated hosts drive it: as the runtime does, but what its code does wrong has a name.

use super::parts::Parts;
use crate::{checkers::Violation, subject::Hosted};
use bytes::Bytes;
use std::{
    any::{Any, type_name},
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
};
use vsr_actor::{Commit, Frozen, Payload, StateMachine};
use vsr_core::Entry;

pub(super) struct Actor<M: StateMachine> {
    pub(super) machine: M,
    pub(super) parts: Rc<Parts<M>>,
    /// Its state came out of a snapshot once.
    restored: bool,
}

/// What a machine shows after an operation.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) reply: Bytes,
    pub(super) digest: Option<u128>,
    pub(super) next_tick: Option<u64>,
}

impl<M: StateMachine> Actor<M> {
    pub(super) fn new(parts: &Rc<Parts<M>>) -> Self {
        Self { machine: (parts.factory)(), parts: Rc::clone(parts), restored: false }
    }

    /// Executes an operation and looks at everything that can be seen of the machine.
    pub(super) fn show(&mut self, entry: &Entry, index: usize) -> Result<Shown, Violation> {
        let reply = self.apply(entry, index)?;
        Ok(Shown { reply, digest: self.digest()?, next_tick: self.next_tick()? })
    }

    fn check_invariants(&self, when: impl Fn() -> String) -> Result<(), Violation> {
        for invariant in &self.parts.invariants {
            let held = called(|| invariant(&self.machine), || format!("the invariant, {}", when()))?;
            held.map_err(|what| Violation::new("invariant", format!("{}: {what}", when())))?;
        }
        Ok(())
    }

    /// A view of the state at some moment.
    pub(super) fn freeze(&self, when: &str) -> Result<Frozen, Violation> {
        called(|| self.machine.snapshot(), || format!("snapshot, {when}"))
    }

    /// Takes over the bytes of a snapshot.
    pub(super) fn restore_at(&mut self, mut state: &[u8], when: &str) -> Result<(), Violation> {
        self.restored = true;
        let machine = &mut self.machine;
        let restored = called(|| machine.restore(&mut state), || format!("restore, {when}"))?;
        restored
            .map_err(|error| Violation::new("snapshot", format!("it cannot be restored, {when}: {error}")))?;
        self.check_invariants(|| format!("after restore, {when}"))
    }
}

impl<M: StateMachine> Hosted for Actor<M> {
    fn apply(&mut self, entry: &Entry, index: usize) -> Result<Bytes, Violation> {
        let commit = Commit::of(entry, index);
        let parts = Rc::clone(&self.parts);
        let whose = if self.restored { " on a machine restored from a snapshot" } else { "" };
        let what = || format!("{} {}{whose}", commit.op, parts.describe(entry, index));
        let machine = &mut self.machine;
        let mut reply = Vec::new();
        if commit.request.is_some() {
            let operation = decode::<M::Operation>(entry.operation(index), "operation", &what)?;
            let replied = called(
                || machine.handle_commit(&commit, operation),
                || format!("handle_commit, {}", what()),
            )?;
            called(|| replied.encode(&mut reply), || format!("Payload::encode of the reply, {}", what()))?;
        } else {
            called(|| machine.handle_tick(&commit), || format!("handle_tick, {}", commit.op))?;
        }
        self.check_invariants(|| format!("after {}", what()))?;
        Ok(reply.into())
    }

    fn next_tick(&self) -> Result<Option<u64>, Violation> {
        called(|| self.machine.next_tick(), || "next_tick".into())
    }

    fn snapshot(&self) -> Result<Bytes, Violation> {
        write(self.freeze("for a replica")?, "for a replica")
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), Violation> {
        self.restore_at(state, "by a replica")
    }

    fn digest(&self) -> Result<Option<u128>, Violation> {
        called(|| self.machine.digest(), || "digest".into())
    }

    fn is_restored(&self) -> bool {
        self.restored
    }

    fn describe_operation(&self, operation: &Bytes) -> String {
        self.parts.describe_operation(operation)
    }

    fn describe_reply(&self, reply: &Bytes) -> String {
        self.parts.describe_reply(reply)
    }
}

impl<M: StateMachine> fmt::Debug for Actor<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(type_name::<M>())
    }
}

/// Writes a view of a state out.
pub(super) fn write(frozen: Frozen, when: &str) -> Result<Bytes, Violation> {
    let mut bytes = Vec::new();
    let written = called(|| frozen.write(&mut bytes), || format!("Frozen::write, {when}"))?;
    written.map_err(|error| Violation::new("snapshot", format!("it cannot be written, {when}: {error}")))?;
    Ok(bytes.into())
}

/// Reads a payload as clients and replicas do.
pub(super) fn decode<P: Payload>(
    bytes: Bytes,
    which: &str,
    what: &impl Fn() -> String,
) -> Result<P, Violation> {
    let decoded = called(|| P::decode(bytes), || format!("Payload::decode of the {which}, {}", what()))?;
    decoded.map_err(|error| Violation::new("round trip", format!("{}, its {which}: {error}", what())))
}

/// Calls code of the user. A panic is a violation that says where it was.
pub(super) fn called<T>(code: impl FnOnce() -> T, place: impl FnOnce() -> String) -> Result<T, Violation> {
    catch_unwind(AssertUnwindSafe(code))
        .map_err(|panic| Violation::new("panic", format!("in {}: {}", place(), message(&*panic))))
}

/// What a panic says.
pub(crate) fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without a message").into()
}
