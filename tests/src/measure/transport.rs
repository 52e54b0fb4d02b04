//! What sockets cost: three replicas in this process, in memory, that talk over TCP on loopback or hand their messages over, in turns.

use super::throughput::{Put, Table};
use std::{
    error::Error,
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, task::JoinSet};
use vsr_actor::{
    Builder, Client, Handle, InProcessNetwork, ReplicaId, RequestError, StaticAddresses, StatusName, Tcp,
    TcpConfig,
};
use vsr_test::process::cpu_seconds_of_all;

const IDS: [ReplicaId; 3] = [ReplicaId(0), ReplicaId(1), ReplicaId(2)];

/// One of the two that are compared.
struct Side {
    name: &'static str,
    replicas: Vec<Handle<Table>>,
    /// None where messages are handed over.
    transports: Vec<Tcp>,
    /// They end with it.
    _pumps: JoinSet<()>,
}

/// What one slice came to.
#[derive(Default)]
struct Slice {
    rate: f64,
    cpu_us: f64,
    messages: f64,
    bytes: f64,
    latencies: Vec<Duration>,
}

/// Runs `rounds` rounds of `operations` with 1, 64 and 256 clients at the primary, in turns on both groups, and prints what each got done.
///
/// # Errors
/// A replica does not start, or a request fails.
pub(crate) async fn transport(operations: u64, rounds: u32) -> Result<(), Box<dyn Error>> {
    println!(
        "three replicas in one process, in memory; {operations} operations (16-byte keys, 64-byte values) a slice, {rounds} slices each, in turns"
    );
    println!(
        "{:>8} {:>12} {:>24} {:>10} {:>10} {:>12} {:>10} {:>10}",
        "clients",
        "transport",
        "ops/s (least to most)",
        "p50 µs",
        "p99 µs",
        "CPU µs/op",
        "msgs/op",
        "bytes/op"
    );
    let sides = [in_process().await?, tcp().await?];
    for clients in [1, 64, 256] {
        let mut slices = [Vec::new(), Vec::new()];
        for round in 0..rounds {
            // Whoever comes second finds the caches as the other has left them.
            for turn in [round % 2, (round + 1) % 2] {
                let slice = sides[turn as usize].slice(clients, operations).await?;
                slices[turn as usize].push(slice);
            }
        }
        for (side, slices) in sides.iter().zip(slices) {
            report(clients, side.name, slices);
        }
    }
    for side in sides {
        side.shutdown().await?;
    }
    Ok(())
}

async fn in_process() -> Result<Side, Box<dyn Error>> {
    let network = InProcessNetwork::default();
    let (mut replicas, mut pumps) = (Vec::new(), JoinSet::new());
    for id in IDS {
        let (transport, mut arrived) = network.connect(id, 4096);
        let replica = Builder::new(id, IDS, Table::default()).transport(transport).start().await?;
        replicas.push(replica.clone());
        pumps.spawn(async move {
            while let Some(message) = arrived.recv().await {
                replica.deliver(message);
            }
        });
    }
    Ok(Side { name: "in process", replicas, transports: Vec::new(), _pumps: pumps })
}

async fn tcp() -> Result<Side, Box<dyn Error>> {
    let (mut listeners, mut addresses) = (Vec::new(), Vec::new());
    for id in IDS {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        addresses.push((id, listener.local_addr()?));
        listeners.push(listener);
    }
    let (mut replicas, mut transports) = (Vec::new(), Vec::new());
    for (id, listener) in IDS.into_iter().zip(listeners) {
        let tcp = Tcp::listen(listener, TcpConfig::new(id, IDS), StaticAddresses::new(addresses.clone()))?;
        replicas.push(tcp.start(Builder::new(id, IDS, Table::default())).await?);
        transports.push(tcp);
    }
    Ok(Side { name: "tcp", replicas, transports, _pumps: JoinSet::new() })
}

impl Side {
    /// Messages and bytes that all replicas have written; nothing where none is.
    fn written(&self) -> (u64, u64) {
        let peers = self.transports.iter().flat_map(Tcp::peers);
        peers.fold((0, 0), |(messages, bytes), peer| (messages + peer.messages_out, bytes + peer.bytes_out))
    }

    async fn primary(&self) -> Result<Client<Table>, Box<dyn Error>> {
        // Until the group has formed.
        self.replicas[0].client().request(Put { key: [0; 16], value: ([0; 32], [0; 32]) }).await?;
        let statuses = self.replicas.iter().map(|replica| (replica, replica.status().protocol));
        let primary = statuses.filter(|(_, status)| status.is_primary && status.status == StatusName::Normal);
        let (primary, _) = primary.max_by_key(|(_, status)| status.view).ok_or("there is no primary")?;
        Ok(primary.client())
    }

    async fn slice(&self, clients: u64, operations: u64) -> Result<Slice, Box<dyn Error>> {
        let client = self.primary().await?;
        let (written, cpu, begun) = (self.written(), cpu_seconds_of_all(), Instant::now());
        let mut tasks = JoinSet::new();
        for number in 0..clients {
            tasks.spawn(ask(client.clone(), number, operations / clients));
        }
        let mut latencies = Vec::new();
        while let Some(asked) = tasks.join_next().await {
            latencies.extend(asked??);
        }
        let done = latencies.len() as f64;
        let after = self.written();
        latencies.sort_unstable();
        Ok(Slice {
            rate: done / begun.elapsed().as_secs_f64(),
            cpu_us: (cpu_seconds_of_all().unwrap_or(f64::NAN) - cpu.unwrap_or(f64::NAN)) * 1e6 / done,
            messages: (after.0 - written.0) as f64 / done,
            bytes: (after.1 - written.1) as f64 / done,
            latencies,
        })
    }

    async fn shutdown(self) -> Result<(), Box<dyn Error>> {
        for replica in &self.replicas {
            replica.shutdown().await?;
        }
        for tcp in self.transports {
            tcp.shutdown().await;
        }
        Ok(())
    }
}

async fn ask(client: Client<Table>, number: u64, operations: u64) -> Result<Vec<Duration>, RequestError> {
    let mut latencies = Vec::with_capacity(operations as usize);
    for item in 0..operations {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&(number * 1000 + item % 1000).to_le_bytes());
        let begun = Instant::now();
        client.request(Put { key, value: ([item as u8; 32], [number as u8; 32]) }).await?;
        latencies.push(begun.elapsed());
    }
    Ok(latencies)
}

fn report(clients: u64, name: &str, mut slices: Vec<Slice>) {
    slices.sort_by(|left, right| left.rate.total_cmp(&right.rate));
    let (least, most) = (slices[0].rate, slices[slices.len() - 1].rate);
    let median = |of: fn(&Slice) -> f64| {
        let mut values: Vec<_> = slices.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let at = |share: usize| {
        let mut values: Vec<_> =
            slices.iter().map(|slice| slice.latencies[(slice.latencies.len() - 1) * share / 100]).collect();
        values.sort_unstable();
        values[values.len() / 2].as_micros()
    };
    let rates = format!("{:.0} ({least:.0} to {most:.0})", median(|slice| slice.rate));
    let (cpu, messages, bytes) =
        (median(|slice| slice.cpu_us), median(|slice| slice.messages), median(|slice| slice.bytes));
    println!(
        "{clients:>8} {name:>12} {rates:>24} {:>10} {:>10} {cpu:>12.1} {messages:>10.2} {bytes:>10.0}",
        at(50),
        at(99)
    );
}
