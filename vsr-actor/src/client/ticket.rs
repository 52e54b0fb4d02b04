//! A request that was submitted, in the hands of whoever waits for its reply.

use super::{RequestId, Shared};
use crate::{Outcome, RequestError, observe::RequestSpan};
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};
use tokio::sync::oneshot;

/// The reply to a submitted request, to be awaited. Dropping it changes nothing for the request: it is executed all the same.
///
/// Who has asked for its [`id`](Self::id) can have the reply later, too, after the ticket was dropped:
///
/// ```
/// use vsr_actor::{RequestId, Ticket, prelude::*};
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
/// let counter = cluster.client();
/// let (first, second): (Ticket<i64>, Ticket<i64>) = (counter.submit(1).await?, counter.submit(2).await?); // both are under way
/// let id: RequestId = second.id();
/// drop(second);
/// assert_eq!(first.await?, 1);
/// assert_eq!(counter.resolve(id).await?, 3);
/// # Ok(cluster.shutdown().await?)
/// # }
/// ```
#[must_use = "a ticket is how the reply is received; the request is executed without it, too"]
pub struct Ticket<R> {
    /// Nothing after it was received.
    reply: Option<oneshot::Receiver<Result<R, RequestError>>>,
    id: RequestId,
    /// Somebody knows the id, and may ask for the reply when the ticket is gone.
    named: AtomicBool,
    shared: Arc<Shared<R>>,
    /// The request's: it ends with the reply.
    span: Option<RequestSpan>,
}

impl<R> Ticket<R> {
    pub(super) fn new(
        reply: oneshot::Receiver<Result<R, RequestError>>,
        id: RequestId,
        named: bool,
        shared: Arc<Shared<R>>,
    ) -> Self {
        Self { reply: Some(reply), id, named: AtomicBool::new(named), shared, span: None }
    }

    pub(super) fn within(mut self, span: Option<RequestSpan>) -> Self {
        self.span = span;
        self
    }

    /// The request's name, for [`Client::resolve`](crate::Client::resolve). From now on the reply is kept if the ticket is dropped
    /// before it came.
    #[must_use]
    pub fn id(&self) -> RequestId {
        self.named.store(true, Ordering::Relaxed);
        self.id
    }
}

impl<R> Future for Ticket<R> {
    type Output = Result<R, RequestError>;

    /// # Panics
    /// When it is polled after it was ready, as futures may.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let reply = self.reply.as_mut().expect("a ticket is not polled after it was ready");
        let reply = std::task::ready!(Pin::new(reply).poll(context));
        (self.reply, self.span) = (None, None);
        Poll::Ready(reply.unwrap_or(Err(RequestError::Stopped { outcome: Outcome::Unknown })))
    }
}

impl<R> Drop for Ticket<R> {
    fn drop(&mut self) {
        if let Some(reply) = self.reply.take().filter(|_| *self.named.get_mut()) {
            let outdated = self.shared.session.keep(self.id, reply);
            drop(outdated);
        }
    }
}

impl<R> fmt::Debug for Ticket<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("id", &self.id).finish_non_exhaustive()
    }
}
