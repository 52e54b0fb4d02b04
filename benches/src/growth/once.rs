//! One point, once.

use crate::{
    child,
    group::{Groups, Load, Table, Work, config_for, keep_in_log, resident_mib, said, seconds},
};
use std::time::Duration;
use vsr_actor::{Client, Cluster};

/// What grows, while everything else is as usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Axis {
    Keys,
    Size,
    Replicas,
    Groups,
    Log,
}

/// A point on an axis.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Point {
    #[arg(long, value_enum)]
    pub(crate) axis: Axis,
    #[arg(long)]
    pub(crate) value: u64,
    /// Worker threads of the runtime that all replicas and clients share.
    #[arg(long)]
    pub(crate) workers: usize,
}

#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    point: Point,
    #[arg(long)]
    clients: usize,
    #[arg(long)]
    seconds: f64,
}

const WARM_UP: Duration = Duration::from_millis(500);
const KEYS: u64 = 16_384;
const VALUE_BYTES: usize = 64;
/// Bytes of a state whose values are large.
const STATE_BYTES: u64 = 64 << 20;

impl Axis {
    pub(crate) const ALL: [Self; 5] = [Self::Keys, Self::Size, Self::Replicas, Self::Groups, Self::Log];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::Size => "size",
            Self::Replicas => "replicas",
            Self::Groups => "groups",
            Self::Log => "log",
        }
    }

    pub(super) fn what(self) -> &'static str {
        match self {
            Self::Keys => "number of keys, all there from the beginning",
            Self::Size => "bytes of a value",
            Self::Replicas => "replicas of the group",
            Self::Groups => "groups of three in the process, the clients spread over them",
            Self::Log => "operations that the log keeps behind a snapshot",
        }
    }

    /// The first is what the others are compared with.
    pub(super) fn values(self) -> &'static [u64] {
        match self {
            Self::Keys => &[1000, 10_000, 100_000, 1_000_000],
            Self::Size => &[16, 64, 256, 1024, 4096, 16_384, 65_536],
            Self::Replicas => &[1, 2, 3, 5, 7],
            Self::Groups => &[1, 10, 100, 1000],
            Self::Log => &[1000, 10_000, 100_000, 1_000_000],
        }
    }
}

impl Point {
    pub(super) fn arguments(&self, clients: usize, seconds: f64) -> Vec<String> {
        let Self { axis, value, workers } = self;
        let axis = axis.name();
        let arguments = format!(
            "growth-once --axis {axis} --value {value} --workers {workers} --clients {clients} --seconds {seconds}"
        );
        arguments.split(' ').map(str::to_owned).collect()
    }
}

/// Measures a point, and prints its figures.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let workers = options.point.workers;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build();
    let runtime = runtime.map_err(|error| format!("no runtime: {error}"))?;
    // Spawned: what drives the load runs on a worker, like everything else.
    runtime.block_on(runtime.spawn(measure(*options))).map_err(said)?
}

async fn measure(options: Options) -> Result<(), String> {
    let Options { point: Point { axis, value, .. }, clients, seconds: time } = options;
    let mut work = Work { keys: KEYS, value_bytes: VALUE_BYTES };
    let mut replicas = 3;
    match axis {
        Axis::Keys => work.keys = value,
        Axis::Size => {
            work.value_bytes = value as usize;
            work.keys = KEYS.min(STATE_BYTES / value);
        }
        Axis::Replicas => replicas = value as usize,
        Axis::Groups => work.keys = KEYS / value,
        Axis::Log => {}
    }
    let mut config = config_for(work.keys, work.value_bytes);
    if axis == Axis::Log {
        keep_in_log(&mut config, value, value.saturating_mul(1 << 10));
    }
    if axis == Axis::Groups {
        let groups = Groups::start(value, config, |_| Table::for_keys(work.keys)).await?;
        return load(groups.clients().iter().cycle().take(clients).cloned().collect(), work, time).await;
    }
    let state = move || Table::filled(work.keys, work.value_bytes);
    let cluster = Cluster::builder(replicas, state).config(config).start().await.map_err(said)?;
    let client = cluster.client();
    load((0..clients).map(|_| client.clone()).collect(), work, time).await
}

async fn load(clients: Vec<Client<Table>>, work: Work, time: f64) -> Result<(), String> {
    let mut load = Load::start(clients, work)?;
    tokio::time::sleep(WARM_UP).await;
    let mut figures = load.measure_for(seconds(time)?).await?;
    figures.insert("resident_mib".to_owned(), resident_mib()?);
    load.stop().await?;
    child::tell(&figures)
}
