//! Many groups in one process: nodes that host replicas of several groups over one transport, and handles by name.

mod error;
mod hosted;
mod network;
mod node;
mod registry;

pub use error::{NodeError, RegistryError};
pub use network::{NodeNetwork, NodeTransport};
pub use node::{Node, Routed};
pub use registry::Registry;
