//! The counter again, its replicas started one by one and connected by a transport that carries bytes: here over channels, with
//! sockets it looks the same. `cargo run -p vsr-examples --example custom_transport`.
use bytes::Bytes;
use tokio::sync::mpsc;
use vsr_actor::{Builder, Message, ReplicaId, Transport, prelude::*};

#[derive(Default, Serialize, Deserialize)]
struct Counter {
    total: i64,
}

impl StateMachine for Counter {
    type Operation = i64;
    type Reply = i64;
    fn handle_commit(&mut self, _commit: &Commit, add: i64) -> i64 {
        self.total += add;
        self.total
    }
}

pub(crate) struct Wires(pub(crate) Vec<mpsc::Sender<Bytes>>);

impl Transport for Wires {
    fn send_vsr(&mut self, to: ReplicaId, message: Message) {
        // Never waits: a message for which there is no room is lost, and the protocol repairs it.
        let _ = self.0[to.0 as usize].try_send(message.encode());
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let ids = [0, 1, 2].map(ReplicaId);
    let (wires, ends): (Vec<_>, Vec<_>) = ids.iter().map(|_| mpsc::channel(1024)).unzip();
    let mut replicas = Vec::new();
    for (id, mut end) in ids.into_iter().zip(ends) {
        let wires = Wires(wires.clone());
        let replica = Builder::new(id, ids, Counter::default()).transport(wires).start().await?;
        replicas.push(replica.clone());
        tokio::spawn(async move {
            while let Some(bytes) = end.recv().await {
                // What cannot be decoded is dropped, too.
                if let Ok(message) = Message::decode(bytes) {
                    replica.deliver(message);
                }
            }
        });
    }
    let counter = replicas[1].client(); // a backup: it forwards
    assert_eq!(counter.request(5).await?, 5);
    replicas[0].shutdown().await?; // hands over to the next replica first
    assert_eq!(counter.request(7).await?, 12);
    Ok(())
}
