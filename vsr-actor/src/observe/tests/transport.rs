//! Each event of a transport told once, by itself.

use super::{Capture, alone};
use crate::{
    ConnectionError, HandshakeError, PeerRefusal, Side,
    observe::{TRANSPORT_EVENTS, TRANSPORT_METRICS, TransportEvent, TransportTelemetry, Value},
};
use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use vsr_core::{ClusterId, Incarnation, ReplicaId};

fn samples() -> Vec<TransportEvent> {
    let peer = ReplicaId(1);
    let address: SocketAddr = ([127, 0, 0, 1], 7400).into();
    let refusal = PeerRefusal::NotAMember { id: peer };
    vec![
        TransportEvent::Connected { peer, address, dialled: Side::Here, incarnation: Some(Incarnation(5)) },
        TransportEvent::Disconnected {
            peer,
            duration: Duration::from_secs(2),
            reason: ConnectionError::Closed,
        },
        TransportEvent::DialFailed { peer, failed: 3, reason: ConnectionError::ShutDown },
        TransportEvent::Refused { peer: None, address, by: Side::There, reason: refusal },
        TransportEvent::CallerLost {
            address,
            caller: Some(peer),
            reason: HandshakeError::TimedOut(Duration::from_secs(3)),
        },
        TransportEvent::AcceptFailed { reason: "no more descriptors".into() },
    ]
}

#[tokio::test]
async fn every_event_reaches_tracing_metrics_and_observers_with_all_its_fields() {
    let _alone = alone().await;
    let capture = Capture::default();
    let _subscriber = tracing::subscriber::set_default(capture.clone());
    let recorder = capture.clone();
    let _recorder = metrics::set_default_local_recorder(&recorder);
    let telemetry = TransportTelemetry::new(ClusterId(7), ReplicaId(0));
    let counters = telemetry.counters(ReplicaId(1));
    let observed = Arc::new(Mutex::new(BTreeSet::new()));
    let seen = observed.clone();
    telemetry.attach(move |event| {
        seen.lock().expect("no panic").insert(event.definition().name);
    });
    for (event, row) in samples().iter().zip(TRANSPORT_EVENTS) {
        telemetry.tell(event);
        let traced = capture.traced().pop().expect("it was told");
        assert_eq!((traced.name, traced.target, traced.level), (row.name, row.target, row.level));
        assert_eq!(traced.field("cluster"), &Value::U64(7));
        assert_eq!(traced.field("node_id"), &Value::U64(0));
        for (name, value) in event.fields().into_iter().filter(|(_, value)| *value != Value::Absent) {
            assert_eq!(traced.field(name), &value, "{} {name}", row.name);
        }
        for metric in row.metrics.iter().filter(|name| !name.ends_with("_connected")) {
            assert_ne!(capture.total(metric), 0, "{} and {metric}", row.name);
        }
    }
    assert_eq!(*observed.lock().expect("no panic"), TRANSPORT_EVENTS.iter().map(|row| row.name).collect());
    let all = [counters.messages_out, counters.bytes_out, counters.messages_in, counters.bytes_in];
    all.iter().chain([&counters.dropped, &counters.forged]).for_each(|counter| counter.take(1));
    let names: BTreeSet<_> = TRANSPORT_METRICS.iter().map(|metric| metric.name.to_owned()).collect();
    assert_eq!(capture.described(), names, "every metric is described, and no other");
    for ((name, labels), value) in capture.series() {
        let metric = TRANSPORT_METRICS.iter().find(|metric| metric.name == name).expect("it is in the table");
        let wanted: BTreeSet<_> = ["cluster", "replica"].into_iter().chain(metric.label).collect();
        assert_eq!(labels.keys().map(String::as_str).collect::<BTreeSet<_>>(), wanted, "{name}");
        // The last word on the connection was that it ended.
        assert_eq!(value != 0, name != "vsr_transport_connected", "{name}");
    }
    assert_eq!(capture.series().len(), TRANSPORT_METRICS.len(), "each was used");
}

#[tokio::test]
async fn an_observer_that_panics_is_not_called_again_and_disturbs_nobody() {
    let _alone = alone().await;
    let telemetry = TransportTelemetry::new(ClusterId(7), ReplicaId(0));
    let heard = Arc::new(Mutex::new((0, 0)));
    let (bad, good) = (heard.clone(), heard.clone());
    telemetry.attach(move |_| {
        bad.lock().expect("not held over the panic").0 += 1;
        panic!("asked to");
    });
    telemetry.attach(move |_| good.lock().expect("no panic").1 += 1);
    samples().iter().for_each(|event| telemetry.tell(event));
    assert_eq!(*heard.lock().expect("no panic"), (1, samples().len()));
}
