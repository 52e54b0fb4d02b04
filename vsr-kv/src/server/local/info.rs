//! `INFO`: lines of `name:value` under headings.

use super::super::{Backend, Progress, Shared};
use super::REDIS_VERSION;
use bytes::Bytes;
use std::fmt::Write;

/// The sections asked for; all of them if none is.
pub(super) fn text<B: Backend>(sections: &[Bytes], shared: &Shared<B>) -> String {
    let wanted = |name: &str| {
        sections.is_empty()
            || sections.iter().any(|section| {
                let any = ["all", "default", "everything", name];
                any.iter().any(|any| section.eq_ignore_ascii_case(any.as_bytes()))
            })
    };
    let parts =
        [("server", server(shared)), ("clients", clients(shared)), ("replication", replication(shared))];
    parts.into_iter().filter(|(name, _)| wanted(name)).map(|(_, text)| text).collect::<Vec<_>>().join("\r\n")
}

/// redis-cli looks for `redis_version` at the start of a line that is not the first.
fn server<B: Backend>(shared: &Shared<B>) -> String {
    let uptime = shared.started.elapsed().as_secs();
    lines(
        "Server",
        &[
            ("vsr_kv_version", env!("CARGO_PKG_VERSION").to_owned()),
            ("redis_version", REDIS_VERSION.to_owned()),
            ("redis_mode", "standalone".to_owned()),
            ("os", std::env::consts::OS.to_owned()),
            ("process_id", std::process::id().to_string()),
            ("tcp_port", shared.address.port().to_string()),
            ("uptime_in_seconds", uptime.to_string()),
            ("uptime_in_days", (uptime / 86_400).to_string()),
        ],
    )
}

fn clients<B: Backend>(shared: &Shared<B>) -> String {
    lines(
        "Clients",
        &[
            ("connected_clients", shared.connected().to_string()),
            ("maxclients", shared.settings.connections_max.to_string()),
        ],
    )
}

/// Every replica takes writes, so that clients must take each for a master; what it is in the group says `vsr_role`.
fn replication<B: Backend>(shared: &Shared<B>) -> String {
    let replicas = shared.backend.replicas();
    let mut rows = vec![
        ("role", "master".to_owned()),
        ("connected_slaves", "0".to_owned()),
        ("vsr_replicas", replicas.len().to_string()),
    ];
    if let Some(own) = replicas.into_iter().find(|replica| replica.id == shared.backend.replica()) {
        rows.extend([
            ("vsr_replica", own.id.to_string()),
            ("vsr_state", own.state),
            ("vsr_role", if own.is_primary { "primary" } else { "backup" }.to_owned()),
            ("vsr_view", own.view.to_string()),
        ]);
        if let Some(Progress { op, commit, applied }) = own.progress {
            rows.extend([
                ("vsr_op", op.to_string()),
                ("vsr_commit", commit.to_string()),
                ("vsr_applied", applied.to_string()),
            ]);
        }
    }
    lines("Replication", &rows)
}

fn lines(heading: &str, rows: &[(&str, String)]) -> String {
    let mut text = format!("# {heading}\r\n");
    for (name, value) in rows {
        // Writing to a String cannot fail.
        let _ = write!(text, "{name}:{value}\r\n");
    }
    text
}
