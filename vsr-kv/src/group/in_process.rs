//! All replicas in this process: everything is known of each, and everything can be done to them.

use super::{Group, line};
use crate::server::{Control, ReplicaLine};
use crate::store::Store;
use std::sync::Arc;
use vsr_actor::{Cluster, ClusterError, ReplicaId};

/// A group whose replicas all run in this process.
#[derive(Clone, Debug)]
pub struct InProcess(pub Arc<Cluster<Store>>);

impl Group for InProcess {
    fn replicas(&self) -> Vec<ReplicaLine> {
        self.0.statuses().iter().map(line).collect()
    }

    fn is_dev(&self) -> bool {
        true
    }

    async fn control(&self, order: Control) -> Result<(), String> {
        control(&self.0, order).await
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
