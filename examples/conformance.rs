//! The transport of `custom_transport.rs` keeps the duties of a transport.

#[path = "custom_transport.rs"]
#[expect(dead_code, reason = "only its transport is used here")]
mod custom_transport;

use bytes::Bytes;
use custom_transport::Wires;
use std::sync::Arc;
use tokio::{
    sync::{Mutex, mpsc},
    task::JoinHandle,
};
use vsr_actor::{Message, ReplicaId};
use vsr_test::transport_conformance::{Inbox, Network};

/// The wires are there from the start; who reads them comes and goes.
struct Channels {
    wires: Vec<mpsc::Sender<Bytes>>,
    ends: Vec<Arc<Mutex<mpsc::Receiver<Bytes>>>>,
    readers: Vec<Option<JoinHandle<()>>>,
}

impl Channels {
    fn new(ids: &[ReplicaId]) -> Self {
        let (wires, ends): (Vec<_>, Vec<_>) = ids.iter().map(|_| mpsc::channel(1024)).unzip();
        let ends = ends.into_iter().map(|end| Arc::new(Mutex::new(end))).collect();
        Self { wires, ends, readers: ids.iter().map(|_| None).collect() }
    }
}

impl Network for Channels {
    type Transport = Wires;

    async fn connect(&mut self, id: ReplicaId, inbox: Inbox) -> Wires {
        let end = self.ends[id.0 as usize].clone();
        let read = async move {
            let mut end = end.lock().await;
            while let Some(bytes) = end.recv().await {
                if let Ok(message) = Message::decode(bytes) {
                    inbox.deliver(message);
                }
            }
        };
        self.readers[id.0 as usize] = Some(tokio::spawn(read));
        Wires(self.wires.clone())
    }

    async fn disconnect(&mut self, id: ReplicaId) {
        if let Some(reader) = self.readers[id.0 as usize].take() {
            reader.abort();
            let _ = reader.await;
        }
    }
}

vsr_test::transport_conformance!(Channels::new, start_paused = true);
