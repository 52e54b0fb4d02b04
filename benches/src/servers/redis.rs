//! One Redis: with an append-only file that is flushed before a write is answered, or in memory only.

use super::{Door, Running, eventually, resp};
use crate::processes::{Program, flags, free_ports};
use std::path::Path;

pub(super) async fn start(durable: bool, directory: &Path) -> Result<Running, String> {
    let port = free_ports(1)?[0];
    let arguments = flags([
        ("--port", port.to_string()),
        ("--bind", "127.0.0.1".into()),
        ("--dir", directory.display().to_string()),
        ("--save", String::new()),
        ("--appendonly", if durable { "yes" } else { "no" }.into()),
        ("--appendfsync", "always".into()),
    ]);
    let server = Program { path: "redis-server".into(), arguments, output: directory.join("output") };
    let processes = vec![server.start()?];
    eventually("Redis takes no writes", || resp::first_write(port)).await?;
    Ok(Running { door: Door::Resp(port), admin: None, processes })
}
