//! A network whose type is forgotten, so that the checks are compiled once: with this crate, and not again for each network and each test.

use super::{Inbox, Network};
use std::pin::Pin;
use vsr_actor::{ReplicaId, Transport};

/// What takes time; the network belongs to it meanwhile.
type Doing<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A [`Network`] that can be behind a pointer.
pub(super) trait AnyNetwork: Send {
    fn connect(&mut self, id: ReplicaId, inbox: Inbox) -> Doing<'_, Box<dyn Transport>>;
    fn disconnect(&mut self, id: ReplicaId) -> Doing<'_, ()>;
    fn stall(&mut self, id: ReplicaId);
    fn resume(&mut self, id: ReplicaId);
}

impl<N: Network> AnyNetwork for N {
    fn connect(&mut self, id: ReplicaId, inbox: Inbox) -> Doing<'_, Box<dyn Transport>> {
        Box::pin(async move { Box::new(Network::connect(self, id, inbox).await) as Box<dyn Transport> })
    }

    fn disconnect(&mut self, id: ReplicaId) -> Doing<'_, ()> {
        Box::pin(Network::disconnect(self, id))
    }

    fn stall(&mut self, id: ReplicaId) {
        Network::stall(self, id);
    }

    fn resume(&mut self, id: ReplicaId) {
        Network::resume(self, id);
    }
}

/// Makes the network of some replica ids.
pub(super) type Make<'a> = &'a dyn Fn(&[ReplicaId]) -> Box<dyn AnyNetwork + 'a>;
