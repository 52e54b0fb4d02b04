//! Groups over TCP: of replicas by themselves, and of nodes that share their connections.

use crate::common::{Ask, Journal};
use tokio::net::TcpListener;
use vsr_actor::{
    Builder, Handle, Node, ReplicaId, StaticAddresses, Tcp, TcpConfig, TcpConnection, vsr_core::GroupId,
};

const IDS: [ReplicaId; 3] = [ReplicaId(0), ReplicaId(1), ReplicaId(2)];

async fn transports(config: impl Fn(ReplicaId) -> TcpConfig) -> Vec<Tcp> {
    let (mut listeners, mut addresses) = (Vec::new(), Vec::new());
    for id in IDS {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a port");
        addresses.push((id, listener.local_addr().expect("it is bound")));
        listeners.push(listener);
    }
    let book = StaticAddresses::new(addresses);
    let pairs = IDS.into_iter().zip(listeners);
    pairs
        .map(|(id, listener)| Tcp::listen(listener, config(id), book.clone()).expect("it is valid"))
        .collect()
}

async fn add(replica: &Handle<Journal>, item: u64) -> u64 {
    replica.client().request(Ask::Add(item)).await.expect("the group serves")[0]
}

#[tokio::test]
async fn three_replicas_serve_fail_over_and_end_in_order() {
    let mut transports = transports(|id| TcpConfig::new(id, IDS)).await;
    let mut replicas = Vec::new();
    for (id, tcp) in IDS.into_iter().zip(&transports) {
        replicas.push(tcp.start(Builder::new(id, IDS, Journal::default())).await.expect("it starts"));
    }
    for (count, replica) in (1..).zip(&replicas) {
        assert_eq!(add(replica, count).await, count);
    }
    // The process of the first primary is gone.
    drop((replicas.remove(0), transports.remove(0)));
    for (count, replica) in (4..).zip(&replicas) {
        assert_eq!(add(replica, count).await, count);
    }
    for (replica, tcp) in replicas.iter().zip(&transports) {
        replica.shutdown().await.expect("it ends in order");
        tcp.shutdown().await;
    }
}

#[tokio::test]
async fn groups_of_nodes_share_one_connection_a_pair() {
    let transports = transports(|id| TcpConfig::new(id, IDS).many_groups()).await;
    let mut groups: Vec<Vec<Handle<Journal>>> = vec![Vec::new(), Vec::new(), Vec::new()];
    let mut nodes = Vec::new();
    for (id, tcp) in IDS.into_iter().zip(&transports) {
        let node = Node::new(id, tcp.transport());
        tcp.deliver_to(&node);
        for (group, replicas) in (0..).zip(&mut groups) {
            let builder = Builder::new(id, IDS, Journal::default());
            replicas.push(node.start(GroupId(group), builder).await.expect("it starts"));
        }
        nodes.push(node);
    }
    for round in 1..4 {
        for (at, replicas) in groups.iter().enumerate() {
            assert_eq!(add(&replicas[at], round).await, round);
        }
    }
    for tcp in &transports {
        for peer in tcp.peers() {
            assert!(matches!(peer.connection, TcpConnection::Connected { .. }), "{peer:?}");
            assert_eq!(peer.forged, 0);
        }
    }
    for node in nodes {
        node.shutdown().await.expect("it ends in order");
    }
    for tcp in transports {
        tcp.shutdown().await;
    }
}
