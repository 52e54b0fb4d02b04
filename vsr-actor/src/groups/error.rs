//! What can go wrong with nodes and registries.

use crate::ReplicaError;
use vsr_core::{GroupId, ReplicaId};

/// Why a node did not do what it was asked for.
///
/// ```
/// # use vsr_actor::{Builder, Handle, Node, NodeError, StateMachine, vsr_core::GroupId};
/// # async fn restart<M: StateMachine>(node: &Node, group: GroupId, builder: Builder<M>) -> Result<Handle<M>, NodeError> {
/// match node.stop(group).await {
///     Ok(()) | Err(NodeError::NotHosted { .. }) => node.start(group, builder).await,
///     Err(error) => Err(error),
/// }
/// # }
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// A replica of that group runs here already.
    #[error("{node} hosts {group} already: stop it first, or give the new group another id")]
    AlreadyHosted {
        /// The node.
        node: ReplicaId,
        /// The group.
        group: GroupId,
    },
    /// No replica of that group runs here.
    #[error("{node} does not host {group}: it was not started here, or has ended")]
    NotHosted {
        /// The node.
        node: ReplicaId,
        /// The group.
        group: GroupId,
    },
    /// The replica has another id than the node: what the others send to it would arrive elsewhere.
    #[error("{replica} of {group} cannot run on {node}: replicas of a node have the node's id")]
    OtherId {
        /// The node.
        node: ReplicaId,
        /// The group.
        group: GroupId,
        /// What the builder says.
        replica: ReplicaId,
    },
    /// The node is shut down, or about to be.
    #[error("{node} is shutting down and takes no more groups")]
    ShuttingDown {
        /// The node.
        node: ReplicaId,
    },
    /// A replica did not start, or had stopped by itself.
    #[error("{group}: {error}")]
    Replica {
        /// Its group.
        group: GroupId,
        /// Why.
        #[source]
        error: ReplicaError,
    },
}

/// Why a registry did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// A replica that still runs has that name.
    #[error("the name {name:?} is taken by a replica that runs")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// Nobody has that name, or not any more.
    #[error("no running replica is registered as {name:?}")]
    NotRegistered {
        /// The name.
        name: String,
    },
    /// Somebody else than was asked for has that name.
    #[error("{name:?} is a replica of {found}, not of {wanted}")]
    OtherType {
        /// The name.
        name: String,
        /// The state machine that was asked for.
        wanted: &'static str,
        /// The state machine that is registered.
        found: &'static str,
    },
}
