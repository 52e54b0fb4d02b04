//! Three processes of `vsr-kv serve`, as `docs/operations.md` starts them.

use super::{Door, Running, eventually, resp};
use crate::processes::{free_ports, start as start_process};
use std::path::Path;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const REPLICAS: usize = 3;

pub(super) async fn start(program: &Path, directory: &Path) -> Result<Running, String> {
    let ports = free_ports(3 * REPLICAS)?;
    let (peers, rest) = ports.split_at(REPLICAS);
    let (redis, admin) = rest.split_at(REPLICAS);
    let mut processes = Vec::new();
    for id in 0..REPLICAS {
        let mut arguments = vec!["serve".to_owned(), "--id".into(), id.to_string()];
        for (peer, port) in peers.iter().enumerate() {
            arguments.extend(["--peer".into(), format!("{peer}=127.0.0.1:{port}")]);
        }
        arguments.extend(["--redis".into(), format!("127.0.0.1:{}", redis[id])]);
        arguments.extend(["--admin".into(), format!("127.0.0.1:{}", admin[id])]);
        arguments.extend(["--data".into(), directory.join(format!("replica-{id}")).display().to_string()]);
        processes.push(start_process(program, &arguments, &directory.join(format!("output-{id}")))?);
    }
    // A group that has just formed is in view 0, and its primary is replica 0.
    let port = redis[0];
    eventually("vsr-kv takes no writes", || resp::first_write(port)).await?;
    Ok(Running { door: Door::Resp(port), admin: Some(admin[0]), processes })
}

/// The counter of flushes, from the metrics of a replica.
pub(super) async fn flushes(admin: u16) -> Result<u64, String> {
    let wrong = |error: std::io::Error| format!("no metrics: {error}");
    let mut stream = TcpStream::connect(("127.0.0.1", admin)).await.map_err(wrong)?;
    let request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.map_err(wrong)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.map_err(wrong)?;
    let line = answer.lines().find(|line| line.starts_with("vsr_storage_flushes_total"));
    let number = line.and_then(|line| line.rsplit(' ').next()).and_then(|number| number.parse().ok());
    number.ok_or_else(|| "the metrics do not tell of flushes".to_owned())
}
