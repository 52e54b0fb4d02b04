//! What can be asked of the replica from outside, at any moment of its life.

use super::{Options, Peer, StoredWhen, refusals};
use crate::store::Store;
use serde_json::{Value, json};
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::time::timeout;
use vsr_actor::{Handle, Health, ReplicaId, StatusName, Tcp, vsr_core::ClusterId};

/// A replica that executes so many operations less than it knows to be committed is behind: reads through it would wait.
const BEHIND_MAX: u64 = 1000;

/// How long the replica's task may take to tell about itself, if it is busy.
const DUMP_TIMEOUT: Duration = Duration::from_secs(2);

/// Where the process is in its life.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// The directory is being read.
    Starting,
    /// The replica runs, or has ended by itself.
    Running(Handle<Store>),
    /// It hands over and ends.
    Stopping(Handle<Store>),
}

#[derive(Debug)]
pub(super) struct State {
    id: ReplicaId,
    cluster: ClusterId,
    peers: Vec<Peer>,
    data: PathBuf,
    durability: StoredWhen,
    tcp: Arc<Tcp>,
    started: Instant,
    phase: Mutex<Phase>,
}

impl State {
    pub(super) fn new(options: &Options, tcp: Arc<Tcp>) -> Self {
        Self {
            id: options.id,
            cluster: options.config.cluster,
            peers: options.peers.clone(),
            data: options.data.clone(),
            durability: options.durability,
            tcp,
            started: Instant::now(),
            phase: Mutex::new(Phase::Starting),
        }
    }

    pub(super) fn enter(&self, phase: Phase) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    fn phase(&self) -> Phase {
        // Assigned at once: whole after any panic.
        self.phase.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the process is worth keeping: all but a replica that has failed.
    pub(super) fn health(&self) -> Result<(), String> {
        match self.phase() {
            Phase::Running(replica) => match replica.status().health {
                Health::Failed(error) => Err(error.to_string()),
                _ => Ok(()),
            },
            Phase::Starting | Phase::Stopping(_) => Ok(()),
        }
    }

    /// Whether requests should be sent here: the replica takes part in a view, and has executed what it knows to be committed, about.
    pub(super) async fn readiness(&self) -> Result<(), String> {
        let replica = match self.phase() {
            Phase::Starting => return Err("starting: the directory is being read".into()),
            Phase::Stopping(_) => return Err("stopping".into()),
            Phase::Running(replica) => replica,
        };
        let status = replica.status();
        if !status.health.is_running() {
            return Err(status.health.to_string());
        }
        // Told by the replica's task: one that does not answer does not serve either.
        let inside = timeout(DUMP_TIMEOUT, replica.dump()).await.map_err(|_| "busy".to_owned())?;
        if let Some(reason) = inside.map_err(|error| error.to_string())?.storage_stalled {
            return Err(format!("the storage waits for room: {reason}"));
        }
        let protocol = status.protocol;
        let behind = protocol.commit_target.0.saturating_sub(protocol.applied.0);
        match protocol.status {
            StatusName::Normal if behind <= BEHIND_MAX => Ok(()),
            StatusName::Normal => {
                Err(format!("behind: {behind} committed operations are not executed here yet"))
            }
            StatusName::Bootstrapping => {
                let refusals = refusals(&self.tcp).into_iter().map(|(_, refusal)| format!("; {refusal}"));
                let refusals = refusals.collect::<String>();
                Err(format!("forming: not all members of the group were heard yet{refusals}"))
            }
            StatusName::ViewChange => {
                Err("no primary: a quorum of replicas does not agree on one yet".into())
            }
            StatusName::Recovering => Err("recovering: the log comes from the others".into()),
            StatusName::Stopped => Err("stopped".into()),
        }
    }

    /// Everything, for people and programs.
    pub(super) async fn report(&self) -> Value {
        let ready = self.readiness().await;
        let (phase, replica) = match self.phase() {
            Phase::Starting => ("starting", None),
            Phase::Running(replica) => ("running", Some(replica)),
            Phase::Stopping(replica) => ("stopping", Some(replica)),
        };
        let status = replica.as_ref().map(Handle::status);
        // The inside is told by the replica's task; one that has ended tells nothing.
        let inside = match &replica {
            Some(replica) => timeout(DUMP_TIMEOUT, replica.dump()).await.ok().and_then(Result::ok),
            None => None,
        };
        let stalled = inside.as_ref().and_then(|inside| inside.storage_stalled.clone());
        // What is told elsewhere, too, and of a replica that tells nothing any more.
        let mut inside = json!(inside);
        for told in ["protocol", "storage_stalled"] {
            inside.as_object_mut().and_then(|inside| inside.remove(told));
        }
        let heard = status
            .as_ref()
            .filter(|status| status.health.is_running())
            .map_or(0, |status| status.protocol.peers);
        let transports = self.tcp.peers();
        let peers = self.peers.iter().enumerate().filter(|(_, peer)| peer.id != self.id);
        let peers = peers.map(|(place, peer)| {
            let transport = transports.iter().find(|transport| transport.id == peer.id);
            json!({ "id": peer.id, "address": peer.address, "heard": heard >> place & 1 == 1, "transport": transport })
        });
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_seconds": self.started.elapsed().as_secs(),
            "phase": phase,
            "health": status.as_ref().map(|status| status.health.to_string()),
            "ready": ready.is_ok(),
            "not_ready_because": ready.err(),
            "cluster": self.cluster,
            "replica": self.id,
            "protocol": status.as_ref().map(|status| status.protocol),
            "inside": inside,
            "peers": peers.collect::<Vec<_>>(),
            "storage": { "directory": self.data, "durability": self.durability.to_string(), "stalled": stalled },
        })
    }
}
