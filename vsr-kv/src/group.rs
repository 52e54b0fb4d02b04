//! A group of replicas in this process, as the front-ends see it.

use crate::server::{Backend, Control, ReplicaLine};
use crate::store::{Operation, Reply, Store};
use std::sync::Arc;
use vsr_actor::{
    Client, Cluster, ClusterError, Health, ReplicaError, ReplicaId, RequestError, Status, StatusName, Ticket,
};

/// The door of one replica: operations enter the group there, and elsewhere while that replica does not answer.
#[derive(Clone, Debug)]
pub struct Front {
    cluster: Arc<Cluster<Store>>,
    client: Client<Store>,
    replica: ReplicaId,
}

impl Front {
    /// The door of `replica`. Its connections share one session of the group.
    ///
    /// # Errors
    /// There is no such replica.
    pub fn new(cluster: Arc<Cluster<Store>>, replica: ReplicaId) -> Result<Self, ClusterError> {
        Ok(Self { client: cluster.client_at(replica)?, cluster, replica })
    }
}

impl Backend for Front {
    type Ticket = Ticket<Reply>;

    async fn submit(&self, operation: Operation) -> Result<Self::Ticket, RequestError> {
        self.client.submit(operation).await
    }

    fn replica(&self) -> u64 {
        self.replica.0.into()
    }

    fn replicas(&self) -> Vec<ReplicaLine> {
        self.cluster.statuses().iter().map(line).collect()
    }

    fn is_dev(&self) -> bool {
        true
    }

    async fn control(&self, order: Control) -> Result<(), String> {
        control(&self.cluster, order).await
    }
}

async fn control(cluster: &Cluster<Store>, order: Control) -> Result<(), String> {
    let text = |error: ClusterError| error.to_string();
    match order {
        Control::Crash(id) => cluster.crash(known(cluster, id)?).await.map_err(text),
        Control::Restart(id) => cluster.restart(known(cluster, id)?).await.map_err(text),
        Control::IsolatePrimary => cluster.isolate(cluster.primary().await.map_err(text)?).map_err(text),
        Control::Heal => {
            cluster.heal();
            Ok(())
        }
        Control::Partition(sides) => {
            let side = |side: Vec<u64>| side.into_iter().map(|id| known(cluster, id)).collect();
            let sides: Vec<Vec<ReplicaId>> = sides.into_iter().map(side).collect::<Result<_, String>>()?;
            cluster.partition(&sides.iter().map(Vec::as_slice).collect::<Vec<_>>());
            Ok(())
        }
    }
}

fn known(cluster: &Cluster<Store>, id: u64) -> Result<ReplicaId, String> {
    let ids = cluster.ids();
    let found = ids.iter().find(|known| u64::from(known.0) == id);
    found
        .copied()
        .ok_or_else(|| format!("there is no replica {id}; there are 0 to {}", ids.len().saturating_sub(1)))
}

fn line(status: &Status) -> ReplicaLine {
    let protocol = &status.protocol;
    ReplicaLine {
        id: protocol.replica.0.into(),
        state: state(status),
        view: protocol.view.0,
        is_primary: status.health.is_running() && protocol.is_primary,
        op: protocol.op.0,
        commit: protocol.commit.0,
        applied: protocol.applied.0,
    }
}

fn state(status: &Status) -> String {
    match (&status.health, status.protocol.status) {
        (Health::Failed(ReplicaError::Aborted), _) => "crashed".to_owned(),
        (Health::Running, StatusName::Bootstrapping) => "forming".to_owned(),
        (Health::Running, StatusName::Normal) => "normal".to_owned(),
        (Health::Running, StatusName::ViewChange) => "view-change".to_owned(),
        (Health::Running, StatusName::Stopped) => "stopping".to_owned(),
        (other, _) => other.to_string(),
    }
}
