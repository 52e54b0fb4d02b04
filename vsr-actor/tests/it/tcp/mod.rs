//! TCP over loopback: what two ends make of each other, whatever the network does. Nothing is timed: tests wait for what is told.

mod groups;
mod holes;
mod pairs;
mod refusals;
mod strangers;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{sync::mpsc, time::timeout};
use vsr_actor::{
    AddressBook, AddressError, Delivery, Message, OpNumber, ReplicaId, Tcp, TcpConfig, TcpConnection,
    TcpPeer, Transport, ViewNumber,
    observe::TransportEvent,
    vsr_core::{Body, ClusterId, EpochNumber, GroupId, Incarnation},
};

/// How long anything may take that must happen in the end. Whoever waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who is where now.
#[derive(Clone, Default)]
struct Addresses(Arc<Mutex<BTreeMap<ReplicaId, SocketAddr>>>);

impl Addresses {
    fn set(&self, id: ReplicaId, address: SocketAddr) {
        self.0.lock().expect("no panic").insert(id, address);
    }
}

#[async_trait::async_trait]
impl AddressBook for Addresses {
    async fn address(&self, id: ReplicaId) -> Result<Vec<SocketAddr>, AddressError> {
        let address = self.0.lock().expect("no panic").get(&id).copied();
        address.map(|address| vec![address]).ok_or(AddressError::Unknown { id })
    }
}

/// A transport without a replica.
struct End {
    id: ReplicaId,
    tcp: Tcp,
    arrived: mpsc::UnboundedReceiver<Message>,
    events: mpsc::UnboundedReceiver<TransportEvent>,
}

fn config(id: u32) -> TcpConfig {
    let mut config = TcpConfig::new(ReplicaId(id), (0..3).map(ReplicaId));
    config.seed = Some(1);
    config.retry_min = Duration::from_millis(1);
    config.retry_max = Duration::from_millis(20);
    config
}

/// An end that the others find.
async fn end(config: TcpConfig, addresses: &Addresses) -> End {
    let end = hidden(config, addresses.clone()).await;
    addresses.set(end.id, end.tcp.local_addr());
    end
}

/// One that nobody finds.
async fn hidden(config: TcpConfig, book: impl AddressBook) -> End {
    let id = config.id;
    let tcp = Tcp::bind("127.0.0.1:0", config, book).await.expect("loopback has a port");
    let (inbox, arrived) = mpsc::unbounded_channel();
    tcp.deliver_to(&Delivery::new(move |message| drop(inbox.send(message))));
    let (told, events) = mpsc::unbounded_channel();
    tcp.observe(move |event| drop(told.send(event.clone())));
    End { id, tcp, arrived, events }
}

impl End {
    fn send(&self, to: u32, number: u64) {
        let body = Body::Commit { commit: OpNumber(number), beat: number, pace: 0, heard: 0 };
        let message = Message {
            cluster: ClusterId(0),
            group: GroupId(0),
            epoch: EpochNumber(0),
            view: ViewNumber(0),
            from: self.id,
            incarnation: Incarnation(77),
            body,
        };
        self.tcp.transport().send_vsr(ReplicaId(to), message);
    }

    /// The next one that arrived: its sender and its number.
    async fn next(&mut self) -> (u32, u64) {
        let message = timeout(PATIENCE, self.arrived.recv()).await.expect("something arrives");
        let message = message.expect("the transport is there");
        match message.body {
            Body::Commit { beat, .. } => (message.from.0, beat),
            other => panic!("{other:?}"),
        }
    }

    /// Waits until something is told.
    async fn told<T>(&mut self, what: &str, wanted: impl Fn(&TransportEvent) -> Option<T>) -> T {
        let found = async {
            loop {
                let event = self.events.recv().await.expect("the transport is there");
                if let Some(found) = wanted(&event) {
                    return found;
                }
            }
        };
        timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("{} was never told of {what}", self.id))
    }

    fn peer(&self, id: u32) -> TcpPeer {
        let peers = self.tcp.peers();
        peers.into_iter().find(|peer| peer.id.0 == id).expect("it is a peer")
    }

    /// Sends a number to a peer until it has arrived there.
    async fn reach(&self, to: &mut End, number: u64) {
        let arrival = async {
            loop {
                self.send(to.id.0, number);
                // Whatever else arrives is of before.
                while let Ok(Some(message)) = timeout(Duration::from_millis(20), to.arrived.recv()).await {
                    if matches!(message.body, Body::Commit { beat, .. } if beat == number) {
                        return;
                    }
                }
            }
        };
        timeout(PATIENCE, arrival)
            .await
            .unwrap_or_else(|_| panic!("{} is never reached by {}", to.id, self.id));
    }
}

/// Whether two ends go with the same connection, as far as they say: one of them dialled it.
fn agree(left: &End, right: &End) -> bool {
    let dialled = |end: &End, peer: &End| match end.peer(peer.id.0).connection {
        TcpConnection::Connected { dialled, .. } => Some(dialled),
        _ => None,
    };
    let (left_says, right_says) = (dialled(left, right), dialled(right, left));
    left_says.is_some() && right_says.is_some() && left_says != right_says
}
