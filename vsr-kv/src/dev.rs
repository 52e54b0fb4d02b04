//! `vsr-kv dev`: three replicas in one process, each behind a port of its own.

use crate::group::{Front, InProcess};
use crate::server::{Settings, serve};
use crate::store::Store;
use std::{
    fmt::Write,
    io,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};
use vsr_actor::{Cluster, ClusterError, Config};

/// How many replicas there are.
pub const REPLICAS: usize = 3;

/// Why the development group does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DevError {
    /// Another program listens there.
    #[error(
        "port {port} of 127.0.0.1 is in use: end the program that listens there, or choose other ports with --port"
    )]
    PortInUse {
        /// Where.
        port: u16,
    },
    /// The port cannot be used for another reason.
    #[error("cannot listen on port {port} of 127.0.0.1: {error}")]
    Listen {
        /// Where.
        port: u16,
        /// Why.
        error: io::Error,
    },
    /// The group does not start, or a replica had stopped by itself.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

/// The configuration of a group behind front-ends: few sessions that keep much.
///
/// All connections of a front-end share one session, so there are as many sessions as doors. What each keeps for requests that are sent
/// again after a failover is to be enough for every reply the store can give, which is [`REPLY_BYTES_MAX`](crate::store::REPLY_BYTES_MAX)
/// and a little for lengths: a reply that is not kept is an unknown outcome for the client that asked.
#[must_use]
pub fn config() -> Config {
    let mut config = Config::default();
    config.replicated.sessions_max = 64;
    // All connections of a door share its session: as many commands may be under way as a thousand deep pipelines have.
    config.replicated.window = 8192;
    config.replicated.session_reply_bytes_max = 4 << 20;
    config
}

/// A running development group.
#[derive(Debug)]
pub struct Dev {
    cluster: Arc<Cluster<Store>>,
    addresses: Vec<SocketAddr>,
    /// Nothing: in memory.
    data: Option<PathBuf>,
    fronts: JoinSet<io::Result<()>>,
    stop: watch::Sender<bool>,
}

impl Dev {
    /// Listens on `port` and the two ports after it (on any free ports, if it is 0), then starts the replicas, on directories in `data`
    /// or in memory.
    ///
    /// # Errors
    /// See [`DevError`]; nothing runs then.
    pub async fn start(
        port: u16,
        data: Option<PathBuf>,
        config: Config,
        settings: Settings,
    ) -> Result<Self, DevError> {
        // All ports before the first replica: a group of which one door is missing would be a trap.
        let mut listeners = Vec::new();
        for replica in 0..REPLICAS as u16 {
            listeners.push(listen(if port == 0 { 0 } else { port.saturating_add(replica) }).await?);
        }
        let deadline = config.client.deadline;
        let mut builder = Cluster::builder(REPLICAS, Store::default).config(config);
        if let Some(data) = &data {
            builder = builder.data_dir(data);
        }
        let cluster = Arc::new(builder.start().await?);
        let (stop, stopped) = watch::channel(false);
        let mut dev = Self { cluster, addresses: Vec::new(), data, fronts: JoinSet::new(), stop };
        for (listener, replica) in listeners.into_iter().zip(dev.cluster.ids()) {
            let address = listener.local_addr().map_err(|error| DevError::Listen { port, error })?;
            dev.addresses.push(address);
            let (group, client) = (InProcess(dev.cluster.clone()), dev.cluster.client_at(*replica)?);
            let front = Front::new(group, *replica, &client, deadline);
            dev.fronts.spawn(serve(listener, front, settings.clone(), stopped.clone()));
        }
        Ok(dev)
    }

    /// Where the replicas listen, in the order of their numbers.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The group, to do to it what clients can do with `VSR.CRASH` and its kind.
    #[must_use]
    pub fn cluster(&self) -> &Cluster<Store> {
        &self.cluster
    }

    /// What a person should know who has just started it. Waits until there is a primary.
    ///
    /// # Errors
    /// There is no primary.
    pub async fn banner(&self) -> Result<String, DevError> {
        let primary = self.cluster.primary().await?;
        let (place, fate) = match &self.data {
            Some(data) => (format!("on {}", data.display()), "it goes on there when it is started again"),
            None => ("in memory".to_owned(), "the data goes with it"),
        };
        let mut text = format!("Three replicas in this process, {place}:\n");
        for (replica, address) in self.cluster.ids().iter().zip(&self.addresses) {
            let role = if *replica == primary { "primary" } else { "backup" };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  replica {}  redis-cli -p {}  {role}", replica.0, address.port());
        }
        let port = self.addresses.first().map_or(0, SocketAddr::port);
        let _ = write!(
            text,
            "\nEach takes reads and writes. Hurt it, from any of them:\n  \
             redis-cli -p {port} VSR.STATUS       view, primary, op, commit and applied of each replica\n  \
             redis-cli -p {port} VSR.CRASH {0}      the primary dies, the others take over; VSR.RESTART {0}\n  \
             redis-cli -p {port} VSR.PARTITION    the primary is cut off; VSR.HEAL\n\
             Ctrl-C ends it; {fate}.",
            primary.0
        );
        Ok(text)
    }

    /// Ends the connections, then the replicas.
    ///
    /// # Errors
    /// A replica had stopped by itself.
    pub async fn shutdown(mut self) -> Result<(), DevError> {
        self.stop.send_replace(true);
        while self.fronts.join_next().await.is_some() {}
        // A connection that did not end in time may hold the group; it dies with the process then.
        match Arc::into_inner(self.cluster) {
            Some(cluster) => Ok(cluster.shutdown().await?),
            None => Ok(()),
        }
    }
}

async fn listen(port: u16) -> Result<TcpListener, DevError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => DevError::PortInUse { port },
        _ => DevError::Listen { port, error },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Moment, Operation, REPLY_BYTES_MAX, Reply};
    use vsr_actor::Payload;

    #[test]
    fn a_session_keeps_the_largest_replies_of_the_store() {
        let config = config();
        config.validate().expect("a valid configuration");
        // Few large values, and as many gaps and small ones as fit: the most bytes besides values.
        for (length, key_count) in
            [(REPLY_BYTES_MAX / 2 - 8, 2), (1, REPLY_BYTES_MAX / 9), (0, REPLY_BYTES_MAX / 8)]
        {
            let mut store = Store::default();
            let mut apply = |operation| store.apply(Moment::default(), &operation);
            if length > 0 {
                let (key, value) = ("k".into(), vec![b'v'; length].into());
                apply(Operation::SetIfMissing { key, value });
            }
            let reply = apply(Operation::GetMany { keys: vec!["k".into(); key_count] });
            assert!(matches!(reply, Reply::Array(_)), "{reply:?}");
            let mut bytes = Vec::new();
            reply.encode(&mut bytes);
            assert!(bytes.len() <= config.replicated.session_reply_bytes_max as usize);
            let more = apply(Operation::GetMany { keys: vec!["k".into(); key_count + 1] });
            assert!(matches!(more, Reply::Error(_)), "the reply was not the largest");
        }
    }
}
