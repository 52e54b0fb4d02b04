//! Viewstamped Replication as a deterministic state machine: no clock, no sockets, no threads, no disk.
//!
//! This crate decides; its host acts. The host owns one [`Replica`], a mailbox, a timer, a storage and a transport, and does this:
//!
//! 1. **Open.** Read what the storage holds into [`Restored`] and call [`Replica::start`] with a seed that was never used before.
//!    A storage that cannot vouch for its log says so ([`LogState::Lost`]); the record it must always keep.
//! 2. **Take in.** For each thing that happened call [`Replica::step`]: a message, a request of a client, the timer, a write that
//!    is done.
//! 3. **End the turn.** When the mailbox is empty, or enough was taken, call [`Replica::end_turn`]. The requests of the turn become
//!    one entry of the log, the acknowledgements one message, the writes one write.
//! 4. **Carry out** the [`Effect`]s in their order:
//!    - `Send`: give the message to the transport. It may be lost, doubled, delayed or reordered; never wait for it.
//!    - `Append`: make the [`Write`] durable, whole or not at all, after all writes before it. When it is, and not a moment before,
//!      say [`Input::Persisted`]. No message exists that would have had to wait for it: whatever depends on a write is born when
//!      the write is reported. A host cannot get this wrong by sending too early, and may batch writes as it likes.
//!    - `Commit`: apply the operations, and hand each reply to [`Replica::applied`] at once.
//!    - `Answer`: tell a client that waits at this replica.
//!    - `TakeDigest`: hand in the state's digest, if there is one, to [`Replica::digested`] at once.
//!    - `Read`: run a client's read on the state as it is between these effects; `ReadRefused`: tell the client to try again.
//!    - `TakeSnapshot`: freeze the state machine's state, write it out elsewhere, and say [`Input::SnapshotTaken`] when that is done.
//!    - `InstallSnapshot`: replace the state machine's state.
//!    - `Observe`: tell whoever listens. It is never needed for correctness.
//!    - `Stop`: this replica is finished; the reason says what to do.
//! 5. **Repeat** 3 and 4 while there are effects, then wait for the mailbox or for [`Replica::deadline`], and say [`Input::Timer`]
//!    when it has passed.
//!
//! After a crash the host begins again at 1 with what was durable. `end_turn` may be called at any time; not calling it delays
//! what the turn would have sent and breaks nothing.
//!
//! Deliberately absent: types of operations (they are bytes here; types begin at the state machine), logging and metrics (there are
//! [`Event`]s), and everything that could differ between two runs with the same inputs.
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
mod names;
mod quorum;
mod replica;
mod rng;
mod run;
mod session;
mod snapshot;
mod stop;
mod trace_context;

pub use codec::{DecodeError, FORMAT_VERSION};
pub use config::{Config, ConfigError, Limits, ReplicatedLimits};
pub use configuration::{Member, Membership, Record};
pub use effect::{Answer, Asked, Effect, Refusal, Write};
pub use entry::Entry;
pub use event::{Event, Ignored, StatusName};
pub use id::*;
pub use input::{Input, LogState, ReadKind, Restored};
pub use message::{
    Body, Bootstrap, Digest, DoViewChange, Message, MessageName, NewState, Part, RecoveryResponse, Standing,
    StartView, Suffix,
};
#[cfg(feature = "inject")]
pub use mutation::{Mutation, Mutations};
#[cfg(feature = "inject")]
pub use replica::Timer;
pub use replica::{Replica, Status};
pub use run::{Head, Origin, Request, Run, checksum};
pub use session::{Lookup, Sessions};
pub use snapshot::{Held, Piece, Snapshot, SnapshotHeader, State, Trailing};
pub use stop::{StartError, StopReason};
pub use trace_context::{TraceContext, TraceContextError};
