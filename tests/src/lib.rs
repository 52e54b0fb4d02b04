//! [`Simulation`] tests a state machine of your own: replicas, disks, network and clients are simulated, all that happens is drawn
//! from a seed, and a failure tells how to see it again. [`transport_conformance`](mod@transport_conformance) tests a transport of your own,
//! [`storage_conformance`](mod@storage_conformance) a storage. Depend on this crate without default features, as a dev-dependency.
//!
//! The rest are the tests of the protocol, as a library: a world of simulated replicas, networks, disks and clients; checkers, one
//! for each property; scenarios that read like stories; and the simulator itself.
//!
//! - [`scenario`] runs a text: nothing happens in it but what the text says.
//! - [`simulation`] runs a seed: everything may happen, and the checkers watch.
//! - [`shrink`] makes a scenario of a seed that fails, as short as it gets.
//! - [`rules`] lists the rules of the protocol and what proves each.
//! - [`explore`] takes every step from every state of a small group, as far as memory allows.
//! - [`marks`] counts the paths that both take, and explains those that neither takes.
//! - [`mutants`] proves that both are alive: each rule of the protocol can be switched off, and then its scenario must fail.

#![deny(missing_docs)]

pub mod checkers;
pub mod client;
pub mod disk;
pub mod explore;
mod faults;
pub mod host;
pub mod machine;
pub mod marks;
pub mod mutants;
pub mod prng;
pub mod process;
pub mod record;
pub mod rules;
pub mod scenario;
pub mod shrink;
pub mod simulation;
mod states;
pub mod storage_conformance;
pub mod subject;
pub mod trace;
pub mod transport_conformance;
mod user;
pub mod world;

pub use faults::Faults;
pub use prng::Prng;
pub use user::{Failure, Report, Simulation};
pub use vsr_actor::linearizability;
