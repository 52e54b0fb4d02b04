//! What a supervisor does, as tracing events.

use crate::ReplicaError;
use std::time::Duration;

pub(super) fn restart(child: &str, restarts: u64, wait: Duration, error: Option<&ReplicaError>) {
    let error = error.map(tracing::field::display);
    tracing::warn!(target: "vsr", child, restarts, ?wait, error, "supervisor restarts a child");
}

pub(super) fn over(child: &str, error: Option<&ReplicaError>) {
    let error = error.map(tracing::field::display);
    tracing::info!(target: "vsr", child, error, "supervised child is over");
}

pub(super) fn given_up(child: &str, restarts: u32, error: Option<&ReplicaError>) {
    let error = error.map(tracing::field::display);
    tracing::error!(target: "vsr", child, restarts, error, "supervisor gives a child up");
}

pub(super) fn aborted(child: &str, timeout: Duration) {
    tracing::warn!(target: "vsr", child, ?timeout, "supervised child did not shut down in time");
}
