//! What a callback can do beside changing its actor.

use super::{
    AlreadyRunning, CallError, HandleInfo, Next, ReplyToken, ServerRef, Timer, Turn,
    server_ref::info_turn,
    timers::{Tick, Timers},
};
use crate::{
    LogStorage, ReplyTo, RequestError, StateMachine, clock::Clock, entrance::Entrance, replies::Waiting,
};
use std::{fmt, future::Future, sync::Arc, time::Duration};
use tokio::{sync::oneshot, task::JoinSet};
use vsr_core::{ReplicaId, Status};

/// What a callback of a [`VsrServer`](super::VsrServer) can do beside changing its actor.
///
/// ```
/// use std::time::Duration;
/// use vsr_actor::prelude::*;
///
/// #[derive(Default, Serialize, Deserialize)]
/// struct Clock { ticks: u64 }
///
/// impl StateMachine for Clock {
///     type Operation = ();
///     type Reply = u64;
///     fn handle_commit(&mut self, _commit: &Commit, (): ()) -> u64 { self.ticks += 1; self.ticks }
/// }
///
/// #[derive(Clone)]
/// struct Tick;
///
/// impl VsrServer for Clock {
///     async fn init(&mut self, ctx: &mut Context<Self>) -> Result<(), Stop> {
///         ctx.send_interval(Duration::from_secs(1), Tick);
///         Ok(())
///     }
/// }
///
/// impl HandleInfo<Tick> for Clock {
///     fn handle_info(&mut self, _: Tick, ctx: &mut Context<Self>) -> Next {
///         if ctx.status().is_primary { ctx.request_detached(()) } else { Next::Wait } // one of the replicas is enough
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cluster = Cluster::servers(3, Clock::default).await?;
/// tokio::time::advance(Duration::from_millis(2500)).await;
/// # cluster.await_convergence().await?;
/// # Ok(cluster.shutdown().await?)
/// # }
/// ```
///
/// ```
/// # use std::time::Duration;
/// # use vsr_actor::{MemoryStorage, RequestError, Timer, prelude::*};
/// # #[derive(Default, Serialize, Deserialize)]
/// # struct Counter { total: i64 }
/// # impl StateMachine for Counter {
/// #     type Operation = i64;
/// #     type Reply = i64;
/// #     fn handle_commit(&mut self, _commit: &Commit, add: i64) -> i64 { self.total += add; self.total }
/// # }
/// #[derive(Default)]
/// struct Watcher { counter: Counter, alarm: Option<Timer> }
/// # impl Snapshot for Watcher {
/// #     fn snapshot(&self) -> vsr_actor::Frozen { self.counter.snapshot() }
/// #     fn restore(&mut self, from: &mut dyn std::io::Read) -> std::io::Result<()> { self.counter.restore(from) }
/// # }
/// # impl StateMachine for Watcher {
/// #     type Operation = i64;
/// #     type Reply = i64;
/// #     fn handle_commit(&mut self, commit: &Commit, add: i64) -> i64 { self.counter.handle_commit(commit, add) }
/// # }
///
/// struct Alarm;
/// struct Weather(i64);
/// struct Counted(Result<i64, RequestError>);
///
/// impl VsrServer for Watcher {
///     async fn init(&mut self, ctx: &mut Context<Self>) -> Result<(), Stop> {
///         ctx.set_log(MemoryStorage::default())?; // only here, before the replica joins its group
///         ctx.set_cluster(ctx.node_id(), [ctx.node_id()])?;
///         self.alarm = Some(ctx.send_after(Duration::from_secs(60), Alarm));
///         ctx.continue_after(); // `handle_continue` comes next
///         Ok(())
///     }
///     fn handle_continue(&mut self, ctx: &mut Context<Self>) -> Next {
///         ctx.spawn(async { Weather(21) }); // in life: asks another service
///         Next::Wait
///     }
/// }
/// impl HandleInfo<Weather> for Watcher {
///     fn handle_info(&mut self, Weather(degrees): Weather, ctx: &mut Context<Self>) -> Next {
///         ctx.request_info(degrees, Counted)
///     }
/// }
/// impl HandleInfo<Counted> for Watcher {
///     fn handle_info(&mut self, Counted(total): Counted, ctx: &mut Context<Self>) -> Next {
///         if let (Ok(_), Some(alarm)) = (total, self.alarm.take()) { ctx.cancel(alarm); }
///         Next::Wait
///     }
/// }
/// impl HandleInfo<Alarm> for Watcher {
///     fn handle_info(&mut self, _: Alarm, _: &mut Context<Self>) -> Next {
///         Next::Stop(Stop::because("no weather for a minute"))
///     }
/// }
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let id = vsr_actor::ReplicaId(0);
/// # let replica = vsr_actor::Builder::server(id, [], Watcher::default()).start().await?;
/// # while replica.client().read_linearizable(|watcher| watcher.counter.total).await? == 0 {}
/// # while replica.dump().await?.callbacks.is_some_and(|callbacks| callbacks.timers > 0) {}
/// # Ok(replica.shutdown().await?)
/// # }
/// ```
pub struct Context<S: StateMachine> {
    status: Status,
    clock: Clock,
    server: ServerRef<S>,
    entrance: Arc<Entrance<S>>,
    pub(super) timers: Timers<S>,
    /// Work under way. It ends with the actor, and what it brings comes back as a turn.
    pub(super) spawned: JoinSet<Option<Turn<S>>>,
    /// What was asked for beside the returned [`Next`].
    pub(super) go_on: bool,
    joining: Option<Joining>,
}

/// What [`init`](super::VsrServer::init) may still decide.
#[derive(Default)]
pub(crate) struct Joining {
    pub(crate) log: Option<Box<dyn LogStorage>>,
    pub(crate) cluster: Option<(ReplicaId, Vec<ReplicaId>)>,
}

/// Shorter periods would keep the replica from its work.
const PERIOD_MIN: Duration = Duration::from_millis(1);

impl<S: StateMachine> Context<S> {
    pub(crate) fn new(
        status: Status,
        clock: Clock,
        server: ServerRef<S>,
        entrance: Arc<Entrance<S>>,
    ) -> Self {
        Self {
            status,
            clock,
            server,
            entrance,
            timers: Timers::default(),
            spawned: JoinSet::new(),
            go_on: false,
            joining: Some(Joining::default()),
        }
    }

    /// What `init` decided. After that it is too late.
    pub(crate) fn joining(&mut self) -> Joining {
        self.joining.take().unwrap_or_default()
    }

    pub(crate) fn set_status(&mut self, status: Status) {
        self.status = status;
    }

    /// Which replica this is.
    #[must_use]
    pub fn node_id(&self) -> ReplicaId {
        self.status.replica
    }

    /// What the replica knows of itself, at the end of the protocol's last turn.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// The actor's own mailbox: to be given to whoever has something to say to it.
    #[must_use]
    pub fn server(&self) -> ServerRef<S> {
        self.server.clone()
    }

    /// Has an operation executed on the group. Its reply, by way of `map`, answers the caller that `from` stands for; `map` runs on the
    /// replica's task or on one of its client's and must not block. If the request fails the caller gets [`CallError::Request`].
    ///
    /// Requests of one replica's callbacks are executed in the order in which they were made; they share the replica's own session with
    /// [`Handle::submit`](crate::Handle::submit). When its window is full the caller gets
    /// [`Overloaded`](RequestError::Overloaded) at once. The deadline is [`ClientConfig::deadline`](crate::ClientConfig::deadline).
    pub fn request<A: Send + 'static>(
        &mut self,
        operation: S::Operation,
        from: ReplyToken<A>,
        map: impl FnOnce(S::Reply) -> A + Send + 'static,
    ) -> Next {
        self.submit(operation, move |reply| from.finish(reply.map(map).map_err(CallError::Request)))
    }

    /// Has an operation executed on the group, with nobody to hear of its reply, nor of an error.
    pub fn request_detached(&mut self, operation: S::Operation) -> Next {
        // Who wants to know uses one of the others.
        let _ = self.entrance.submit(operation, ReplyTo::Nobody);
        Next::Wait
    }

    /// Has an operation executed on the group; the outcome, by way of `map`, comes back to this actor as an info. A panic in `map` is one
    /// in [spawned](Self::spawn) work.
    pub fn request_info<I: Send + 'static>(
        &mut self,
        operation: S::Operation,
        map: impl FnOnce(Result<S::Reply, RequestError>) -> I + Send + 'static,
    ) -> Next
    where
        S: super::HandleInfo<I>,
    {
        let (tell, outcome) = oneshot::channel();
        let next = self.submit(operation, move |reply| drop(tell.send(reply)));
        // Not told only if the session is gone without a word, and with it the replica. `map` runs here, where a panic has an owner: a
        // session that tells of errors has other callers, too.
        self.spawned.spawn(async move { outcome.await.ok().map(|reply| info_turn(map(reply))) });
        next
    }

    fn submit(
        &mut self,
        operation: S::Operation,
        told: impl FnOnce(Result<S::Reply, RequestError>) + Send + 'static,
    ) -> Next {
        let to = ReplyTo::Waiter(Waiting::callback(told));
        if let Err((error, to)) = self.entrance.submit(operation, to) {
            to.send(Err(error));
        }
        Next::Wait
    }

    /// Starts asynchronous work beside the actor. What it brings comes back as an info. It cannot borrow the actor, and it is aborted when
    /// the actor ends. If it panics, so does the actor: [`ReplicaError::Callback`](crate::ReplicaError::Callback) names `spawn`.
    pub fn spawn<I: Send + 'static>(&mut self, work: impl Future<Output = I> + Send + 'static)
    where
        S: HandleInfo<I>,
    {
        self.spawned.spawn(async move { Some(info_turn(work.await)) });
    }

    /// Sends `info` to this actor after `delay`, by the runtime's clock and not the replicated one. Timers need no room in the mailbox,
    /// and end with the actor: a replica that starts again starts them again in [`init`](super::VsrServer::init).
    pub fn send_after<I: Send + 'static>(&mut self, delay: Duration, info: I) -> Timer
    where
        S: HandleInfo<I>,
    {
        let at = self.clock.now().monotonic.after(delay);
        self.timers.start(at, Tick::Once(info_turn(info)))
    }

    /// Sends a clone of `info` to this actor every `period`, beginning after one. Periods shorter than a millisecond count as one. An actor
    /// that was late gets one info, not all that it missed.
    pub fn send_interval<I: Clone + Send + 'static>(&mut self, period: Duration, info: I) -> Timer
    where
        S: HandleInfo<I>,
    {
        let period = period.max(PERIOD_MIN);
        let at = self.clock.now().monotonic.after(period);
        self.timers.start(at, Tick::Every(period, Box::new(move || info_turn(info.clone()))))
    }

    /// Stops a timer; whether there was something to stop.
    pub fn cancel(&mut self, timer: Timer) -> bool {
        self.timers.cancel(timer)
    }

    /// Asks for [`handle_continue`](super::VsrServer::handle_continue) after this callback, as [`Next::Continue`] does: for callbacks that
    /// return something else, such as `init`.
    pub fn continue_after(&mut self) {
        self.go_on = true;
    }

    /// Hands over the log that the replica starts on, in place of the one its builder was given. In
    /// [`init`](super::VsrServer::init) only; outside of it, [`Handle::set_log`](crate::Handle::set_log) does it before the replica joins.
    ///
    /// # Errors
    /// [`AlreadyRunning`]: `init` is over.
    pub fn set_log(&mut self, log: impl LogStorage) -> Result<(), AlreadyRunning> {
        let joining = self.joining.as_mut().ok_or(AlreadyRunning { what: "the log" })?;
        joining.log = Some(Box::new(log));
        Ok(())
    }

    /// Says which replica this is and of which group, in place of what its builder was given. In [`init`](super::VsrServer::init) only;
    /// outside of it, [`Handle::set_cluster`](crate::Handle::set_cluster) does it before the replica joins.
    ///
    /// # Errors
    /// [`AlreadyRunning`]: `init` is over.
    pub fn set_cluster(
        &mut self,
        id: ReplicaId,
        members: impl IntoIterator<Item = ReplicaId>,
    ) -> Result<(), AlreadyRunning> {
        let joining = self.joining.as_mut().ok_or(AlreadyRunning { what: "the cluster" })?;
        joining.cluster = Some((id, members.into_iter().collect()));
        Ok(())
    }
}

impl<S: StateMachine> fmt::Debug for Context<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("status", &self.status)
            .field("timers", &self.timers.len())
            .field("spawned", &self.spawned.len())
            .finish_non_exhaustive()
    }
}
