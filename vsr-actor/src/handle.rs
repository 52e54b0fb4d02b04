//! What the owner of a replica holds.

use crate::{
    Client, Dump, Health, LogStorage, ReplicaError, ReplyTo, RequestError, ServerRef, StateMachine, Status,
    StatusStream, WatchStatus,
    board::Board,
    control::{Control, Done, Pause},
    dump::gone,
    entrance::Entrance,
};
use std::{
    fmt,
    sync::{Arc, Weak},
};
use tokio::{
    sync::{mpsc, oneshot},
    task::AbortHandle,
};
use vsr_core::{Message, ReplicaId};

/// One running replica. Clones are the same replica.
///
/// Dropping the last clone aborts the replica's task, as a crash would: nothing is handed over, and what is durable stays durable.
/// [`shutdown`](Self::shutdown) is the polite way.
///
/// ```
/// use vsr_actor::{Builder, Handle, ReplicaId, ReplyTo, prelude::*};
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
/// let id = ReplicaId(0);
/// let replica: Handle<Counter> = Builder::new(id, [id], Counter::default()).start().await?;
/// assert_eq!(replica.id(), id);
/// assert_eq!(replica.client().request(5).await?, 5);
/// replica.submit(7, ReplyTo::Nobody)?; // replies go to its `Replies`
/// while replica.status().protocol.applied != replica.dump().await?.protocol.op {
///     replica.watch_status().next().await;
/// }
/// replica.shutdown().await?;
/// replica.join().await?; // ended without an error
/// # Ok(())
/// # }
/// ```
pub struct Handle<M: StateMachine> {
    inner: Arc<Inner<M>>,
}

pub(crate) struct Inner<M: StateMachine> {
    pub(crate) peers: mpsc::Sender<Message>,
    pub(crate) entrance: Arc<Entrance<M>>,
    pub(crate) server: ServerRef<M>,
    pub(crate) status: Arc<Board<Status>>,
    pub(crate) pause: Arc<Pause>,
    pub(crate) task: AbortHandle,
}

/// A way back to a handle that does not keep the replica alive.
pub(crate) struct WeakHandle<M: StateMachine>(Weak<Inner<M>>);

impl<M: StateMachine> WeakHandle<M> {
    pub(crate) fn upgrade(&self) -> Option<Handle<M>> {
        self.0.upgrade().map(|inner| Handle { inner })
    }
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
    #[doc(alias = "node_id")]
    pub fn id(&self) -> ReplicaId {
        self.inner.status.see(|status| status.protocol.replica)
    }

    /// What the replica knew of itself at the end of its last turn: a copy, never a lock. `protocol.primary` is the primary of
    /// the view that the replica is in, or changes to.
    #[must_use]
    pub fn status(&self) -> Status {
        self.inner.status.see(Status::clone)
    }

    /// Follows the status.
    #[must_use]
    pub fn watch_status(&self) -> WatchStatus {
        WatchStatus(self.inner.status.viewer())
    }

    /// The status as a [`Stream`](futures_core::Stream): first as it is now, then whenever it has changed, the last one included.
    /// Changes that follow each other quickly are seen as one. It ends when the replica's task is gone.
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
    /// use tokio_stream::StreamExt; // or the one of `futures`
    ///
    /// # let cluster = Cluster::in_process(3, Counter::default).await?;
    /// let replica = cluster.handle(cluster.ids()[1])?;
    /// let mut roles = replica.status_stream().map(|status| status.protocol.is_primary);
    /// assert_eq!(roles.next().await, Some(false));
    /// cluster.crash(cluster.ids()[0]).await?;
    /// while roles.next().await != Some(true) {} // until it takes over
    /// # Ok(cluster.shutdown().await?)
    /// # }
    /// ```
    #[must_use]
    pub fn status_stream(&self) -> StatusStream {
        StatusStream::new(self.inner.status.viewer())
    }

    /// Hands in a message of another replica, for transports of the user's own. Never waits: when the mailbox is full the message is
    /// dropped, as a network would, and the protocol repairs it. Any message may be handed in, whoever made it: the protocol ignores
    /// what is damaged, old, or not meant for this replica.
    ///
    /// ```
    /// use vsr_actor::{Handle, Message, StateMachine};
    ///
    /// fn arrived<M: StateMachine>(replica: &Handle<M>, bytes: Vec<u8>) {
    ///     // What cannot be read is dropped, like what gets lost on its way.
    ///     if let Ok(message) = Message::decode(bytes.into()) {
    ///         replica.deliver(message);
    ///     }
    /// }
    /// ```
    #[doc(alias = "vsr_send")]
    pub fn deliver(&self, message: Message) {
        let _ = self.inner.peers.try_send(message);
    }

    /// A new client whose only way into the group is this replica.
    #[must_use]
    pub fn client(&self) -> Client<M> {
        self.inner.entrance.client()
    }

    /// The mailbox of the replica's [`VsrServer`](crate::VsrServer).
    ///
    /// ```
    /// # use vsr_actor::{CallError, prelude::*};
    /// # #[derive(Default, Serialize, Deserialize)]
    /// # struct Counter { total: i64 }
    /// # impl StateMachine for Counter {
    /// #     type Operation = i64;
    /// #     type Reply = i64;
    /// #     fn handle_commit(&mut self, _commit: &Commit, add: i64) -> i64 { self.total += add; self.total }
    /// # }
    /// # impl VsrServer for Counter {}
    /// # struct Get;
    /// # impl HandleCall<Get> for Counter {
    /// #     type Answer = i64;
    /// #     fn handle_call(&mut self, _: Get, from: ReplyToken<i64>, _: &mut Context<Self>) -> Next { from.reply(self.total); Next::Wait }
    /// # }
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cluster = Cluster::servers(3, Counter::default).await?;
    /// let counter = cluster.handle(cluster.ids()[0])?.server();
    /// assert_eq!(counter.call(Get).await?, 0);
    /// # Ok(cluster.shutdown().await?)
    /// # }
    /// ```
    #[must_use]
    pub fn server(&self) -> ServerRef<M> {
        self.inner.server.clone()
    }

    /// Says which replica this is and of which group, to one that was [started without members](crate::Builder::new), and lets it join.
    /// Members are in the order that all of them agree on. Cancel-safe: once begun, the replica joins all the same.
    ///
    /// ```
    /// use vsr_actor::{Builder, MemoryStorage, ReplicaId, prelude::*};
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
    /// let unnamed = Builder::new(ReplicaId(0), [], Counter::default()).start().await?;
    /// unnamed.set_log(MemoryStorage::default()).await?;
    /// unnamed.set_cluster(ReplicaId(4), [ReplicaId(4)]).await?;
    /// assert_eq!(unnamed.client().request(5).await?, 5);
    /// # Ok(unnamed.shutdown().await?)
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AlreadyRunning`](ReplicaError::AlreadyRunning), if it has joined. [`Config`](ReplicaError::Config), if these members break a
    /// rule: it still waits then. Those of a start, such as a storage that cannot be read; these end the replica.
    pub async fn set_cluster(
        &self,
        id: ReplicaId,
        members: impl IntoIterator<Item = ReplicaId>,
    ) -> Result<(), ReplicaError> {
        let members = members.into_iter().collect();
        self.order(|done| Control::SetCluster(id, members, done)).await
    }

    /// Hands a log to a replica that was [started without members](crate::Builder::new) and has not joined a group yet.
    ///
    /// # Errors
    /// [`AlreadyRunning`](ReplicaError::AlreadyRunning), if it has joined; why it ended, if it has.
    pub async fn set_log(&self, log: impl LogStorage) -> Result<(), ReplicaError> {
        self.order(|done| Control::SetLog(Box::new(log), done)).await
    }

    /// Everything the replica can tell about itself, for tests and for looking for a fault: a copy, taken between two turns, that can be
    /// written as JSON or whatever serde knows. Cancel-safe.
    ///
    /// # Errors
    /// Why the replica has ended, if it has.
    pub async fn dump(&self) -> Result<Dump, ReplicaError> {
        self.ask(Control::Dump).await
    }

    async fn order(&self, order: impl FnOnce(Done) -> Control<M::Reply>) -> Result<(), ReplicaError> {
        self.ask(order).await?
    }

    async fn ask<T>(
        &self,
        order: impl FnOnce(oneshot::Sender<T>) -> Control<M::Reply>,
    ) -> Result<T, ReplicaError> {
        let (tell, told) = oneshot::channel();
        // A lane that is closed belongs to a task that has ended.
        let _ = self.inner.entrance.control.send(order(tell)).await;
        match told.await {
            Ok(told) => Ok(told),
            Err(_) => Err(gone(self.join().await)),
        }
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
        self.inner.entrance.submit(operation, to).map_err(|(error, _to)| error)
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
        // When the very last of the task is gone.
        self.inner.status.wait_for_end().await;
        match self.status().health {
            Health::NotJoined | Health::Running | Health::Stopped => Ok(()),
            Health::Failed(error) => Err(error),
        }
    }

    /// Ends the task, with or without handing over.
    pub(crate) async fn end(&self, hand_over: bool) -> Result<(), ReplicaError> {
        self.inner.pause.resume();
        // A lane that is closed belongs to a task that has ended.
        let _ = self.inner.entrance.control.send(Control::Shutdown { hand_over }).await;
        self.join().await
    }

    /// Ends the task at once, and waits until it is gone.
    pub(crate) async fn crash(&self) {
        self.abort();
        let _ = self.join().await;
    }

    /// Ends the task at once; it may take a moment until it is gone.
    pub(crate) fn abort(&self) {
        self.inner.task.abort();
    }

    /// Whether the replica's task is gone, or about to be.
    pub(crate) fn has_ended(&self) -> bool {
        self.inner.status.see(|status| matches!(status.health, Health::Stopped | Health::Failed(_)))
    }

    /// Where messages of other replicas go. Does not keep the replica alive.
    pub(crate) fn mailbox(&self) -> mpsc::Sender<Message> {
        self.inner.peers.clone()
    }

    pub(crate) fn downgrade(&self) -> WeakHandle<M> {
        WeakHandle(Arc::downgrade(&self.inner))
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
            .field("id", &self.id())
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}
