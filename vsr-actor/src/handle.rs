//! What the owner of a replica holds.

use crate::{
    Client, Config, Health, ReplicaError, ReplyTo, RequestError, StateMachine, Status, WatchStatus,
    client::Preference,
    control::{Control, Pause},
    door::DoorsView,
};
use std::{
    fmt,
    sync::{Arc, OnceLock},
};
use tokio::{
    runtime::Handle as Runtime,
    sync::{mpsc, watch},
    task::AbortHandle,
};
use vsr_core::{Message, ReplicaId};

/// One running replica. Clones are the same replica.
///
/// Dropping the last clone aborts the replica's task, as a crash would: nothing is handed over, and what is durable stays durable.
/// [`shutdown`](Self::shutdown) is the polite way.
pub struct Handle<M: StateMachine> {
    inner: Arc<Inner<M>>,
}

pub(crate) struct Inner<M: StateMachine> {
    pub(crate) id: ReplicaId,
    pub(crate) config: Config,
    pub(crate) control: mpsc::Sender<Control<M::Reply>>,
    pub(crate) peers: mpsc::Sender<Message>,
    pub(crate) doors: DoorsView<M>,
    pub(crate) index: usize,
    pub(crate) status: watch::Receiver<Status>,
    pub(crate) pause: Arc<Pause>,
    pub(crate) task: AbortHandle,
    pub(crate) runtime: Runtime,
    /// Serves [`Handle::submit`].
    pub(crate) own_client: OnceLock<Client<M>>,
}

impl<M: StateMachine> Drop for Inner<M> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<M: StateMachine> Handle<M> {
    pub(crate) fn new(inner: Inner<M>) -> Self {
        Self { inner: Arc::new(inner) }
    }

    /// Which replica this is.
    #[must_use]
    pub fn id(&self) -> ReplicaId {
        self.inner.id
    }

    /// What the replica knew of itself at the end of its last turn: a copy, never a lock.
    #[must_use]
    pub fn status(&self) -> Status {
        self.inner.status.borrow().clone()
    }

    /// Follows the status.
    #[must_use]
    pub fn watch_status(&self) -> WatchStatus {
        WatchStatus(self.inner.status.clone())
    }

    /// Hands in a message of another replica, for transports of the user's own. Never waits: when the mailbox is full the message is
    /// dropped, as a network would, and the protocol repairs it. Any message may be handed in, whoever made it: the protocol ignores
    /// what is damaged, old, or not meant for this replica.
    pub fn deliver(&self, message: Message) {
        let _ = self.inner.peers.try_send(message);
    }

    /// A new client whose only way into the group is this replica.
    #[must_use]
    pub fn client(&self) -> Client<M> {
        let Inner { config, doors, index, runtime, .. } = &*self.inner;
        Client::start(config, doors.clone(), Preference::Only(*index), runtime, None)
    }

    /// Submits an operation whose reply goes to the replica's [`Replies`](crate::Replies): the way in for transports that answer
    /// clients themselves. Operations submitted through one replica, whoever they are for, are executed in the order of submission
    /// and share one session and its window.
    ///
    /// # Errors
    /// [`Overloaded`](RequestError::Overloaded), if the window is full, [`TooLarge`](RequestError::TooLarge) and
    /// [`Stopped`](RequestError::Stopped): the operation was not executed, and `to` was dropped without an answer. Later errors are
    /// given to [`Replies`](crate::Replies), as long as the replica runs: when it ends, what is still under way gets no answer, and
    /// may or may not be executed.
    pub fn submit(&self, operation: M::Operation, to: ReplyTo<M::Reply>) -> Result<(), RequestError> {
        let Inner { config, doors, index, runtime, control, .. } = &*self.inner;
        let own = self.inner.own_client.get_or_init(|| {
            let custom = Some(control.clone());
            Client::start(config, doors.clone(), Preference::Only(*index), runtime, custom)
        });
        own.try_submit_to(operation, to)
    }

    /// Stops the replica in an orderly way: a primary hands its view over to another replica first, and waits for that at most two
    /// heartbeat time-outs. One that is [paused](crate::Cluster::pause) is resumed for that. Returns when the task has ended; a second
    /// call waits for the same end. Cancel-safe: once begun, the shutdown goes on.
    ///
    /// # Errors
    /// Why the replica had stopped before it could be shut down.
    pub async fn shutdown(&self) -> Result<(), ReplicaError> {
        self.end(true).await
    }

    /// Waits until the replica has ended, and says why it did. Cancel-safe.
    ///
    /// # Errors
    /// Why it ended, unless it was shut down: a panic of the state machine, a failed storage, a fence of the protocol.
    pub async fn join(&self) -> Result<(), ReplicaError> {
        let mut status = self.inner.status.clone();
        // Closed when the very last of the task is gone.
        while status.changed().await.is_ok() {}
        let health = status.borrow().health.clone();
        match health {
            Health::Running | Health::Stopped => Ok(()),
            Health::Failed(error) => Err(error),
        }
    }

    /// Ends the task, with or without handing over.
    pub(crate) async fn end(&self, hand_over: bool) -> Result<(), ReplicaError> {
        self.inner.pause.resume();
        // A lane that is closed belongs to a task that has ended.
        let _ = self.inner.control.send(Control::Shutdown { hand_over }).await;
        self.join().await
    }

    /// Ends the task at once, and waits until it is gone.
    pub(crate) async fn crash(&self) {
        self.inner.task.abort();
        let _ = self.join().await;
    }

    pub(crate) fn pause(&self) -> &Pause {
        &self.inner.pause
    }
}

impl<M: StateMachine> Clone for Handle<M> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<M: StateMachine> fmt::Debug for Handle<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("id", &self.inner.id)
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}
