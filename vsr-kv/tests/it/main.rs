//! The server as its users meet it: clients over TCP in front of three replicas, and the program itself.

mod directory;
mod expiry;
mod failover;
mod full_disk;
mod histories;
mod maelstrom;
mod program;
mod serve;
mod simulation;
mod wire;

use std::time::Duration;
use vsr_actor::ReplicaId;
use vsr_kv::{
    dev::{self, Dev},
    server::Settings,
};

/// Three replicas that notice a dead primary quickly.
async fn dev() -> Dev {
    dev_with(Duration::from_secs(60)).await
}

/// The same, with clients that give up after `deadline`.
async fn dev_with(deadline: Duration) -> Dev {
    let mut config = dev::config();
    config.heartbeat_interval = Duration::from_millis(20);
    config.heartbeat_timeout = Duration::from_millis(100);
    config.client.deadline = deadline;
    Dev::start(0, None, config, Settings::default()).await.expect("free ports and a valid configuration")
}

/// Three replicas with the time-outs a user has: for tests that keep the machine busy rather than wait for a failover.
async fn patient_dev() -> Dev {
    Dev::start(0, None, dev::config(), Settings::default())
        .await
        .expect("free ports and a valid configuration")
}

/// The primary and the two others.
async fn roles(dev: &Dev) -> (ReplicaId, Vec<ReplicaId>) {
    let primary = dev.cluster().primary().await.expect("a primary");
    let backups = dev.cluster().ids().iter().copied().filter(|id| *id != primary).collect();
    (primary, backups)
}

/// Where a replica listens.
fn port(dev: &Dev, id: ReplicaId) -> u16 {
    dev.addresses()[id.0 as usize].port()
}
