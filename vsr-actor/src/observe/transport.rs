//! What happens to the connections of a transport. It belongs to no replica, and may carry messages of many: so its events have a table
//! and common fields of their own.

use super::{
    macros::{table, traced},
    meters::{By, Counter, Gauge, Handle, Labels, Metric, handle, handle_type, meters},
    record::{Definition, FieldDefinition},
    value::{Field, Value},
};
use crate::{ConnectionError, HandshakeError, PeerRefusal, Side, machine::caught};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tracing::Level;
use vsr_core::{ClusterId, Incarnation, ReplicaId};

table! {
    /// What happened to the connections of a [`Tcp`](crate::Tcp), with everything that is special to it. All have the fields `cluster` and
    /// `node_id`, of the side that tells it.
    ///
    /// ```
    /// use vsr_actor::observe::{TRANSPORT_EVENTS, TRANSPORT_METRICS, TransportEvent};
    ///
    /// fn tell(event: &TransportEvent) {
    ///     println!("{} {:?}", event.definition().name, event.fields());
    /// }
    /// # let _ = tell;
    /// assert!(TRANSPORT_EVENTS.iter().all(|row| row.name.starts_with("vsr.transport.")));
    /// assert!(TRANSPORT_METRICS.iter().all(|metric| metric.name.starts_with("vsr_transport_")));
    /// ```
    TransportEvent in TRANSPORT_EVENTS, TransportMeters, |side: &This| {
        cluster = side.cluster.0,
        node_id = side.id.plain(),
    }
    "vsr::transport" {
        /// There is a connection to a peer, dialled by one side; the incarnation that the peer said it has.
        Connected INFO "vsr.transport.connected"
            { peer: ReplicaId, address: SocketAddr, dialled: Side, incarnation: Option<Incarnation> }
            [transport_connected(*peer, 1.0), transport_connections_total(*peer, 1)];
        /// The connection to a peer ended, after so long.
        Disconnected INFO "vsr.transport.disconnected"
            { peer: ReplicaId, duration: Duration, reason: ConnectionError }
            [transport_connected(*peer, 0.0), transport_disconnects_total(*peer, 1)];
        /// An attempt to connect to a peer failed, the last of `failed` in a row. What waited for it was dropped.
        DialFailed DEBUG "vsr.transport.dial_failed"
            { peer: ReplicaId, failed: u64, reason: ConnectionError } [transport_dials_failed_total(*peer, 1)];
        /// Two sides do not talk to each other, and which of them says so: a person has to do something. `peer` is who was dialled, or who
        /// the caller says it is.
        Refused WARN "vsr.transport.refused"
            { peer: Option<ReplicaId>, address: SocketAddr, by: Side, reason: PeerRefusal }
            [transport_refusals_total(reason.name(), 1)];
        /// Somebody connected, and did not come through the handshake.
        CallerLost DEBUG "vsr.transport.caller_lost"
            { address: SocketAddr, caller: Option<ReplicaId>, reason: HandshakeError } [transport_callers_lost_total(1)];
        /// The system does not let this side accept connections, for want of descriptors perhaps; it is tried again.
        AcceptFailed WARN "vsr.transport.accept_failed"
            { reason: String } [transport_accepts_failed_total(1)];
    }
}

meters! {
    /// The metrics of one transport.
    TransportMeters in TRANSPORT_METRICS;

    /// 1 while there is a connection to a peer, 0 when there was one.
    transport_connected: Gauge by "peer": ReplicaId;
    /// Connections to a peer, whoever dialled.
    transport_connections_total: Counter by "peer": ReplicaId;
    /// Connections to a peer that ended.
    transport_disconnects_total: Counter by "peer": ReplicaId;
    /// Attempts to connect that failed.
    transport_dials_failed_total: Counter by "peer": ReplicaId;
    /// Handshakes that ended with a refusal, here or there, by reason.
    transport_refusals_total: Counter by "reason": &'static str;
    /// Connections from elsewhere that did not come through the handshake.
    transport_callers_lost_total: Counter;
    /// Times the system did not let this side accept a connection.
    transport_accepts_failed_total: Counter;
    /// Messages written.
    transport_messages_sent_total: Counter by "peer": ReplicaId;
    /// Bytes of messages written, their frames included.
    transport_bytes_sent_total: Counter by "peer": ReplicaId;
    /// Messages that came.
    transport_messages_received_total: Counter by "peer": ReplicaId;
    /// Bytes of messages that came, their frames included.
    transport_bytes_received_total: Counter by "peer": ReplicaId;
    /// Messages that were dropped here: no room, no connection, or too long.
    transport_messages_dropped_total: Counter by "peer": ReplicaId;
    /// Messages that came and said that they are from somebody else than the peer.
    transport_messages_forged_total: Counter by "peer": ReplicaId;
}

/// Which side tells.
pub(super) struct This {
    cluster: ClusterId,
    id: ReplicaId,
}

type TransportObserver = Arc<dyn Fn(&TransportEvent) + Send + Sync>;

/// Tells tracing, metrics and observers what happens to the connections of one transport.
pub(crate) struct TransportTelemetry {
    this: This,
    meters: Mutex<TransportMeters>,
    observers: Mutex<Vec<TransportObserver>>,
}

/// What happens too often for events.
pub(crate) struct PeerCounters {
    pub(crate) messages_out: Counter,
    pub(crate) bytes_out: Counter,
    pub(crate) messages_in: Counter,
    pub(crate) bytes_in: Counter,
    pub(crate) dropped: Counter,
    pub(crate) forged: Counter,
}

impl TransportTelemetry {
    /// Metrics go to the recorder that is installed now.
    pub(crate) fn new(cluster: ClusterId, id: ReplicaId) -> Self {
        let meters = TransportMeters::register(
            &[("cluster", cluster.0.to_string()), ("replica", id.0.to_string())].into(),
        );
        Self { this: This { cluster, id }, meters: Mutex::new(meters), observers: Mutex::default() }
    }

    pub(crate) fn counters(&self, peer: ReplicaId) -> PeerCounters {
        let mut meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        PeerCounters {
            messages_out: meters.transport_messages_sent_total.handle(peer),
            bytes_out: meters.transport_bytes_sent_total.handle(peer),
            messages_in: meters.transport_messages_received_total.handle(peer),
            bytes_in: meters.transport_bytes_received_total.handle(peer),
            dropped: meters.transport_messages_dropped_total.handle(peer),
            forged: meters.transport_messages_forged_total.handle(peer),
        }
    }

    pub(crate) fn attach(&self, observer: impl Fn(&TransportEvent) + Send + Sync + 'static) {
        self.observers.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::new(observer));
    }

    /// The only way to tell anything.
    pub(crate) fn tell(&self, event: &TransportEvent) {
        event.tell(&mut self.meters.lock().unwrap_or_else(PoisonError::into_inner), &self.this);
        // Observers may use the transport: they are called without the lock.
        let observers = self.observers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for observer in observers {
            if let Err(panic) = caught(|| observer(event)) {
                tracing::error!(target: "vsr::transport", panic, "an observer of the transport is not called again");
                let mut observers = self.observers.lock().unwrap_or_else(PoisonError::into_inner);
                observers.retain(|other| !Arc::ptr_eq(other, &observer));
            }
        }
    }

    /// The same of an error that may be a refusal.
    pub(crate) fn refused(&self, peer: Option<ReplicaId>, error: &ConnectionError) {
        if let ConnectionError::Handshake { address, error: HandshakeError::Refused { by, refusal } } = error
        {
            let (address, by, reason) = (*address, *by, refusal.clone());
            self.tell(&TransportEvent::Refused { peer, address, by, reason });
        }
    }
}
