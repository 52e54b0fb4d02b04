//! What clients saw, and whether it can be.

use super::model::{Act, Key, Kind, OneKey, Operation, Seen};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use vsr_actor::linearizability::{Call, CallOutcome, check_by_key};

pub(super) type Event = Call<Operation, Seen>;

/// Takes down what clients do, in the order of one clock.
#[derive(Debug)]
pub(super) struct History {
    began: Instant,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Nothing: taken out, for it is known not to have been executed.
    events: Vec<Option<Event>>,
    refused: u64,
    acknowledged: usize,
    last_write: Duration,
    longest_gap: Duration,
}

/// An operation that is under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket(usize);

impl History {
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), inner: Mutex::default() }
    }

    pub(super) fn invoke(&self, op: Operation) -> Ticket {
        let mut inner = self.inner();
        // The clock is read under the lock: the order of events is that of their times.
        let invoked = nanos(self.began.elapsed());
        inner.events.push(Some(Event { op, invoked, outcome: CallOutcome::Unknown }));
        Ticket(inner.events.len() - 1)
    }

    pub(super) fn returned(&self, ticket: Ticket, reply: Seen) {
        let mut inner = self.inner();
        let now = self.began.elapsed();
        let Some(event) = &mut inner.events[ticket.0] else { return };
        event.outcome = CallOutcome::Returned { at: nanos(now), reply };
        if event.op.is_write() {
            inner.longest_gap = inner.longest_gap.max(now - inner.last_write);
            inner.last_write = now;
            inner.acknowledged += 1;
        }
    }

    /// The server said that it was not executed, and never will be.
    pub(super) fn refused(&self, ticket: Ticket) {
        let mut inner = self.inner();
        inner.events[ticket.0] = None;
        inner.refused += 1;
    }

    pub(super) fn len(&self) -> usize {
        self.inner().events.len()
    }

    /// All keys that were used so far.
    pub(super) fn keys(&self) -> BTreeSet<Key> {
        self.inner().events.iter().flatten().map(|event| event.op.key).collect()
    }

    /// Acknowledged writes so far.
    pub(super) fn acknowledged(&self) -> usize {
        self.inner().acknowledged
    }

    /// Everything, how many were refused, and the longest time without an acknowledged write.
    pub(super) fn into_parts(self) -> (Vec<Event>, u64, Duration) {
        let inner = self.inner.into_inner().unwrap_or_else(PoisonError::into_inner);
        (inner.events.into_iter().flatten().collect(), inner.refused, inner.longest_gap)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn is_acknowledged(event: &Event) -> bool {
    event.op.is_write() && matches!(event.outcome, CallOutcome::Returned { .. })
}

/// All keys that were used.
pub(super) fn keys(events: &[Event]) -> BTreeSet<Key> {
    events.iter().map(|event| event.op.key).collect()
}

/// What is wrong with a history; nothing, if one machine could have produced it.
pub(super) fn problems(events: &[Event]) -> Vec<String> {
    let mut problems = Vec::new();
    let strange = events.iter().find_map(|event| match &event.outcome {
        CallOutcome::Returned { reply: Seen::Strange(what), .. } => Some(what.clone()),
        _ => None,
    });
    problems.extend(strange);
    if let Err((key, violation)) = check_by_key::<OneKey, _>(events, |op| op.key) {
        problems.push(format!("{:?} {}: {violation}", key.kind, key.number));
    }
    problems
}

/// Acknowledged writes that must have left a trace in what was read at the end: each increment and each token, one by one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Account {
    /// Acknowledged increments and appended tokens.
    pub(super) acknowledged: u64,
    /// How many of them are missing at the end.
    pub(super) missing: u64,
    /// What is there at the end, though nobody asked for it.
    pub(super) surplus: u64,
}

/// Counts acknowledged increments against the numbers, and tokens against the texts, read at the end. Registers keep only their last
/// value: of them the check of the history tells.
pub(super) fn account(
    events: &[Event],
    numbers: &BTreeMap<Key, u64>,
    texts: &BTreeMap<Key, Vec<u64>>,
) -> Account {
    let mut account = Account::default();
    let mut increments: BTreeMap<Key, (u64, u64)> = BTreeMap::new();
    let mut asked: BTreeSet<(Key, u64)> = BTreeSet::new();
    let mut found: BTreeMap<(Key, u64), u64> = BTreeMap::new();
    for (key, tokens) in texts {
        for token in tokens {
            *found.entry((*key, *token)).or_default() += 1;
        }
    }
    for event in events {
        let key = event.op.key;
        match event.op.act {
            Act::Increment => {
                let (acknowledged, unknown) = increments.entry(key).or_default();
                *if is_acknowledged(event) { acknowledged } else { unknown } += 1;
            }
            Act::Append(token) => {
                asked.insert((key, token));
                if is_acknowledged(event) {
                    account.acknowledged += 1;
                    account.missing += u64::from(!found.contains_key(&(key, token)));
                }
            }
            _ => {}
        }
    }
    for (key, (acknowledged, unknown)) in increments {
        let there = numbers.get(&key).copied().unwrap_or(0);
        account.acknowledged += acknowledged;
        account.missing += acknowledged.saturating_sub(there);
        account.surplus += there.saturating_sub(acknowledged + unknown);
    }
    for (key, tokens) in texts {
        debug_assert_eq!(key.kind, Kind::Text);
        let strange = tokens.iter().filter(|token| !asked.contains(&(*key, **token))).count();
        account.surplus += strange as u64;
    }
    account.surplus += found.values().map(|times| times - 1).sum::<u64>();
    account
}
