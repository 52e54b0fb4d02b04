//! The user's state machine, and what happens when it fails (decision 15).

use crate::{Commit, Frozen, Payload, ReplicaError, StateMachine, StorageError, state_reader::StateReader};
use std::{
    any::Any,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
};
use vsr_core::{Entry, State};

pub(crate) struct Machine<M: StateMachine> {
    machine: M,
    /// The encoded reply of the last operation.
    reply: Vec<u8>,
    /// What the protocol was told last.
    next_tick: Option<u64>,
}

impl<M: StateMachine> Machine<M> {
    pub(crate) fn new(machine: M) -> Self {
        Self { machine, reply: Vec::new(), next_tick: None }
    }

    /// Applies the operation at `index` of `entry`. A tick has no reply.
    ///
    /// # Errors
    /// [`ReplicaError::Poisoned`]. The state may be half-changed: it must not be used any more.
    pub(crate) fn apply(&mut self, entry: &Entry, index: usize) -> Result<Option<M::Reply>, ReplicaError> {
        let commit = Commit::of(entry, index);
        let Self { machine, reply: bytes, .. } = self;
        bytes.clear();
        let applied = caught(|| match commit.request {
            None => {
                machine.handle_tick(&commit);
                Ok(None)
            }
            Some(_) => {
                let operation =
                    M::Operation::decode(entry.operation(index)).map_err(|error| error.to_string())?;
                let reply = machine.handle_commit(&commit, operation);
                reply.encode(bytes);
                Ok(Some(reply))
            }
        });
        applied.and_then(|applied| applied).map_err(|reason| ReplicaError::Poisoned { op: commit.op, reason })
    }

    /// The state, to be looked at.
    pub(crate) fn state(&self) -> &M {
        &self.machine
    }

    /// The state, for the user's own callbacks.
    pub(crate) fn state_mut(&mut self) -> &mut M {
        &mut self.machine
    }

    /// The encoded reply of what was applied last.
    pub(crate) fn reply(&self) -> &[u8] {
        &self.reply
    }

    /// The time at which the machine wants a tick, if that changed since the last call.
    pub(crate) fn next_tick_changed(&mut self) -> Result<Option<Option<u64>>, ReplicaError> {
        let next = called("next_tick", || self.machine.next_tick())?;
        let changed = next != self.next_tick;
        self.next_tick = next;
        Ok(changed.then_some(next))
    }

    pub(crate) fn freeze(&self) -> Result<Frozen, ReplicaError> {
        called("snapshot", || self.machine.snapshot())
    }

    pub(crate) fn digest(&self) -> Result<Option<u128>, ReplicaError> {
        called("digest", || self.machine.digest())
    }

    pub(crate) fn restore(&mut self, state: &State) -> Result<(), ReplicaError> {
        let mut reader = StateReader::new(state);
        let restored = called("restore", || self.machine.restore(&mut reader))?;
        if let Some(reason) = reader.failed {
            return Err(StorageError::new(format!("cannot read the state of a snapshot: {reason}")).into());
        }
        restored.map_err(|error| ReplicaError::Callback { callback: "restore", reason: error.to_string() })
    }
}

/// Calls user code that must not fail.
pub(crate) fn called<T>(callback: &'static str, code: impl FnOnce() -> T) -> Result<T, ReplicaError> {
    caught(code).map_err(|reason| ReplicaError::Callback { callback, reason })
}

/// Runs code and turns a panic into its message. Whatever the code touched must not be used after that.
pub(crate) fn caught<T>(code: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(code)).map_err(message)
}

/// The same for a future: polled to its end or its panic.
pub(crate) async fn caught_future<F: Future>(future: F) -> Result<F::Output, String> {
    let mut future = pin!(future);
    poll_fn(|context| match caught(|| future.as_mut().poll(context)) {
        Ok(polled) => polled.map(Ok),
        Err(reason) => Poll::Ready(Err(reason)),
    })
    .await
}

/// What a panic said.
pub(crate) fn message(panic: Box<dyn Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => match panic.downcast::<&'static str>() {
            Ok(text) => (*text).to_owned(),
            Err(_) => "a panic without a message".to_owned(),
        },
    }
}
