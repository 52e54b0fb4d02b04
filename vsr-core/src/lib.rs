//! Viewstamped Replication as a deterministic state machine: no clock, no sockets, no threads, no disk.
//!
//! This crate decides; its host acts. The host owns one [`Replica`], a mailbox, a timer, a storage and a transport, and does this:
//!
//! 1. **Open.** Read what the storage holds into [`Restored`] and call [`Replica::start`] with a seed that was never used before.
//!    A storage that cannot vouch for its log says so ([`LogState::Lost`]); the record it must always keep.
//! 2. **Take in.** For each thing that happened call [`Replica::step`]: a message, a request of a client, the timer, a write that
//!    is done. Many at a time go through [`Replica::step_all`].
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
//!    - `Stage`: keep a part of a state that arrives, elsewhere, and say [`Input::Staged`] when that is done; `Unstage`: forget it.
//!    - `InstallSnapshot`: replace the state machine's state.
//!    - `Observe`: tell whoever listens. It is never needed for correctness.
//!    - `Stop`: this replica is finished; the reason says what to do.
//! 5. **Repeat** 3 and 4 while there are effects, then wait for the mailbox or for [`Replica::deadline`], and say [`Input::Timer`]
//!    when it has passed.
//!
//! After a crash the host begins again at 1 with what was durable. `end_turn` may be called at any time; not calling it delays
//! what the turn would have sent and breaks nothing.
//!
//! A host of three replicas that count, in one loop: its network is a queue, its storage forgets everything, and time passes when nothing
//! else happens.
//!
//! ```
//! use bytes::Bytes;
//! use std::collections::VecDeque;
//! use vsr_core::{
//!     Answer, ClientId, Config, Effect, Input, Message, Now, Origin, Replica, ReplicaId, Request, RequestNumber, Restored, Time,
//! };
//!
//! let ids = [0, 1, 2].map(ReplicaId);
//! let mut now = Now { monotonic: Time(0), unix: 0 };
//! let (mut replicas, mut inbox) = (Vec::new(), VecDeque::<(usize, Input)>::new());
//! let (mut sums, mut replies) = ([0_u64; 3], Vec::new());
//! let mut effects = vec![Vec::new(); 3];
//! for id in ids {
//!     let mut config = Config::new(id, ids.to_vec());
//!     config.seed = u64::from(id.0) + 1; // fresh entropy, in earnest
//!     let index = id.0 as usize;
//!     replicas.push(Replica::start(now, config, Restored::default(), &mut effects[index])?);
//! }
//! // A client of replica 0 opens a session, and then asks to add 5.
//! let register = Request::new(Origin::Register { client: ClientId(7) }, Bytes::new());
//! inbox.push_back((0, Input::Request(register.clone())));
//! let add = Bytes::copy_from_slice(&5_u64.to_le_bytes());
//!
//! while sums != [5; 3] {
//!     // 2. Take in what happened; if nothing did, the next timer.
//!     if let Some((index, input)) = inbox.pop_front() {
//!         replicas[index].step(now, input, &mut effects[index]);
//!     } else {
//!         let next = replicas.iter().map(Replica::deadline).min().expect("there are three");
//!         now.monotonic = now.monotonic.max(next);
//!         now.unix = now.monotonic.0;
//!         for index in 0..3 {
//!             inbox.push_back((index, Input::Timer));
//!         }
//!     }
//!     for index in 0..3 {
//!         // 3. End the turn, and 4. carry out the effects, until there are none.
//!         loop {
//!             replicas[index].end_turn(now, &mut effects[index]);
//!             if effects[index].is_empty() {
//!                 break;
//!             }
//!             for effect in std::mem::take(&mut effects[index]) {
//!                 match effect {
//!                     Effect::Send { to, message } => {
//!                         let frame: Bytes = message.encode();
//!                         inbox.push_back((to.0 as usize, Input::Message(Message::decode(frame)?)));
//!                     }
//!                     Effect::Append(write) => inbox.push_back((index, Input::Persisted(write.id))),
//!                     Effect::Commit { entry, range } => {
//!                         for place in range {
//!                             let bytes = entry.operation(place);
//!                             sums[index] += u64::from_le_bytes(bytes.as_ref().try_into()?);
//!                             let op = vsr_core::OpNumber(entry.first().0 + place as u64);
//!                             replicas[index].applied(op, &sums[index].to_le_bytes());
//!                             if index == 0 {
//!                                 replies.push(sums[0]); // the host knows who waits at it
//!                             }
//!                         }
//!                     }
//!                     Effect::Answer { answer: Answer::Registered(session), .. } => {
//!                         let (request, checksum) = (RequestNumber(1), vsr_core::checksum(&add));
//!                         let origin = Origin::Request { session, request, acked_below: request, checksum };
//!                         inbox.push_back((0, Input::Request(Request::new(origin, add.clone()))));
//!                     }
//!                     // The group has not formed yet: ask again.
//!                     Effect::Answer { answer: Answer::Refused(_), .. } => inbox.push_back((0, Input::Request(register.clone()))),
//!                     Effect::TakeDigest { op } => replicas[index].digested(op, None),
//!                     Effect::Stop(reason) => panic!("{reason}"),
//!                     _ => {} // no reads and no snapshots here; observing is never needed
//!                 }
//!             }
//!         }
//!     }
//! }
//! assert_eq!(replies, [5]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
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
mod state;
mod stop;
mod trace_context;
mod trailing;

pub use codec::{DecodeError, FORMAT_VERSION};
pub use config::{Config, ConfigError, Limits, ReplicatedLimits};
pub use configuration::{Member, Membership, Record};
pub use effect::{Answer, Asked, Effect, Entries, Refusal, Write};
pub use entry::Entry;
pub use event::{Event, Ignored, StatusName};
pub use id::*;
pub use input::{Input, LogState, ReadKind, Restored, Staged};
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
pub use snapshot::{Held, Piece, Snapshot, SnapshotHeader, StagePart};
pub use state::{Blob, BlobError, State, StateDigest};
pub use stop::{StartError, StopReason};
pub use trace_context::{TraceContext, TraceContextError};
pub use trailing::Trailing;
