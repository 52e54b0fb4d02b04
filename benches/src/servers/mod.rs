//! The servers that are measured, each started the way its manual says for a group on one machine.

mod etcd;
mod redis;
mod resp;
mod vsr_kv;

use crate::processes::Process;
use std::{
    fmt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Which server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum System {
    /// Three processes of this project; the path of the program.
    VsrKv(PathBuf),
    /// Three processes of etcd.
    Etcd,
    /// One Redis that flushes every write: no replication at all.
    Redis,
}

/// Servers that run, until this is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    door: Door,
    /// The admin port of the leader, where it has one that counts its flushes.
    admin: Option<u16>,
    _processes: Vec<Process>,
}

/// Where clients are to go: to the leader, so that nobody pays for a hop.
#[derive(Clone, Debug)]
enum Door {
    Etcd(etcd::Door),
    Resp(u16),
}

/// One client.
#[derive(Debug)]
pub(crate) enum Client {
    Etcd(etcd::Client),
    Resp(resp::Client),
}

impl System {
    /// Starts it on an empty directory, and waits until it takes writes.
    pub(crate) async fn start(&self, directory: &Path) -> Result<Running, String> {
        match self {
            Self::VsrKv(program) => vsr_kv::start(program, directory).await,
            Self::Etcd => etcd::start(directory).await,
            Self::Redis => redis::start(directory).await,
        }
    }

    /// Whether it can be run here.
    pub(crate) fn is_installed(&self) -> bool {
        match self {
            Self::VsrKv(_) => true,
            Self::Etcd => crate::processes::is_installed("etcd"),
            Self::Redis => crate::processes::is_installed("redis-server"),
        }
    }
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::VsrKv(_) => "vsr-kv ×3",
            Self::Etcd => "etcd ×3",
            Self::Redis => "Redis ×1",
        })
    }
}

impl Running {
    /// How often the leader has flushed its log, if it tells.
    pub(crate) async fn flushes(&self) -> Result<Option<u64>, String> {
        match self.admin {
            Some(port) => vsr_kv::flushes(port).await.map(Some),
            None => Ok(None),
        }
    }

    /// So many clients, connected.
    pub(crate) async fn clients(&self, count: usize) -> Result<Vec<Client>, String> {
        match &self.door {
            Door::Etcd(door) => door.clients(count).await,
            Door::Resp(port) => {
                let mut clients = Vec::with_capacity(count);
                for _ in 0..count {
                    clients.push(Client::Resp(resp::Client::connect(*port).await?));
                }
                Ok(clients)
            }
        }
    }
}

impl Client {
    /// Writes, and waits for the acknowledgement.
    pub(crate) async fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        match self {
            Self::Etcd(client) => client.put(key, value).await,
            Self::Resp(client) => client.set(key, value).await,
        }
    }
}

/// Tries until it works, for as long as a start may take.
async fn eventually<T, F>(what: &str, mut attempt: impl FnMut() -> F) -> Result<T, String>
where
    F: Future<Output = Result<T, String>>,
{
    let begun = Instant::now();
    loop {
        match attempt().await {
            Ok(done) => return Ok(done),
            Err(error) if begun.elapsed() > Duration::from_secs(30) => {
                return Err(format!("{what}: {error}"));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}
