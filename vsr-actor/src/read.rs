//! Reads beside the log: what a caller holds, and what a replica holds of a caller that reads.

use crate::machine::caught;
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, sync::Arc};
use tokio::sync::oneshot;
use vsr_core::{OpNumber, ReadId, ReadKind, Refusal};

/// What a client knows to have happened, to be handed to whoever must not know less: see
/// [`Client::read_after`](crate::Client::read_after). Means something to the group it came from only.
///
/// Of two tokens the greater one stands for both: `a.max(b)`.
///
/// ```
/// # use vsr_actor::{Token, prelude::*};
/// # #[derive(Default, Serialize, Deserialize)]
/// # struct Counter { total: i64 }
/// # impl StateMachine for Counter {
/// #     type Operation = i64;
/// #     type Reply = i64;
/// #     fn handle_commit(&mut self, _commit: &Commit, add: i64) -> i64 { self.total += add; self.total }
/// # }
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let cluster = Cluster::in_process(3, Counter::default).await?;
/// let (mine, yours) = (cluster.client(), cluster.client());
/// mine.request(5).await?;
/// yours.request(7).await?;
/// let both: Token = mine.token().max(yours.token());
/// assert!(both.op() >= mine.token().op());
/// assert_eq!(mine.read_after(both, |counter| counter.total).await?, 12);
/// # Ok(cluster.shutdown().await?)
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(OpNumber);

impl Token {
    pub(crate) fn new(op: OpNumber) -> Self {
        Self(op)
    }

    /// The op that a read with this token reflects at least.
    #[must_use]
    pub fn op(self) -> OpNumber {
        self.0
    }
}

/// What a replica's state was when it was looked at: correct for `op`, and perhaps long outdated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stale<T> {
    /// What was read.
    pub value: T,
    /// The op that the state reflected.
    pub op: OpNumber,
}

impl<T> Stale<T> {
    pub(crate) fn new(value: T, op: OpNumber) -> Self {
        Self { value, op }
    }
}

/// How one attempt at a read ended. No answer at all: the replica is gone.
pub(crate) enum Attempt<T> {
    /// With what was read, and the op that the state reflected.
    Seen(T, OpNumber),
    /// The replica did not run it.
    Refused(Refusal),
    /// The caller's code panicked.
    Panicked(String),
}

/// A read in a replica's mailbox.
pub(crate) struct ReadJob<M> {
    /// What it must reflect; nothing for a stale read.
    pub(crate) kind: Option<ReadKind>,
    work: Box<dyn Work<M>>,
}

/// The caller's code, whatever it returns.
trait Work<M>: Send {
    fn is_wanted(&self) -> bool;
    fn run(self: Box<Self>, machine: &M, at: OpNumber);
    fn refuse(self: Box<Self>, reason: Refusal);
}

struct Typed<T, F> {
    read: Arc<F>,
    to: oneshot::Sender<Attempt<T>>,
}

impl<M, T, F> Work<M> for Typed<T, F>
where
    T: Send + 'static,
    F: Fn(&M) -> T + Send + Sync + 'static,
{
    fn is_wanted(&self) -> bool {
        !self.to.is_closed()
    }

    fn run(self: Box<Self>, machine: &M, at: OpNumber) {
        // The code has a shared reference, so a panic leaves the state as it was. What it changes all the same, through a cell or a
        // lock of the state's own, is the user's business: such a state would differ between replicas anyway.
        let attempt = match caught(|| (self.read)(machine)) {
            Ok(value) => Attempt::Seen(value, at),
            Err(reason) => Attempt::Panicked(reason),
        };
        (*self).answer(attempt);
    }

    fn refuse(self: Box<Self>, reason: Refusal) {
        (*self).answer(Attempt::Refused(reason));
    }
}

impl<T, F> Typed<T, F> {
    /// Nobody may be waiting any more: then what was read, and perhaps the code, is dropped here, and a panic of that is nobody's loss.
    fn answer(self, attempt: Attempt<T>) {
        let Self { read, to } = self;
        let _ = caught(|| drop(to.send(attempt)));
        let _ = caught(|| drop(read));
    }
}

impl<M> ReadJob<M> {
    /// A read, and where its outcome will be.
    pub(crate) fn new<T, F>(kind: Option<ReadKind>, read: Arc<F>) -> (Self, oneshot::Receiver<Attempt<T>>)
    where
        T: Send + 'static,
        F: Fn(&M) -> T + Send + Sync + 'static,
        M: 'static,
    {
        let (to, outcome) = oneshot::channel();
        (Self { kind, work: Box::new(Typed { read, to }) }, outcome)
    }

    /// Reads a state that reflects `at`.
    pub(crate) fn run(self, machine: &M, at: OpNumber) {
        if self.work.is_wanted() {
            self.work.run(machine, at);
        } else {
            self.refuse(Refusal::NoPrimary);
        }
    }

    pub(crate) fn refuse(self, reason: Refusal) {
        self.work.refuse(reason);
    }
}

/// The reads that a replica's protocol has not answered yet: bounded by its `reads_max`.
pub(crate) struct Readers<M> {
    waiting: HashMap<ReadId, ReadJob<M>>,
    last: ReadId,
}

impl<M> Default for Readers<M> {
    fn default() -> Self {
        Self { waiting: HashMap::new(), last: ReadId(0) }
    }
}

impl<M> Readers<M> {
    /// Gives a read a name that was never used.
    pub(crate) fn insert(&mut self, job: ReadJob<M>) -> ReadId {
        self.last.0 += 1;
        self.waiting.insert(self.last, job);
        self.last
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn take(&mut self, id: ReadId) -> Option<ReadJob<M>> {
        self.waiting.remove(&id)
    }
}
