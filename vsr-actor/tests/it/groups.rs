//! Many groups in one process: three nodes, several groups, and names.

use super::common::{Ask, Journal, add, read};
use std::sync::{Arc, Mutex};
use vsr_actor::{
    Builder, Client, Handle, Health, Message, Node, NodeError, NodeNetwork, NodeTransport, Registry,
    RegistryError, ReplicaId, Routed, Transport, ViewNumber,
    prelude::*,
    vsr_core::{Body, ClusterId, EpochNumber, GroupId, Incarnation},
};

const IDS: [ReplicaId; 3] = [ReplicaId(0), ReplicaId(1), ReplicaId(2)];

fn journal(node: &Node) -> Builder<Journal> {
    Builder::new(node.id(), IDS, Journal::default())
}

async fn start(nodes: &[Node; 3], group: u64) -> Vec<Handle<Journal>> {
    let mut handles = Vec::new();
    for node in nodes {
        handles.push(node.start(GroupId(group), journal(node)).await.expect("it is new there"));
    }
    handles
}

fn nodes(network: &NodeNetwork) -> [Node; 3] {
    IDS.map(|id| network.node(id))
}

#[tokio::test(start_paused = true)]
async fn groups_of_the_same_nodes_are_independent() {
    let nodes = nodes(&NodeNetwork::default());
    let groups = [1, 2, 3, 4];
    let mut clients: Vec<Client<Journal>> = Vec::new();
    let mut handles = Vec::new();
    for group in groups {
        handles.push(start(&nodes, group).await);
        clients.push(handles[handles.len() - 1][0].client());
    }
    for round in 0..10 {
        for (group, client) in groups.iter().zip(&clients) {
            assert_eq!(add(client, group * 100 + round).await, Ok(round + 1));
        }
    }
    // A panic ends a replica of one group, and of that one alone.
    let _ = clients[1].request(Ask::Panic).await;
    assert!(handles[1][0].join().await.is_err(), "poisoned");
    assert_eq!(nodes[0].groups(), [1, 3, 4].map(GroupId));
    for (index, group) in [(0, 1), (2, 3), (3, 4)] {
        let wanted: Vec<u64> = (0..10).map(|round| group * 100 + round).collect();
        assert_eq!(read(&clients[index]).await, wanted, "nobody else's operations");
    }
    // The id is free again where the replica failed; where it did not, it is stopped first.
    for node in &nodes[1..] {
        let _ = node.stop(GroupId(2)).await;
    }
    let again = start(&nodes, 2).await;
    assert_eq!(add(&again[2].client(), 7).await, Ok(1));
    for node in &nodes {
        node.shutdown().await.expect("all that still ran were healthy");
    }
}

#[tokio::test(start_paused = true)]
async fn every_group_fails_over_when_a_node_is_cut_off() {
    let network = NodeNetwork::default();
    let nodes = nodes(&network);
    let mut groups = Vec::new();
    for group in 1..=5 {
        groups.push(start(&nodes, group).await);
    }
    for handles in &groups {
        assert_eq!(add(&handles[1].client(), 1).await, Ok(1));
        assert_eq!(handles[1].status().protocol.primary, ReplicaId(0), "view 0 is the first member's");
    }
    network.disconnect(ReplicaId(0));
    for handles in &groups {
        // Somebody wants something of each of them.
        assert_eq!(add(&handles[1].client(), 2).await, Ok(2));
        assert_ne!(handles[1].status().protocol.primary, ReplicaId(0));
    }
    network.connect(&nodes[0]);
    for handles in &groups {
        assert_eq!(add(&handles[0].client(), 3).await, Ok(3), "it is back, and forwards");
    }
}

/// Brings every message to all replicas of all groups, too.
#[derive(Clone)]
struct Crosstalk {
    way: NodeTransport,
    all: Arc<Mutex<Vec<Handle<Journal>>>>,
}

impl Transport for Crosstalk {
    fn send_vsr(&mut self, to: ReplicaId, message: Message) {
        self.all
            .lock()
            .expect("nobody panics with it")
            .iter()
            .for_each(|handle| handle.deliver(message.clone()));
        self.way.send_vsr(to, message);
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_hears_nothing_that_is_for_another() {
    let network = NodeNetwork::default();
    let all = Arc::new(Mutex::new(Vec::new()));
    let nodes = IDS.map(|id| {
        let node = Node::new(id, Crosstalk { way: network.transport(id), all: all.clone() });
        network.connect(&node);
        node
    });
    let (first, second) = (start(&nodes, 1).await, start(&nodes, 2).await);
    all.lock().expect("nobody panics with it").extend(first.iter().chain(&second).cloned());
    let (one, two) = (first[0].client(), second[1].client());
    for round in 0..20 {
        assert_eq!(add(&one, round).await, Ok(round + 1));
        assert_eq!(add(&two, 100 + round).await, Ok(round + 1));
    }
    assert_eq!(read(&one).await, (0..20).collect::<Vec<_>>());
    assert_eq!(read(&two).await, (100..120).collect::<Vec<_>>());
    for handle in first.iter().chain(&second) {
        assert_eq!(handle.status().protocol.view.0, 0, "nobody was disturbed");
    }
    all.lock().expect("nobody panics with it").clear();
}

#[tokio::test(start_paused = true)]
async fn what_a_node_refuses_is_said() {
    let network = NodeNetwork::default();
    let node = network.node(ReplicaId(0));
    let handle = node.start(GroupId(1), journal(&node)).await.expect("it is new there");
    let twice = node.start(GroupId(1), journal(&node)).await.expect_err("one replica of a group");
    assert!(matches!(twice, NodeError::AlreadyHosted { group: GroupId(1), .. }), "{twice}");
    let builder = Builder::new(ReplicaId(1), IDS, Journal::default());
    let other = node.start(GroupId(2), builder).await.expect_err("another id");
    assert!(matches!(other, NodeError::OtherId { replica: ReplicaId(1), .. }), "{other}");
    let builder = Builder::new(ReplicaId(0), [ReplicaId(1)], Journal::default());
    let invalid = node.start(GroupId(2), builder).await.expect_err("it is not among the members");
    assert!(matches!(invalid, NodeError::Replica { group: GroupId(2), .. }), "{invalid}");
    assert_eq!(node.groups(), [GroupId(1)], "what did not start holds no place");
    assert_eq!(node.deliver(message_of(GroupId(1))), Routed::Delivered);
    assert_eq!((node.deliver(message_of(GroupId(2))), node.strays()), (Routed::NoSuchGroup, 1));
    let nobody = node.stop(GroupId(2)).await.expect_err("not here");
    assert!(matches!(nobody, NodeError::NotHosted { .. }), "{nobody}");
    node.stop(GroupId(1)).await.expect("it was healthy");
    assert!(matches!(handle.status().health, Health::Stopped));
    assert_eq!(node.groups(), []);
    node.shutdown().await.expect("nothing runs");
    let late = node.start(GroupId(1), journal(&node)).await.expect_err("it is shut down");
    assert!(matches!(late, NodeError::ShuttingDown { .. }), "{late}");
}

#[tokio::test(start_paused = true)]
async fn a_node_keeps_its_replicas_and_a_dropped_one_loses_them() {
    let network = NodeNetwork::default();
    let nodes = nodes(&network);
    let handles = start(&nodes, 1).await;
    let client = handles[0].client();
    drop(handles);
    assert_eq!(add(&client, 1).await, Ok(1), "the nodes hold them");
    drop(nodes);
    assert!(add(&client, 2).await.is_err(), "nobody holds them");
}

#[derive(Default, Serialize, Deserialize)]
struct Other;

impl StateMachine for Other {
    type Operation = ();
    type Reply = ();
    fn handle_commit(&mut self, _commit: &Commit, (): ()) {}
}

#[tokio::test(start_paused = true)]
async fn replicas_are_found_by_name_and_type_while_they_run() {
    let network = NodeNetwork::default();
    let nodes = nodes(&network);
    let handles = start(&nodes, 1).await;
    let registry = Registry::default();
    registry.register("accounts", &handles[0]).expect("the name is free");
    let taken = registry.register("accounts", &handles[1]).expect_err("one name, one replica");
    assert_eq!(taken, RegistryError::NameTaken { name: "accounts".into() });
    let found: Handle<Journal> = registry.clone().get("accounts").expect("it runs");
    assert_eq!(add(&found.client(), 1).await, Ok(1));
    let other = registry.get::<Other>("accounts").expect_err("a journal");
    assert!(
        matches!(other, RegistryError::OtherType { .. }) && other.to_string().contains("Journal"),
        "{other}"
    );
    registry.register("more", &handles[1]).expect("the name is free");
    assert_eq!(registry.names(), ["accounts", "more"]);
    assert!(registry.unregister("more") && !registry.unregister("more"));
    nodes[0].stop(GroupId(1)).await.expect("it was healthy");
    let gone = registry.get::<Journal>("accounts").expect_err("it has ended");
    assert_eq!(gone, RegistryError::NotRegistered { name: "accounts".into() });
    registry.register("accounts", &handles[1]).expect("the name is free again");
    assert!(registry.get::<Journal>("accounts").is_ok());
}

fn message_of(group: GroupId) -> Message {
    Message {
        cluster: ClusterId(0),
        group,
        epoch: EpochNumber(0),
        view: ViewNumber(0),
        from: ReplicaId(1),
        incarnation: Incarnation(0),
        body: Body::StartViewChange,
    }
}
