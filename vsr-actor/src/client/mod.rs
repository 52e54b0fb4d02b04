//! The client's face: requests go in, replies come out; numbers, retries, failover and deadlines are its own business.

mod backoff;
mod driver;
mod queue;
mod reads;
mod session;
#[cfg(test)]
mod tests;
mod waiter;

pub(crate) use driver::Preference;
pub(crate) use session::Told;
pub(crate) use waiter::Waiter;

use crate::{
    Config, Outcome, Payload, ReplyTo, RequestError, StateMachine, control::Control, door::DoorsView,
    replies::Waiting,
};
use driver::Driver;
use reads::Way;
use session::Session;
use std::{
    cell::Cell,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    runtime::Handle as Runtime,
    sync::{TryAcquireError, mpsc, oneshot},
    task::AbortHandle,
    time::{Instant, timeout_at},
};

/// Sends requests to a replicated state machine. Clone it freely and share it between tasks.
///
/// A client and its clones are one session of the group: each request is executed at most once however often it has to be sent, and
/// what one task submits is executed in the order in which it was submitted. Unanswered requests of a session are bounded by the
/// group's `window`; beyond it callers wait.
///
/// The last clone, and the last [`Ticket`], that is dropped ends the session's work: requests that are not answered yet are not sent
/// again, and may or may not be executed.
pub struct Client<M: StateMachine> {
    shared: Arc<Shared<M::Reply>>,
    way: Arc<Way<M>>,
    deadline: Duration,
}

/// Why a request did not enter the session, and who is to be told.
type Unsent<R> = (RequestError, ReplyTo<R>);

/// The session, and the task that looks after it for as long as somebody needs an answer.
struct Shared<R> {
    session: Arc<Session<R>>,
    driver: AbortHandle,
}

impl<R> Drop for Shared<R> {
    fn drop(&mut self) {
        self.driver.abort();
        drop(self.session.close());
    }
}

/// The reply to a submitted request, to be awaited. Dropping it changes nothing for the request: it is executed all the same.
#[must_use = "a ticket is how the reply is received; the request is executed without it, too"]
pub struct Ticket<R> {
    reply: oneshot::Receiver<Result<R, RequestError>>,
    _shared: Arc<Shared<R>>,
}

impl<M: StateMachine> Client<M> {
    pub(crate) fn start(
        config: &Config,
        doors: DoorsView<M>,
        preference: Preference,
        runtime: &Runtime,
        custom: Option<mpsc::Sender<Control<M::Reply>>>,
    ) -> Self {
        // The timer of the driver belongs to the runtime, wherever this is called from.
        let _entered = runtime.enter();
        let window = config.replicated.window as usize;
        let session = Session::new(window, config.limits.operation_bytes_max);
        let only = match preference {
            Preference::Only(index) => Some(index),
            Preference::Primary | Preference::Replica(_) => None,
        };
        let way = Arc::new(Way { doors: doors.clone(), only, config: config.client });
        let driver = Driver::new(session.clone(), doors, preference, config.client, custom);
        let driver = runtime.spawn(driver.run()).abort_handle();
        Self { shared: Arc::new(Shared { session, driver }), way, deadline: config.client.deadline }
    }

    /// The same session, with another deadline for the requests of this clone. The default is [`ClientConfig::deadline`].
    ///
    /// [`ClientConfig::deadline`]: crate::ClientConfig::deadline
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self { shared: self.shared.clone(), way: self.way.clone(), deadline }
    }

    /// Executes an operation on the group and waits for the reply.
    ///
    /// Cancel-safe in this sense: dropped before the window had room, the request was never sent; after that it is executed all the
    /// same, and later requests are not disturbed.
    ///
    /// # Errors
    /// See [`RequestError`]; [`outcome`](RequestError::outcome) says whether the operation may have been executed.
    pub async fn request(&self, operation: M::Operation) -> Result<M::Reply, RequestError> {
        let reply = self.enter(operation).await?;
        reply.await.unwrap_or(Err(RequestError::Stopped { outcome: Outcome::Unknown }))
    }

    /// Submits an operation, as soon as the window has room, and returns without waiting for the reply. Several submissions of one
    /// task are under way at once and are executed in order.
    ///
    /// Cancel-safe: dropped before it is ready, nothing was submitted.
    ///
    /// # Errors
    /// [`Overloaded`](RequestError::Overloaded), if the window has no room before the deadline, [`TooLarge`](RequestError::TooLarge),
    /// and [`Stopped`](RequestError::Stopped). The operation was not executed.
    pub async fn submit(&self, operation: M::Operation) -> Result<Ticket<M::Reply>, RequestError> {
        let reply = self.enter(operation).await?;
        Ok(Ticket { reply, _shared: self.shared.clone() })
    }

    /// Submits an operation if the window has room now.
    ///
    /// # Errors
    /// As [`submit`](Self::submit), without waiting.
    pub fn try_submit(&self, operation: M::Operation) -> Result<Ticket<M::Reply>, RequestError> {
        let (waiting, reply) = Waiting::caller();
        self.try_submit_to(operation, ReplyTo::Waiter(waiting)).map_err(|(error, _)| error)?;
        Ok(Ticket { reply, _shared: self.shared.clone() })
    }

    /// The same, answering somebody else, who comes back with an error.
    pub(crate) fn try_submit_to(
        &self,
        operation: M::Operation,
        to: ReplyTo<M::Reply>,
    ) -> Result<(), Unsent<M::Reply>> {
        match self.shared.session.room.try_acquire() {
            Ok(permit) => {
                self.send(operation, to, Instant::now())?;
                permit.forget();
                Ok(())
            }
            Err(TryAcquireError::NoPermits) => Err((RequestError::Overloaded { waited: Duration::ZERO }, to)),
            Err(TryAcquireError::Closed) => {
                Err((RequestError::Stopped { outcome: Outcome::NotExecuted }, to))
            }
        }
    }

    async fn enter(
        &self,
        operation: M::Operation,
    ) -> Result<oneshot::Receiver<Result<M::Reply, RequestError>>, RequestError> {
        let room = &self.shared.session.room;
        let now = Instant::now();
        let permit = match room.try_acquire() {
            Ok(permit) => permit,
            Err(_) => match timeout_at(queue::after(now, self.deadline), room.acquire()).await {
                Ok(Ok(permit)) => permit,
                Ok(Err(_closed)) => return Err(RequestError::Stopped { outcome: Outcome::NotExecuted }),
                Err(_elapsed) => return Err(RequestError::Overloaded { waited: self.deadline }),
            },
        };
        let (waiting, reply) = Waiting::caller();
        self.send(operation, ReplyTo::Waiter(waiting), now).map_err(|(error, _)| error)?;
        // The queue gives it back with the answer.
        permit.forget();
        Ok(reply)
    }

    /// Encodes and queues a request; the deadline counts from `since`.
    fn send(
        &self,
        operation: M::Operation,
        to: ReplyTo<M::Reply>,
        since: Instant,
    ) -> Result<(), Unsent<M::Reply>> {
        let session = &self.shared.session;
        with_scratch(|scratch| {
            operation.encode(scratch);
            // Checked before it gets a number: a number must not be skipped later.
            if scratch.len() > session.operation_bytes_max {
                let bytes_max = session.operation_bytes_max;
                return Err((RequestError::TooLarge { bytes: scratch.len(), bytes_max }, to));
            }
            session.submit(scratch, to, since, self.deadline)
        })
    }
}

thread_local! {
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Lends a buffer to write an operation into. Taken out of its place meanwhile, so that an `encode` that sends requests itself finds
/// an empty one.
fn with_scratch<T>(work: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    const KEPT_BYTES_MAX: usize = 64 << 10;
    let mut scratch = SCRATCH.take();
    scratch.clear();
    let result = work(&mut scratch);
    if scratch.capacity() <= KEPT_BYTES_MAX {
        SCRATCH.set(scratch);
    }
    result
}

impl<R> Future for Ticket<R> {
    type Output = Result<R, RequestError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let stopped = Err(RequestError::Stopped { outcome: Outcome::Unknown });
        Pin::new(&mut self.reply).poll(context).map(|reply| reply.unwrap_or(stopped))
    }
}

impl<M: StateMachine> Clone for Client<M> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone(), way: self.way.clone(), deadline: self.deadline }
    }
}

impl<M: StateMachine> fmt::Debug for Client<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

impl<R> fmt::Debug for Ticket<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket")
    }
}
