//! The end of a run: everything is healed, and all keys are read at every replica.

use super::{
    group::Group,
    history::{Account, Event, History, account, keys, problems},
    model::{Key, Kind, tokens},
    replica,
    resp::Reply,
    workload::{Shared, read_all},
};
use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};
use tokio::time::sleep;
use vsr_actor::linearizability::CallOutcome;

/// How long replicas may take to come to the same state when everything is healed.
const CONVERGED_WITHIN: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Mends what is broken, and waits until all are ready.
pub(super) async fn converge(group: &mut Group) -> Result<Duration, String> {
    let began = Instant::now();
    group.network.heal();
    for disk in group.small_disks.values() {
        disk.empty().map_err(|error| error.to_string())?;
    }
    for replica in &group.replicas {
        replica.signal("CONT").await.map_err(|error| error.to_string())?;
    }
    group.start_all().map_err(|error| error.to_string())?;
    group.all_ready().await?;
    Ok(began.elapsed())
}

/// What the keys hold at the end, read through each replica.
pub(super) struct FinalReads {
    numbers: BTreeMap<Key, u64>,
    texts: BTreeMap<Key, Vec<u64>>,
    /// Replicas whose own state is another than that of the first.
    differing: Vec<usize>,
    keys: usize,
}

/// Reads all keys at every replica, when all have executed the same.
pub(super) async fn final_reads(group: &Group, shared: &Shared) -> Result<FinalReads, String> {
    let used = shared.history.keys();
    let mut first = None;
    let mut differing = Vec::new();
    for (id, replica) in group.replicas.iter().enumerate() {
        let all = read_all(shared, replica.redis, used.iter().copied()).await?;
        // Each sees the same, whoever it asks: nobody writes any more.
        match &first {
            None => first = Some(all),
            Some(first) if *first == all => {}
            Some(_) => differing.push(id),
        }
    }
    same_place(group).await?;
    let all = first.unwrap_or_default();
    let number = |reply: &Reply| match reply {
        Reply::Bulk(text) => std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).unwrap_or(0),
        _ => 0,
    };
    let (mut numbers, mut texts) = (BTreeMap::new(), BTreeMap::new());
    for (key, reply) in &all {
        match (key.kind, reply) {
            (Kind::Counter, reply) => {
                numbers.insert(*key, number(reply));
            }
            (Kind::Pair, Reply::Array(halves)) => {
                numbers.insert(*key, halves.first().map_or(0, number));
            }
            (Kind::Text, Reply::Bulk(text)) => {
                texts.insert(*key, tokens(text).unwrap_or_default());
            }
            _ => {}
        }
    }
    Ok(FinalReads { numbers, texts, differing, keys: all.len() })
}

/// Waits until all replicas have executed the same operations. That their states are the same then, they compare themselves
/// (decision 14): one that differs stops.
async fn same_place(group: &Group) -> Result<(), String> {
    let began = Instant::now();
    loop {
        let mut places = Vec::new();
        for replica in &group.replicas {
            let status = replica::status(replica.admin).await.unwrap_or_default();
            let protocol = &status["protocol"];
            places.push([protocol["op"].clone(), protocol["commit"].clone(), protocol["applied"].clone()]);
        }
        let first = &places[0];
        if !first[0].is_null()
            && first.iter().all(|number| *number == first[0])
            && places.iter().all(|place| place == first)
        {
            return Ok(());
        }
        if began.elapsed() > CONVERGED_WITHIN {
            return Err(format!("replicas did not come to the same place: {places:?}"));
        }
        sleep(POLL_INTERVAL).await;
    }
}

/// The figures of a run.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    operations: usize,
    writes: usize,
    unknown: usize,
    refused: u64,
    keys: usize,
    account: Option<Account>,
    longest_gap: Duration,
    checked_in: Duration,
}

impl Verdict {
    /// Judges what clients saw; adds to the problems.
    pub(super) fn of(
        history: History,
        reads: Result<Option<FinalReads>, String>,
        found: &mut Vec<String>,
    ) -> Self {
        let (events, refused, longest_gap) = history.into_parts();
        let began = Instant::now();
        found.extend(problems(&events));
        let mut verdict = Self { operations: events.len(), refused, longest_gap, ..Self::default() };
        let is_unknown = |event: &&Event| event.outcome == CallOutcome::Unknown;
        verdict.unknown = events.iter().filter(is_unknown).count();
        verdict.writes = events.iter().filter(|event| event.op.is_write() && !is_unknown(event)).count();
        verdict.keys = keys(&events).len();
        match reads {
            Err(problem) => found.push(problem),
            Ok(None) => {}
            Ok(Some(FinalReads { numbers, texts, differing, keys })) => {
                let account = account(&events, &numbers, &texts);
                if account.missing + account.surplus > 0 {
                    found.push(format!(
                        "{} acknowledged writes are missing at the end, {} are there that nobody asked for",
                        account.missing, account.surplus
                    ));
                }
                found.extend(
                    differing.iter().map(|id| format!("replica {id} shows other values than replica 0")),
                );
                verdict.account = Some(account);
                verdict.keys = keys;
            }
        }
        verdict.checked_in = began.elapsed();
        verdict
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operations, writes, unknown, refused, keys, account, longest_gap, checked_in } = self;
        writeln!(
            f,
            "{operations} operations on {keys} keys: {writes} writes acknowledged, {unknown} outcomes unknown, {refused} more refused"
        )?;
        if let Some(Account { acknowledged, missing, surplus }) = account {
            writeln!(
                f,
                "of {acknowledged} acknowledged increments and appends {missing} are missing at the end, {surplus} are too many"
            )?;
        }
        write!(
            f,
            "longest time without an acknowledged write: {:.0} ms; history checked in {:.1} s",
            longest_gap.as_secs_f64() * 1e3,
            checked_in.as_secs_f64()
        )
    }
}
