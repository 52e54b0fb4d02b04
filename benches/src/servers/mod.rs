//! The servers that are measured, each started the way its manual says for a group on one machine.

mod etcd;
mod floor;
mod group;
mod openraft;
mod redis;
mod resp;
mod vsr_kv;

use crate::{
    load::{self, Figures, Load},
    processes::{self, Process},
};
pub(crate) use group::{Doors, Failed, Group, Timers};
pub(crate) use openraft::TimeoutIs;
use std::{
    fmt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Which server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum System {
    /// Three replicas of this project, each a process with a directory.
    VsrKv { program: PathBuf },
    /// Three replicas of this project in one process, in memory.
    VsrKvInMemory { program: PathBuf },
    /// Three processes of etcd.
    Etcd,
    /// Three processes of openraft 0.9, in memory: only `failover` has them.
    Openraft(TimeoutIs),
    /// A primary and two backups without a protocol; over files of zeros or not.
    Floor { zero_filled: bool },
    /// One Redis that flushes every write, or keeps all in memory: no replication at all.
    Redis { durable: bool },
}

/// A system that cannot be measured here.
#[derive(Clone, Debug)]
pub(crate) struct Absent(String);

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not installed: skipped", self.0)
    }
}

/// Those that can be run here, and those that cannot. This project must be there.
pub(crate) fn installed<'a>(
    all: impl Iterator<Item = &'a System>,
) -> Result<(Vec<System>, Vec<Absent>), String> {
    let (mut systems, mut absent) = (Vec::new(), Vec::new());
    for system in all {
        match system {
            System::VsrKv { program } | System::VsrKvInMemory { program } if !program.is_file() => {
                return Err(format!(
                    "there is no {}: build it with `cargo build --release -p vsr-kv`, or name it with --vsr-kv",
                    program.display()
                ));
            }
            _ if system.is_installed() => systems.push(system.clone()),
            _ => absent.push(Absent(system.to_string())),
        }
    }
    Ok((systems, absent))
}

/// Servers that run, until this is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    door: Door,
    /// The admin port of the leader, where it has one that counts its flushes.
    admin: Option<u16>,
    processes: Vec<Process>,
}

/// Where clients are to go: to the leader, so that nobody pays for a hop.
#[derive(Clone, Copy, Debug)]
enum Door {
    Etcd(u16),
    Resp(u16),
}

impl System {
    /// Starts it on an empty directory, and waits until it takes writes.
    pub(crate) async fn start(&self, directory: &Path) -> Result<Running, String> {
        match self {
            Self::VsrKv { program } => vsr_kv::start(program, directory).await,
            Self::VsrKvInMemory { program } => vsr_kv::start_in_memory(program, directory).await,
            Self::Etcd => etcd::start(directory).await,
            Self::Openraft(_) => Err(format!("{self} flushes nothing, and is put under no load")),
            Self::Floor { zero_filled } => floor::start(*zero_filled, directory).await,
            Self::Redis { durable } => redis::start(*durable, directory).await,
        }
    }

    /// In a list of those that are wanted.
    pub(crate) fn key(&self) -> &'static str {
        match self {
            Self::VsrKv { .. } => "vsr-kv",
            Self::VsrKvInMemory { .. } => "vsr-kv-memory",
            Self::Etcd => "etcd",
            Self::Openraft(TimeoutIs::Least) => "openraft",
            Self::Openraft(TimeoutIs::Most) => "openraft-low",
            Self::Floor { zero_filled: false } => "floor",
            Self::Floor { zero_filled: true } => "floor-zeros",
            Self::Redis { durable: true } => "redis",
            Self::Redis { durable: false } => "redis-memory",
        }
    }

    /// How many connections a load has.
    pub(crate) fn connections(&self, load: &Load) -> usize {
        match self {
            Self::Etcd => etcd::sharing(*load).connection_count(),
            _ => load.connection_count(),
        }
    }

    fn is_installed(&self) -> bool {
        match self {
            Self::VsrKv { .. } | Self::VsrKvInMemory { .. } | Self::Openraft(_) | Self::Floor { .. } => true,
            Self::Etcd => crate::processes::is_installed("etcd"),
            Self::Redis { .. } => crate::processes::is_installed("redis-server"),
        }
    }
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            // By the name of its file: two builds must be told from each other.
            Self::VsrKv { program } => {
                let name = program.file_stem().unwrap_or(program.as_os_str());
                return write!(f, "{} ×3", name.display());
            }
            Self::VsrKvInMemory { .. } => "vsr-kv dev, memory",
            Self::Etcd => "etcd ×3",
            Self::Openraft(TimeoutIs::Least) => "openraft 0.9 ×3",
            Self::Openraft(TimeoutIs::Most) => "openraft 0.9 ×3, low",
            Self::Floor { zero_filled: false } => "floor ×3",
            Self::Floor { zero_filled: true } => "floor over zeros ×3",
            Self::Redis { durable: true } => "Redis ×1, always",
            Self::Redis { durable: false } => "Redis ×1, memory",
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

    /// Puts a load on it, from a thread of its own. What the processor did for it is told, too: of the servers, and of the load.
    pub(crate) async fn load(&self, load: Load) -> Result<Figures, String> {
        let door = self.door;
        let (servers, own) = (self.processor_time(), processes::own_processor_time());
        let run = move || match door {
            Door::Etcd(port) => etcd::load(port, load),
            Door::Resp(port) => load::resp::run(port, &load),
        };
        let ran = tokio::task::spawn_blocking(run).await.map_err(|error| error.to_string())?;
        let mut figures = ran?;
        let spent = [
            ("cpu_us_per_operation", servers, self.processor_time()),
            ("load_cpu_us_per_operation", own, processes::own_processor_time()),
        ];
        for (name, before, after) in spent {
            if let Some((before, after)) = before.zip(after) {
                let spent = (after - before).as_secs_f64() * 1e6 / figures.answered as f64;
                figures.more.insert(name.to_owned(), spent);
            }
        }
        Ok(figures)
    }

    /// Gives every key a value.
    pub(crate) async fn fill(&self) -> Result<(), String> {
        let door = self.door;
        let run = move || match door {
            Door::Etcd(port) => etcd::fill(port),
            Door::Resp(port) => load::resp::fill(port),
        };
        tokio::task::spawn_blocking(run).await.map_err(|error| error.to_string())?
    }

    /// Where a client of the Redis protocol goes.
    pub(crate) fn redis_port(&self) -> Option<u16> {
        match self.door {
            Door::Resp(port) => Some(port),
            Door::Etcd(_) => None,
        }
    }

    /// Of all processes together.
    pub(crate) fn processor_time(&self) -> Option<Duration> {
        self.processes.iter().map(Process::processor_time).sum()
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
