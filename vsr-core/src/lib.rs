//! Viewstamped Replication as a deterministic state machine.
#![no_std]
#![deny(missing_docs)]

extern crate alloc;

mod codec;
mod config;
mod configuration;
mod effect;
mod entry;
mod event;
mod id;
mod input;
mod log;
mod message;
mod mutation;
mod quorum;
mod replica;
mod rng;
mod run;
mod session;
mod snapshot;
mod stop;

pub use codec::{DecodeError, FORMAT_VERSION};
pub use config::{Config, ConfigError, Limits, ReplicatedLimits};
pub use configuration::{Member, Membership, Record};
pub use effect::{Answer, Asked, Effect, Refusal, Write};
pub use entry::Entry;
pub use event::{Event, Ignored, StatusName};
pub use id::*;
pub use input::{Input, Restored};
pub use message::{Body, Bootstrap, DoViewChange, Message, MessageName, NewState, StartView, Suffix};
#[cfg(feature = "inject")]
pub use mutation::{Mutation, Mutations};
pub use replica::{Replica, Status};
pub use run::{Head, Origin, Request, Run, checksum};
pub use session::{Lookup, Sessions};
pub use snapshot::{Snapshot, State};
pub use stop::{StartError, StopReason};
