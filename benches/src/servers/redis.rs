//! One Redis with an append-only file that is flushed before a write is answered.

use super::{Door, Running, eventually, resp};
use crate::processes::{free_ports, start as start_process};
use std::path::Path;

pub(super) async fn start(directory: &Path) -> Result<Running, String> {
    let port = free_ports(1)?[0];
    let at = directory.display().to_string();
    let arguments = [
        ("--port", port.to_string()),
        ("--bind", "127.0.0.1".into()),
        ("--dir", at),
        ("--save", String::new()),
        ("--appendonly", "yes".into()),
        ("--appendfsync", "always".into()),
    ];
    let arguments: Vec<String> =
        arguments.into_iter().flat_map(|(name, value)| [name.into(), value]).collect();
    let process = start_process(Path::new("redis-server"), &arguments, &directory.join("output"))?;
    eventually("Redis takes no writes", || resp::first_write(port)).await?;
    Ok(Running { door: Door::Resp(port), admin: None, processes: vec![process] })
}
