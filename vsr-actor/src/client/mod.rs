//! The client's face: requests go in, replies come out; numbers, retries, failover and deadlines are its own business.

mod driver;
mod hint;
mod kept;
mod queue;
mod reads;
mod request_id;
mod resolve;
mod scratch;
mod session;
#[cfg(test)]
mod tests;
mod ticket;
mod waiter;

pub use hint::{PrimaryChanges, PrimaryHint};
pub use request_id::RequestId;
pub use ticket::Ticket;

pub(crate) use driver::Preference;
pub(crate) use session::Told;
pub(crate) use waiter::{Claim, Knock, Taken, Waiter};

use crate::{
    Config, Outcome, Payload, ReplyTo, RequestError, StateMachine, control::Control, door::DoorsView,
    observe::RequestSpan, replies::Waiting,
};
use driver::Driver;
use reads::Way;
use scratch::Scratch;
use session::Session;
use std::{fmt, sync::Arc, time::Duration};
use tokio::{
    runtime::Handle as Runtime,
    sync::{SemaphorePermit, TryAcquireError, mpsc, oneshot},
    task::AbortHandle,
    time::{Instant, timeout_at},
};
use vsr_core::TraceContext;

/// Sends requests to a replicated state machine. Clone it freely and share it between tasks.
///
/// A client and its clones are one session of the group: each request is executed at most once however often it has to be sent, and
/// what one task submits is executed in the order in which it was submitted. Unanswered requests of a session are bounded by the
/// group's `window`; beyond it callers wait.
///
/// The last clone, and the last [`Ticket`], that is dropped ends the session's work: requests that are not answered yet are not sent
/// again, and may or may not be executed.
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
/// let counter = cluster.client();
/// assert_eq!(counter.request(5).await?, 5);
/// let ticket = counter.try_submit(7)?; // does not wait for room in the window
/// assert_eq!(ticket.await?, 12);
/// # Ok(cluster.shutdown().await?)
/// # }
/// ```
pub struct Client<M: StateMachine> {
    shared: Arc<Shared<M::Reply>>,
    way: Arc<Way<M>>,
    deadline: Duration,
    trace: Option<Arc<TraceContext>>,
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

/// Where the reply to a request will be, and what the request is called.
type Entered<R> = (oneshot::Receiver<Result<R, RequestError>>, RequestId);

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
        let way = Arc::new(Way { doors: doors.clone(), only: preference.only(), config: config.client });
        let driver = Driver::new(session.clone(), doors, preference, config.client, custom);
        let driver = runtime.spawn(driver.run()).abort_handle();
        let shared = Arc::new(Shared { session, driver });
        Self { shared, way, deadline: config.client.deadline, trace: None }
    }

    /// The same session, with another deadline: this is how a single call gets one of its own. It costs two reference counts, and goes
    /// for everything that is asked of the returned clone: requests, the wait for room in the window, reads of every kind,
    /// [`resolve`](Self::resolve). The default is [`ClientConfig::deadline`]; `Duration::MAX` is none.
    ///
    /// ```
    /// # use std::time::Duration;
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
    /// # let cluster = Cluster::in_process(3, Counter::default).await?;
    /// # let counter = cluster.client();
    /// let soon = Duration::from_millis(200);
    /// assert_eq!(counter.with_deadline(soon).request(5).await?, 5);
    /// assert_eq!(counter.with_deadline(soon).read_linearizable(|counter| counter.total).await?, 5);
    /// # Ok(cluster.shutdown().await?)
    /// # }
    /// ```
    ///
    /// [`ClientConfig::deadline`]: crate::ClientConfig::deadline
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self { deadline, ..self.clone() }
    }

    /// The same session; requests of this clone belong to the caller's trace. It goes with them to whichever replica executes them,
    /// where spans and events name it; the state machine does not see it. A read beside the log has none.
    ///
    /// ```
    /// # use vsr_actor::{Client, StateMachine};
    /// # fn incoming<M: StateMachine>(client: &Client<M>, header: Option<&str>) -> Client<M> {
    /// match header.and_then(|traceparent| traceparent.parse().ok()) {
    ///     Some(trace) => client.with_trace(trace),
    ///     None => client.clone(),
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn with_trace(&self, trace: TraceContext) -> Self {
        Self { trace: Some(Arc::new(trace)), ..self.clone() }
    }

    /// Executes an operation on the group and waits for the reply.
    ///
    /// Cancel-safe in this sense: dropped before the window had room, the request was never sent; after that it is executed all the
    /// same, and later requests are not disturbed.
    ///
    /// # Errors
    /// See [`RequestError`]; [`outcome`](RequestError::outcome) says whether the operation may have been executed.
    pub async fn request(&self, operation: M::Operation) -> Result<M::Reply, RequestError> {
        let span = RequestSpan::new(self.trace.as_ref());
        let (room, since) = self.room().await?;
        let (reply, _) = self.enter(&operation, room, since, span.as_ref())?;
        // Not kept while it is waited for.
        drop(operation);
        match reply.await {
            Ok(reply) => reply,
            Err(_gone) => Err(RequestError::Stopped { outcome: Outcome::Unknown }),
        }
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
        let span = RequestSpan::new(self.trace.as_ref());
        let (room, since) = self.room().await?;
        let (reply, id) = self.enter(&operation, room, since, span.as_ref())?;
        Ok(Ticket::new(reply, id, false, self.shared.clone()).within(span))
    }

    /// Submits an operation if the window has room now.
    ///
    /// # Errors
    /// As [`submit`](Self::submit), without waiting.
    pub fn try_submit(&self, operation: M::Operation) -> Result<Ticket<M::Reply>, RequestError> {
        let (waiting, reply) = Waiting::caller();
        let span = RequestSpan::new(self.trace.as_ref());
        let id =
            self.try_send(&operation, ReplyTo::Waiter(waiting), span.as_ref()).map_err(|(error, _)| error)?;
        Ok(Ticket::new(reply, id, false, self.shared.clone()).within(span))
    }

    /// The same, answering somebody else, who comes back with an error.
    pub(crate) fn try_submit_to(
        &self,
        operation: M::Operation,
        to: ReplyTo<M::Reply>,
    ) -> Result<RequestId, Unsent<M::Reply>> {
        self.try_send(&operation, to, None)
    }

    fn try_send(
        &self,
        operation: &M::Operation,
        to: ReplyTo<M::Reply>,
        span: Option<&RequestSpan>,
    ) -> Result<RequestId, Unsent<M::Reply>> {
        match self.shared.session.room.try_acquire() {
            Ok(permit) => {
                let id = self.send(operation, to, Instant::now(), span)?;
                permit.forget();
                Ok(id)
            }
            Err(TryAcquireError::NoPermits) => Err((RequestError::Overloaded { waited: Duration::ZERO }, to)),
            Err(TryAcquireError::Closed) => {
                Err((RequestError::Stopped { outcome: Outcome::NotExecuted }, to))
            }
        }
    }

    /// Room for one request in the window, and since when it was waited for.
    async fn room(&self) -> Result<(SemaphorePermit<'_>, Instant), RequestError> {
        let (room, now) = (&self.shared.session.room, Instant::now());
        if let Ok(permit) = room.try_acquire() {
            return Ok((permit, now));
        }
        match timeout_at(queue::after(now, self.deadline), room.acquire()).await {
            Ok(Ok(permit)) => Ok((permit, now)),
            Ok(Err(_closed)) => Err(RequestError::Stopped { outcome: Outcome::NotExecuted }),
            Err(_elapsed) => Err(RequestError::Overloaded { waited: self.deadline }),
        }
    }

    /// Sends a request of one who waits for the reply.
    fn enter(
        &self,
        operation: &M::Operation,
        room: SemaphorePermit<'_>,
        since: Instant,
        span: Option<&RequestSpan>,
    ) -> Result<Entered<M::Reply>, RequestError> {
        let (waiting, reply) = Waiting::caller();
        let id = self.send(operation, ReplyTo::Waiter(waiting), since, span).map_err(|(error, _)| error)?;
        // The queue gives it back with the answer.
        room.forget();
        Ok((reply, id))
    }

    /// Encodes and queues a request; the deadline counts from `since`.
    fn send(
        &self,
        operation: &M::Operation,
        to: ReplyTo<M::Reply>,
        since: Instant,
        span: Option<&RequestSpan>,
    ) -> Result<RequestId, Unsent<M::Reply>> {
        let session = &self.shared.session;
        let trace = span.map_or(&self.trace, |span| &span.trace).clone();
        let mut scratch = Scratch::new();
        match span {
            None => operation.encode(&mut scratch.0),
            Some(span) => span.in_scope(|| operation.encode(&mut scratch.0)),
        }
        let (bytes, bytes_max) = (scratch.0.len(), session.operation_bytes_max);
        // Checked before it gets a number: a number must not be skipped later.
        if bytes > bytes_max {
            return Err((RequestError::TooLarge { bytes, bytes_max }, to));
        }
        session.submit(&scratch.0, to, since, self.deadline, trace)
    }
}

impl<M: StateMachine> Clone for Client<M> {
    fn clone(&self) -> Self {
        let Self { shared, way, deadline, trace } = self;
        Self { shared: shared.clone(), way: way.clone(), deadline: *deadline, trace: trace.clone() }
    }
}

impl<M: StateMachine> fmt::Debug for Client<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}
