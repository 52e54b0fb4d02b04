//! What happens to the replicas meanwhile.

use crate::store::Store;
use indicatif::ProgressBar;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep_until};
use vsr_actor::{Cluster, ClusterError, ReplicaId};

pub(super) struct Chaos {
    cluster: Arc<Cluster<Store>>,
    bar: ProgressBar,
}

/// What it did.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Failovers {
    pub(super) crashes: u32,
    pub(super) partitions: u32,
    /// The view in the end: how often the group moved on from a primary.
    pub(super) view: u64,
}

const CRASHES: u32 = 3;

impl Chaos {
    pub(super) fn new(cluster: Arc<Cluster<Store>>, bar: ProgressBar) -> Self {
        Self { cluster, bar }
    }

    /// Crashes and restarts the primary three times, cuts it off once, and leaves a healthy group; `total` long.
    pub(super) async fn run(self, total: Duration) -> Result<Failovers, ClusterError> {
        let began = Instant::now();
        // Each blow and each cure gets a slot, and the healthy group one before and after.
        let slot = total / (2 * (CRASHES + 1) + 1);
        let mut slots = 0;
        let mut next = || {
            slots += 1;
            sleep_until(began + slot * slots)
        };
        for _ in 0..CRASHES {
            next().await;
            let primary = self.primary().await?;
            self.say(format!("{primary}, the primary, crashes"));
            self.cluster.crash(primary).await?;
            next().await;
            self.say(format!("{primary} starts again"));
            self.cluster.restart(primary).await?;
        }
        next().await;
        let primary = self.primary().await?;
        self.say(format!("{primary}, the primary, is cut off"));
        self.cluster.isolate(primary)?;
        next().await;
        self.say(format!("{primary} is back"));
        self.cluster.heal();
        sleep_until(began + total).await;
        let view = self.cluster.statuses().iter().map(|status| status.protocol.view.0).max().unwrap_or(0);
        Ok(Failovers { crashes: CRASHES, partitions: 1, view })
    }

    async fn primary(&self) -> Result<ReplicaId, ClusterError> {
        self.cluster.primary().await
    }

    /// A line above the bar, or on its own where there is no terminal for a bar.
    fn say(&self, text: String) {
        self.bar.suspend(|| eprintln!("  {text}"));
    }
}
