//! The runtime, seen from outside: time is paused, and nothing sleeps.

mod batches;
mod client;
mod common;
mod deadlines;
mod determinism;
mod examples;
mod failover;
mod file_log;
mod groups;
mod history;
mod large_states;
mod outcomes;
mod panics;
mod primaries;
mod reads;
mod recovery;
mod replica;
mod resolve;
mod restarts;
mod server;
mod snapshots;
mod statuses;
mod supervisor;
mod tcp;
mod ticks;
mod traces;
