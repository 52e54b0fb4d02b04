//! Figures, printed: how long a failover takes, and whether throughput and memory stay as they are while the log grows.
//! Nothing here asserts a time; the machine decides those.

mod failover;
mod idle;
mod linearizability;
mod steps;
mod storage;
mod telemetry;
mod throughput;
mod transport;

pub(crate) use failover::failover;
pub(crate) use idle::idle;
pub(crate) use linearizability::linearizability;
pub(crate) use steps::steps;
pub(crate) use storage::storage;
pub(crate) use telemetry::telemetry;
pub(crate) use throughput::{Load, throughput};
pub(crate) use transport::transport;
