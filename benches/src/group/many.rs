//! Many groups of three on three nodes.

use super::{Table, said};
use vsr_actor::{Builder, Client, Config, Node, NodeNetwork, ReplicaId, vsr_core::GroupId};

pub(crate) struct Groups {
    clients: Vec<Client<Table>>,
    _nodes: [Node; 3],
}

impl Groups {
    /// Starts so many; `state` says what the replicas of each begin with.
    pub(crate) async fn start(
        groups: u64,
        config: Config,
        state: impl Fn(u64) -> Table,
    ) -> Result<Self, String> {
        let network = NodeNetwork::default();
        let ids = [0, 1, 2].map(ReplicaId);
        let nodes = ids.map(|id| network.node(id));
        let mut clients = Vec::new();
        for group in 0..groups {
            for node in &nodes {
                let builder = Builder::new(node.id(), ids, state(group)).config(config.clone());
                let replica = node.start(GroupId(group), builder).await.map_err(said)?;
                // The first replica of a group is its first primary.
                if node.id() == ids[0] {
                    clients.push(replica.client());
                }
            }
        }
        Ok(Self { clients, _nodes: nodes })
    }

    /// One of each group, at its primary.
    pub(crate) fn clients(&self) -> &[Client<Table>] {
        &self.clients
    }
}
