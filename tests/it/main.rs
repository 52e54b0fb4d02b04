//! The project's tests of the protocol, in one binary.

mod codec;
mod exploration;
mod parity;
mod rules;
mod scenarios;
mod seeds;
mod shrink;
mod simulation;
mod storages;
mod timers;
mod transports;
