//! The network of one process.

use std::collections::BTreeMap;
use tokio::task::JoinHandle;
use vsr_actor::{InProcessNetwork, ReplicaId, Transport};
use vsr_test::transport_conformance::{Inbox, Network};

#[derive(Default)]
struct InProcess {
    network: InProcessNetwork,
    pumps: BTreeMap<ReplicaId, JoinHandle<()>>,
}

impl Network for InProcess {
    type Transport = Box<dyn Transport>;

    async fn connect(&mut self, id: ReplicaId, inbox: Inbox) -> Box<dyn Transport> {
        let (transport, mut arrived) = self.network.connect(id, 1024);
        let pump = async move {
            while let Some(message) = arrived.recv().await {
                inbox.deliver(message);
            }
        };
        self.pumps.insert(id, tokio::spawn(pump));
        transport
    }

    async fn disconnect(&mut self, id: ReplicaId) {
        self.network.disconnect(id);
        if let Some(pump) = self.pumps.remove(&id) {
            pump.abort();
        }
    }
}

vsr_test::transport_conformance!(|_ids| InProcess::default(), start_paused = true);
