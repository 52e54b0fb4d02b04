//! What is measured: each replicates the same table three times, and answers when an operation is committed and applied.
//!
//! All are started, driven and answered in the same way: every replica is a task that drains its inbox, every reply a oneshot.

mod floor;
mod inbox;
mod omnipaxos;
mod one_task;
mod openraft;
mod openraft_0_10;
mod openraft_0_9;
mod raft_rs;
mod viewstamped;
mod vsr;

use super::{
    load::{self, Load},
    workload::Client,
};
use std::{future::Future, time::Duration};

/// Operations that a log may keep, in systems that have to be told to forget.
const LOG_MAX: usize = 100_000;

/// Messages that a replica takes out of its inbox at once.
const DRAIN_MAX: usize = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum System {
    Vsr,
    OneTask,
    Floor,
    ViewstampedReplication,
    #[value(name = "openraft-0.9")]
    OpenraftNine,
    #[value(name = "openraft-0.10")]
    OpenraftTen,
    Omnipaxos,
    Raft,
}

/// What limits everyone here, or is compared with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ours,
    /// No protocol: as fast as it could possibly be.
    Limit,
    Peer,
}

impl System {
    /// Those that are measured unless `--only` names others.
    pub(crate) const DEFAULT: [Self; 8] = [
        Self::Vsr,
        Self::OneTask,
        Self::Floor,
        Self::ViewstampedReplication,
        Self::OpenraftNine,
        Self::OpenraftTen,
        Self::Omnipaxos,
        Self::Raft,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Vsr => "vsr",
            Self::OneTask => "one-task",
            Self::Floor => "floor",
            Self::ViewstampedReplication => "viewstamped-replication",
            Self::OpenraftNine => "openraft-0.9",
            Self::OpenraftTen => "openraft-0.10",
            Self::Omnipaxos => "omnipaxos",
            Self::Raft => "raft",
        }
    }

    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::Vsr => Kind::Ours,
            Self::OneTask | Self::Floor => Kind::Limit,
            Self::ViewstampedReplication
            | Self::OpenraftNine
            | Self::OpenraftTen
            | Self::Omnipaxos
            | Self::Raft => Kind::Peer,
        }
    }

    /// Starts it and puts it under load.
    ///
    /// # Errors
    /// It does not start, or fails.
    pub(crate) async fn measure(
        self,
        clients: usize,
        time: Duration,
        allocations: Option<fn() -> u64>,
    ) -> Result<Load, String> {
        match self {
            Self::Vsr => measure::<vsr::Group>(clients, time, allocations).await,
            Self::OneTask => measure::<one_task::Task>(clients, time, allocations).await,
            Self::Floor => measure::<floor::Group>(clients, time, allocations).await,
            Self::ViewstampedReplication => measure::<viewstamped::Group>(clients, time, allocations).await,
            Self::OpenraftNine => measure::<openraft_0_9::Group>(clients, time, allocations).await,
            Self::OpenraftTen => measure::<openraft_0_10::Group>(clients, time, allocations).await,
            Self::Omnipaxos => measure::<omnipaxos::Group>(clients, time, allocations).await,
            Self::Raft => measure::<raft_rs::Group>(clients, time, allocations).await,
        }
    }
}

/// A group that runs. Its tasks end when it is dropped.
trait Running: Sized {
    type Client: Client;

    fn start() -> impl Future<Output = Result<Self, String>>;

    fn client(&self) -> Self::Client;
}

async fn measure<R: Running>(
    clients: usize,
    time: Duration,
    allocations: Option<fn() -> u64>,
) -> Result<Load, String> {
    let running = R::start().await?;
    load::run((0..clients).map(|_| running.client()).collect(), time, allocations).await
}
