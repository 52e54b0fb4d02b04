//! TCP over real sockets, with a proxy of the test's own in between that can hang.

use super::proxy::{Cuts, Proxy};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use vsr_actor::{Delivery, ReplicaId, StaticAddresses, Tcp, TcpConfig, TcpTransport};
use vsr_test::transport_conformance::{Check, Inbox, Lossy, Network, run};

/// Where everybody listens now.
type Addresses = Arc<Mutex<BTreeMap<ReplicaId, SocketAddr>>>;

fn now(addresses: &Addresses, id: ReplicaId) -> Option<SocketAddr> {
    addresses.lock().unwrap_or_else(PoisonError::into_inner).get(&id).copied()
}

struct Sockets {
    ids: Vec<ReplicaId>,
    listening: Addresses,
    ends: BTreeMap<ReplicaId, End>,
    /// Cuts each connection after some messages.
    cuts: Option<Cuts>,
}

struct End {
    tcp: Tcp,
    /// From this replica to each other.
    ways: BTreeMap<ReplicaId, Proxy>,
}

impl Sockets {
    fn new(ids: &[ReplicaId]) -> Self {
        Self { ids: ids.to_vec(), listening: Addresses::default(), ends: BTreeMap::new(), cuts: None }
    }

    /// The same where no connection lasts.
    fn cut(ids: &[ReplicaId], seed: u64) -> Self {
        Self { cuts: Some(Cuts::new(seed)), ..Self::new(ids) }
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
            ways.insert(to, Proxy::start(move || now(&listening, to), self.cuts.clone()).await);
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

/// The same, and what is sent is lost, doubled, held back and overtaken before it gets there.
mod lossy {
    use super::*;

    struct LossySockets(Sockets);

    impl Network for LossySockets {
        type Transport = Lossy<TcpTransport>;

        async fn connect(&mut self, id: ReplicaId, inbox: Inbox) -> Lossy<TcpTransport> {
            Lossy::new(self.0.connect(id, inbox).await, u64::from(id.0))
        }

        async fn disconnect(&mut self, id: ReplicaId) {
            self.0.disconnect(id).await;
        }

        fn stall(&mut self, id: ReplicaId) {
            self.0.stall(id);
        }

        fn resume(&mut self, id: ReplicaId) {
            self.0.resume(id);
        }
    }

    vsr_test::transport_conformance!(|ids| LossySockets(Sockets::new(ids)));
}

#[tokio::test]
async fn groups_do_their_work_where_no_connection_lasts() {
    for (seed, check) in
        (1..).zip([Check::AGroupServes, Check::AGroupFailsOver, Check::ABadNetworkLosesNothing])
    {
        let result = run(check, |ids| Sockets::cut(ids, seed)).await;
        result.unwrap_or_else(|failure| panic!("seed {seed}: {failure}"));
    }
}
