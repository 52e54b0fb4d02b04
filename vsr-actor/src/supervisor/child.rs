//! What the owner of a supervised replica holds.

use super::SupervisorError;
use crate::{Handle, ReplicaError, StateMachine, changes::Changes};
use futures_core::Stream;
use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::sync::watch;

/// A supervised replica, whichever of its lives it is in. Clones are the same child; dropping them changes nothing.
///
/// A [`Handle`] is of one life. What should last longer, a transport for instance, asks the child for the handle of now.
///
/// ```
/// use vsr_actor::{Builder, MemoryStorage, ReplicaId, Restart, Supervisor, prelude::*};
/// # #[derive(Default, Serialize, Deserialize)]
/// # struct Counter { total: i64 }
/// # impl StateMachine for Counter {
/// #     type Operation = i64;
/// #     type Reply = i64;
/// #     fn handle_commit(&mut self, _commit: &Commit, add: i64) -> i64 { self.total += add; self.total }
/// # }
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let id = ReplicaId(0);
/// let disk = MemoryStorage::default(); // survives the replica
/// let supervisor = Supervisor::builder().start()?;
/// let start = move || Builder::new(id, [id], Counter::default()).storage(disk.clone()).start();
/// let child = supervisor.start("counter", Restart::Permanent, start).await?;
///
/// let replica = child.await_running().await?;
/// assert_eq!(replica.client().request(5).await?, 5);
/// replica.shutdown().await?; // a permanent child is started again after that, too
/// while child.restarts() == 0 {
///     tokio::task::yield_now().await;
/// }
/// assert_eq!(child.await_running().await?.client().request(7).await?, 12);
/// # Ok(supervisor.shutdown().await?)
/// # }
/// ```
pub struct Child<M: StateMachine> {
    name: Arc<str>,
    state: watch::Receiver<Life<M>>,
}

/// What is known of a child.
pub(super) struct Life<M: StateMachine> {
    handle: Option<Handle<M>>,
    restarts: u64,
    error: Option<ReplicaError>,
}

impl<M: StateMachine> Child<M> {
    /// A child that does not run yet, and the place where its lives are shown.
    pub(super) fn new(name: Arc<str>) -> (Self, Shown<M>) {
        let (shown, state) = watch::channel(Life { handle: None, restarts: 0, error: None });
        (Self { name, state }, Shown(shown))
    }

    /// As it was called when it was started.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The handle of the replica that runs now; nothing between two lives, and after the last one.
    #[must_use]
    pub fn handle(&self) -> Option<Handle<M>> {
        self.state.borrow().handle.clone()
    }

    /// The handles of all its lives as a [`Stream`], one after the other: first that of now. A life that is over before anybody looks
    /// is not seen. It ends when the child is not run any more.
    #[must_use]
    pub fn handles(&self) -> Handles<M> {
        let mut seen = None;
        Handles(Changes::new(self.state.clone(), move |life: &Life<M>| {
            let news = life.handle.as_ref().filter(|_| seen != Some(life.restarts))?;
            seen = Some(life.restarts);
            Some(news.clone())
        }))
    }

    /// Waits until it runs: not at all, if it does. Cancel-safe.
    ///
    /// # Errors
    /// [`ChildEnded`](SupervisorError::ChildEnded): it will not be started again.
    pub async fn await_running(&self) -> Result<Handle<M>, SupervisorError> {
        let mut state = self.state.clone();
        loop {
            if let Some(handle) = state.borrow_and_update().handle.clone() {
                return Ok(handle);
            }
            if state.changed().await.is_err() {
                let error = state.borrow().error.clone();
                return Err(SupervisorError::ChildEnded { child: self.name.clone(), error });
            }
        }
    }

    /// Waits until it is not run any more, and will not be started again. Cancel-safe.
    pub async fn await_end(&self) {
        let mut state = self.state.clone();
        while state.changed().await.is_ok() {}
    }

    /// How often it was started again, or was tried to.
    #[must_use]
    pub fn restarts(&self) -> u64 {
        self.state.borrow().restarts
    }

    /// Why it failed the last time, or could not start.
    #[must_use]
    pub fn last_error(&self) -> Option<ReplicaError> {
        self.state.borrow().error.clone()
    }
}

/// The handles of a child's lives: see [`Child::handles`].
#[derive(Debug)]
pub struct Handles<M: StateMachine>(Changes<Handle<M>>);

impl<M: StateMachine> Stream for Handles<M> {
    type Item = Handle<M>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Handle<M>>> {
        self.0.poll_next(context)
    }
}

/// The writing end. Dropped, it takes a replica with it that runs.
pub(super) struct Shown<M: StateMachine>(watch::Sender<Life<M>>);

impl<M: StateMachine> Shown<M> {
    pub(super) fn runs(&self, handle: Handle<M>) {
        self.0.send_modify(|life| life.handle = Some(handle));
    }

    /// One life is over.
    pub(super) fn ended(&self, error: Option<ReplicaError>) {
        let mut old = None;
        self.0.send_modify(|life| {
            old = life.handle.take();
            life.error = error.or(life.error.take());
        });
        // Outside of the lock: it may be the last one of its replica.
        drop(old);
    }

    /// Another one is tried. How many that makes.
    pub(super) fn again(&self) -> u64 {
        self.0.send_modify(|life| life.restarts += 1);
        self.0.borrow().restarts
    }
}

impl<M: StateMachine> Drop for Shown<M> {
    fn drop(&mut self) {
        let left = self.0.borrow().handle.clone();
        if let Some(handle) = left {
            // Whoever holds handles of its own does not keep a replica alive that nobody supervises.
            handle.abort();
            self.ended(Some(ReplicaError::Aborted));
        }
    }
}

impl<M: StateMachine> Clone for Child<M> {
    fn clone(&self) -> Self {
        Self { name: self.name.clone(), state: self.state.clone() }
    }
}

impl<M: StateMachine> fmt::Debug for Child<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let life = self.state.borrow();
        f.debug_struct("Child")
            .field("name", &self.name)
            .field("handle", &life.handle)
            .field("restarts", &life.restarts)
            .field("error", &life.error)
            .finish()
    }
}
