//! A replicated key-value server that speaks the Redis protocol, on [`vsr_actor`].
#![deny(missing_docs)]

mod command;
pub mod demo;
pub mod dev;
mod glob;
pub mod group;
pub mod maelstrom;
pub mod resp;
pub mod serve;
pub mod server;
pub mod store;
