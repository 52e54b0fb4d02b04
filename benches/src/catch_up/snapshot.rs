//! A large state: how fast it is written out, sent and installed, and what the others' clients notice.

use super::watch::{Seen, Watch};
use crate::group::{Figures, Load, Put, Table, Work, said};
use bytes::Bytes;
use std::{
    path::Path,
    time::{Duration, Instant},
};
use tokio::runtime::Runtime;
use vsr_actor::{
    Builder, Client, Config, Handle, Node, NodeNetwork, ReplicaId, StatusName, vsr_core::GroupId,
};

const IDS: [ReplicaId; 3] = [ReplicaId(0), ReplicaId(1), ReplicaId(2)];
/// The primary, the one that stays with it, and the one that goes away and comes back.
const PRIMARY: usize = 0;
const OTHER: usize = 1;
const AWAY: usize = 2;
const GROUP: GroupId = GroupId(1);
const VALUE_BYTES: u64 = 4096;
/// Bytes of operations between two snapshots: soon written by who fills, and far more than is written while it is measured.
const SNAPSHOT_INTERVAL_BYTES: u64 = 64 << 20;
/// What the log keeps behind a snapshot: less than a replica misses that is away meanwhile.
const LOG_KEEP_BYTES: u64 = 8 << 20;
/// What is written until the next snapshot is taken, by clients that write as fast as they can.
const FILL: Work = Work { keys: 1024, value_bytes: 16 << 10 };
const FILLING: usize = 64;
/// What is written while it is measured.
const WORK: Work = Work { keys: 1024, value_bytes: 64 };
/// Clients whose latency is measured, each with a write every so often.
const CLIENTS: usize = 64;
const PACE: Duration = Duration::from_millis(10);
const BASELINE: Duration = Duration::from_secs(4);
/// Where nothing moves any more.
const PATIENCE: Duration = Duration::from_secs(180);

pub(super) fn what(mib: u64) -> String {
    let values = VALUE_BYTES;
    format!(
        "a state of {mib} MiB in values of {values} bytes; three replicas on one disk, a runtime with 2 workers each; {CLIENTS} clients, each with a 64-byte write every {} ms; flushed before acknowledged",
        PACE.as_millis()
    )
}

/// Three replicas as three processes would be: on runtimes of their own, for what one does at length must not hold up another's tasks.
struct Trio {
    nodes: [Node; 3],
    runtimes: Vec<Runtime>,
    config: Config,
    keys: u64,
    watches: [Watch; 3],
}

/// Runs the group once, and lets a replica go away and come back so many times.
pub(super) async fn measure(mib: u64, rounds: usize, directory: &Path) -> Result<Vec<Figures>, String> {
    let directory = tempfile::tempdir_in(directory)
        .map_err(|error| format!("no directory in {}: {error}", directory.display()))?;
    let trio = Trio::new(mib, directory.path())?;
    let result = trio.rounds(rounds).await;
    for node in &trio.nodes {
        // How it ended does not matter any more.
        let _ = node.shutdown().await;
    }
    for runtime in trio.runtimes {
        runtime.shutdown_background();
    }
    result
}

impl Trio {
    fn new(mib: u64, directory: &Path) -> Result<Self, String> {
        let network = NodeNetwork::default();
        let nodes = IDS.map(|id| network.node(id).data_dir(directory.join(id.0.to_string())));
        let mut runtimes = Vec::new();
        for _ in IDS {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            runtimes.push(runtime.map_err(|error| format!("no runtime: {error}"))?);
        }
        let mut config = Config::default();
        config.limits.snapshot_interval_ops = config.limits.log_ops_max / 2;
        config.limits.snapshot_interval_bytes = SNAPSHOT_INTERVAL_BYTES;
        config.limits.log_keep_bytes = LOG_KEEP_BYTES;
        config.client.deadline = Duration::from_secs(60);
        // So that it is told how long the state machine reads, however small its state.
        config.slow_callback = Duration::from_millis(1);
        let keys = WORK.keys + (mib << 20) / VALUE_BYTES;
        Ok(Self { nodes, runtimes, config, keys, watches: IDS.map(Watch::new) })
    }

    async fn start(&self, index: usize) -> Result<Handle<Table>, String> {
        let (keys, config, node) = (self.keys, self.config.clone(), self.nodes[index].clone());
        let watch = self.watches[index].clone();
        let started = async move {
            let machine = Table::filled(keys, VALUE_BYTES as usize);
            let builder = Builder::new(node.id(), IDS, machine).config(config).observer(watch);
            node.start(GROUP, builder).await.map_err(said)
        };
        self.runtimes[index].spawn(started).await.map_err(said)?
    }

    async fn rounds(&self, rounds: usize) -> Result<Vec<Figures>, String> {
        let mut handles = Vec::new();
        for index in 0..IDS.len() {
            handles.push(self.start(index).await?);
        }
        let client = handles[PRIMARY].client();
        // Answered when the group has formed, for which all must be there.
        client.request(Put { key: 0, value: Bytes::new() }).await.map_err(said)?;
        let mut figures = Vec::new();
        for round in 1..=rounds {
            eprintln!("round {round} of {rounds}: a snapshot");
            figures.push(self.round(&client, &handles[PRIMARY]).await?);
        }
        Ok(figures)
    }

    async fn round(&self, client: &Client<Table>, primary: &Handle<Table>) -> Result<Figures, String> {
        self.nodes[AWAY].stop(GROUP).await.map_err(said)?;
        let mut filling = Load::start((0..FILLING).map(|_| client.clone()), FILL)?;
        // What the log will keep is not enough for the replica that is away.
        filling.reach(2 * LOG_KEEP_BYTES / FILL.value_bytes as u64).await?;
        let both = |what: fn(&Seen) -> u64| [PRIMARY, OTHER].map(|index| what(&self.watches[index].seen()));
        let before = both(|seen| seen.begun);
        let later =
            |what: fn(&Seen) -> u64| move || both(what).iter().zip(before).all(|(now, then)| *now > then);
        until("no snapshot is begun", later(|seen| seen.begun)).await?;
        filling.stop().await?;
        // Both must be done with theirs: a snapshot that is still being written is not what is measured.
        until("no snapshot is kept", later(|seen| seen.kept)).await?;
        let taken = self.watches[PRIMARY].seen().taken;

        let mut load = Load::paced((0..CLIENTS).map(|_| client.clone()), WORK, PACE)?;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let without = load.measure_for(BASELINE).await?;
        *self.watches[AWAY].seen() = Default::default();
        let (took, with) = load.measure(self.come_back(primary)).await?;
        load.stop().await?;
        let seen = *self.watches[AWAY].seen();
        let (Some(first), Some((whole, bytes)), Some(restored), Some((written, size))) =
            (seen.first_piece, seen.whole, seen.restored, taken)
        else {
            return Err(format!("it came back without a snapshot: {seen:?}"));
        };
        let rate = |bytes: u64, time: Duration| bytes as f64 / 1e6 / time.as_secs_f64();
        let of = |figures: &Figures, name: &str| figures.get(name).copied().unwrap_or(f64::NAN);
        let figures = [
            ("taking_mb_per_second", rate(size, written)),
            ("sending_mb_per_second", rate(bytes, whole - first)),
            ("installing_mb_per_second", rate(bytes, restored)),
            ("catch_up_seconds", took.as_secs_f64()),
            ("p99_ms_without", of(&without, "p99_us") / 1e3),
            ("p99_ms_with", of(&with, "p99_us") / 1e3),
            ("p99_ratio", of(&with, "p99_us") / of(&without, "p99_us")),
            ("p50_ratio", of(&with, "p50_us") / of(&without, "p50_us")),
            ("longest_ms_without", of(&without, "longest_us") / 1e3),
            ("longest_ms_with", of(&with, "longest_us") / 1e3),
            ("writes_per_second", of(&with, "operations_per_second")),
        ];
        Ok(figures.map(|(name, value)| (name.to_owned(), value)).into())
    }

    /// Starts the replica that was away, and waits until it is where the primary is.
    async fn come_back(&self, primary: &Handle<Table>) -> Result<Duration, String> {
        let begun = Instant::now();
        let back = self.start(AWAY).await?;
        let caught_up = || {
            let (own, theirs) = (back.status().protocol, primary.status().protocol);
            own.status == StatusName::Normal && own.applied.0 + 1000 >= theirs.commit.0
        };
        until("the replica does not catch up", caught_up).await?;
        Ok(begun.elapsed())
    }
}

/// Looks until it is so.
async fn until(otherwise: &str, holds: impl Fn() -> bool) -> Result<(), String> {
    let begun = Instant::now();
    while !holds() {
        if begun.elapsed() > PATIENCE {
            return Err(format!("{otherwise}, for {} s now", PATIENCE.as_secs()));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}
