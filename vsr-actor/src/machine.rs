//! The user's state machine, and what happens when it fails (decision 15).

use crate::{Commit, Frozen, Payload, ReplicaError, StateMachine, StorageError, state_reader::StateReader};
use std::{
    any::Any,
    future::{Future, poll_fn},
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
};
use vsr_core::{Entry, State};

pub(crate) struct Machine<M: StateMachine> {
    /// Nothing while it is [lent](Self::lend).
    machine: Option<M>,
    applied: Applied<M::Reply>,
    /// What the protocol was told last.
    next_tick: Option<u64>,
}

/// Operations are applied in a row until so many bytes of replies are in memory, and no more: a reply may be much larger than what asks
/// for it.
const REPLY_BYTES_MAX: usize = 64 << 10;

const LENT: &str = "a machine that is lent is not asked";

/// Replies to operations that were applied in a row: as values, and encoded one after the other.
pub(crate) struct Applied<R> {
    /// A tick has none.
    pub(crate) replies: Vec<Option<R>>,
    bytes: Vec<u8>,
    /// Where the bytes of each end.
    ends: Vec<usize>,
}

impl<R> Applied<R> {
    fn clear(&mut self) {
        self.replies.clear();
        self.bytes.clear();
        if self.bytes.capacity() > 2 * REPLY_BYTES_MAX {
            self.bytes = Vec::new();
        }
        self.ends.clear();
    }

    fn push(&mut self, reply: Option<R>) {
        self.replies.push(reply);
        self.ends.push(self.bytes.len());
    }

    /// The bytes of each.
    pub(crate) fn encoded(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |end| &self.bytes[std::mem::replace(&mut start, *end)..*end])
    }
}

impl<M: StateMachine> Machine<M> {
    pub(crate) fn new(machine: M) -> Self {
        let applied = Applied { replies: Vec::new(), bytes: Vec::new(), ends: Vec::new() };
        Self { machine: Some(machine), applied, next_tick: None }
    }

    /// Gives the state machine away, to somebody who gives it back before anything else here is called.
    pub(crate) fn lend(&mut self) -> M {
        self.machine.take().expect(LENT)
    }

    pub(crate) fn give_back(&mut self, machine: M) {
        self.machine = Some(machine);
    }

    /// Applies operations of `entry`: the first ones of `range`, at least one. Their replies are in [`applied`](Self::applied), also those
    /// before one that failed.
    ///
    /// # Errors
    /// [`ReplicaError::Poisoned`]. The state may be half-changed: it must not be used any more.
    pub(crate) fn apply(&mut self, entry: &Entry, range: Range<usize>) -> Result<(), ReplicaError> {
        let Self { machine: Some(machine), applied, .. } = self else { panic!("{LENT}") };
        applied.clear();
        let start = range.start;
        let done = caught(|| {
            for index in range {
                apply_one(machine, entry, index, applied)?;
                if applied.bytes.len() >= REPLY_BYTES_MAX {
                    break;
                }
            }
            Ok(())
        });
        done.and_then(|done| done).map_err(|reason| {
            let op = entry.op(start + self.applied.replies.len());
            ReplicaError::Poisoned { op, reason }
        })
    }

    /// What the operations that were applied last came to.
    pub(crate) fn applied(&mut self) -> &mut Applied<M::Reply> {
        &mut self.applied
    }

    /// The state, to be looked at.
    pub(crate) fn state(&self) -> &M {
        self.machine.as_ref().expect(LENT)
    }

    /// The state, for the user's own callbacks.
    pub(crate) fn state_mut(&mut self) -> &mut M {
        self.machine.as_mut().expect(LENT)
    }

    /// The time at which the machine wants a tick, if that changed since the last call.
    pub(crate) fn next_tick_changed(&mut self) -> Result<Option<Option<u64>>, ReplicaError> {
        let next = called("next_tick", || self.state().next_tick())?;
        let changed = next != self.next_tick;
        self.next_tick = next;
        Ok(changed.then_some(next))
    }

    pub(crate) fn freeze(&self) -> Result<Frozen, ReplicaError> {
        called("snapshot", || self.state().snapshot())
    }

    pub(crate) fn digest(&self) -> Result<Option<u128>, ReplicaError> {
        called("digest", || self.state().digest())
    }
}

/// The state machine takes over a state that was written out.
pub(crate) fn restore(machine: &mut impl StateMachine, state: &State) -> Result<(), ReplicaError> {
    let mut reader = StateReader::new(state);
    let restored = called("restore", || machine.restore(&mut reader))?;
    if let Some(reason) = reader.failed {
        return Err(StorageError::new(format!("cannot read the state of a snapshot: {reason}")).into());
    }
    restored.map_err(|error| ReplicaError::Callback { callback: "restore", reason: error.to_string() })
}

fn apply_one<M: StateMachine>(
    machine: &mut M,
    entry: &Entry,
    index: usize,
    applied: &mut Applied<M::Reply>,
) -> Result<(), String> {
    let commit = Commit::of(entry, index);
    if commit.request.is_none() {
        machine.handle_tick(&commit);
        applied.push(None);
        return Ok(());
    }
    let run = entry.run();
    let operation =
        M::Operation::decode_part(run.body(), run.part(index)).map_err(|error| error.to_string())?;
    let reply = machine.handle_commit(&commit, operation);
    reply.encode(&mut applied.bytes);
    applied.push(Some(reply));
    Ok(())
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
