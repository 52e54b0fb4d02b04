//! What a log in files costs on a disk: what a flush of the disk takes by itself, how much a group of one gets done on it, how many
//! operations share a flush, and how long a start takes. All in one run: the disk of another minute is another disk.

use serde::{Deserialize, Serialize};
use std::{
    error::Error,
    fs,
    io::{Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;
use vsr_actor::{Builder, Commit, Config, Durability, FileLog, Handle, Record, ReplicaId, StateMachine};

#[derive(Default, Serialize, Deserialize)]
struct Bytes(u64);

impl StateMachine for Bytes {
    type Operation = Vec<u8>;
    type Reply = u64;

    fn handle_commit(&mut self, _: &Commit, bytes: Vec<u8>) -> u64 {
        self.0 += bytes.len() as u64;
        self.0
    }
}

/// Bytes of an operation.
const OPERATION: usize = 128;

/// How often the disk is flushed for itself.
const RAW_FLUSHES: usize = 1000;

/// Measures and prints.
///
/// # Errors
/// The disk failed, or a request did.
pub(crate) async fn storage(directory: PathBuf, operations: u64) -> Result<(), Box<dyn Error>> {
    let directory = directory.join(format!("vsr-storage-measure-{}", std::process::id()));
    fs::create_dir_all(&directory)?;
    let measured = measure(&directory, operations).await;
    fs::remove_dir_all(&directory)?;
    measured
}

async fn measure(directory: &Path, operations: u64) -> Result<(), Box<dyn Error>> {
    raw(&directory.join("raw"))?;
    println!(
        "a group of one, operations of {OPERATION} bytes, {operations} for each line but that of 1 client, which has a hundredth:"
    );
    for durability in [Durability::Sync, Durability::Interval(Duration::from_millis(100)), Durability::None] {
        for clients in [1, 64, 256] {
            let place = directory.join(format!("{durability:?}-{clients}").replace([' ', '(', ')'], ""));
            let count = if clients == 1 { operations / 100 } else { operations };
            throughput(&place, durability, clients, count).await?;
        }
    }
    let place = directory.join("Sync-256");
    for _ in 0..3 {
        let began = Instant::now();
        let (replica, _) = start(&place, Durability::Sync).await?;
        replica.client().request(vec![0; OPERATION]).await?;
        println!(
            "started on {operations} operations since the snapshot: the first request is answered after {:?}",
            began.elapsed()
        );
        replica.shutdown().await?;
    }
    Ok(())
}

/// Writes 4 KiB into a file of zeros and flushes, again and again.
fn raw(path: &Path) -> Result<(), Box<dyn Error>> {
    let mut file = fs::File::create(path)?;
    file.write_all(&vec![0; RAW_FLUSHES * 4096])?;
    file.sync_all()?;
    file.seek(SeekFrom::Start(0))?;
    let mut took = Vec::new();
    for _ in 0..RAW_FLUSHES {
        file.write_all(&[1; 4096])?;
        let began = Instant::now();
        file.sync_data()?;
        took.push(began.elapsed());
    }
    took.sort();
    let (median, worst) = (took[RAW_FLUSHES / 2], took[RAW_FLUSHES * 99 / 100]);
    println!("the disk alone: {RAW_FLUSHES} flushes of 4 KiB, median {median:?}, 99 % within {worst:?}");
    Ok(())
}

async fn start(
    place: &Path,
    durability: Durability,
) -> Result<(Handle<Bytes>, Arc<AtomicU64>), Box<dyn Error>> {
    let mut config = Config::default();
    // All of it stays in the log.
    config.limits.snapshot_interval_ops = 900_000;
    config.limits.snapshot_interval_bytes = 400 << 20;
    config.limits.log_keep_ops = 1000;
    let flushes = Arc::new(AtomicU64::new(0));
    let count = flushes.clone();
    let observer = move |record: &Record<'_>| {
        count.fetch_add(u64::from(record.name() == "vsr.storage.flushed"), Ordering::Relaxed);
    };
    let id = ReplicaId(0);
    let builder = Builder::new(id, [id], Bytes::default()).config(config).observer(observer);
    let replica = builder.storage(FileLog::new(place).durability(durability)).start().await?;
    Ok((replica, flushes))
}

async fn throughput(
    place: &Path,
    durability: Durability,
    clients: u64,
    operations: u64,
) -> Result<(), Box<dyn Error>> {
    let (replica, flushes) = start(place, durability).await?;
    replica.client().request(vec![0; OPERATION]).await?;
    let (before, began) = (flushes.load(Ordering::Relaxed), Instant::now());
    let mut working = JoinSet::new();
    for _ in 0..clients {
        let client = replica.client();
        working.spawn(async move {
            for _ in 0..operations / clients {
                client.request(vec![7; OPERATION]).await?;
            }
            Ok::<_, vsr_actor::RequestError>(())
        });
    }
    while let Some(worked) = working.join_next().await {
        worked??;
    }
    let (took, flushes) = (began.elapsed(), flushes.load(Ordering::Relaxed) - before);
    let done = operations / clients * clients;
    println!(
        "  {durability:?}, {clients} clients: {:.0} operations/s, {:.4} flushes an operation",
        done as f64 / took.as_secs_f64(),
        flushes as f64 / done as f64
    );
    replica.shutdown().await?;
    Ok(())
}
