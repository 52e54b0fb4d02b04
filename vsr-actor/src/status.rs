//! What a replica tells about itself.

use crate::{
    ReplicaError,
    board::{Board, Viewer},
};
use futures_core::Stream;
use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio_util::sync::ReusableBoxFuture;

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
pub struct WatchStatus(pub(crate) Viewer<Status>);

impl WatchStatus {
    /// The latest status.
    #[must_use]
    pub fn latest(&mut self) -> Status {
        self.0.latest()
    }

    /// Waits for a status that was not seen through this value yet, and returns it; `None` when the replica's task is gone and its
    /// last status was seen. Changes that follow each other quickly are seen as one. Cancel-safe.
    pub async fn next(&mut self) -> Option<Status> {
        self.0.next().await
    }
}

/// The status of a replica as a stream: first as it is, then each change. See [`Handle::status_stream`](crate::Handle::status_stream).
pub struct StatusStream(ReusableBoxFuture<'static, (Viewer<Status>, Option<Status>)>);

impl StatusStream {
    pub(crate) fn new(mut viewer: Viewer<Status>) -> Self {
        Self(ReusableBoxFuture::new(async move {
            let latest = viewer.latest();
            (viewer, Some(latest))
        }))
    }
}

async fn next(mut viewer: Viewer<Status>) -> (Viewer<Status>, Option<Status>) {
    let status = viewer.next().await;
    (viewer, status)
}

impl Stream for StatusStream {
    type Item = Status;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Status>> {
        let (viewer, status) = ready!(self.0.poll(context));
        self.0.set(next(viewer));
        Poll::Ready(status)
    }
}

impl fmt::Debug for StatusStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StatusStream")
    }
}

/// The writing end: says how the replica ended, whatever ends it.
#[derive(Debug)]
pub(crate) struct Publisher {
    board: Arc<Board<Status>>,
}

impl Publisher {
    pub(crate) fn new(health: Health, protocol: vsr_core::Status) -> (Self, Arc<Board<Status>>) {
        let board = Board::new(Status { health, protocol });
        (Self { board: board.clone() }, board)
    }

    pub(crate) fn joined(&self, protocol: vsr_core::Status) {
        self.board.change(|shown| {
            *shown = Status { health: Health::Running, protocol };
            true
        });
    }

    /// Publishes if something changed, and says whether it did.
    pub(crate) fn publish(&self, protocol: &vsr_core::Status) -> bool {
        self.board.change(|shown| {
            let changed = shown.protocol != *protocol;
            if changed {
                shown.protocol = *protocol;
            }
            changed
        })
    }

    pub(crate) fn end(&self, health: Health) {
        self.board.change(|shown| {
            shown.health = health;
            true
        });
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        if self.board.see(|shown| matches!(shown.health, Health::Running | Health::NotJoined)) {
            self.end(Health::Failed(ReplicaError::Aborted));
        }
        self.board.end();
    }
}
