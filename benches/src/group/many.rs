//! Many groups of three on three nodes.

use super::{Put, Table, said};
use bytes::Bytes;
use std::time::Duration;
use vsr_actor::{Builder, Client, Config, Node, NodeNetwork, ReplicaId, vsr_core::GroupId};

pub(crate) struct Groups {
    clients: Vec<Client<Table>>,
    _nodes: [Node; 3],
}

impl Groups {
    /// Starts so many; `state` says what the replicas of each begin with.
    pub(crate) async fn start(
        groups: u64,
        mut config: Config,
        state: impl Fn(u64) -> Table,
    ) -> Result<Self, String> {
        // Thousands of replicas that start at once take a while on a busy machine.
        config.client.deadline = Duration::from_secs(60);
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
        for client in &clients {
            // Answered when the group has formed.
            client.request(Put { key: 0, value: Bytes::new() }).await.map_err(said)?;
        }
        Ok(Self { clients, _nodes: nodes })
    }

    /// One of each group, at its primary.
    pub(crate) fn clients(&self) -> &[Client<Table>] {
        &self.clients
    }
}
