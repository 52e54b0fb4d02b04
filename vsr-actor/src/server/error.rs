//! Why a call, a cast or an info did not get through, or got no answer.

use crate::{Outcome, RequestError};
use std::time::Duration;

/// Why an actor did not take a message, or a call got no answer.
///
/// ```
/// use vsr_actor::{CallError, Outcome};
///
/// fn ask_again(error: &CallError) -> bool {
///     match error.outcome() {
///         Outcome::NotExecuted => error.is_retryable(),
///         Outcome::Unknown => false, // it may have been executed
///     }
/// }
/// assert!(ask_again(&CallError::Full));
/// assert!(!ask_again(&CallError::Unanswered));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The mailbox has no room now. The message was not handled.
    #[error("the mailbox is full: try again later, or wait for room with the sends that wait")]
    Full,
    /// The mailbox had no room for the message in time. The message was not handled.
    #[error("no room in the mailbox within {waited:?}")]
    NoRoom {
        /// How long it was waited for.
        waited: Duration,
    },
    /// The actor took the call, and did not answer in time. It may have handled it, or may do so yet.
    #[error("no answer within {waited:?}; whether the call was handled is unknown")]
    Timeout {
        /// How long the call waited.
        waited: Duration,
    },
    /// The actor dropped the call's token: its code never answers such a call, or panicked on it.
    #[error("the actor let go of the call without an answer")]
    Unanswered,
    /// The replica has ended. A call that was in its mailbox was not handled.
    #[error("the replica has ended")]
    Stopped,
    /// The replica was started as a plain state machine, which has no callbacks.
    #[error("this replica runs a plain state machine: start it with `Builder::server` or `Cluster::servers`")]
    NotAServer,
    /// The replicated request that should have answered the call failed.
    #[error("the replicated request failed: {0}")]
    Request(#[from] RequestError),
}

impl CallError {
    /// What is known of the message: whether a callback may have run for it, and of a replicated request whether it may have been
    /// executed.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Full | Self::NoRoom { .. } | Self::Stopped | Self::NotAServer => Outcome::NotExecuted,
            Self::Timeout { .. } | Self::Unanswered => Outcome::Unknown,
            Self::Request(error) => error.outcome(),
        }
    }

    /// Whether sending it again may do better and cannot do it twice.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Full | Self::NoRoom { .. } => true,
            Self::Request(error) => error.is_retryable(),
            Self::Timeout { .. } | Self::Unanswered | Self::Stopped | Self::NotAServer => false,
        }
    }
}

/// What can only be set before a replica has joined its group.
///
/// ```
/// # use vsr_actor::{AlreadyRunning, MemoryStorage, prelude::*};
/// fn too_late<S: VsrServer>(ctx: &mut Context<S>) -> Result<(), AlreadyRunning> {
///     ctx.set_log(MemoryStorage::default()) // an error everywhere but in `init`
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the replica has joined its group: {what} can be set before that only")]
pub struct AlreadyRunning {
    pub(crate) what: &'static str,
}
