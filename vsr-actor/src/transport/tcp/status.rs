//! How things stand with one peer: kept where its tasks and its owner can see it.

use super::{AddressError, FrameError, HandshakeError, TcpConfig, handshake::Hello, queue::Queue};
use crate::observe::{Counter, PeerCounters, TransportEvent, TransportTelemetry};
use serde::{Serialize, Serializer};
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;
use vsr_core::{Incarnation, ReplicaId};

/// One of the two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// This one.
    Here,
    /// The other one.
    There,
}

impl Side {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Here => "here",
            Self::There => "there",
        }
    }
}

/// Why there is no connection to a peer, or why the last one ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The address book had no address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// Nobody could be reached there.
    #[error("cannot connect to {address}: {reason}")]
    Dial {
        /// The address, the last one if there are several.
        address: SocketAddr,
        /// What the system says, or that it took too long.
        reason: String,
    },
    /// Somebody was reached, and the two did not come together.
    #[error("{address}: {error}")]
    Handshake {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        error: HandshakeError,
    },
    /// What came cannot be read.
    #[error("the connection was closed here: {0}")]
    Frame(#[from] FrameError),
    /// The other side closed the connection.
    #[error("the other side closed the connection")]
    Closed,
    /// The system says that the connection is broken.
    #[error("the connection broke: {reason}")]
    Broken {
        /// What it says.
        reason: String,
    },
    /// The other side took nothing of what was written.
    #[error("the other side took nothing for {0:?}")]
    NotTaking(Duration),
    /// Nothing came, not even an empty frame.
    #[error("nothing came for {0:?}")]
    Silent(Duration),
    /// The peer connected anew.
    #[error("the peer connected anew")]
    Replaced,
    /// Where messages are delivered to panicked.
    #[error("what messages are delivered to panicked: {reason}")]
    DeliveryPanicked {
        /// What it said.
        reason: String,
    },
    /// This side was shut down.
    #[error("shut down here")]
    ShutDown,
}

/// How things stand with a peer of a [`Tcp`](crate::Tcp), as [`Tcp::peers`](crate::Tcp::peers) tells. A plain value.
///
/// ```
/// use vsr_actor::{ConnectionError, FrameError, HandshakeError, Side, TcpConnection, TcpPeer};
///
/// /// Whom an operator should call, if anybody.
/// fn advice(peer: &TcpPeer) -> String {
///     let TcpConnection::Trying { failed } = peer.connection else { return "all is well".into() };
///     match &peer.last_error {
///         Some(ConnectionError::Handshake { error: HandshakeError::Refused { by, refusal }, .. }) => match by {
///             Side::Here => format!("{} is configured otherwise: {refusal}", peer.id),
///             Side::There => format!("{} says of this side: {refusal}", peer.id),
///         },
///         Some(ConnectionError::Frame(FrameError::TooLong { bytes_max, .. })) => {
///             format!("{} sends frames of more than {bytes_max} bytes: give both the same limits", peer.id)
///         }
///         Some(error) => format!("{failed} attempts failed: {error}"),
///         None => "it is being connected".into(),
///     }
/// }
/// # let _ = advice;
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TcpPeer {
    /// Who.
    pub id: ReplicaId,
    /// Whether it is connected.
    pub connection: TcpConnection,
    /// Why the last attempt failed, or the last connection ended; as text where this is serialized.
    #[serde(serialize_with = "as_text")]
    pub last_error: Option<ConnectionError>,
    /// How often it has been connected.
    pub connections: u64,
    /// Messages that wait.
    pub queued: usize,
    /// Their bytes, about.
    pub queued_bytes: usize,
    /// Messages for it that were dropped: for want of room, because it could not be reached, or because they are too long.
    pub dropped: u64,
    /// Messages written.
    pub messages_out: u64,
    /// Bytes written, those of frames and handshakes included.
    pub bytes_out: u64,
    /// Messages that came.
    pub messages_in: u64,
    /// Bytes that came.
    pub bytes_in: u64,
    /// Messages that came and were not its own to send: they said that they are from somebody else, and were dropped.
    pub forged: u64,
}

/// The connection to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TcpConnection {
    /// There is none, and nothing to be sent.
    Idle,
    /// There is none, and one is being made: so many attempts have failed since the last one.
    Trying {
        /// How many.
        failed: u32,
    },
    /// There is one.
    Connected {
        /// The address of the other side.
        address: SocketAddr,
        /// Which side dialled.
        dialled: Side,
        /// For how long.
        #[serde(with = "humantime_serde")]
        lasting: Duration,
        /// The incarnation that the peer said it has, if it had one to say.
        incarnation: Option<Incarnation>,
    },
}

fn as_text<S: Serializer>(error: &Option<ConnectionError>, serializer: S) -> Result<S::Ok, S::Error> {
    match error {
        Some(error) => serializer.collect_str(error),
        None => serializer.serialize_none(),
    }
}

/// One peer: its queue, and what is known of its connection.
pub(super) struct Peer {
    pub(super) id: ReplicaId,
    pub(super) queue: Queue,
    pub(super) messages_out: Count,
    pub(super) bytes_out: Count,
    pub(super) messages_in: Count,
    pub(super) bytes_in: Count,
    pub(super) forged: Count,
    telemetry: Arc<TransportTelemetry>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    connected: Option<Connected>,
    failed: u32,
    connections: u64,
    last_error: Option<ConnectionError>,
}

#[derive(Debug)]
struct Connected {
    address: SocketAddr,
    dialled: Side,
    since: Instant,
    incarnation: Option<Incarnation>,
}

/// Only grows, here and in the metrics.
pub(super) struct Count {
    here: AtomicU64,
    metric: Counter,
}

impl Count {
    pub(super) fn new(metric: Counter) -> Self {
        Self { here: AtomicU64::new(0), metric }
    }

    pub(super) fn add(&self, count: usize) {
        self.here.fetch_add(count as u64, Ordering::Relaxed);
        self.metric.take(count as u64);
    }

    pub(super) fn get(&self) -> u64 {
        self.here.load(Ordering::Relaxed)
    }
}

impl Peer {
    pub(super) fn new(id: ReplicaId, config: &TcpConfig, telemetry: Arc<TransportTelemetry>) -> Self {
        let PeerCounters { messages_out, bytes_out, messages_in, bytes_in, dropped, forged } =
            telemetry.counters(id);
        Self {
            id,
            queue: Queue::new(config.queue_messages_max, config.queue_bytes_max, Count::new(dropped)),
            messages_out: Count::new(messages_out),
            bytes_out: Count::new(bytes_out),
            messages_in: Count::new(messages_in),
            bytes_in: Count::new(bytes_in),
            forged: Count::new(forged),
            telemetry,
            state: Mutex::default(),
        }
    }

    pub(super) fn connected(&self, address: SocketAddr, dialled: Side, hello: &Hello) {
        let incarnation = hello.incarnation;
        {
            let mut state = self.state();
            state.connected = Some(Connected { address, dialled, since: Instant::now(), incarnation });
            state.connections += 1;
            state.failed = 0;
        }
        self.telemetry.tell(&TransportEvent::Connected { peer: self.id, address, dialled, incarnation });
    }

    /// An attempt failed.
    pub(super) fn failed(&self, error: ConnectionError) {
        let failed = {
            let mut state = self.state();
            state.failed = state.failed.saturating_add(1);
            state.last_error = Some(error.clone());
            u64::from(state.failed)
        };
        self.telemetry.refused(Some(self.id), &error);
        self.telemetry.tell(&TransportEvent::DialFailed { peer: self.id, failed, reason: error });
    }

    /// The connection ended, if there was one.
    pub(super) fn lost(&self, error: ConnectionError) {
        let duration = {
            let mut state = self.state();
            let Some(connected) = state.connected.take() else { return };
            state.last_error = Some(error.clone());
            connected.since.elapsed()
        };
        self.telemetry.tell(&TransportEvent::Disconnected { peer: self.id, duration, reason: error });
    }

    /// It dialled, and nothing came of it.
    pub(super) fn turned_away(&self, error: ConnectionError) {
        self.state().last_error = Some(error);
    }

    pub(super) fn status(&self) -> TcpPeer {
        let depth = self.queue.depth();
        let state = self.state();
        let connection = match &state.connected {
            Some(Connected { address, dialled, since, incarnation }) => TcpConnection::Connected {
                address: *address,
                dialled: *dialled,
                lasting: since.elapsed(),
                incarnation: *incarnation,
            },
            None if state.failed == 0 && depth.messages == 0 => TcpConnection::Idle,
            None => TcpConnection::Trying { failed: state.failed },
        };
        TcpPeer {
            id: self.id,
            connection,
            last_error: state.last_error.clone(),
            connections: state.connections,
            queued: depth.messages,
            queued_bytes: depth.bytes,
            dropped: depth.dropped,
            messages_out: self.messages_out.get(),
            bytes_out: self.bytes_out.get(),
            messages_in: self.messages_in.get(),
            bytes_in: self.bytes_in.get(),
            forged: self.forged.get(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
