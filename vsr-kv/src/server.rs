//! A listener, and a task for each of its connections.

mod backend;
mod clients;
mod connection;
mod error;
mod local;
mod password;
mod session;
mod transaction;

pub use backend::{Backend, Control, Freshness, Progress, ReplicaLine};
pub(crate) use local::Local;
pub use password::Password;
pub(crate) use transaction::Step;

use crate::resp::Limits;
use clients::Clients;
use connection::Connection;
use std::{io, net::SocketAddr, sync::Arc, time::Duration, time::Instant};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::timeout,
};
use tracing::{debug, warn};

/// Bounds of one front-end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What one request may take.
    pub requests: Limits,
    /// Connections served at the same time; one more is told so and closed.
    pub connections_max: usize,
    /// Commands of one connection that wait for their reply; with more, its socket is not read.
    pub pipeline_max: usize,
    /// Bytes of such commands with the replies they will bring, each taken to be as large as the largest this connection had so far;
    /// and bytes of replies a client has not taken yet.
    pub pending_bytes_max: usize,
    /// How long connections may take to end at a shutdown.
    pub shutdown_timeout: Duration,
    /// What clients must know before they are served; nothing: everybody is.
    pub requirepass: Option<Password>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            requests: Limits::default(),
            connections_max: 10_000,
            pipeline_max: 1024,
            pending_bytes_max: 4 << 20,
            shutdown_timeout: Duration::from_secs(2),
            requirepass: None,
        }
    }
}

/// What all connections of a front-end share.
#[derive(Debug)]
struct Shared<B> {
    backend: B,
    settings: Settings,
    address: SocketAddr,
    started: Instant,
    places: Arc<Semaphore>,
    clients: Clients,
    stop: watch::Receiver<bool>,
}

impl<B: Backend> Shared<B> {
    /// Whether the replica of this door cannot answer yet, but will.
    fn is_loading(&self) -> bool {
        let own = self.backend.replica();
        self.backend.replicas().iter().any(|replica| replica.id == own && replica.is_loading())
    }
}

impl<B> Shared<B> {
    fn connected(&self) -> usize {
        self.settings.connections_max.saturating_sub(self.places.available_permits())
    }
}

/// How long to wait when no connection can be taken, for want of file descriptors for instance.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a client for whom there is no place may take to be told so.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);

/// Serves the connections of `listener` until `stop` becomes true or its sender is gone. Commands already submitted are still
/// answered.
///
/// # Errors
/// When the listener has no address.
pub async fn serve<B: Backend>(
    listener: TcpListener,
    backend: B,
    settings: Settings,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let shutdown_timeout = settings.shutdown_timeout;
    let shared = Arc::new(Shared {
        backend,
        address: listener.local_addr()?,
        started: Instant::now(),
        places: Arc::new(Semaphore::new(settings.connections_max)),
        settings,
        clients: Clients::default(),
        stop: stop.clone(),
    });
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            // Takes ended tasks out of the set as they end.
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended {
                    warn!(%error, "a connection failed");
                }
            }
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => accept(&shared, stream, peer, &mut connections),
                Err(error) => {
                    warn!(%error, "cannot take a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let all_ended = async { while connections.join_next().await.is_some() {} };
    if timeout(shutdown_timeout, all_ended).await.is_err() {
        debug!(left = connections.len(), "connections cut off at the shutdown");
    }
    Ok(())
}

/// Waits for the order to stop.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that nobody can give the order any more: the same.
    let _ = stop.wait_for(|stop| *stop).await;
}

fn accept<B: Backend>(
    shared: &Arc<Shared<B>>,
    stream: TcpStream,
    peer: SocketAddr,
    connections: &mut JoinSet<()>,
) {
    let Ok(place) = shared.places.clone().try_acquire_owned() else {
        debug!(%peer, "refused: too many connections");
        connections.spawn(refuse(stream));
        return;
    };
    let shared = shared.clone();
    connections.spawn(async move {
        let _place = place;
        match Connection::new(shared, peer).run(stream).await {
            Ok(()) => debug!(%peer, "connection closed"),
            Err(error) => debug!(%peer, %error, "connection lost"),
        }
    });
}

/// Tells a client that there is no place for it. In a task of its own: not every socket can be written to right after it was
/// accepted, and nobody else should wait for that.
async fn refuse(mut stream: TcpStream) {
    // Whether the client hears it is its own business: it is closed all the same.
    let _ = timeout(REFUSAL_TIMEOUT, stream.write_all(b"-ERR max number of clients reached\r\n")).await;
}

#[cfg(test)]
mod tests;
