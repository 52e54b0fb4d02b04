//! Reads: run at one replica after the other until one has served them. They change nothing, so they are simply run again.

use super::{Client, driver::next_open, queue::after};
use crate::{
    ClientConfig, Outcome, RequestError, Stale, StateMachine, Token,
    door::{Door, DoorsView},
    read::{Attempt, ReadJob},
};
use std::{future::Future, sync::Arc};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};
use vsr_core::{OpNumber, ReadKind, Refusal};

/// How reads get to replicas.
pub(super) struct Way<M: StateMachine> {
    pub(super) doors: DoorsView<M>,
    /// The only replica that may be asked.
    pub(super) only: Option<usize>,
    pub(super) config: ClientConfig,
}

type Lane<M> = mpsc::Sender<ReadJob<M>>;

impl<M: StateMachine> Client<M> {
    /// Reads the state as of now: the read reflects every operation and every read, of whatever client, that was answered before
    /// this was called. It has no entry in the log; a quorum of replicas confirms it instead, one round for all reads of a turn.
    /// It works at any replica, primary or backup.
    ///
    /// `read` runs on a replica's task, between two operations: it must not block, and what it returns should be small. It may be
    /// run more than once, at several replicas, if one of them dies or is cut off meanwhile.
    ///
    /// Cancel-safe: a read changes nothing.
    ///
    /// ```
    /// # use vsr_actor::prelude::*;
    /// # #[derive(Default, Serialize, Deserialize)]
    /// # struct Counter { total: i64 }
    /// # impl StateMachine for Counter {
    /// #     type Operation = i64;
    /// #     type Reply = i64;
    /// #     fn handle_commit(&mut self, _commit: &Commit, add: i64) -> i64 { self.total += add; self.total }
    /// # }
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cluster = Cluster::in_process(3, Counter::default).await?;
    /// cluster.client().request(5).await?;
    /// assert_eq!(cluster.client().read_linearizable(|counter| counter.total).await?, 5);
    /// # Ok(cluster.shutdown().await?)
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`NoPrimary`](RequestError::NoPrimary), if no quorum could be reached before the deadline,
    /// [`Overloaded`](RequestError::Overloaded), [`Behind`](RequestError::Behind), [`Stopped`](RequestError::Stopped), and
    /// [`ReadPanicked`](RequestError::ReadPanicked). The outcome is always [`NotExecuted`](Outcome::NotExecuted).
    pub async fn read_linearizable<T: Send + 'static>(
        &self,
        read: impl Fn(&M) -> T + Send + Sync + 'static,
    ) -> Result<T, RequestError> {
        self.read(Some(ReadKind::Linearizable), read).await.map(|(value, _)| value)
    }

    /// Reads a state that reflects at least what `token` stands for, at any replica that has it or gets it in time. No quorum is asked:
    /// it may miss what other clients did since. With a token of this client it reads its own writes.
    ///
    /// ```
    /// # use vsr_actor::prelude::*;
    /// # #[derive(Default, Serialize, Deserialize)]
    /// # struct Counter { total: i64 }
    /// # impl StateMachine for Counter {
    /// #     type Operation = i64;
    /// #     type Reply = i64;
    /// #     fn handle_commit(&mut self, _commit: &Commit, add: i64) -> i64 { self.total += add; self.total }
    /// # }
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cluster = Cluster::in_process(3, Counter::default).await?;
    /// let writer = cluster.client();
    /// writer.request(5).await?;
    /// let token = writer.token(); // it may travel: it is small, and serde knows it
    /// let reader = cluster.client_at(cluster.ids()[2])?;
    /// assert_eq!(reader.read_after(token, |counter| counter.total).await?, 5);
    /// # Ok(cluster.shutdown().await?)
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`read_linearizable`](Self::read_linearizable); [`Behind`](RequestError::Behind), if no replica got there in time.
    pub async fn read_after<T: Send + 'static>(
        &self,
        token: Token,
        read: impl Fn(&M) -> T + Send + Sync + 'static,
    ) -> Result<T, RequestError> {
        self.read(Some(ReadKind::After(token.op())), read).await.map(|(value, _)| value)
    }

    /// Reads the state of the client's replica as it is, and says which op it reflects. Nobody else is asked: a replica that is cut off
    /// answers with what it last knew. A later stale read may reflect an earlier op, if another replica serves it, or this one was started again.
    ///
    /// ```
    /// # use vsr_actor::{Stale, prelude::*};
    /// # #[derive(Default, Serialize, Deserialize)]
    /// # struct Counter { total: i64 }
    /// # impl StateMachine for Counter {
    /// #     type Operation = i64;
    /// #     type Reply = i64;
    /// #     fn handle_commit(&mut self, _commit: &Commit, add: i64) -> i64 { self.total += add; self.total }
    /// # }
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cluster = Cluster::in_process(3, Counter::default).await?;
    /// let reader = cluster.client_at(cluster.ids()[2])?;
    /// let seen: Stale<i64> = reader.read_stale(|counter| counter.total).await?;
    /// println!("{} as of {}", seen.value, seen.op);
    /// # Ok(cluster.shutdown().await?)
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`read_linearizable`](Self::read_linearizable), except that no quorum is needed.
    pub async fn read_stale<T: Send + 'static>(
        &self,
        read: impl Fn(&M) -> T + Send + Sync + 'static,
    ) -> Result<Stale<T>, RequestError> {
        self.read(None, read).await.map(|(value, op)| Stale::new(value, op))
    }

    /// Stands for all that this client and its clones were told: every reply, and every read.
    #[must_use]
    pub fn token(&self) -> Token {
        Token::new(self.shared.session.seen())
    }

    async fn read<T: Send + 'static>(
        &self,
        kind: Option<ReadKind>,
        read: impl Fn(&M) -> T + Send + Sync + 'static,
    ) -> Result<(T, OpNumber), RequestError> {
        let (read, begun) = (Arc::new(read), Instant::now());
        let deadline = after(begun, self.deadline);
        let session = &self.shared.session;
        let mut doors = self.way.doors.clone();
        let mut backoff = self.way.config.backoff();
        let (mut last, mut refusal) = (None, None);
        loop {
            let found = self.way.choose(&doors.borrow_and_update(), session.home(), last);
            let retry_at = after(Instant::now(), backoff.wait()).min(deadline);
            if let Some((index, lane)) = found {
                last = Some(index);
                let (job, outcome) = ReadJob::new(kind, read.clone());
                match within(retry_at, attempt(lane, job, outcome)).await {
                    Some(Some(Attempt::Seen(value, op))) => {
                        session.saw(op);
                        session.set_home(index);
                        return Ok((value, op));
                    }
                    Some(Some(Attempt::Panicked(reason))) => {
                        return Err(RequestError::ReadPanicked { reason });
                    }
                    Some(Some(Attempt::Refused(reason))) => refusal = Some(reason),
                    // The replica is gone, or silent.
                    Some(None) | None => {}
                }
            }
            if within(retry_at, doors.changed()).await.is_some_and(|changed| changed.is_err()) {
                return Err(RequestError::Stopped { outcome: Outcome::NotExecuted });
            }
            backoff.grow();
            if Instant::now() >= deadline {
                let (waited, hint) = (begun.elapsed(), self.primary_hint());
                return Err(match refusal {
                    Some(Refusal::Overloaded) => RequestError::Overloaded { waited },
                    Some(Refusal::Behind) => RequestError::Behind { waited, hint },
                    _ => RequestError::NoPrimary { waited, hint },
                });
            }
        }
    }
}

impl<M: StateMachine> Way<M> {
    /// The home first, then one replica after the other.
    fn choose(&self, doors: &[Door<M>], home: usize, last: Option<usize>) -> Option<(usize, Lane<M>)> {
        let open = |index: usize| doors[index].reads.is_some();
        let index = match (self.only, last) {
            (Some(only), _) => only,
            (None, None) if open(home) => home,
            (None, last) => next_open(last.unwrap_or(home), doors.len(), open)?,
        };
        doors[index].reads.clone().map(|lane| (index, lane))
    }
}

/// Hands a read in, and waits for what becomes of it. Nothing: the replica is gone.
async fn attempt<M, T>(
    lane: Lane<M>,
    job: ReadJob<M>,
    outcome: tokio::sync::oneshot::Receiver<Attempt<T>>,
) -> Option<Attempt<T>> {
    lane.send(job).await.ok()?;
    // The lane is the replica's as long as a door has it, not as long as somebody waits.
    drop(lane);
    outcome.await.ok()
}

async fn within<T>(until: Instant, future: impl Future<Output = T>) -> Option<T> {
    timeout_at(until, future).await.ok()
}
