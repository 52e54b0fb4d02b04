//! What is measured: the same operations in the same order in every run.

mod codec;
mod core;
mod group;

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Scenario {
    /// One client of three replicas in this process, each request after the reply to the one before.
    Group1,
    /// 64 such clients that share one session.
    Group64,
    /// 256 of them.
    Group256,
    /// Three replicas without a runtime, entries of one operation.
    Core1,
    /// Entries of 64 operations.
    Core64,
    /// A Prepare of 64 operations, encoded and decoded; what one operation of it costs.
    Codec64,
}

impl Scenario {
    pub(crate) const ALL: [Self; 6] =
        [Self::Group1, Self::Group64, Self::Group256, Self::Core1, Self::Core64, Self::Codec64];

    /// Does so many operations, from nothing to the end.
    ///
    /// # Errors
    /// One of them fails.
    pub(crate) fn run(self, operations: u64) -> Result<(), String> {
        match self {
            Self::Group1 => group::run(1, operations),
            Self::Group64 => group::run(64, operations),
            Self::Group256 => group::run(256, operations),
            Self::Core1 => core::run(1, operations),
            Self::Core64 => core::run(64, operations),
            Self::Codec64 => codec::run(64, operations),
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Group1 => "group1",
            Self::Group64 => "group64",
            Self::Group256 => "group256",
            Self::Core1 => "core1",
            Self::Core64 => "core64",
            Self::Codec64 => "codec64",
        })
    }
}
