//! What a supervisor reports.

use crate::ReplicaError;
use std::{sync::Arc, time::Duration};

/// Why a supervisor ended, or could not do something.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SupervisorError {
    /// A child ended more often than the limits allow. The supervisor has stopped the others and ended.
    #[error(
        "{child} was given up: {restarts} restarts within {period:?} did not help; the last time {}", end(.error)
    )]
    GivenUp {
        /// Its name.
        child: Arc<str>,
        /// How many restarts there were in the period.
        restarts: u32,
        /// The period.
        period: Duration,
        /// Why it ended the last time, or could not start; nothing, if it was shut down by somebody else.
        #[source]
        error: Option<ReplicaError>,
    },
    /// A child was not shut down in time, and was aborted, as by a crash.
    #[error("{child} did not shut down within {timeout:?} and was aborted")]
    ShutdownTimedOut {
        /// Its name.
        child: Arc<str>,
        /// The bound: [`SupervisorConfig::shutdown_timeout`](crate::SupervisorConfig::shutdown_timeout).
        timeout: Duration,
    },
    /// The child runs no more and will not be started again.
    #[error("{child} is not run any more: at last {}", end(.error))]
    ChildEnded {
        /// Its name.
        child: Arc<str>,
        /// Why it ended the last time, or could not start; nothing, if it was shut down.
        #[source]
        error: Option<ReplicaError>,
    },
    /// The supervisor has ended: it starts nothing any more.
    #[error("the supervisor has ended")]
    Ended,
}

fn end(error: &Option<ReplicaError>) -> String {
    error.as_ref().map_or_else(|| "it came to a good end".to_owned(), |error| format!("it failed: {error}"))
}
