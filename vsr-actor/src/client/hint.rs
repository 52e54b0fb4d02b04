//! Where the primary is, for those who want to know.

use super::Client;
use crate::{
    StateMachine,
    changes::Changes,
    door::{Door, DoorsView, latest},
};
use futures_core::Stream;
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};
use vsr_core::{ReplicaId, ViewNumber};

/// The primary of the latest view that a client, or a cluster, has heard of. It is a hint: the primary may have died since, or may be
/// on the other side of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PrimaryHint {
    /// The primary.
    pub replica: ReplicaId,
    /// Its view.
    pub view: ViewNumber,
}

impl PrimaryHint {
    /// What can be seen at all doors, or at the `only` one that a client knows.
    pub(super) fn from_doors<M: StateMachine>(doors: &[Door<M>], only: Option<usize>) -> Option<Self> {
        let doors = only.map_or(doors, |index| &doors[index..=index]);
        latest(doors).map(|(view, replica)| Self { replica, view })
    }
}

impl fmt::Display for PrimaryHint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.replica, self.view)
    }
}

impl<M: StateMachine> Client<M> {
    /// The primary, as far as this client knows: what the running replicas that it can ask saw last, or the only one it has, if it is
    /// that of a [`Handle`](crate::Handle). Nothing, if none of them runs, or none has seen a view start. Not needed to send requests:
    /// they find their way.
    ///
    /// ```
    /// # use vsr_actor::{PrimaryChanges, PrimaryHint, prelude::*};
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
    /// let counter = cluster.client();
    /// counter.request(5).await?;
    /// let hint: PrimaryHint = counter.primary_hint().expect("somebody answered");
    /// assert_eq!(hint.replica, cluster.primary().await?);
    /// # Ok(cluster.shutdown().await?)
    /// # }
    /// ```
    #[must_use]
    pub fn primary_hint(&self) -> Option<PrimaryHint> {
        PrimaryHint::from_doors(&self.way.doors.borrow(), self.way.only)
    }

    /// The primaries of the views that start: first that of [`primary_hint`](Self::primary_hint), then each later one that this client
    /// hears of. Views that follow each other quickly may be seen as one. It ends when there will be no replica any more.
    ///
    /// ```
    /// # use vsr_actor::{PrimaryChanges, PrimaryHint, prelude::*};
    /// # #[derive(Default, Serialize, Deserialize)]
    /// # struct Counter { total: i64 }
    /// # impl StateMachine for Counter {
    /// #     type Operation = i64;
    /// #     type Reply = i64;
    /// #     fn handle_commit(&mut self, _commit: &Commit, add: i64) -> i64 { self.total += add; self.total }
    /// # }
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use tokio_stream::StreamExt; // or the one of `futures`
    ///
    /// let cluster = Cluster::in_process(3, Counter::default).await?;
    /// let mut primaries: PrimaryChanges = cluster.client().primary_changes();
    /// let first = primaries.next().await.expect("the group has formed");
    /// cluster.crash(first.replica).await?;
    /// let second = primaries.next().await.expect("the others take over");
    /// assert!(second.view > first.view && second.replica != first.replica);
    /// # Ok(cluster.shutdown().await?)
    /// # }
    /// ```
    #[must_use]
    pub fn primary_changes(&self) -> PrimaryChanges {
        PrimaryChanges::new(self.way.doors.clone(), self.way.only)
    }
}

/// The primaries of a group as a stream: see [`Client::primary_changes`].
#[derive(Debug)]
pub struct PrimaryChanges(Changes<PrimaryHint>);

impl PrimaryChanges {
    pub(crate) fn new<M: StateMachine>(doors: DoorsView<M>, only: Option<usize>) -> Self {
        let mut told = None;
        Self(Changes::new(doors, move |doors: &Vec<Door<M>>| {
            let news = PrimaryHint::from_doors(doors, only)
                .filter(|hint| told.is_none_or(|view| view < hint.view))?;
            told = Some(news.view);
            Some(news)
        }))
    }
}

impl Stream for PrimaryChanges {
    type Item = PrimaryHint;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<PrimaryHint>> {
        self.0.poll_next(context)
    }
}
