//! TCP over real sockets, with a proxy of the test's own in between that can hang.

use super::proxy::Proxy;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use vsr_actor::{Delivery, ReplicaId, StaticAddresses, Tcp, TcpConfig, TcpTransport};
use vsr_test::transport_conformance::{Inbox, Network};

/// Where everybody listens now.
type Addresses = Arc<Mutex<BTreeMap<ReplicaId, SocketAddr>>>;

fn now(addresses: &Addresses, id: ReplicaId) -> Option<SocketAddr> {
    addresses.lock().unwrap_or_else(PoisonError::into_inner).get(&id).copied()
}

struct Sockets {
    ids: Vec<ReplicaId>,
    listening: Addresses,
    ends: BTreeMap<ReplicaId, End>,
}

struct End {
    tcp: Tcp,
    /// From this replica to each other.
    ways: BTreeMap<ReplicaId, Proxy>,
}

impl Sockets {
    fn new(ids: &[ReplicaId]) -> Self {
        Self { ids: ids.to_vec(), listening: Addresses::default(), ends: BTreeMap::new() }
    }

    /// All ways that lead to or from a replica.
    fn ways(&self, id: ReplicaId) -> impl Iterator<Item = &Proxy> {
        let ways =
            self.ends.iter().flat_map(|(from, end)| end.ways.iter().map(move |(to, way)| (from, to, way)));
        ways.filter(move |(from, to, _)| **from == id || **to == id).map(|(.., way)| way)
    }
}

impl Network for Sockets {
    type Transport = TcpTransport;

    async fn connect(&mut self, id: ReplicaId, inbox: Inbox) -> TcpTransport {
        let mut ways = BTreeMap::new();
        for to in self.ids.iter().copied().filter(|to| *to != id) {
            let listening = self.listening.clone();
            ways.insert(to, Proxy::start(move || now(&listening, to)).await);
        }
        let book = StaticAddresses::new(ways.iter().map(|(to, way)| (*to, way.address())));
        let mut config = TcpConfig::new(id, self.ids.clone());
        config.seed = Some(1);
        config.retry_min = Duration::from_millis(2);
        config.retry_max = Duration::from_millis(50);
        let tcp = Tcp::bind("127.0.0.1:0", config, book).await.expect("loopback has a port");
        tcp.deliver_to(&Delivery::new(move |message| inbox.deliver(message)));
        self.listening.lock().unwrap_or_else(PoisonError::into_inner).insert(id, tcp.local_addr());
        let transport = tcp.transport();
        self.ends.insert(id, End { tcp, ways });
        transport
    }

    async fn disconnect(&mut self, id: ReplicaId) {
        self.listening.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        if let Some(End { tcp, ways }) = self.ends.remove(&id) {
            tcp.shutdown().await;
            for way in ways.into_values() {
                way.stop().await;
            }
        }
    }

    fn stall(&mut self, id: ReplicaId) {
        self.ways(id).for_each(Proxy::stall);
    }

    fn resume(&mut self, id: ReplicaId) {
        self.ways(id).for_each(Proxy::resume);
    }
}

vsr_test::transport_conformance!(Sockets::new);
