//! Measures one system once, as `vsr-benches memory-once` does, with every allocation counted. A program of its own: counting costs time.

use clap::Parser;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::{alloc::System, process::ExitCode};
use vsr_benches::memory::once;

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    options: once::Options,
}

fn main() -> ExitCode {
    once::run(&Arguments::parse().options, Some(allocations))
}

/// A vector that has to move counts, too.
fn allocations() -> u64 {
    let stats = COUNTED.stats();
    (stats.allocations + stats.reallocations) as u64
}
