//! What can go wrong, and what is known then.

use crate::{AlreadyRunning, ConfigError, PrimaryHint, RequestId, Stop, StorageError};
use std::time::Duration;
use vsr_core::{OpNumber, ReplicaId, StartError, StopReason};

/// What is known of a request that got no reply (decision 8 of the protocol).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It was not executed and never will be.
    NotExecuted,
    /// It may have been executed, or may be yet.
    Unknown,
}

/// Why a request got no reply.
///
/// ```
/// use vsr_actor::{Outcome, RequestError};
///
/// fn advice(error: &RequestError) -> String {
///     match (error.outcome(), error.primary_hint()) {
///         (Outcome::Unknown, _) => "resolve it: it may have been executed".into(),
///         (Outcome::NotExecuted, Some(hint)) => format!("ask {} elsewhere", hint.replica),
///         (Outcome::NotExecuted, None) if error.is_retryable() => "ask again".into(),
///         (Outcome::NotExecuted, None) => format!("ask for something else: {error}"),
///     }
/// }
/// let told = advice(&RequestError::TooLarge { bytes: 9, bytes_max: 8 });
/// assert_eq!(told, "ask for something else: the operation has 9 bytes, at most 8 are taken");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// No replica that could be asked knew a primary before the deadline. Not executed.
    #[error("no primary within {waited:?}: a quorum of replicas cannot be reached{}", known(.hint))]
    NoPrimary {
        /// How long the request waited.
        waited: Duration,
        /// The last primary that this client knows of, for callers who can ask it elsewhere.
        hint: Option<PrimaryHint>,
    },
    /// There was no room for the request before the deadline, or not at once for `try_submit`. Not executed.
    #[error("overloaded: no room for the request within {waited:?}")]
    Overloaded {
        /// How long the request waited.
        waited: Duration,
    },
    /// The operation is larger than the group takes. Not executed.
    #[error("the operation has {bytes} bytes, at most {bytes_max} are taken")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit `operation_bytes_max`.
        bytes_max: usize,
    },
    /// The request was sent, and no reply came before the deadline. It may have been executed.
    /// [`Client::resolve`](crate::Client::resolve) tells when it is known.
    #[error("no reply within {waited:?}; whether the request was executed is unknown")]
    Deadline {
        /// How long the request waited.
        waited: Duration,
        /// Which request it is, to the client that sent it. One that a replica sent for others ([`Handle::submit`](crate::Handle::submit),
        /// [`Context::request`](crate::Context::request)) cannot be resolved.
        request: RequestId,
    },
    /// The session of the request was evicted while it was under way. It may have been executed.
    #[error("the session was evicted; whether the request was executed is unknown")]
    SessionEvicted,
    /// The request was executed, but its reply is not kept any more.
    #[error("the request was executed, but its reply is gone")]
    ReplyGone,
    /// The group says that the request's number was used for another operation. This is a bug of the client library: please report it.
    #[error(
        "the group knows another operation under this request's number: a bug in the client, please report it"
    )]
    Conflict,
    /// No replica that could be asked got to what the read must reflect before the deadline. A read: it was not executed.
    #[error("no replica that can be reached has what the read must reflect within {waited:?}{}", known(.hint))]
    Behind {
        /// How long the read waited.
        waited: Duration,
        /// The last primary that this client knows of: it is the first to have it.
        hint: Option<PrimaryHint>,
    },
    /// The code of a read panicked. The replica lives on, for a read cannot change its state. A read: it was not executed.
    #[error("the read panicked: {reason}")]
    ReadPanicked {
        /// What it said.
        reason: String,
    },
    /// The reply cannot be read as the type the client expects.
    #[error("the reply cannot be read: {0}")]
    Reply(#[from] crate::PayloadError),
    /// To [`Client::resolve`](crate::Client::resolve): the request was made by another client.
    #[error(
        "{request} is unknown here: only the client that sent a request, or a clone of it, can resolve it"
    )]
    Foreign {
        /// Which request was asked for.
        request: RequestId,
    },
    /// To [`Client::resolve`](crate::Client::resolve): somebody else waits for the reply, with a ticket or by resolving.
    #[error("{request} is awaited by somebody else, who will get the reply")]
    Awaited {
        /// Which request was asked for.
        request: RequestId,
    },
    /// To [`Client::resolve`](crate::Client::resolve): so many later requests had no good end that this one's is not known any more.
    #[error("what became of {request} is not kept any more; its caller was told")]
    Forgotten {
        /// Which request was asked for.
        request: RequestId,
    },
    /// All replicas this client knows are stopped for good. `outcome` says what is known of the request.
    #[error("all replicas this client knows have stopped")]
    Stopped {
        /// What is known of the request.
        outcome: Outcome,
    },
}

impl RequestError {
    /// What is known of the request.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::NoPrimary { .. }
            | Self::Overloaded { .. }
            | Self::TooLarge { .. }
            | Self::Behind { .. }
            | Self::ReadPanicked { .. } => Outcome::NotExecuted,
            Self::Deadline { .. }
            | Self::SessionEvicted
            | Self::ReplyGone
            | Self::Conflict
            | Self::Reply(_)
            | Self::Foreign { .. }
            | Self::Awaited { .. }
            | Self::Forgotten { .. } => Outcome::Unknown,
            Self::Stopped { outcome } => *outcome,
        }
    }

    /// The request whose outcome [`Client::resolve`](crate::Client::resolve) may find out.
    ///
    /// ```
    /// # use vsr_actor::{Client, RequestError, StateMachine};
    /// async fn patiently<M>(client: &Client<M>, operation: M::Operation) -> Result<M::Reply, RequestError>
    /// where
    ///     M: StateMachine,
    /// {
    ///     let mut told = client.request(operation).await;
    ///     while let Some(request) = told.as_ref().err().and_then(RequestError::request) {
    ///         told = client.resolve(request).await;
    ///     }
    ///     told
    /// }
    /// ```
    #[must_use]
    pub fn request(&self) -> Option<RequestId> {
        match self {
            Self::Deadline { request, .. } => Some(*request),
            _ => None,
        }
    }

    /// Where the group's primary is, as far as the client knew: for callers who reach other replicas by ways of their own. The
    /// primary may have changed, or be what cannot be reached.
    #[must_use]
    pub fn primary_hint(&self) -> Option<PrimaryHint> {
        match self {
            Self::NoPrimary { hint, .. } | Self::Behind { hint, .. } => *hint,
            _ => None,
        }
    }

    /// Whether asking again, as a new request, may do better and cannot execute the operation twice.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::NoPrimary { .. } | Self::Overloaded { .. } | Self::Behind { .. })
    }
}

fn known(hint: &Option<PrimaryHint>) -> String {
    hint.map(|hint| format!("; the last primary known is {hint}")).unwrap_or_default()
}

/// Why a replica did not start, or does not run any more.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplicaError {
    /// The configuration breaks a rule.
    #[error("the configuration is not valid: {0}")]
    Config(#[from] ConfigError),
    /// The protocol refused to start.
    #[error("the replica cannot start: {0}")]
    Start(#[from] StartError),
    /// The storage failed.
    #[error("the storage failed: {0}")]
    Storage(#[from] StorageError),
    /// The protocol fenced the replica off.
    #[error("the replica stopped: {0}")]
    Fenced(#[from] StopReason),
    /// The user's code could not apply a committed operation: it panicked, or could not read it. The replica's state is discarded.
    /// Started again, the replica meets the same operation: the cure is code that can apply it.
    #[error("poisoned at {op}: {reason}")]
    Poisoned {
        /// The operation.
        op: OpNumber,
        /// What the panic, or the failed reading, said.
        reason: String,
    },
    /// Another callback of the user's code panicked or failed.
    #[error("{callback} failed: {reason}")]
    Callback {
        /// The name of the method.
        callback: &'static str,
        /// What it said.
        reason: String,
    },
    /// The actor's `init` refused to start. With [`Stop::Normal`] there was nothing to do; anything else is a fault.
    #[error("init refused to start: {stop}")]
    Init {
        /// What it said.
        stop: Stop,
    },
    /// The actor's `init` was not done in time, and was dropped.
    #[error("init was not done within {after:?}: make it faster, or raise `init_timeout`")]
    InitTimedOut {
        /// The bound: [`Config::init_timeout`](crate::Config::init_timeout).
        after: Duration,
    },
    /// A callback of the actor said that it failed.
    #[error("the actor stopped: {reason}")]
    Stopped {
        /// What it said.
        reason: String,
    },
    /// Something was set too late.
    #[error(transparent)]
    AlreadyRunning(#[from] AlreadyRunning),
    /// An assertion of this library failed. Please report it.
    #[error("a broken assertion, please report it: {reason}")]
    Bug {
        /// What it said.
        reason: String,
    },
    /// The task was aborted: by [`Cluster::crash`](crate::Cluster::crash), by dropping the last handle, or with its runtime.
    #[error("the replica's task was aborted")]
    Aborted,
}

/// What a [`Supervisor`](crate::Supervisor) is told of a replica of a cluster that did not start.
impl From<ClusterError> for ReplicaError {
    fn from(error: ClusterError) -> Self {
        match error {
            ClusterError::Replica { error, .. } => error,
            ClusterError::Config(error) => Self::Config(error),
            other => Self::Callback { callback: "factory", reason: other.to_string() },
        }
    }
}

/// Why something could not be done with an in-process cluster.
///
/// ```
/// # use vsr_actor::{ClusterError, ReplicaId, prelude::*};
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
/// let error: ClusterError = cluster.crash(ReplicaId(9)).await.unwrap_err();
/// assert_eq!(error.to_string(), "there is no R9 in this cluster");
/// # Ok(cluster.shutdown().await?)
/// # }
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// There is no such replica.
    #[error("there is no {id} in this cluster")]
    NoSuchReplica {
        /// Which one was asked for.
        id: ReplicaId,
    },
    /// The replica does not run.
    #[error("{id} is not running")]
    NotRunning {
        /// Which one.
        id: ReplicaId,
    },
    /// The replica runs.
    #[error("{id} is running: crash it first")]
    Running {
        /// Which one.
        id: ReplicaId,
    },
    /// A replica did not start, or had stopped by itself.
    #[error("{id}: {error}")]
    Replica {
        /// Which one.
        id: ReplicaId,
        /// Why.
        #[source]
        error: ReplicaError,
    },
    /// The configuration breaks a rule.
    #[error("the configuration is not valid: {0}")]
    Config(#[from] ConfigError),
    /// No primary was found in time.
    #[error("no primary within {waited:?}: {replicas}")]
    NoPrimary {
        /// How long it was waited for.
        waited: Duration,
        /// What each replica was doing.
        replicas: String,
    },
    /// The running replicas did not come to the same state in time.
    #[error("not converged within {waited:?}: {replicas}")]
    NotConverged {
        /// How long it was waited for.
        waited: Duration,
        /// What each replica was doing.
        replicas: String,
    },
}
