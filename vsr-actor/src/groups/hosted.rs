//! A handle whose state machine does not matter.

use crate::{Handle, ReplicaError, StateMachine};
use async_trait::async_trait;

/// What a node needs of a replica, whatever it replicates.
#[async_trait]
pub(super) trait Hosted: Send + Sync {
    fn has_ended(&self) -> bool;
    async fn shutdown(&self) -> Result<(), ReplicaError>;
}

#[async_trait]
impl<M: StateMachine> Hosted for Handle<M> {
    fn has_ended(&self) -> bool {
        Handle::has_ended(self)
    }

    async fn shutdown(&self) -> Result<(), ReplicaError> {
        Handle::shutdown(self).await
    }
}
