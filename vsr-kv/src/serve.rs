//! `vsr-kv serve`: one replica of a group whose others are other processes, on other machines usually.

mod admin;
mod durability;
mod error;
mod options;
mod peers;
mod state;

pub use durability::{DurabilityError, StoredWhen};
pub use error::{NEEDS_A_PERSON, ServeError};
pub use options::{Flags, Options, OptionsError};
pub use peers::{Peer, PeerError};

use crate::group::{Front, Member};
use crate::server::serve;
use crate::store::Store;
use admin::Admin;
use state::{Phase, State};
use std::{collections::HashMap, io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::watch, task::JoinSet, time::interval};
use tracing::warn;
use vsr_actor::{
    Builder, ConnectionError, DnsAddresses, FileLog, Handle, HandshakeError, ReplicaError, ReplicaId, Tcp,
    TcpConfig, TcpConnection, TcpPeer, observe::prometheus::Metrics,
};

/// How often what was measured is counted.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);
/// The longest wait between attempts to connect to a peer: one that has come back should not be missed for long.
const RETRY_MAX: Duration = Duration::from_secs(1);
/// How often refusals are looked for.
const REFUSALS_INTERVAL: Duration = Duration::from_secs(1);

/// A running replica and its listeners. Dropped, it ends as in a crash.
#[derive(Debug)]
pub struct Serve {
    replica: Handle<Store>,
    state: Arc<State>,
    tcp: Arc<Tcp>,
    redis: SocketAddr,
    peers: SocketAddr,
    admin: SocketAddr,
    front: JoinSet<io::Result<()>>,
    stop_front: watch::Sender<bool>,
    /// Ends with this value.
    _background: JoinSet<()>,
}

impl Serve {
    /// Listens everywhere, opens the directory and starts the replica. Returns before the group has formed.
    ///
    /// Cancel-safe: dropped, nothing runs.
    ///
    /// # Errors
    /// See [`ServeError`]; nothing runs then.
    pub async fn start(options: Options, metrics: Option<Metrics>) -> Result<Self, ServeError> {
        let (redis, redis_at) = listen(&options.redis, "clients", "redis").await?;
        let (admin, admin_at) = listen(&options.admin, "people and probes", "admin").await?;
        let (peers, peers_at) = listen(&options.listen, "the other replicas", "listen").await?;
        for (address, warning) in
            exposure(peers_at, redis_at, admin_at, options.settings.requirepass.is_some())
        {
            warn!(%address, "{warning}");
        }
        let members: Vec<_> = options.peers.iter().map(|peer| peer.id).collect();
        let mut tcp = TcpConfig::of(&options.config, options.id, members.iter().copied());
        tcp.retry_max = RETRY_MAX;
        let book = DnsAddresses::new(options.peers.iter().map(|peer| (peer.id, peer.address.clone())));
        let tcp = Arc::new(Tcp::listen(peers, tcp, book)?);
        let state = Arc::new(State::new(&options, tcp.clone()));
        let mut background = JoinSet::new();
        background.spawn(admin::serve(admin, Admin { state: state.clone(), metrics: metrics.clone() }));
        if let Some(metrics) = metrics {
            background.spawn(keep_up(metrics));
        }
        background.spawn(tell_refusals(tcp.clone()));
        let replica = start_replica(&options, &members, &tcp).await?;
        state.enter(Phase::Running(replica.clone()));
        let (stop_front, stopped) = watch::channel(false);
        let group = Member::new(replica.clone(), members);
        let front = Front::new(group, options.id, &replica.client(), options.config.client.deadline);
        let mut fronts = JoinSet::new();
        fronts.spawn(serve(redis, front, options.settings, stopped));
        Ok(Self {
            replica,
            state,
            tcp,
            redis: redis_at,
            peers: peers_at,
            admin: admin_at,
            front: fronts,
            stop_front,
            _background: background,
        })
    }

    /// Who this is and where it listens: one line.
    #[must_use]
    pub fn banner(&self) -> String {
        let Self { redis, admin, peers, .. } = self;
        format!(
            "replica {} listens: redis {redis}, peers {peers}, admin http://{admin}/status",
            self.replica.id().0
        )
    }

    /// Where clients are served.
    #[must_use]
    pub fn redis(&self) -> SocketAddr {
        self.redis
    }

    /// Where people and probes are answered.
    #[must_use]
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Waits until the replica has ended by itself, and says why it did. Cancel-safe.
    pub async fn failed(&self) -> ServeError {
        self.replica.join().await.err().unwrap_or(ReplicaError::Aborted).into()
    }

    /// Ends in order: takes no more connections, answers what is under way, hands the view over, and returns when everything is written.
    ///
    /// # Errors
    /// Why the replica had ended by itself before.
    pub async fn shutdown(mut self) -> Result<(), ServeError> {
        self.state.enter(Phase::Stopping(self.replica.clone()));
        self.stop_front.send_replace(true);
        while self.front.join_next().await.is_some() {}
        let ended = self.replica.shutdown().await;
        // What it said at its end is still to be written.
        self.tcp.shutdown().await;
        Ok(ended?)
    }
}

async fn start_replica(
    options: &Options,
    members: &[ReplicaId],
    tcp: &Tcp,
) -> Result<Handle<Store>, ServeError> {
    let builder = Builder::new(options.id, members.iter().copied(), Store::default());
    let log = FileLog::new(&options.data).durability(options.durability.0);
    Ok(tcp.start(builder.config(options.config.clone()).storage(log)).await?)
}

/// Says once whom this side and another do not come together with, and why, until it is dropped: somebody has to change a setting.
async fn tell_refusals(tcp: Arc<Tcp>) {
    let mut told: HashMap<ReplicaId, String> = HashMap::new();
    let mut times = interval(REFUSALS_INTERVAL);
    loop {
        times.tick().await;
        for (peer, refusal) in refusals(&tcp) {
            if told.get(&peer) != Some(&refusal) {
                warn!(peer = peer.0, "{refusal}");
                told.insert(peer, refusal);
            }
        }
    }
}

/// The peers that were reached, and with whom there is no connection all the same.
fn refusals(tcp: &Tcp) -> Vec<(ReplicaId, String)> {
    let refusal = |peer: TcpPeer| match (peer.connection, peer.last_error) {
        (TcpConnection::Connected { .. }, _) => None,
        (_, Some(error @ ConnectionError::Handshake { error: HandshakeError::Refused { .. }, .. })) => {
            Some((peer.id, error.to_string()))
        }
        _ => None,
    };
    tcp.peers().into_iter().filter_map(refusal).collect()
}

/// Counts what was measured, from time to time, until it is dropped.
async fn keep_up(metrics: Metrics) {
    let mut times = interval(UPKEEP_INTERVAL);
    loop {
        times.tick().await;
        metrics.upkeep();
    }
}

async fn listen(
    address: &str,
    whom: &'static str,
    flag: &'static str,
) -> Result<(TcpListener, SocketAddr), ServeError> {
    let told = |error| ServeError::Listen { address: address.to_owned(), whom, flag, error };
    let listener = TcpListener::bind(address).await.map_err(told)?;
    let bound = listener.local_addr().map_err(told)?;
    Ok((listener, bound))
}

/// What can be reached from other machines, and by whom: addresses, and what to know of each.
fn exposure(
    peers: SocketAddr,
    redis: SocketAddr,
    admin: SocketAddr,
    has_password: bool,
) -> impl Iterator<Item = (SocketAddr, &'static str)> {
    let to_clients = if has_password {
        "the port for clients is open to other machines: the password and the data travel in the clear"
    } else {
        "the port for clients is open to other machines, and there is no --requirepass: whoever reaches it can read and change the data"
    };
    let ports = [
        (
            peers,
            "the port for replicas is open to other machines, and asks nobody who he is: whoever reaches it can change the data",
        ),
        (redis, to_clients),
        (
            admin,
            "the admin port is open to other machines, and asks nobody who he is: whoever reaches it sees the state of the group, no data",
        ),
    ];
    ports.into_iter().filter(|(address, _)| !address.ip().is_loopback())
}

#[cfg(test)]
mod tests;
