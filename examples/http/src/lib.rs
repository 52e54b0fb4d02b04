//! A replicated counter whose replicas talk JSON over HTTP: a transport of one's own, complete.
//!
//! - [`transport`] sends: [`Peers`](transport::Peers) is the `Transport`, and the route `POST /vsr` takes in.
//! - [`node`] is one replica with its server: `POST /request` adds to the counter, `GET /status` tells how the replica is.

pub mod node;
pub mod transport;
