//! The runtime, seen from outside: time is paused, nothing sleeps.

mod common;
mod failover;
