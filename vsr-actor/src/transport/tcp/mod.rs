//! Messages over TCP: one connection for each pair of replicas, or of nodes.

mod book;
mod config;
mod connection;
mod delivery;
mod dial;
mod frame;
mod handshake;
mod listener;
mod peer;
mod queue;
mod shared;
mod status;
#[cfg(test)]
mod tests;

pub use book::{AddressBook, AddressError, DnsAddresses, StaticAddresses};
pub use config::{TcpConfig, TcpConfigError};
pub use delivery::{Deliver, Delivery};
pub use frame::FrameError;
pub use handshake::{HandshakeError, PeerRefusal};
pub use status::{ConnectionError, Side, TcpConnection, TcpPeer};

use crate::{Builder, Handle, ReplicaError, StateMachine, Transport, observe::TransportEvent};
use peer::Keeper;
use shared::{Peers, Shared};
use std::{
    fmt, io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{
    net::{TcpListener, ToSocketAddrs},
    sync::mpsc,
    task::JoinSet,
    time::timeout,
};
use vsr_core::{Message, ReplicaId};

/// Carries messages between processes: listens, dials, and keeps one connection to each peer.
///
/// There is **no authentication and no encryption** yet. Whoever reaches the port can speak as any member: read what is replicated, and
/// change it. Bind to loopback, or to a network where nobody else is.
///
/// ```
/// use tokio::net::TcpListener;
/// use vsr_actor::{Builder, ReplicaId, StaticAddresses, Tcp, TcpConfig, prelude::*};
///
/// # #[derive(Default, Serialize, Deserialize)]
/// # struct Counter(i64);
/// # impl StateMachine for Counter {
/// #     type Operation = i64;
/// #     type Reply = i64;
/// #     fn handle_commit(&mut self, _commit: &Commit, add: i64) -> i64 { self.0 += add; self.0 }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let ids = [0, 1, 2].map(ReplicaId);
/// let (mut listeners, mut addresses) = (Vec::new(), Vec::new());
/// for id in ids {
///     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     addresses.push((id, listener.local_addr()?));
///     listeners.push(listener);
/// }
/// let mut nodes = Vec::new(); // here in one process; in one of its own each says `Tcp::bind` instead
/// for (id, listener) in ids.into_iter().zip(listeners) {
///     let tcp = Tcp::listen(listener, TcpConfig::new(id, ids), StaticAddresses::new(addresses.clone()))?;
///     let replica = tcp.start(Builder::new(id, ids, Counter::default())).await?;
///     nodes.push((tcp, replica));
/// }
/// assert_eq!(nodes[1].1.client().request(5).await?, 5);
/// for peer in nodes[1].0.peers() {
///     println!("{}: {:?}, {} bytes to it, last error {:?}", peer.id, peer.connection, peer.bytes_out, peer.last_error);
/// }
/// for (tcp, replica) in nodes {
///     replica.shutdown().await?;
///     tcp.shutdown().await;
/// }
/// # Ok(())
/// # }
/// ```
///
/// It owns its tasks: dropped, they end at once, and what is sent afterwards is lost.
pub struct Tcp {
    shared: Arc<Shared>,
    local: SocketAddr,
    tasks: Mutex<JoinSet<()>>,
}

/// Why a [`Tcp`] cannot start.
///
/// ```
/// use vsr_actor::{ReplicaId, StaticAddresses, Tcp, TcpConfig, TcpConfigError, TcpError};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let mut config = TcpConfig::new(ReplicaId(0), [ReplicaId(0), ReplicaId(1)]);
/// config.strangers_max = 0;
/// let error = Tcp::bind("127.0.0.1:0", config, StaticAddresses::new([])).await.expect_err("nobody could come in");
/// assert!(matches!(error, TcpError::Config(TcpConfigError::Zero { name: "strangers_max" })));
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TcpError {
    /// The configuration breaks a rule.
    #[error(transparent)]
    Config(#[from] TcpConfigError),
    /// The address cannot be listened on.
    #[error("cannot listen{}: {source}", at(.address))]
    Listen {
        /// The address, if it is known.
        address: Option<SocketAddr>,
        /// What the system says.
        source: io::Error,
    },
}

fn at(address: &Option<SocketAddr>) -> String {
    address.map_or_else(String::new, |address| format!(" on {address}"))
}

/// How many connections of one peer may wait to be looked at.
const DOOR: usize = 4;

impl Tcp {
    /// Listens at an address, and dials as soon as there is something to be sent. With port 0 the system chooses one:
    /// [`local_addr`](Self::local_addr) knows it.
    ///
    /// # Errors
    /// A configuration that breaks a rule, an address that cannot be had.
    pub async fn bind(
        address: impl ToSocketAddrs,
        config: TcpConfig,
        book: impl AddressBook,
    ) -> Result<Self, TcpError> {
        config.validate()?;
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|source| TcpError::Listen { address: None, source })?;
        Self::listen(listener, config, book)
    }

    /// The same with a listener that is there already: for ports that the system chose, or that were inherited. Must be called on a
    /// runtime.
    ///
    /// # Errors
    /// A configuration that breaks a rule, a listener without an address.
    pub fn listen(
        listener: TcpListener,
        config: TcpConfig,
        book: impl AddressBook,
    ) -> Result<Self, TcpError> {
        config.validate()?;
        let local = listener.local_addr().map_err(|source| TcpError::Listen { address: None, source })?;
        let shared = Arc::new(Shared::new(config, book));
        let mut tasks = JoinSet::new();
        let mut doors = listener::Doors::new();
        for (id, peer) in shared.peers.iter() {
            let (door, accepted) = mpsc::channel(DOOR);
            doors.insert(*id, door);
            tasks.spawn(Keeper::new(peer.clone(), shared.clone(), accepted).run());
        }
        tasks.spawn(listener::listen(listener, shared.clone(), doors));
        Ok(Self { shared, local, tasks: Mutex::new(tasks) })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The way out, for [`Builder::transport`] or [`Node::new`](crate::Node::new).
    #[must_use]
    pub fn transport(&self) -> TcpTransport {
        TcpTransport { peers: self.shared.peers.clone() }
    }

    /// Where messages go that arrive: to a replica, to a [`Node`](crate::Node), or elsewhere. Until then, and once that is gone, they are
    /// lost. Another one takes the place of the former.
    pub fn deliver_to(&self, to: &impl Deliver) {
        self.shared.deliver_to(to.delivery());
    }

    /// Starts a replica behind this transport: both directions.
    ///
    /// # Errors
    /// Those of [`Builder::start`].
    pub async fn start<M: StateMachine>(&self, replica: Builder<M>) -> Result<Handle<M>, ReplicaError> {
        let handle = replica.transport(self.transport()).start().await?;
        self.deliver_to(&handle);
        Ok(handle)
    }

    /// How things stand with each peer, by id.
    #[must_use]
    pub fn peers(&self) -> Vec<TcpPeer> {
        self.shared.peers.values().map(|peer| peer.status()).collect()
    }

    /// Adds a handler of what happens to connections. It is called on the transport's tasks and must not block; one that panics is not
    /// called again. All of it also goes to tracing and to metrics: docs/telemetry.md has the table.
    ///
    /// ```
    /// use vsr_actor::{Tcp, observe::TransportEvent};
    ///
    /// fn complain(tcp: &Tcp) {
    ///     tcp.observe(|event| {
    ///         if let TransportEvent::Refused { peer, address, by, reason } = event {
    ///             eprintln!("{peer:?} at {address}, refused {}: {reason}", by.name());
    ///         }
    ///     });
    /// }
    /// ```
    pub fn observe(&self, observer: impl Fn(&TransportEvent) + Send + Sync + 'static) {
        self.shared.telemetry.attach(observer);
    }

    /// Ends in order: nobody is dialled or let in any more, what waits for peers that are connected is written, within
    /// [`flush_timeout`](TcpConfig::flush_timeout), and all connections are closed. Cancelled, it ends at once. To be called after the
    /// replicas were shut down, for they have something to say then.
    pub async fn shutdown(&self) {
        self.shared.close();
        let mut tasks = std::mem::take(&mut *self.tasks());
        let flushed = async { while tasks.join_next().await.is_some() {} };
        let _ = timeout(self.shared.config.flush_timeout, flushed).await;
        tasks.shutdown().await;
        self.shared.aborted();
    }

    fn tasks(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Tcp {
    fn drop(&mut self) {
        self.shared.close();
        self.tasks().abort_all();
        self.shared.aborted();
    }
}

impl fmt::Debug for Tcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tcp")
            .field("id", &self.shared.config.id)
            .field("local", &self.local)
            .finish_non_exhaustive()
    }
}

/// The way out of a [`Tcp`]: puts messages into the queues of peers. Clones use the same connections.
///
/// ```
/// use vsr_actor::{Node, ReplicaId, StaticAddresses, Tcp, TcpConfig, TcpError, TcpTransport};
///
/// /// Replicas of many groups, and one connection to each other node.
/// async fn node(id: ReplicaId, ids: [ReplicaId; 3], addresses: StaticAddresses) -> Result<(Node, Tcp), TcpError> {
///     let tcp = Tcp::bind("127.0.0.1:7400", TcpConfig::new(id, ids).many_groups(), addresses).await?;
///     let transport: TcpTransport = tcp.transport();
///     let node = Node::new(id, transport);
///     tcp.deliver_to(&node);
///     Ok((node, tcp))
/// }
/// ```
#[derive(Clone)]
pub struct TcpTransport {
    peers: Arc<Peers>,
}

impl Transport for TcpTransport {
    fn send_vsr(&mut self, to: ReplicaId, message: Message) {
        if let Some(peer) = self.peers.get(&to) {
            peer.queue.push(message);
        }
    }
}

impl fmt::Debug for TcpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TcpTransport").field(&self.peers.keys()).finish()
    }
}
