//! The runtime, seen from outside: time is paused, and nothing sleeps.

mod client;
mod common;
mod determinism;
mod failover;
mod history;
mod outcomes;
mod panics;
mod reads;
mod recovery;
mod replica;
mod restarts;
mod snapshots;
mod ticks;
