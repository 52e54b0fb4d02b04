//! `vsr-kv demo`: clients write and read while primaries die and are cut off; at the end everything is checked.

mod chaos;
mod figures;
mod history;
mod report;
mod verify;
mod workload;

use crate::store::{Operation, Reply, Store};
use chaos::Chaos;
use figures::Figures;
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    sync::Arc,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};
use tokio::task::JoinSet;
use vsr_actor::{Client, Cluster, ClusterError, Config, RequestError};
use workload::{Record, Worker};

/// What the demonstration does.
#[derive(Clone, Copy, Debug)]
pub struct Demo {
    /// How long the clients work.
    pub seconds: u64,
    /// How many there are.
    pub clients: u64,
}

/// Why it came to no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DemoError {
    /// The group does not do what it was told.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// What must be checked cannot be read at the end.
    #[error("cannot read the state at the end: {0}")]
    Read(#[from] RequestError),
    /// A client's task failed.
    #[error("a client failed: {0}")]
    Client(#[from] tokio::task::JoinError),
}

/// How often the progress bar moves.
const TICK: Duration = Duration::from_millis(100);

/// Runs it, and prints what came out. True if nothing was lost, nothing was done twice and all was linearizable.
///
/// # Errors
/// See [`DemoError`].
pub async fn run(demo: Demo) -> Result<bool, DemoError> {
    let cluster = Arc::new(Cluster::builder(3, Store::default).config(Config::default()).start().await?);
    cluster.primary().await?;
    let bar = progress_bar(demo);
    let figures = Arc::new(Figures::default());
    let stop = Arc::new(AtomicBool::new(false));
    let began = Instant::now();
    let mut workers = JoinSet::new();
    for number in 0..demo.clients {
        let home = cluster.ids()[number as usize % cluster.ids().len()];
        let worker = Worker::new(number, demo.clients, cluster.client_at(home)?, figures.clone(), began);
        workers.spawn(worker.run(stop.clone()));
    }
    let chaos = Chaos::new(cluster.clone(), bar.clone());
    let chaos = chaos.run(Duration::from_secs(demo.seconds));
    tokio::pin!(chaos);
    let failovers = loop {
        tokio::select! {
            failovers = &mut chaos => break failovers?,
            () = tokio::time::sleep(TICK) => show(&bar, &figures, &cluster, began),
        }
    };
    stop.store(true, Ordering::Relaxed);
    let mut record = Record::default();
    while let Some(worker) = workers.join_next().await {
        record.merge(worker?);
    }
    let worked = began.elapsed();
    bar.set_message("checking");
    let reader = cluster.client();
    let state = read_back(&reader, &record).await?;
    let verdict = verify::verify(&record, &state);
    bar.finish_and_clear();
    print!("{}", report::text(&figures, &verdict, failovers, worked));
    // A replica that had to stop by itself is a failure too.
    drop(reader);
    if let Some(cluster) = Arc::into_inner(cluster) {
        cluster.shutdown().await?;
    }
    Ok(verdict.problems.is_empty())
}

fn progress_bar(demo: Demo) -> ProgressBar {
    let bar = ProgressBar::new(demo.seconds * 1000);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {elapsed_precise} {msg}") {
        bar.set_style(style);
    }
    bar
}

fn show(bar: &ProgressBar, figures: &Figures, cluster: &Cluster<Store>, began: Instant) {
    let view = cluster.statuses().iter().map(|status| status.protocol.view.0).max().unwrap_or(0);
    let (rate, p99) = figures.recent(began.elapsed());
    bar.set_position(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX));
    bar.set_message(format!("{rate:.0} ops/s, p99 {}, view {view}", report::duration(p99)));
}

/// The state the group ended with, as far as it was written to.
async fn read_back(reader: &Client<Store>, record: &Record) -> Result<verify::FinalState, RequestError> {
    let mut state = verify::FinalState::default();
    for counter in record.counters.keys() {
        let value = get(reader, workload::counter_key(*counter)).await?;
        let number = if value.is_empty() { Some(0) } else { crate::store::parse_integer(value.as_bytes()) };
        state.counters.insert(*counter, number);
    }
    for writer in record.tokens.keys() {
        state.logs.insert(*writer, get(reader, workload::log_key(*writer)).await?);
    }
    Ok(state)
}

async fn get(reader: &Client<Store>, key: String) -> Result<String, RequestError> {
    Ok(match reader.request(Operation::Get { key: key.into() }).await? {
        Reply::Bulk(value) => String::from_utf8_lossy(&value).into_owned(),
        _ => String::new(),
    })
}
