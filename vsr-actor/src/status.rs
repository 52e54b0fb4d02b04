//! What a replica tells about itself.

use crate::{ReplicaError, changes::Changes};
use futures_core::Stream;
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::sync::watch;

/// A copy of what a replica knew of itself at the end of its last turn.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// Whether its task runs.
    pub health: Health,
    /// Its place in the protocol; the last one, if it does not run.
    pub protocol: vsr_core::Status,
}

/// Whether a replica's task runs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Health {
    /// It runs its callbacks, and waits to be told its group: see [`Handle::set_cluster`](crate::Handle::set_cluster).
    NotJoined,
    /// It runs.
    Running,
    /// It was shut down.
    Stopped,
    /// It stopped by itself or was aborted.
    Failed(ReplicaError),
}

impl Health {
    /// Whether it takes part in its group.
    #[must_use]
    pub fn is_running(&self) -> bool {
        matches!(self, Self::Running)
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJoined => f.write_str("not joined"),
            Self::Running => f.write_str("running"),
            Self::Stopped => f.write_str("stopped"),
            Self::Failed(error) => write!(f, "failed: {error}"),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = &self.protocol;
        write!(
            f,
            "{} {}, {:?} in {}, {} {} committed {} applied {}",
            status.replica,
            self.health,
            status.status,
            status.view,
            if status.is_primary { "primary," } else { "backup," },
            status.op,
            status.commit.0,
            status.applied.0,
        )
    }
}

/// Follows the status of a replica. It returns copies: holding one never holds up the replica.
///
/// ```
/// use vsr_actor::{Health, Status, StatusStream, WatchStatus, prelude::*};
///
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
/// let replica = cluster.handle(cluster.ids()[1])?;
/// let mut watch: WatchStatus = replica.watch_status();
/// let as_stream: StatusStream = replica.status_stream(); // the same, for those who like streams
/// cluster.crash(cluster.ids()[0]).await?;
/// let mut status: Status = watch.latest();
/// while !status.protocol.is_primary {
///     status = watch.next().await.expect("it runs");
/// }
/// assert!(status.health.is_running());
/// cluster.crash(cluster.ids()[1]).await?;
/// assert!(matches!(watch.latest().health, Health::Failed(_)));
/// # Ok(cluster.shutdown().await?)
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct WatchStatus(pub(crate) watch::Receiver<Status>);

impl WatchStatus {
    /// The latest status.
    #[must_use]
    pub fn latest(&mut self) -> Status {
        self.0.borrow_and_update().clone()
    }

    /// Waits for a status that was not seen through this value yet, and returns it; `None` when the replica's task is gone and its
    /// last status was seen. Changes that follow each other quickly are seen as one. Cancel-safe.
    pub async fn next(&mut self) -> Option<Status> {
        self.0.changed().await.ok().map(|()| self.latest())
    }
}

/// The status of a replica as a stream: first as it is, then each change. See [`Handle::status_stream`](crate::Handle::status_stream).
#[derive(Debug)]
pub struct StatusStream(pub(crate) Changes<Status>);

impl Stream for StatusStream {
    type Item = Status;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Status>> {
        self.0.poll_next(context)
    }
}

/// The writing end: says how the replica ended, whatever ends it.
#[derive(Debug)]
pub(crate) struct Publisher {
    status: watch::Sender<Status>,
}

impl Publisher {
    pub(crate) fn new(health: Health, protocol: vsr_core::Status) -> (Self, watch::Receiver<Status>) {
        let (status, receiver) = watch::channel(Status { health, protocol });
        (Self { status }, receiver)
    }

    pub(crate) fn joined(&self, protocol: vsr_core::Status) {
        self.status.send_replace(Status { health: Health::Running, protocol });
    }

    /// Publishes if something changed, and says whether it did.
    pub(crate) fn publish(&self, protocol: vsr_core::Status) -> bool {
        self.status.send_if_modified(|shown| std::mem::replace(&mut shown.protocol, protocol) != protocol)
    }

    pub(crate) fn end(&self, health: Health) {
        self.status.send_modify(|shown| shown.health = health);
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        if matches!(self.status.borrow().health, Health::Running | Health::NotJoined) {
            self.end(Health::Failed(ReplicaError::Aborted));
        }
    }
}
