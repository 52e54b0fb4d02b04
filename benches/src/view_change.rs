//! A view change by itself: how long after a quorum wants another view are operations committed again, with thousands of them in the
//! pipeline? How long it takes to find the primary dead is a matter of time-outs, and is not in it.

use crate::group::{Put, Table, said};
use bytes::Bytes;
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::task::JoinSet;
use vsr_actor::{
    Client, Cluster, Config, Observer, Record, ReplicaId, Verdict, ViewNumber,
    observe::{Definition, Event},
    vsr_core::Body,
};
use vsr_benches::results::{Machine, Measured, Results, median, spread};

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// Operations that are in the logs of all replicas, and committed by none, when the primary crashes.
    #[arg(long, default_value_t = 10_000)]
    operations: usize,
    /// How many primaries crash, each of a group of its own.
    #[arg(long, default_value_t = 20)]
    rounds: usize,
    /// Where the figures go, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Requests that one session has under way: it may have 1024.
const OF_A_SESSION: usize = 1000;
const VALUE_BYTES: usize = 64;
const KEYS: u64 = 16_384;
/// At most so long may a view change take.
const GOAL_MS: f64 = 50.0;

pub(crate) async fn run(options: Options) -> Result<(), String> {
    let Options { operations, rounds, json } = options;
    let machine = Machine::this();
    println!("{machine}");
    println!(
        "three replicas in one process, in memory, 2 workers; {operations} uncommitted operations with 64-byte values; {rounds} crashes"
    );
    let mut measured = Vec::new();
    for round in 1..=rounds {
        let times = tokio::spawn(crash(operations)).await.map_err(said)??;
        let milliseconds = |from: Instant, to: Instant| (to - from).as_secs_f64() * 1e3;
        let figures = [
            ("view_change_ms", milliseconds(times.quorum, times.first_commit)),
            ("all_committed_ms", milliseconds(times.quorum, times.last_commit)),
            ("all_answered_ms", milliseconds(times.quorum, times.answered)),
            ("first_vote_to_commit_ms", milliseconds(times.vote, times.first_commit)),
        ];
        let parameters = [("operations", operations.to_string()), ("workers", "2".to_owned())];
        measured.push(Measured {
            bench: "view-change".to_owned(),
            system: "vsr".to_owned(),
            parameters: parameters.map(|(name, value)| (name.to_owned(), value)).into(),
            figures: figures.map(|(name, value)| (name.to_owned(), value)).into(),
            round,
        });
    }
    let of = |figure| -> Vec<f64> { measured.iter().map(|it: &Measured| it.figure(figure)).collect() };
    let line = |what: &str, figure| {
        let (low, high) = spread(&of(figure));
        println!("{what:<62} {:>8.1} ms ({low:.1}–{high:.1})", median(of(figure)));
    };
    line("from the quorum of votes to the first commit", "view_change_ms");
    line("from the quorum of votes to the commit of all of them", "all_committed_ms");
    line("from the quorum of votes to the last reply at the clients", "all_answered_ms");
    line("from the first vote, a second of detection in it, to a commit", "first_vote_to_commit_ms");
    let middle = median(of("view_change_ms"));
    let word = if middle < GOAL_MS { "holds" } else { "MISSED" };
    println!("must be below {GOAL_MS} ms: {word}");
    json.map_or(Ok(()), |path| Results { machine, measured }.write(&path))
}

/// When it came to what.
struct Times {
    /// The first vote to leave the view.
    vote: Instant,
    /// The first replica left it, for a quorum has voted.
    quorum: Instant,
    first_commit: Instant,
    last_commit: Instant,
    /// All clients have their replies.
    answered: Instant,
}

/// What is seen of a view change, by whoever it happens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Vote,
    Left,
    /// The primary of a later view knows this to be committed.
    Committed(u64),
}

#[derive(Clone, Default)]
struct Watch(Arc<Mutex<Vec<(Instant, Seen)>>>);

impl Observer for Watch {
    fn observe(&self, record: &Record<'_>) {
        let later = record.common.view_number > ViewNumber(0);
        let seen = match record.event {
            Event::VoteCast { .. } => Seen::Vote,
            Event::ViewChangeStarted { .. } => Seen::Left,
            Event::CommitAdvanced { new_commit_number, .. } if later && record.common.is_primary => {
                Seen::Committed(new_commit_number.0)
            }
            _ => return,
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((Instant::now(), seen));
    }

    fn wants(&self, definition: &'static Definition) -> bool {
        ["vsr.view_change.vote_cast", "vsr.view_change.start", "vsr.state.commit_advance"]
            .contains(&definition.name)
    }
}

impl Watch {
    fn first(&self, what: impl Fn(Seen) -> bool) -> Result<Instant, String> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = seen.iter().filter(|(_, seen)| what(*seen)).map(|(at, _)| *at).min();
        first.ok_or_else(|| "the view did not change as it should have".to_owned())
    }
}

async fn crash(operations: usize) -> Result<Times, String> {
    let mut config = Config::default();
    // Long enough to fill the pipeline on a busy machine before anybody misses the acknowledgements.
    config.heartbeat_timeout = Duration::from_secs(2);
    config.client.deadline = Duration::from_secs(60);
    let watch = Watch::default();
    let cluster = Cluster::builder(3, || Table::for_keys(KEYS)).config(config).observer(watch.clone());
    let cluster = cluster.start().await.map_err(said)?;
    let primary = cluster.primary().await.map_err(said)?;
    let mut clients = Vec::new();
    for _ in 0..operations.div_ceil(OF_A_SESSION) {
        let client = cluster.client();
        // So that it has its session.
        client.request(put(0)).await.map_err(said)?;
        clients.push(client);
    }
    cluster.await_convergence().await.map_err(said)?;
    let base = cluster.handle(primary).map_err(said)?.status().protocol.commit.0;
    let silence = cluster.rule(|_, _, message| match message.body {
        Body::PrepareOk { .. } => Verdict::Drop,
        _ => Verdict::Deliver,
    });
    let mut requests = JoinSet::new();
    for number in 0..operations {
        requests.spawn(request(clients[number / OF_A_SESSION].clone(), number as u64));
    }
    let end = base + operations as u64;
    piled_up(&cluster, primary, base, end).await?;
    cluster.crash(primary).await.map_err(said)?;
    drop(silence);
    while let Some(answered) = requests.join_next().await {
        answered.map_err(said)??;
    }
    let answered = Instant::now();
    cluster.shutdown().await.map_err(said)?;
    Ok(Times {
        vote: watch.first(|seen| seen == Seen::Vote)?,
        quorum: watch.first(|seen| seen == Seen::Left)?,
        first_commit: watch.first(|seen| matches!(seen, Seen::Committed(op) if op > base))?,
        last_commit: watch.first(|seen| matches!(seen, Seen::Committed(op) if op >= end))?,
        answered,
    })
}

/// Waits until all backups have all operations in their logs.
async fn piled_up(cluster: &Cluster<Table>, primary: ReplicaId, base: u64, end: u64) -> Result<(), String> {
    let begun = Instant::now();
    loop {
        let statuses = cluster.statuses();
        let backups = || statuses.iter().map(|it| it.protocol).filter(|it| it.replica != primary);
        if backups().any(|it| it.commit.0 > base || it.view > ViewNumber(0)) {
            return Err("something was committed, or the view changed, before the crash".to_owned());
        }
        if backups().all(|it| it.op.0 >= end) {
            return Ok(());
        }
        if begun.elapsed() > Duration::from_secs(10) {
            return Err(format!("the pipeline did not fill: {statuses:?}"));
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn put(key: u64) -> Put {
    Put { key, value: Bytes::from_static(&[7; VALUE_BYTES]) }
}

async fn request(client: Client<Table>, number: u64) -> Result<(), String> {
    client.request(put(number % KEYS)).await.map(drop).map_err(said)
}
