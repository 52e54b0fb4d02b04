//! A million operations in process: does it stay as fast, and as small, as it was?

use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use vsr_actor::{Client, Cluster, Commit, StateMachine};
use vsr_test::process::resident_kib;

/// What is done, and by how many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Operations in total.
    pub(crate) operations: u64,
    /// Tasks that each have one operation under way.
    pub(crate) clients: u64,
    /// Whether one of the three replicas is down all the time.
    pub(crate) one_down: bool,
    /// Linearizable reads of one row, instead of writes.
    pub(crate) reads: bool,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Put {
    pub(super) key: [u8; 16],
    pub(super) value: ([u8; 32], [u8; 32]),
}

#[derive(Default, Serialize, Deserialize)]
pub(super) struct Table {
    rows: HashMap<[u8; 16], ([u8; 32], [u8; 32])>,
    puts: u64,
}

impl StateMachine for Table {
    type Operation = Put;
    type Reply = u64;

    fn handle_commit(&mut self, _: &Commit, put: Put) -> u64 {
        self.rows.insert(put.key, put.value);
        self.puts += 1;
        self.puts
    }
}

const KEYS: u64 = 16_384;

/// Runs the load and prints throughput by tenths, and memory after the first tenth and at the end.
///
/// # Errors
/// A request failed.
pub(crate) async fn throughput(load: Load) -> Result<(), Box<dyn Error>> {
    let Load { operations, clients, one_down, reads } = load;
    let replicas = if one_down { "two of three replicas" } else { "three replicas" };
    let what = if reads { "linearizable reads" } else { "operations" };
    println!(
        "{operations} {what} (16-byte keys, 64-byte values, {KEYS} keys), {clients} clients, {replicas} in one process, in memory"
    );
    let cluster = Cluster::in_process(3, Table::default).await?;
    let primary = cluster.primary().await?;
    if one_down {
        let backup = cluster.ids().iter().copied().find(|id| *id != primary).ok_or("a group of one")?;
        cluster.crash(backup).await?;
    }
    let started = Instant::now();
    let marks = Arc::new(std::sync::Mutex::new(Vec::<(Duration, Option<u64>)>::new()));
    let tenths = marks.clone();
    drive(&cluster.client(), load, move |number| {
        if number % (operations / 10).max(1) == 0 {
            tenths.lock().expect("nobody panics holding it").push((started.elapsed(), resident_kib()));
        }
    })
    .await?;
    let marks = std::mem::take(&mut *marks.lock().expect("nobody panics holding it"));
    cluster.shutdown().await?;
    report(operations, &marks);
    Ok(())
}

/// Does all operations of a load through one client; `done` hears how many are.
///
/// # Errors
/// A request failed.
pub(super) async fn drive(
    client: &Client<Table>,
    load: Load,
    done: impl Fn(u64) + Clone + Send + 'static,
) -> Result<(), Box<dyn Error>> {
    let Load { operations, clients, reads, .. } = load;
    let begun = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = (0..clients)
        .map(|seed| {
            let (client, begun, done) = (client.clone(), begun.clone(), done.clone());
            tokio::spawn(async move {
                let mut state = seed;
                loop {
                    let number = begun.fetch_add(1, Ordering::Relaxed);
                    if number >= operations {
                        return Ok::<(), vsr_actor::RequestError>(());
                    }
                    state =
                        state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    let mut key = [0; 16];
                    key[..8].copy_from_slice(&(state >> 33 & (KEYS - 1)).to_le_bytes());
                    if reads {
                        client.read_linearizable(move |table| table.rows.get(&key).copied()).await?;
                    } else {
                        let value = ([number as u8; 32], [seed as u8; 32]);
                        client.request(Put { key, value }).await?;
                    }
                    done(number + 1);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    Ok(())
}

fn report(operations: u64, marks: &[(Duration, Option<u64>)]) {
    let tenth = (operations / 10).max(1) as f64;
    let mut before = Duration::ZERO;
    let mut rates = Vec::new();
    println!("{:>12} {:>14} {:>12}", "operations", "ops/s", "memory");
    for (index, (at, kib)) in marks.iter().enumerate() {
        let rate = tenth / at.saturating_sub(before).as_secs_f64();
        rates.push(rate);
        before = *at;
        let memory = kib.map_or("?".to_owned(), |kib| format!("{} MiB", kib / 1024));
        println!("{:>12.0} {rate:>14.0} {memory:>12}", tenth * (index + 1) as f64);
    }
    if let (Some(first), Some(last)) = (rates.first(), rates.last()) {
        println!("last tenth / first tenth: {:.2} of the throughput", last / first);
    }
    if let (Some((_, Some(first))), Some((_, Some(last)))) = (marks.first(), marks.last()) {
        println!("memory at the end / after the first tenth: {:.2}", *last as f64 / *first as f64);
    }
}
