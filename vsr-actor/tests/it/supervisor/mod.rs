//! Supervised replicas: what is started again, how soon, how often, and how it all ends.

mod ends;
mod limits;
mod restarts;

use crate::common::Journal;
use std::{future::Future, pin::Pin, sync::Arc, time::Duration};
use vsr_actor::{
    Builder, Child, Cluster, ClusterError, Handle, MemoryStorage, ReplicaError, ReplicaId, StateMachine,
    Supervisor, SupervisorConfig,
};

const ID: ReplicaId = ReplicaId(0);

/// Two restarts within ten seconds, after waits that repeat.
fn strict() -> SupervisorConfig {
    let mut config = SupervisorConfig::default();
    config.restarts_max = 2;
    config.period = Duration::from_secs(10);
    config.seed = Some(7);
    config
}

fn supervisor(config: SupervisorConfig) -> Supervisor {
    Supervisor::builder().config(config).start().expect("the configuration is valid")
}

/// A group of one, on storage that survives it.
async fn alone<M: StateMachine>(machine: M, storage: MemoryStorage) -> Result<Handle<M>, ReplicaError> {
    Builder::new(ID, [ID], machine).storage(storage).start().await
}

/// A journal that comes back with what it had.
fn journal() -> impl Fn() -> Start<Journal> + Send {
    let storage = MemoryStorage::default();
    move || Box::pin(alone(Journal::default(), storage.clone()))
}

type Start<M, E = ReplicaError> = Pin<Box<dyn Future<Output = Result<Handle<M>, E>> + Send>>;

/// Starts one replica of a cluster, and starts it again.
fn replica_of<M: StateMachine>(
    cluster: &Arc<Cluster<M>>,
    id: ReplicaId,
) -> impl Fn() -> Start<M, ClusterError> + Send + use<M> {
    let cluster = cluster.clone();
    move || {
        let cluster = cluster.clone();
        Box::pin(async move { cluster.running(id).await })
    }
}

/// Waits for the life after `restarts` restarts.
async fn life<M: StateMachine>(child: &Child<M>, restarts: u64) -> Handle<M> {
    use tokio_stream::StreamExt;
    let mut handles = child.handles();
    loop {
        let handle = handles.next().await.expect("it is started again");
        if child.restarts() == restarts {
            return handle;
        }
    }
}
