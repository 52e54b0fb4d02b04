//! Replicated actors for tokio.
#![deny(missing_docs)]

mod callbacks;
mod error;

pub use callbacks::{Commit, Frozen, Payload, PayloadError, Raw, Snapshot, StateMachine};
pub use error::{Outcome, RequestError};
