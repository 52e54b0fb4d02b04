//! Bytes over channels, one for each pair of replicas: what a transport over sockets does, without the sockets.

use bytes::Bytes;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};
use tokio::{sync::mpsc, task::JoinSet};
use vsr_actor::{Message, ReplicaId, Transport};
use vsr_test::transport_conformance::{Inbox, Network};

/// The ends that can be reached now.
type Ends = Arc<Mutex<BTreeMap<ReplicaId, mpsc::Sender<Bytes>>>>;

#[derive(Default)]
struct Wires {
    ends: Ends,
    pumps: BTreeMap<ReplicaId, JoinSet<()>>,
}

impl Network for Wires {
    type Transport = Wire;

    async fn connect(&mut self, id: ReplicaId, inbox: Inbox) -> Wire {
        let (end, mut arrived) = mpsc::channel(1024);
        self.ends.lock().expect("no panic holds it").insert(id, end);
        self.pumps.entry(id).or_default().spawn(async move {
            while let Some(bytes) = arrived.recv().await {
                if let Ok(message) = Message::decode(bytes) {
                    inbox.deliver(message);
                }
            }
        });
        Wire(self.ends.clone())
    }

    async fn disconnect(&mut self, id: ReplicaId) {
        self.ends.lock().expect("no panic holds it").remove(&id);
        self.pumps.remove(&id);
    }
}

struct Wire(Ends);

impl Transport for Wire {
    fn send_vsr(&mut self, to: ReplicaId, message: Message) {
        if let Some(end) = self.0.lock().expect("no panic holds it").get(&to) {
            let _ = end.try_send(message.encode());
        }
    }
}

vsr_test::transport_conformance!(|_ids| Wires::default(), start_paused = true);
