//! What a request can come to when it does not come to a reply.

use std::time::Duration;

/// What is known of a request that got no reply (decision 8 of the protocol).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It was not executed and never will be.
    NotExecuted,
    /// It may have been executed, or may be yet.
    Unknown,
}

/// Why a request got no reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// No replica that could be asked knew a primary before the deadline. Not executed.
    #[error("no primary within {waited:?}: a quorum of replicas cannot be reached")]
    NoPrimary {
        /// How long the request waited.
        waited: Duration,
    },
    /// The replicas had no room before the deadline. Not executed.
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
    #[error("no reply within {waited:?}; whether the request was executed is unknown")]
    Deadline {
        /// How long the request waited.
        waited: Duration,
    },
    /// The session of the request was evicted while it was under way. It may have been executed.
    #[error("the session was evicted; whether the request was executed is unknown")]
    SessionEvicted,
    /// The request was executed, but its reply is not kept any more.
    #[error("the request was executed, but its reply is gone")]
    ReplyGone,
    /// The reply cannot be read as the type the client expects.
    #[error("the reply cannot be read: {0}")]
    Reply(#[from] crate::PayloadError),
    /// All replicas this client knows are stopped for good. `executed` says what is known of the request.
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
            Self::NoPrimary { .. } | Self::Overloaded { .. } | Self::TooLarge { .. } => Outcome::NotExecuted,
            Self::Deadline { .. } | Self::SessionEvicted | Self::ReplyGone | Self::Reply(_) => Outcome::Unknown,
            Self::Stopped { outcome } => *outcome,
        }
    }

    /// Whether asking again, as a new request, may do better and cannot execute the operation twice.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::NoPrimary { .. } | Self::Overloaded { .. })
    }
}
