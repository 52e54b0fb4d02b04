//! A group of processes of which one is killed and started again.

use super::{System, etcd, eventually, openraft, resp, vsr_kv};
use crate::processes::{Process, Program};
use std::path::Path;

/// How often a leader speaks, and how long the others wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timers {
    pub(crate) heartbeat_ms: u64,
    /// Of etcd this is the least: it draws up to twice as much.
    pub(crate) timeout_ms: u64,
}

/// Three processes, until this is dropped.
#[derive(Debug)]
pub(crate) struct Group {
    pub(super) kind: Kind,
    pub(super) programs: Vec<Program>,
    pub(super) processes: Vec<Process>,
    /// Where clients go, at each.
    pub(super) doors: Vec<u16>,
    /// Of this project: where each tells about itself.
    pub(super) admin: Vec<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    VsrKv,
    Etcd,
    Openraft,
}

/// Where clients go, member by member.
#[derive(Clone, Debug)]
pub(crate) enum Doors {
    Etcd(Vec<u16>),
    Resp(Vec<u16>),
}

/// A write that was not acknowledged.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(super) why: String,
    /// Who leads, in the words of a member that does not.
    pub(crate) leader: Option<usize>,
}

/// One client of one member, on a connection of its own.
#[derive(Debug)]
pub(crate) enum Client {
    Etcd(etcd::Client),
    Resp(resp::Client),
}

impl Group {
    /// Three processes of one of those that form groups.
    pub(crate) async fn start(system: &System, directory: &Path, timers: Timers) -> Result<Self, String> {
        match system {
            System::VsrKv { program } => vsr_kv::group(program, directory, Some(timers)).await,
            System::Etcd => etcd::group(directory, Some(timers)).await,
            System::Openraft(timeout) => openraft::group(directory, timers, *timeout).await,
            other => Err(format!("{other} is no group")),
        }
    }

    pub(crate) fn doors(&self) -> Doors {
        match self.kind {
            Kind::Etcd => Doors::Etcd(self.doors.clone()),
            Kind::VsrKv | Kind::Openraft => Doors::Resp(self.doors.clone()),
        }
    }

    /// Which member leads, once all are there.
    pub(crate) async fn leader(&self) -> Result<usize, String> {
        eventually("nobody leads", async || match self.kind {
            Kind::VsrKv => vsr_kv::primary(&self.admin).await,
            Kind::Etcd => etcd::leader(&self.doors).await,
            Kind::Openraft => openraft::leader(&self.doors).await,
        })
        .await
    }

    /// Kills a member by kill -9.
    pub(crate) async fn kill(&mut self, member: usize) -> Result<(), String> {
        self.processes[member].kill().await
    }

    /// Starts a member that was killed, and waits until all take part and have caught up. Of openraft all start anew: its log is in
    /// memory, and a member that forgot its votes may not come back.
    pub(crate) async fn restart(&mut self, member: usize) -> Result<(), String> {
        let forgetful = self.kind == Kind::Openraft;
        for other in (0..self.programs.len()).filter(|other| forgetful && *other != member) {
            self.kill(other).await?;
        }
        for started in (0..self.programs.len()).filter(|started| forgetful || *started == member) {
            self.processes[started] = self.programs[started].start()?;
        }
        for member in 0..self.programs.len() {
            eventually("a member does not come back", async || match self.kind {
                Kind::VsrKv => vsr_kv::ready(self.admin[member]).await,
                Kind::Etcd => etcd::ready(self.doors[member], &self.doors).await,
                Kind::Openraft => openraft::leader(&self.doors).await.map(|_| ()),
            })
            .await?;
        }
        Ok(())
    }
}

impl Doors {
    pub(crate) fn count(&self) -> usize {
        match self {
            Self::Etcd(doors) | Self::Resp(doors) => doors.len(),
        }
    }

    pub(crate) async fn connect(&self, member: usize) -> Result<Client, String> {
        match self {
            Self::Etcd(doors) => etcd::Client::connect(doors[member]).await.map(Client::Etcd),
            Self::Resp(doors) => resp::Client::connect(doors[member]).await.map(Client::Resp),
        }
    }
}

impl Client {
    /// Writes a key, and waits for the acknowledgement.
    pub(crate) async fn put(&mut self, number: u64) -> Result<(), Failed> {
        match self {
            Self::Etcd(client) => client.put(number).await.map_err(|why| Failed { why, leader: None }),
            Self::Resp(client) => client.put(number).await,
        }
    }
}
