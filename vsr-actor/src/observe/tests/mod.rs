//! The tables and what is really told are the same.

mod capture;
mod direct;
mod life;
mod page;
#[cfg(feature = "prometheus")]
mod prometheus;
mod supervision;
mod traces;
mod transport;

use super::{COMMON_FIELDS, EVENTS, METRICS, MetricKind, TRANSPORT_EVENTS, TRANSPORT_METRICS, Value};
use capture::Capture;
pub(crate) use capture::alone;
use std::collections::BTreeSet;

/// What observers, tracing and the table say is the same, event by event.
fn agree(capture: &Capture) {
    let (observed, traced) = (capture.observed(), capture.traced());
    assert_eq!(observed.len(), traced.len(), "whatever is told is told to both");
    for (observed, mut traced) in observed.into_iter().zip(traced) {
        let definition = EVENTS.iter().find(|definition| definition.name == observed.name);
        let definition = definition.unwrap_or_else(|| panic!("{} is not in the table", observed.name));
        let special = definition.fields.iter().map(|field| field.name);
        let wanted: Vec<_> = COMMON_FIELDS.into_iter().chain(special).collect();
        let names: Vec<_> = observed.fields.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, wanted, "{}", observed.name);
        assert_eq!((traced.target, traced.level), (definition.target, definition.level), "{}", traced.name);
        // What a person reads first is the name.
        let message =
            traced.fields.iter().position(|(name, _)| *name == "message").expect("it has a message");
        assert_eq!(traced.fields.remove(message).1, Value::from(traced.name));
        let mut present = observed.clone();
        present.fields.retain(|(_, value)| *value != Value::Absent);
        assert_eq!(traced, present);
    }
}

/// What is registered is in the table, with the labels of its row.
fn metrics_fit(capture: &Capture) {
    for (name, labels) in capture.series().keys() {
        let metric = METRICS.iter().find(|metric| metric.name == name);
        let metric = metric.unwrap_or_else(|| panic!("{name} is not in the table"));
        let wanted: BTreeSet<_> = ["group", "replica"].into_iter().chain(metric.label).collect();
        let found: BTreeSet<_> = labels.keys().map(String::as_str).collect();
        assert_eq!(found, wanted, "{name}");
    }
    let names: BTreeSet<_> = METRICS.iter().map(|metric| metric.name.to_owned()).collect();
    assert_eq!(capture.described(), names, "every metric is described, and no other");
}

#[test]
fn names_are_unique_and_follow_the_conventions() {
    let mut names = BTreeSet::new();
    for definition in EVENTS.iter().chain(TRANSPORT_EVENTS) {
        assert!(names.insert(definition.name), "{} is there twice", definition.name);
        let topic = definition.target.strip_prefix("vsr::").expect("targets begin with vsr::");
        assert!(definition.name.starts_with(&format!("vsr.{topic}.")), "{} in {topic}", definition.name);
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_' || byte == b'.';
        assert!(definition.name.bytes().all(plain), "{}", definition.name);
        assert!(definition.meaning.ends_with(['.', ')']), "{}", definition.name);
        let special: BTreeSet<_> = definition.fields.iter().map(|field| field.name).collect();
        assert_eq!(special.len(), definition.fields.len(), "{}", definition.name);
        assert!(COMMON_FIELDS.iter().all(|common| !special.contains(common)), "{}", definition.name);
    }
    names.clear();
    for metric in METRICS.iter().chain(TRANSPORT_METRICS) {
        assert!(names.insert(metric.name), "{} is there twice", metric.name);
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        assert!(metric.name.starts_with("vsr_") && metric.name.bytes().all(plain), "{}", metric.name);
        assert_eq!(metric.name.ends_with("_total"), metric.kind == MetricKind::Counter, "{}", metric.name);
        assert_eq!(
            metric.name.ends_with("_seconds"),
            metric.kind == MetricKind::Histogram,
            "{}",
            metric.name
        );
        assert!(metric.meaning.ends_with('.'), "{}", metric.name);
    }
}

/// What the Elixir library tells.
const ORIGINALS: &[&str] = &[
    "leadership start",
    "leadership stop",
    "protocol client_request start",
    "protocol client_request stop",
    "protocol client_request exception",
    "protocol prepare sent",
    "protocol prepare received",
    "protocol prepare_ok sent",
    "protocol prepare_ok received",
    "protocol commit sent",
    "protocol commit received",
    "state status_change",
    "state view_change",
    "state role_change",
    "state commit_advance",
    "view_change start",
    "view_change vote_received",
    "view_change do_view_change sent",
    "view_change do_view_change received",
    "view_change complete",
    "state_machine operation start",
    "state_machine operation stop",
    "state_machine operation exception",
    "state_transfer request_sent",
    "state_transfer request_received",
    "state_transfer snapshot_sent",
    "state_transfer snapshot_received",
    "replication log_append",
    "replication log_conflict",
    "replication quorum_reached",
    "timer heartbeat_sent",
    "timer heartbeat_received",
    "timer primary_timeout",
];

#[test]
fn every_event_of_the_original_has_one_that_answers_to_it() {
    let answered: Vec<_> = EVENTS.iter().filter_map(|definition| definition.original).collect();
    let set: BTreeSet<_> = answered.iter().copied().collect();
    assert_eq!(set, ORIGINALS.iter().copied().collect());
    assert_eq!(set.len(), answered.len(), "one each");
    for (name, fields) in [
        ("vsr.leadership.stop", &["duration"][..]),
        ("vsr.state.commit_advance", &["operations_committed", "old_commit_number", "new_commit_number"]),
        ("vsr.view_change.vote_received", &["total_votes"]),
        ("vsr.view_change.do_view_change.sent", &["sender_op_number", "sender_commit_number"]),
        ("vsr.view_change.do_view_change.received", &["sender_op_number", "sender_commit_number"]),
        ("vsr.state_machine.operation.stop", &["duration"]),
        ("vsr.protocol.client_request.stop", &["duration"]),
        ("vsr.timer.primary_timeout", &["timeout_ms"]),
    ] {
        let definition = EVENTS.iter().find(|definition| definition.name == name).expect("it is there");
        let has = |field: &&str| definition.fields.iter().any(|known| known.name == *field);
        assert!(fields.iter().all(has), "{name}");
    }
}
