//! A member of a group of openraft 0.9, as a process of its own: what `failover` kills.
//!
//! Log and state are in memory: nothing is flushed, and whoever was killed has forgotten what it promised. Such a member must not come
//! back into its group; `failover` starts all of them anew.

mod clients;
mod peers;
mod wire;

use super::v0_9::{Log, Machine, Types};
use openraft_0_9::{Config, Raft};
use peers::Peers;
use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};
use tokio::net::TcpListener;

/// A member, and where it is.
#[derive(Debug, clap::Args)]
pub struct Options {
    #[arg(long)]
    id: u64,
    /// Where clients go: a few words of the Redis protocol.
    #[arg(long)]
    clients: SocketAddr,
    /// Where each member listens for the others, in the order of their numbers.
    #[arg(long)]
    peer: Vec<SocketAddr>,
    #[arg(long)]
    heartbeat_ms: u64,
    /// Its election time-out is drawn between this and the next.
    #[arg(long)]
    timeout_min_ms: u64,
    #[arg(long)]
    timeout_max_ms: u64,
}

/// Runs until it is killed. The first member forms the group.
///
/// # Errors
/// The settings are refused, or a port is taken.
pub async fn run(options: Options) -> Result<(), String> {
    let config = Config {
        heartbeat_interval: options.heartbeat_ms,
        election_timeout_min: options.timeout_min_ms,
        election_timeout_max: options.timeout_max_ms,
        ..Config::default()
    };
    let config = Arc::new(config.validate().map_err(|error| error.to_string())?);
    let all: BTreeMap<u64, SocketAddr> = (0..).zip(options.peer).collect();
    let own = *all.get(&options.id).ok_or("this member is none of the peers")?;
    let peers = listen(own).await?;
    let clients = listen(options.clients).await?;
    let members = all.keys().copied().collect();
    let started =
        Raft::<Types>::new(options.id, config, Peers(all), Log::default(), Machine::default()).await;
    let raft = started.map_err(|error| error.to_string())?;
    if options.id == 0 {
        let formed: Result<(), _> = raft.initialize::<std::collections::BTreeSet<u64>>(members).await;
        formed.map_err(|error| error.to_string())?;
    }
    tokio::select! {
        ended = peers::serve(peers, raft.clone()) => ended,
        ended = clients::serve(clients, raft.clone()) => ended,
    }
    .map_err(|error| error.to_string())
}

async fn listen(at: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(at).await.map_err(|error| format!("cannot listen on {at}: {error}"))
}
