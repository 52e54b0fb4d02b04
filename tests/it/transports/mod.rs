//! Transports pass the conformance suite, and those with a fault fail the check that is there for it.

mod bad;
mod bytes;
mod in_process;
mod proxy;
mod replies;
mod tcp;
