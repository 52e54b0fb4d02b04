//! `vsr-test explore`.

use super::{Bounds, explore};
use std::process::ExitCode;
use vsr_core::{Mutation, Mutations};

/// How far to search, and with what.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// Operations that clients ask for.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(0..=6))]
    operations: u32,
    /// Views, with the first.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=60))]
    views: u64,
    /// Crashes, each with a restart.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=100))]
    crashes: u32,
    /// Writes are done at once; else each is a step of its own, and a crash takes away what is not done.
    #[arg(long)]
    writes_at_once: bool,
    /// Backups repeat what got no answer, too.
    #[arg(long)]
    repeats: bool,
    /// Steps from the first state.
    #[arg(long)]
    depth: Option<usize>,
    /// States to keep.
    #[arg(long, default_value_t = Bounds::default().states)]
    states: usize,
    /// Memory to use, in MiB.
    #[arg(long, default_value_t = Bounds::default().memory_mib)]
    memory: u64,
    /// Switches a rule off: see how soon that is found.
    #[arg(long, value_parser = mutation)]
    mutate: Option<Mutation>,
}

impl Arguments {
    /// Searches, and prints what was found.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let mutations =
            self.mutate.map_or(Mutations::default(), |mutation| Mutations::default().with(mutation));
        let Self {
            operations,
            views,
            crashes,
            writes_at_once,
            depth,
            states,
            memory: memory_mib,
            repeats,
            ..
        } = self;
        let bounds = Bounds {
            operations,
            views,
            crashes,
            writes_at_once,
            repeats,
            depth,
            states,
            memory_mib,
            mutations,
        };
        // A panic is a finding, told with the way to it.
        std::panic::set_hook(Box::new(|_| {}));
        println!("3 replicas, {operations} operations, {views} views, {crashes} crashes");
        let report = explore(bounds);
        println!("{report}");
        if report.counterexample.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

fn mutation(name: &str) -> Result<Mutation, String> {
    Mutation::ALL.iter().copied().find(|mutation| mutation.name() == name).ok_or_else(|| {
        let names: Vec<_> = Mutation::ALL.iter().map(|mutation| mutation.name()).collect();
        format!("there are: {}", names.join(", "))
    })
}
