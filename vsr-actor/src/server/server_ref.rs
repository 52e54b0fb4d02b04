//! Sending to an actor.

use super::{CallError, HandleCall, HandleCast, HandleInfo, Turn};
use crate::StateMachine;
use std::{fmt, future::Future, time::Duration};
use tokio::{
    sync::{
        mpsc::{self, error::TrySendError},
        oneshot,
    },
    time::timeout,
};

/// The mailbox of one replica's [`VsrServer`](super::VsrServer). Clone it freely; it does not keep the replica alive.
///
/// The mailbox holds [`Mailboxes::calls`](crate::Mailboxes::calls) messages. Of each send there are three forms: one that waits for room,
/// one that tries, and one with a time of its own. Messages of one sender are handled in the order in which they were sent.
///
/// ```
/// use std::time::Duration;
/// use vsr_actor::{CallError, ServerRef, prelude::*};
///
/// # #[derive(Default, Serialize, Deserialize)]
/// # struct Counter(i64);
/// # impl StateMachine for Counter {
/// #     type Operation = i64;
/// #     type Reply = i64;
/// #     fn handle_commit(&mut self, _commit: &Commit, add: i64) -> i64 { self.0 += add; self.0 }
/// # }
/// # impl VsrServer for Counter {}
/// struct Add(i64);
/// impl HandleCall<Add> for Counter {
///     type Answer = i64;
///     fn handle_call(&mut self, Add(n): Add, from: ReplyToken<i64>, ctx: &mut Context<Self>) -> Next {
///         ctx.request(n, from, |total| total)
///     }
/// }
/// impl HandleCast<Add> for Counter {
///     fn handle_cast(&mut self, Add(n): Add, ctx: &mut Context<Self>) -> Next {
///         ctx.request_detached(n)
///     }
/// }
/// struct Hello;
/// impl HandleInfo<Hello> for Counter {
///     fn handle_info(&mut self, _: Hello, _: &mut Context<Self>) -> Next {
///         Next::Wait
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cluster = Cluster::servers(3, Counter::default).await?;
/// let counter: ServerRef<Counter> = cluster.handle(cluster.primary().await?)?.server();
/// counter.cast(Add(1)).await?; // nobody waits for what becomes of it
/// assert_eq!(counter.call(Add(2)).await?, 3);
///
/// let soon = Duration::from_millis(10);
/// counter.try_cast(Add(3))?; // if there is room now
/// counter.cast_timeout(Add(4), soon).await?; // if there is room soon
/// assert_eq!(counter.try_call(Add(5)).await?, 15);
/// let late = counter.call_timeout(Add(6), Duration::ZERO).await;
/// assert!(matches!(late, Err(CallError::Timeout { .. })), "its outcome is unknown: {late:?}");
///
/// counter.info(Hello).await?;
/// counter.info_timeout(Hello, soon).await?;
/// counter.try_info(Hello)?;
/// # Ok(cluster.shutdown().await?)
/// # }
/// ```
pub struct ServerRef<S: StateMachine> {
    /// None: a plain state machine.
    lane: Option<mpsc::Sender<Turn<S>>>,
    deadline: Duration,
}

impl<S: StateMachine> ServerRef<S> {
    pub(crate) fn new(lane: Option<mpsc::Sender<Turn<S>>>, deadline: Duration) -> Self {
        Self { lane, deadline }
    }

    /// Calls the actor and waits for the answer, for at most [`ClientConfig::deadline`](crate::ClientConfig::deadline).
    ///
    /// Cancel-safe in this sense: dropped before the mailbox had room, nothing was sent; after that the call is handled all the same.
    ///
    /// # Errors
    /// See [`CallError`]; [`outcome`](CallError::outcome) says what is known of the call.
    pub async fn call<C: Send + 'static>(&self, call: C) -> Result<S::Answer, CallError>
    where
        S: HandleCall<C>,
    {
        self.call_timeout(call, self.deadline).await
    }

    /// [`call`](Self::call), if the mailbox has room now.
    ///
    /// # Errors
    /// As [`call`](Self::call), and [`Full`](CallError::Full).
    pub async fn try_call<C: Send + 'static>(&self, call: C) -> Result<S::Answer, CallError>
    where
        S: HandleCall<C>,
    {
        let (turn, answer) = call_turn(call);
        self.try_push(turn)?;
        within(self.deadline, answer).await
    }

    /// [`call`](Self::call) with a time of its own, for room and answer together.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn call_timeout<C: Send + 'static>(
        &self,
        call: C,
        time: Duration,
    ) -> Result<S::Answer, CallError>
    where
        S: HandleCall<C>,
    {
        let (turn, answer) = call_turn(call);
        let mut sent = false;
        let whole = async {
            self.push(turn).await?;
            sent = true;
            answer.await.unwrap_or(Err(CallError::Stopped))
        };
        match timeout(time, whole).await {
            Ok(answer) => answer,
            Err(_elapsed) if sent => Err(CallError::Timeout { waited: time }),
            Err(_elapsed) => Err(CallError::NoRoom { waited: time }),
        }
    }

    /// Sends a cast; waits for room for as long as the replica lives. Cancel-safe: dropped before it is ready, nothing was sent.
    ///
    /// # Errors
    /// [`Stopped`](CallError::Stopped), [`NotAServer`](CallError::NotAServer).
    pub async fn cast<C: Send + 'static>(&self, cast: C) -> Result<(), CallError>
    where
        S: HandleCast<C>,
    {
        self.push(cast_turn(cast)).await
    }

    /// Sends a cast, if the mailbox has room now.
    ///
    /// # Errors
    /// As [`cast`](Self::cast), and [`Full`](CallError::Full).
    pub fn try_cast<C: Send + 'static>(&self, cast: C) -> Result<(), CallError>
    where
        S: HandleCast<C>,
    {
        self.try_push(cast_turn(cast))
    }

    /// Sends a cast, if the mailbox has room in this time.
    ///
    /// # Errors
    /// As [`cast`](Self::cast), and [`NoRoom`](CallError::NoRoom).
    pub async fn cast_timeout<C: Send + 'static>(&self, cast: C, time: Duration) -> Result<(), CallError>
    where
        S: HandleCast<C>,
    {
        self.push_within(cast_turn(cast), time).await
    }

    /// Sends an info; waits for room for as long as the replica lives. Cancel-safe: dropped before it is ready, nothing was sent.
    ///
    /// # Errors
    /// [`Stopped`](CallError::Stopped), [`NotAServer`](CallError::NotAServer).
    pub async fn info<I: Send + 'static>(&self, info: I) -> Result<(), CallError>
    where
        S: HandleInfo<I>,
    {
        self.push(info_turn(info)).await
    }

    /// Sends an info, if the mailbox has room now.
    ///
    /// # Errors
    /// As [`info`](Self::info), and [`Full`](CallError::Full).
    pub fn try_info<I: Send + 'static>(&self, info: I) -> Result<(), CallError>
    where
        S: HandleInfo<I>,
    {
        self.try_push(info_turn(info))
    }

    /// Sends an info, if the mailbox has room in this time.
    ///
    /// # Errors
    /// As [`info`](Self::info), and [`NoRoom`](CallError::NoRoom).
    pub async fn info_timeout<I: Send + 'static>(&self, info: I, time: Duration) -> Result<(), CallError>
    where
        S: HandleInfo<I>,
    {
        self.push_within(info_turn(info), time).await
    }

    fn lane(&self) -> Result<&mpsc::Sender<Turn<S>>, CallError> {
        self.lane.as_ref().ok_or(CallError::NotAServer)
    }

    async fn push(&self, turn: Turn<S>) -> Result<(), CallError> {
        self.lane()?.send(turn).await.map_err(|_| CallError::Stopped)
    }

    async fn push_within(&self, turn: Turn<S>, time: Duration) -> Result<(), CallError> {
        timeout(time, self.push(turn)).await.unwrap_or(Err(CallError::NoRoom { waited: time }))
    }

    fn try_push(&self, turn: Turn<S>) -> Result<(), CallError> {
        self.lane()?.try_send(turn).map_err(|error| match error {
            TrySendError::Full(_) => CallError::Full,
            TrySendError::Closed(_) => CallError::Stopped,
        })
    }
}

type Answer<A> = oneshot::Receiver<Result<A, CallError>>;

async fn within<A>(
    time: Duration,
    answer: impl Future<Output = Result<Result<A, CallError>, oneshot::error::RecvError>>,
) -> Result<A, CallError> {
    match timeout(time, answer).await {
        Ok(answer) => answer.unwrap_or(Err(CallError::Stopped)),
        Err(_elapsed) => Err(CallError::Timeout { waited: time }),
    }
}

/// The token is made when the call is handled: a caller whose call was never looked at is told so.
fn call_turn<C: Send + 'static, S: HandleCall<C>>(call: C) -> (Turn<S>, Answer<S::Answer>) {
    let (caller, answer) = oneshot::channel();
    let turn = Turn::new::<C>("handle_call", move |server: &mut S, ctx| {
        server.handle_call(call, super::ReplyToken::new(caller), ctx)
    });
    (turn, answer)
}

fn cast_turn<C: Send + 'static, S: HandleCast<C>>(cast: C) -> Turn<S> {
    Turn::new::<C>("handle_cast", move |server: &mut S, ctx| server.handle_cast(cast, ctx))
}

pub(super) fn info_turn<I: Send + 'static, S: HandleInfo<I>>(info: I) -> Turn<S> {
    Turn::new::<I>("handle_info", move |server: &mut S, ctx| server.handle_info(info, ctx))
}

impl<S: StateMachine> Clone for ServerRef<S> {
    fn clone(&self) -> Self {
        Self { lane: self.lane.clone(), deadline: self.deadline }
    }
}

impl<S: StateMachine> fmt::Debug for ServerRef<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerRef")
            .field("open", &self.lane.as_ref().is_some_and(|lane| !lane.is_closed()))
            .finish_non_exhaustive()
    }
}
