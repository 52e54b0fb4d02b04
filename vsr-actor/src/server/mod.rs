//! The GenServer-style face: an actor with calls, casts, infos and timers around a replicated state.
//!
//! A replica's task runs these callbacks between two turns of the protocol, one at a time. They see the state as of the last operation
//! that was applied here. Nothing of them is replicated: what all replicas must know goes through [`Context::request`].

mod context;
mod error;
mod hooks;
mod host;
mod server_ref;
mod timers;
mod token;

pub use context::Context;
pub use error::{AlreadyRunning, CallError};
pub use server_ref::ServerRef;
pub use timers::Timer;
pub use token::ReplyToken;

pub(crate) use context::Joining;
pub(crate) use hooks::{Hooks, hooks_of};
pub(crate) use host::{Host, Parts, Turn, init};

use crate::{Replies, ReplyTo, RequestError, StateMachine, Transport};
use std::{fmt, future::Future, time::Duration};
use vsr_core::{Message, ReplicaId};

/// An actor around a replicated state, in the manner of Erlang's `gen_server`. Every method has a default; typed messages come by
/// [`HandleCall`], [`HandleCast`] and [`HandleInfo`].
///
/// Started by [`Builder::server`](crate::Builder::server) or [`Cluster::servers`](crate::Cluster::servers); reached through
/// [`ServerRef`]. The callbacks run on the replica's task, between turns of the protocol, so they **must not block**: while one runs
/// there is no heartbeat and no commit. One that takes longer than [`Config::slow_callback`](crate::Config::slow_callback) is reported
/// with its name and duration. Asynchronous work goes through [`Context::spawn`] and comes back as an info.
///
/// # What is replicated, and what is not
/// Only [`handle_commit`](StateMachine::handle_commit) may change what replicas must agree on. A callback that changes it too makes its
/// replica differ from the others, which they notice and it stops. What lives beside the replicated state (tokens of callers, sockets,
/// caches) is each replica's own. It survives a snapshot that arrives from another replica if [`restore`](crate::Snapshot::restore)
/// leaves it alone: keep the replicated part in a field of its own and implement [`Snapshot`](crate::Snapshot) by handing both methods
/// on to it, as below. It does not survive a crash: a new start begins with what the factory makes, and [`init`](Self::init).
///
/// ```
/// use std::io;
/// use vsr_actor::{Frozen, prelude::*};
///
/// #[derive(Default, Serialize, Deserialize)]
/// struct Balance { cents: i64 }
///
/// #[derive(Default)]
/// struct Account {
///     balance: Balance,
///     /// Callers that wait for money: beside the replicated state.
///     waiting: Vec<ReplyToken<i64>>,
/// }
///
/// impl Snapshot for Account {
///     fn snapshot(&self) -> Frozen { self.balance.snapshot() }
///     fn restore(&mut self, from: &mut dyn io::Read) -> io::Result<()> { self.balance.restore(from) }
/// }
///
/// impl StateMachine for Account {
///     type Operation = i64;
///     type Reply = i64;
///     fn handle_commit(&mut self, _commit: &Commit, cents: i64) -> i64 {
///         self.balance.cents += cents;
///         for caller in self.waiting.drain(..) {
///             caller.reply(self.balance.cents);
///         }
///         self.balance.cents
///     }
/// }
///
/// impl VsrServer for Account {}
///
/// struct Deposit(i64);
/// impl HandleCall<Deposit> for Account {
///     type Answer = i64;
///     fn handle_call(&mut self, Deposit(cents): Deposit, from: ReplyToken<i64>, ctx: &mut Context<Self>) -> Next {
///         ctx.request(cents, from, |balance| balance) // replicated; the caller is answered when it is committed
///     }
/// }
///
/// struct NextChange;
/// impl HandleCall<NextChange> for Account {
///     type Answer = i64;
///     fn handle_call(&mut self, _: NextChange, from: ReplyToken<i64>, _: &mut Context<Self>) -> Next {
///         self.waiting.push(from); // answered later, by another callback
///         Next::Wait
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cluster = Cluster::servers(3, Account::default).await?;
/// let account = cluster.handle(cluster.primary().await?)?.server();
/// let (change, balance) = tokio::join!(account.call(NextChange), account.call(Deposit(5)));
/// assert_eq!((change?, balance?), (5, 5));
/// # Ok(cluster.shutdown().await?)
/// # }
/// ```
pub trait VsrServer: StateMachine {
    /// Before anything else, and before the replica joins its group: opens what the actor needs. It may hand over a log with
    /// [`Context::set_log`] and the group with [`Context::set_cluster`].
    ///
    /// An error, a panic, or taking longer than [`Config::init_timeout`](crate::Config::init_timeout) is the error of the start
    /// ([`ReplicaError::Init`](crate::ReplicaError::Init), [`InitTimedOut`](crate::ReplicaError::InitTimedOut)); the actor is dropped.
    fn init(&mut self, ctx: &mut Context<Self>) -> impl Future<Output = Result<(), Stop>> + Send {
        let _ = ctx;
        async { Ok(()) }
    }

    /// What a callback left for later: called after one that returned [`Next::Continue`], before any other.
    fn handle_continue(&mut self, ctx: &mut Context<Self>) -> Next {
        let _ = ctx;
        Next::Wait
    }

    /// No call, cast or info came in the time that [`Next::Idle`] gave.
    fn handle_idle(&mut self, ctx: &mut Context<Self>) -> Next {
        let _ = ctx;
        Next::Wait
    }

    /// Another replica was not heard any more, or is heard again: called on every change, from the start of the view that this replica
    /// joins on. It is what heartbeats show, no more than a time-out old (in an [idle](crate::Config::idle_heartbeat_interval) group as much
    /// older as it is quieter): the primary knows whom it hears, and tells the others. A transport that knows better may send an info.
    fn monitor_node(&mut self, peer: ReplicaId, state: PeerState, ctx: &mut Context<Self>) -> Next {
        let _ = (peer, state, ctx);
        Next::Wait
    }

    /// The replica is about to end: politely, by a [`Next::Stop`], or by a failure. Not called when the task is aborted: by
    /// [`Cluster::crash`](crate::Cluster::crash), by dropping the last [`Handle`](crate::Handle), or with its runtime. After a panic the
    /// state may be half-changed. Bounded by [`Config::terminate_timeout`](crate::Config::terminate_timeout).
    fn terminate(&mut self, why: &Stop) -> impl Future<Output = ()> + Send {
        let _ = why;
        async {}
    }

    /// Sends a message to another replica. Overriding this is all that a transport of one's own takes; what arrives there is handed to
    /// [`Handle::deliver`](crate::Handle::deliver). `default` is the transport that the replica was started with. The duties are those
    /// of [`Transport::send_vsr`].
    fn send_vsr(&mut self, to: ReplicaId, message: Message, default: &mut dyn Transport) {
        default.send_vsr(to, message);
    }

    /// Answers a request that was submitted through this replica. Override it to answer clients of one's own: what
    /// [`Handle::submit`](crate::Handle::submit) was given comes back here. `default` is what the replica was started with. The duties
    /// are those of [`Replies::send_reply`]; a [`ReplyTo::Waiter`] must be passed on to `default` or [sent to](ReplyTo::send).
    ///
    /// ```
    /// use vsr_actor::{Message, ReplicaId, Replies, ReplyTo, RequestError, Transport, prelude::*};
    /// # #[derive(Default, Serialize, Deserialize)]
    /// # struct Counter { total: i64 }
    /// # impl StateMachine for Counter {
    /// #     type Operation = i64;
    /// #     type Reply = i64;
    /// #     fn handle_commit(&mut self, _commit: &Commit, add: i64) -> i64 { self.total += add; self.total }
    /// # }
    /// impl VsrServer for Counter {
    ///     fn send_vsr(&mut self, to: ReplicaId, message: Message, default: &mut dyn Transport) {
    ///         println!("to {to}: {} bytes", message.encode().len());
    ///         default.send_vsr(to, message);
    ///     }
    ///     fn send_reply(&mut self, to: ReplyTo<i64>, reply: Result<i64, RequestError>, default: &mut dyn Replies<i64>) {
    ///         match to {
    ///             ReplyTo::Custom(name) => println!("to {name:?}: {reply:?}"),
    ///             others => default.send_reply(others, reply),
    ///         }
    ///     }
    /// }
    /// ```
    fn send_reply(
        &mut self,
        to: ReplyTo<Self::Reply>,
        reply: Result<Self::Reply, RequestError>,
        default: &mut dyn Replies<Self::Reply>,
    ) {
        default.send_reply(to, reply);
    }
}

/// Answers calls of type `C`.
pub trait HandleCall<C: Send + 'static>: VsrServer {
    /// What callers get.
    type Answer: Send + 'static;

    /// Handles one call. `from` answers it: now, by [`ReplyToken::reply`]; when an operation is committed, by [`Context::request`]; later,
    /// from another callback or task, if it is kept; never, if it is dropped: then the caller gets [`CallError::Unanswered`].
    fn handle_call(&mut self, call: C, from: ReplyToken<Self::Answer>, ctx: &mut Context<Self>) -> Next;
}

/// Takes casts of type `C`: messages nobody waits for.
pub trait HandleCast<C: Send + 'static>: VsrServer {
    /// Handles one cast.
    fn handle_cast(&mut self, cast: C, ctx: &mut Context<Self>) -> Next;
}

/// Takes infos of type `I`: results of [spawned work](Context::spawn), timers, and whatever other tasks have to say.
pub trait HandleInfo<I: Send + 'static>: VsrServer {
    /// Handles one info.
    fn handle_info(&mut self, info: I, ctx: &mut Context<Self>) -> Next;
}

/// Whether another replica is heard.
///
/// ```
/// use vsr_actor::{PeerState, ReplicaId, prelude::*};
///
/// #[derive(Default, Serialize, Deserialize)]
/// struct Counter(i64);
/// # impl StateMachine for Counter {
/// #     type Operation = i64;
/// #     type Reply = i64;
/// #     fn handle_commit(&mut self, _commit: &Commit, add: i64) -> i64 { self.0 += add; self.0 }
/// # }
///
/// impl VsrServer for Counter {
///     fn monitor_node(&mut self, peer: ReplicaId, state: PeerState, _ctx: &mut Context<Self>) -> Next {
///         if state == PeerState::Down {
///             eprintln!("{peer} is gone");
///         }
///         Next::Wait
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PeerState {
    /// It is heard, by this replica or by the primary that this one hears.
    Up,
    /// It was not heard for a time-out.
    Down,
}

/// What an actor does after a callback.
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
/// /// Counts again in a moment; stops when nothing is left to do.
/// struct Again;
/// impl HandleCast<Again> for Counter {
///     fn handle_cast(&mut self, _: Again, _: &mut Context<Self>) -> Next { Next::Continue }
/// }
/// impl VsrServer for Counter {
///     fn handle_continue(&mut self, ctx: &mut Context<Self>) -> Next {
///         ctx.request_detached(1);
///         Next::Idle(Duration::from_secs(60))
///     }
///     fn handle_idle(&mut self, _: &mut Context<Self>) -> Next { Next::Stop(Stop::Normal) }
///     async fn terminate(&mut self, why: &Stop) {
///         if !why.is_normal() { eprintln!("counting ends: {why}"); }
///     }
/// }
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cluster = Cluster::servers(1, Counter::default).await?;
/// let replica = cluster.handle(cluster.ids()[0])?;
/// replica.server().cast(Again).await?;
/// replica.join().await?; // a minute later
/// assert_eq!(replica.status().protocol.op, replica.status().protocol.commit);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a callback returns it"]
#[non_exhaustive]
pub enum Next {
    /// Waits for what comes.
    Wait,
    /// Calls [`handle_continue`](VsrServer::handle_continue) at once.
    Continue,
    /// Waits for what comes; [`handle_idle`](VsrServer::handle_idle) is called if no call, cast or info comes for so long.
    Idle(Duration),
    /// Ends the replica. With [`Stop::Normal`] a primary hands over first, as in [`Handle::shutdown`](crate::Handle::shutdown); with an
    /// error it ends at once, and its owner gets [`ReplicaError::Stopped`](crate::ReplicaError::Stopped).
    Stop(Stop),
}

/// Why an actor ends. Any error converts into one, so that `?` works in [`VsrServer::init`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stop {
    /// Its work is done. From `init`: there is nothing to do here, and the start is refused without a fault.
    Normal,
    /// Its owner shut it down.
    Shutdown,
    /// Something failed.
    Failed(String),
}

impl Stop {
    /// A failure, in words.
    pub fn because(reason: impl fmt::Display) -> Self {
        Self::Failed(reason.to_string())
    }

    /// Whether nothing failed.
    #[must_use]
    pub fn is_normal(&self) -> bool {
        !matches!(self, Self::Failed(_))
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal => f.write_str("its work is done"),
            Self::Shutdown => f.write_str("it was shut down"),
            Self::Failed(reason) => f.write_str(reason),
        }
    }
}

impl<E: std::error::Error> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::because(error)
    }
}
