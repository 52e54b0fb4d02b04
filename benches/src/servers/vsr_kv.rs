//! Three processes of `vsr-kv serve`, as `docs/operations.md` starts them; or all three replicas in one process and in memory.

use super::{Door, Group, Running, Timers, eventually, group::Kind, resp};
use crate::processes::{Program, flags, free_ports};
use std::path::Path;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const REPLICAS: usize = 3;

pub(super) async fn start(program: &Path, directory: &Path) -> Result<Running, String> {
    let group = group(program, directory, None).await?;
    // A group that has just formed is in view 0, and its primary is replica 0.
    Ok(Running { door: Door::Resp(group.doors[0]), admin: Some(group.admin[0]), processes: group.processes })
}

/// Three replicas in one process.
pub(super) async fn start_in_memory(program: &Path, directory: &Path) -> Result<Running, String> {
    let port = free_ports(REPLICAS as u16)?[0];
    let arguments = vec!["dev".into(), "--memory".into(), "--port".into(), port.to_string()];
    let server = Program { path: program.into(), arguments, output: directory.join("output") };
    let processes = vec![server.start()?];
    eventually("vsr-kv takes no writes", || resp::first_write(port)).await?;
    Ok(Running { door: Door::Resp(port), admin: None, processes })
}

/// Three processes that form a group, once it takes writes.
pub(super) async fn group(program: &Path, directory: &Path, timers: Option<Timers>) -> Result<Group, String> {
    let ports = free_ports(3 * REPLICAS as u16)?;
    let (peers, rest) = ports.split_at(REPLICAS);
    let (redis, admin) = rest.split_at(REPLICAS);
    let at = |port: u16| format!("127.0.0.1:{port}");
    let mut programs = Vec::new();
    for id in 0..REPLICAS {
        let mut arguments = vec!["serve".to_owned()];
        arguments.extend(flags([
            ("--id", id.to_string()),
            ("--redis", at(redis[id])),
            ("--admin", at(admin[id])),
            ("--data", directory.join(format!("replica-{id}")).display().to_string()),
        ]));
        for (peer, port) in peers.iter().enumerate() {
            arguments.extend(flags([("--peer", format!("{peer}={}", at(*port)))]));
        }
        if let Some(Timers { heartbeat_ms, timeout_ms }) = timers {
            arguments.extend(flags([
                ("--heartbeat-interval", format!("{heartbeat_ms}ms")),
                ("--heartbeat-timeout", format!("{timeout_ms}ms")),
            ]));
        }
        programs.push(Program {
            path: program.into(),
            arguments,
            output: directory.join(format!("output-{id}")),
        });
    }
    let processes = programs.iter().map(Program::start).collect::<Result<Vec<_>, _>>()?;
    eventually("vsr-kv takes no writes", || resp::first_write(redis[0])).await?;
    Ok(Group { kind: Kind::VsrKv, programs, processes, doors: redis.to_vec(), admin: admin.to_vec() })
}

/// The counter of flushes of a replica.
pub(super) async fn flushes(admin: u16) -> Result<u64, String> {
    metric(admin, "vsr_storage_flushes_total").await
}

/// Which replica is the primary of a view that has begun, as all of them see it.
pub(super) async fn primary(admin: &[u16]) -> Result<usize, String> {
    let mut primaries = Vec::new();
    for (replica, port) in admin.iter().enumerate() {
        if metric(*port, "vsr_is_primary").await? == 1 {
            primaries.push(replica);
        }
    }
    match primaries.as_slice() {
        [primary] => Ok(*primary),
        others => Err(format!("{} replicas say that they are the primary", others.len())),
    }
}

/// Whether a replica takes part, and has executed about all that it knows to be committed.
pub(super) async fn ready(admin: u16) -> Result<(), String> {
    let answer = get(admin, "/readyz").await?;
    let first = answer.lines().next().unwrap_or_default();
    if first.contains("200") { Ok(()) } else { Err(answer.lines().last().unwrap_or_default().to_owned()) }
}

async fn metric(admin: u16, name: &str) -> Result<u64, String> {
    let answer = get(admin, "/metrics").await?;
    let line = answer.lines().find(|line| line.starts_with(name));
    let number = line.and_then(|line| line.rsplit(' ').next()).and_then(|number| number.parse().ok());
    number.ok_or_else(|| format!("the metrics do not tell {name}"))
}

async fn get(admin: u16, path: &str) -> Result<String, String> {
    let wrong = |error: std::io::Error| format!("the admin port {admin}: {error}");
    let mut stream = TcpStream::connect(("127.0.0.1", admin)).await.map_err(wrong)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(wrong)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.map_err(wrong)?;
    Ok(answer)
}
