//! A replicated key-value server that speaks the Redis protocol, on [`vsr_actor`].
#![deny(missing_docs)]

pub mod resp;
pub mod store;
