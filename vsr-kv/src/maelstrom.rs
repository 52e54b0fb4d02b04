//! A node of [Maelstrom](https://github.com/jepsen-io/maelstrom): messages are lines of JSON on standard input and output.
//!
//! It serves the workloads `echo` and `lin-kv` on a group of replicas whose messages travel as such lines, too: a transport of its
//! own, in which `send_vsr` writes a line to a peer and `send_reply` one to a client. `docs/maelstrom.md` tells how to run it.

#[cfg(test)]
mod conformance;
mod envelope;
mod fault;
mod lines;
mod node;
mod output;
mod registers;
mod request;
mod waiting;

pub use node::{NodeError, run};

use std::time::Duration;
use vsr_actor::Config;

/// The configuration of a node: a client of Maelstrom gives up after a second, so a request that cannot be served is answered before.
#[must_use]
pub fn config() -> Config {
    let mut config = Config::default();
    config.client.deadline = Duration::from_millis(900);
    config
}
