//! What a supervisor does, as tracing events. They are no rows of the table of a replica's events: they have a child's name, and no place
//! in a protocol. docs/telemetry.md lists them; a test compares.

use crate::ReplicaError;
use std::time::Duration;
use tracing::{error, field::display, info, warn};

pub(super) fn restart(child: &str, restarts: u64, wait: Duration, error: Option<&ReplicaError>) {
    let (wait, error) = (wait.as_secs_f64(), error.map(display));
    warn!(
        name: "vsr.supervisor.restart", target: "vsr::supervisor",
        child, restarts, wait, error,
        "vsr.supervisor.restart"
    );
}

pub(super) fn over(child: &str, error: Option<&ReplicaError>) {
    let error = error.map(display);
    info!(
        name: "vsr.supervisor.over", target: "vsr::supervisor",
        child, error,
        "vsr.supervisor.over"
    );
}

pub(super) fn given_up(child: &str, restarts: u32, error: Option<&ReplicaError>) {
    let error = error.map(display);
    error!(
        name: "vsr.supervisor.given_up", target: "vsr::supervisor",
        child, restarts, error,
        "vsr.supervisor.given_up"
    );
}

pub(super) fn aborted(child: &str, timeout: Duration) {
    let timeout = timeout.as_secs_f64();
    warn!(
        name: "vsr.supervisor.aborted", target: "vsr::supervisor",
        child, timeout,
        "vsr.supervisor.aborted"
    );
}
