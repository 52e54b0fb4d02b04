//! Storages pass the conformance suite, and those with a fault fail the check that is there for it.

mod bad;
mod files;
mod memory;
