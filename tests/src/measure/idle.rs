//! A thousand groups that have nothing to do: what they cost, and what they cost somebody who is busy.

use serde::{Deserialize, Serialize};
use std::{
    error::Error,
    fs,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use vsr_actor::{
    Builder, Client, Commit, Config, Handle, Message, Node, NodeNetwork, NodeTransport, ReplicaId,
    StateMachine, Transport, vsr_core::GroupId,
};
use vsr_test::process::{cpu_seconds_of_all, resident_kib};

#[derive(Default, Serialize, Deserialize)]
struct Counter(u64);

impl StateMachine for Counter {
    type Operation = u64;
    type Reply = u64;

    fn handle_commit(&mut self, _: &Commit, add: u64) -> u64 {
        self.0 += add;
        self.0
    }
}

/// Counts what it sends.
#[derive(Clone)]
struct Counting {
    way: NodeTransport,
    sent: Arc<AtomicU64>,
}

impl Transport for Counting {
    fn send_vsr(&mut self, to: ReplicaId, message: Message) {
        self.sent.fetch_add(1, Ordering::Relaxed);
        self.way.send_vsr(to, message);
    }
}

const IDS: [ReplicaId; 3] = [ReplicaId(0), ReplicaId(1), ReplicaId(2)];
const BUSY: GroupId = GroupId(0);
/// Until the intervals have grown to what they will be.
const SETTLE: Duration = Duration::from_secs(12);
const WATCH: Duration = Duration::from_secs(20);
const RACE: Duration = Duration::from_secs(4);

struct Process {
    nodes: [Node; 3],
    sent: Arc<AtomicU64>,
    busy: Vec<Handle<Counter>>,
}

/// What this process did so far.
#[derive(Clone, Copy)]
struct Reading {
    at: Instant,
    cpu: f64,
    sent: u64,
    switches: u64,
}

/// Starts `groups` idle groups of three and prints what they cost at the usual pace and when they are quiet; then what a busy group gets
/// done alone and beside them.
///
/// # Errors
/// A replica does not start, or a request fails.
pub(crate) async fn idle(groups: u64) -> Result<(), Box<dyn Error>> {
    println!("{groups} idle groups of three replicas in one process, in memory; {} s each", WATCH.as_secs());
    println!(
        "{:>24} {:>8} {:>12} {:>12} {:>14}",
        "idle heartbeat interval", "CPU s/s", "messages/s", "wake-ups/s", "KiB a replica"
    );
    for idle in [None, Some(Duration::from_secs(5))] {
        let before = resident_kib().unwrap_or_default();
        let process = start(groups, idle).await?;
        tokio::time::sleep(SETTLE).await;
        let memory = resident_kib().unwrap_or_default().saturating_sub(before);
        let first = process.reading();
        tokio::time::sleep(WATCH).await;
        let last = process.reading();
        let seconds = (last.at - first.at).as_secs_f64();
        println!(
            "{:>24} {:>8.3} {:>12.0} {:>12.0} {:>14}",
            idle.map_or("as ever (100 ms)".to_owned(), |idle| format!("{idle:?}")),
            (last.cpu - first.cpu) / seconds,
            (last.sent - first.sent) as f64 / seconds,
            (last.switches - first.switches) as f64 / seconds,
            // What was freed before is used again: only the first start says how much is needed.
            if idle.is_none() {
                format!("{:.1}", memory as f64 / (groups * 3) as f64)
            } else {
                "-".to_owned()
            },
        );
        process.end().await?;
    }
    compare(groups).await
}

/// Alone and beside idle groups in turns, each time anew: the machine may be busy with something else now and then.
async fn compare(groups: u64) -> Result<(), Box<dyn Error>> {
    let quiet = Some(Duration::from_secs(5));
    let mut pairs = Vec::new();
    for _ in 0..3 {
        let mut rates = [0.0; 2];
        for (rate, groups) in rates.iter_mut().zip([0, groups]) {
            let process = start(groups, quiet).await?;
            if groups > 0 {
                tokio::time::sleep(SETTLE).await;
            }
            *rate = race(&process).await?;
            process.end().await?;
        }
        pairs.push((rates[1] / rates[0], rates));
    }
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (ratio, [alone, beside]) in &pairs {
        println!("a busy group: {alone:.0} operations/s alone, {beside:.0} beside the idle ones: {ratio:.3}");
    }
    println!("median: {:.3}", pairs[pairs.len() / 2].0);
    Ok(())
}

async fn start(groups: u64, idle: Option<Duration>) -> Result<Process, Box<dyn Error>> {
    let network = NodeNetwork::default();
    let sent = Arc::new(AtomicU64::new(0));
    let nodes = IDS.map(|id| {
        let node = Node::new(id, Counting { way: network.transport(id), sent: sent.clone() });
        network.connect(&node);
        node
    });
    let mut config = Config::default();
    // Saying the usual interval switches the quiet off.
    config.idle_heartbeat_interval = Some(idle.unwrap_or(config.heartbeat_interval));
    let mut busy = Vec::new();
    for group in 0..=groups {
        for node in &nodes {
            let builder = Builder::new(node.id(), IDS, Counter::default()).config(config.clone());
            let handle = node.start(GroupId(group), builder).await?;
            if GroupId(group) == BUSY {
                busy.push(handle);
            }
        }
    }
    Ok(Process { nodes, sent, busy })
}

impl Process {
    fn reading(&self) -> Reading {
        let sent = self.sent.load(Ordering::Relaxed);
        Reading {
            at: Instant::now(),
            cpu: cpu_seconds_of_all().unwrap_or_default(),
            sent,
            switches: voluntary_switches(),
        }
    }

    async fn end(self) -> Result<(), Box<dyn Error>> {
        for node in &self.nodes {
            node.shutdown().await?;
        }
        Ok(())
    }
}

/// Operations a second of 64 tasks with one operation under way each.
async fn race(process: &Process) -> Result<f64, Box<dyn Error>> {
    let client: Client<Counter> = process.busy[0].client();
    let started = Instant::now();
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                let mut done = 0u64;
                while started.elapsed() < RACE {
                    client.request(1).await?;
                    done += 1;
                }
                Ok::<u64, vsr_actor::RequestError>(done)
            })
        })
        .collect();
    let mut done = 0;
    for task in tasks {
        done += task.await??;
    }
    Ok(done as f64 / started.elapsed().as_secs_f64())
}

/// How often a thread of this process went to sleep because it had nothing to do.
fn voluntary_switches() -> u64 {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let of_thread = |path: std::path::PathBuf| {
        let text = fs::read_to_string(path.join("status")).ok()?;
        let line = text.lines().find(|line| line.starts_with("voluntary_ctxt_switches:"))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    threads.filter_map(|thread| of_thread(thread.path())).sum()
}
