//! How clients get their replies.

use crate::RequestError;
use bytes::Bytes;
use std::fmt;
use tokio::sync::oneshot;

/// Who waits for a reply.
#[derive(Debug)]
pub enum ReplyTo<R> {
    /// A caller of [`Client`](crate::Client).
    Waiter(Waiting<R>),
    /// Whatever [`Handle::submit`](crate::Handle::submit) was given: a connection, a request id. Means something to [`Replies`] only.
    Custom(Bytes),
    /// Nobody.
    Nobody,
}

impl<R> ReplyTo<R> {
    /// Whether somebody may still want the reply.
    pub(crate) fn is_awaited(&self) -> bool {
        match self {
            Self::Waiter(Waiting(Who::Caller(caller))) => !caller.is_closed(),
            Self::Waiter(Waiting(Who::Callback(_))) | Self::Custom(_) => true,
            Self::Nobody => false,
        }
    }

    /// Whether it is a caller of a client that can resolve the request later.
    pub(crate) fn is_caller(&self) -> bool {
        matches!(self, Self::Waiter(Waiting(Who::Caller(_))))
    }

    /// Answers a waiter; does nothing for the others. A caller that is gone is no error.
    pub fn send(self, reply: Result<R, RequestError>) {
        if let Self::Waiter(waiting) = self {
            waiting.send(reply);
        }
    }
}

/// Somebody of this process that waits.
pub struct Waiting<R>(Who<R>);

enum Who<R> {
    Caller(oneshot::Sender<Result<R, RequestError>>),
    Callback(Box<dyn FnOnce(Result<R, RequestError>) + Send>),
}

impl<R> Waiting<R> {
    /// A caller, and where it waits.
    pub(crate) fn caller() -> (Self, oneshot::Receiver<Result<R, RequestError>>) {
        let (caller, reply) = oneshot::channel();
        (Self(Who::Caller(caller)), reply)
    }

    /// Whoever is told by a call.
    pub(crate) fn callback(told: impl FnOnce(Result<R, RequestError>) + Send + 'static) -> Self {
        Self(Who::Callback(Box::new(told)))
    }

    /// Answers it, if it still waits.
    pub fn send(self, reply: Result<R, RequestError>) {
        match self.0 {
            Who::Caller(caller) => drop(caller.send(reply)),
            Who::Callback(told) => told(reply),
        }
    }
}

impl<R> fmt::Debug for Waiting<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waiting")
    }
}

/// Gives replies to those who asked this replica. The default answers the callers of [`Client`](crate::Client); override it to
/// answer clients that a transport of your own brought.
///
/// ```
/// use tokio::sync::mpsc;
/// use vsr_actor::{Builder, Replies, ReplicaId, ReplyTo, RequestError, Waiting, prelude::*};
///
/// # #[derive(Default, Serialize, Deserialize)]
/// # struct Counter { total: i64 }
/// # impl StateMachine for Counter {
/// #     type Operation = i64;
/// #     type Reply = i64;
/// #     fn handle_commit(&mut self, _commit: &Commit, add: i64) -> i64 { self.total += add; self.total }
/// # }
/// /// Answers clients of its own by their names.
/// struct Post(mpsc::UnboundedSender<(String, i64)>);
///
/// impl Replies<i64> for Post {
///     fn send_reply(&mut self, to: ReplyTo<i64>, reply: Result<i64, RequestError>) {
///         match (to, reply) {
///             (ReplyTo::Custom(name), Ok(total)) => {
///                 let _ = self.0.send((String::from_utf8_lossy(&name).into(), total));
///             }
///             (ReplyTo::Custom(_), Err(error)) => println!("{error}"),
///             (ReplyTo::Waiter(caller), reply) => {
///                 let caller: Waiting<i64> = caller; // of a `Client`
///                 caller.send(reply);
///             }
///             (nobody, reply) => nobody.send(reply),
///         }
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (post, mut sent) = mpsc::unbounded_channel();
/// let id = ReplicaId(0);
/// let replica = Builder::new(id, [id], Counter::default()).replies(Post(post)).start().await?;
/// replica.submit(5, ReplyTo::Custom("Ada".into()))?;
/// assert_eq!(sent.recv().await, Some(("Ada".into(), 5)));
/// # Ok(replica.shutdown().await?)
/// # }
/// ```
pub trait Replies<R>: Send + 'static {
    /// Answers one request. Called on the replica's task: it must not block. A panic stops the replica. Called at most once for each
    /// request that was submitted through this replica; not at all for those [`Custom`](ReplyTo::Custom) ones that are under way when
    /// the replica ends.
    fn send_reply(&mut self, to: ReplyTo<R>, reply: Result<R, RequestError>) {
        to.send(reply);
    }
}

/// Answers the callers of [`Client`](crate::Client), and nobody else.
#[derive(Clone, Copy, Debug, Default)]
pub struct InProcessReplies;

impl<R> Replies<R> for InProcessReplies {}
