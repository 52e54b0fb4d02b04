//! What all tasks of one transport see.

use super::{
    AddressBook, ConnectionError, Delivery, TcpConfig,
    handshake::{Hello, Identity},
    status::Peer,
};
use crate::{config::entropy, observe::TransportTelemetry};
use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};
use tokio_util::sync::CancellationToken;
use vsr_core::ReplicaId;

/// All peers, by id: all that a replica's end holds on to.
pub(super) type Peers = BTreeMap<ReplicaId, Arc<Peer>>;

pub(super) struct Shared {
    pub(super) config: TcpConfig,
    pub(super) identity: Identity,
    pub(super) peers: Arc<Peers>,
    pub(super) book: Box<dyn AddressBook>,
    pub(super) telemetry: Arc<TransportTelemetry>,
    delivery: RwLock<Option<Delivery>>,
    /// Nobody is dialled or let in any more.
    pub(super) stop: CancellationToken,
}

impl Shared {
    pub(super) fn new(config: TcpConfig, book: impl AddressBook) -> Self {
        let peers = config.members.iter().copied().filter(|id| *id != config.id);
        let telemetry = Arc::new(TransportTelemetry::new(config.cluster, config.id));
        let peers: Peers =
            peers.map(|id| (id, Arc::new(Peer::new(id, &config, telemetry.clone())))).collect();
        let identity = Identity {
            cluster: config.cluster,
            group: config.group,
            id: config.id,
            peers: peers.keys().copied().collect(),
            // Never from the seed: two lives must differ.
            boot: entropy(),
        };
        Self {
            config,
            identity,
            peers: Arc::new(peers),
            book: Box::new(book),
            telemetry,
            delivery: RwLock::default(),
            stop: CancellationToken::new(),
        }
    }

    pub(super) fn hello(&self, to: ReplicaId, dial: u64) -> Hello {
        let incarnation = self.peers.get(&to).and_then(|peer| peer.queue.incarnation());
        self.identity.hello(to, incarnation, dial)
    }

    pub(super) fn delivery(&self) -> Option<Delivery> {
        self.delivery.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn deliver_to(&self, delivery: Delivery) {
        let former = self.delivery.write().unwrap_or_else(PoisonError::into_inner).replace(delivery);
        // The user's own is dropped without the lock.
        drop(former);
    }

    /// Takes no more messages: connections end when they have written what they have.
    pub(super) fn close(&self) {
        self.stop.cancel();
        self.peers.values().for_each(|peer| peer.queue.close());
    }

    /// The connections that are left ended without a word.
    pub(super) fn aborted(&self) {
        self.peers.values().for_each(|peer| peer.lost(ConnectionError::ShutDown));
    }
}
