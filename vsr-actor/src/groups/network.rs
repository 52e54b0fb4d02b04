//! The network between the nodes of one process.

use super::{Node, node};
use crate::Transport;
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, PoisonError, RwLock, Weak},
};
use vsr_core::{Message, ReplicaId};

/// Connects nodes of one process: for tests, and for programs that want groups but no network. Messages are handed over as they are,
/// never encoded. Clones are the same network.
///
/// It keeps no node alive: what is sent to one that is gone is lost.
///
/// ```
/// use vsr_actor::{Message, Node, NodeNetwork, NodeTransport, ReplicaId, Transport};
///
/// /// Says what it sends.
/// #[derive(Clone)]
/// struct Telling(NodeTransport);
///
/// impl Transport for Telling {
///     fn send_vsr(&mut self, to: ReplicaId, message: Message) {
///         println!("{} to {to}", message.from);
///         self.0.send_vsr(to, message);
///     }
/// }
///
/// let network = NodeNetwork::default();
/// let node = Node::new(ReplicaId(7), Telling(network.transport(ReplicaId(7))));
/// network.connect(&node);
/// network.disconnect(node.id()); // cut off, until it is connected again
/// ```
#[derive(Clone, Default)]
pub struct NodeNetwork(Arc<RwLock<BTreeMap<ReplicaId, Weak<node::Inner>>>>);

impl NodeNetwork {
    /// Makes the node `id` and connects it, in the place of one that had the id before.
    #[must_use]
    pub fn node(&self, id: ReplicaId) -> Node {
        let node = Node::new(id, self.transport(id));
        self.connect(&node);
        node
    }

    /// The way of node `id` to the others, for a node that is made otherwise: behind a transport that counts or delays, say.
    #[must_use]
    pub fn transport(&self, id: ReplicaId) -> NodeTransport {
        NodeTransport { from: id, network: self.clone() }
    }

    /// Connects a node: messages for its id go there from now on.
    pub fn connect(&self, node: &Node) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(node.id(), node.downgrade());
    }

    /// Cuts node `id` off: what it sends, and what is sent to it, is lost until it is connected again.
    pub fn disconnect(&self, id: ReplicaId) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    fn carry(&self, from: ReplicaId, to: ReplicaId, message: Message) {
        let target = {
            let nodes = self.0.read().unwrap_or_else(PoisonError::into_inner);
            nodes.get(&to).filter(|_| nodes.contains_key(&from)).and_then(Weak::upgrade)
        };
        if let Some(node) = target {
            let _ = node.deliver(message);
        }
    }
}

impl fmt::Debug for NodeNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes = self.0.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_tuple("NodeNetwork").field(&nodes.keys()).finish()
    }
}

/// A node's end of a [`NodeNetwork`].
#[derive(Clone, Debug)]
pub struct NodeTransport {
    from: ReplicaId,
    network: NodeNetwork,
}

impl Transport for NodeTransport {
    fn send_vsr(&mut self, to: ReplicaId, message: Message) {
        self.network.carry(self.from, to, message);
    }
}
