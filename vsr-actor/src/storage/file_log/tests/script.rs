//! Writes as a replica makes them: those of a group of one, and what others of a group would make of its entries.

use bytes::Bytes;
use std::{mem, sync::Arc};
use vsr_core::{
    ClientId, ClusterId, Config, Effect, Entries, Entry, GroupId, Input, Now, OpNumber, Origin, Replica,
    ReplicaId, Request, RequestNumber, Restored, SessionId, Snapshot, State, ViewNumber, Write, WriteId,
    checksum,
};

/// A replica alone. Two of them that are asked the same write the same.
pub(super) struct Alone {
    replica: Replica,
    effects: Vec<Effect>,
    writes: Vec<Write>,
    requests: u64,
}

/// A snapshot is due after so many operations.
const SNAPSHOT_EVERY: u64 = 4;

impl Alone {
    pub(super) fn new() -> Self {
        let mut config = Config::new(ReplicaId(3), vec![ReplicaId(3)]);
        (config.cluster, config.group, config.seed) = (ClusterId(1), GroupId(2), 7);
        config.limits.snapshot_interval_ops = SNAPSHOT_EVERY;
        config.limits.log_keep_ops = 2;
        let mut effects = Vec::new();
        let replica = Replica::start(Now::default(), config, Restored::default(), &mut effects);
        let replica = replica.expect("the configuration is valid");
        let mut alone = Self { replica, effects, writes: Vec::new(), requests: 0 };
        alone.settle();
        alone.take(Origin::Register { client: ClientId(7) }, Bytes::new());
        alone
    }

    /// Executes an operation.
    pub(super) fn ask(&mut self, operation: Vec<u8>) {
        self.requests += 1;
        let number = RequestNumber(self.requests);
        let session = SessionId { slot: 0, number: OpNumber(1) };
        let operation = Bytes::from(operation);
        let checksum = checksum(&operation);
        let origin = Origin::Request { session, request: number, acked_below: number, checksum };
        self.take(origin, operation);
    }

    /// What was written since the last time.
    pub(super) fn writes(&mut self) -> Vec<Write> {
        mem::take(&mut self.writes)
    }

    fn take(&mut self, origin: Origin, operation: Bytes) {
        let request = Request::new(origin, operation);
        self.replica.step(Now::default(), Input::Request(request), &mut self.effects);
        self.settle();
    }

    fn settle(&mut self) {
        loop {
            self.replica.end_turn(Now::default(), &mut self.effects);
            if self.effects.is_empty() {
                return;
            }
            for effect in mem::take(&mut self.effects) {
                match effect {
                    Effect::Append(write) => {
                        let id = write.id;
                        self.writes.push(write);
                        self.replica.step(Now::default(), Input::Persisted(id), &mut self.effects);
                    }
                    Effect::Commit { entry, range } => {
                        let first = entry.first().0;
                        range.for_each(|index| self.replica.applied(OpNumber(first + index as u64), &[]));
                    }
                    Effect::TakeDigest { op } => self.replica.digested(op, None),
                    Effect::TakeSnapshot { op } => {
                        let state = State::from(format!("the state at {op}").into_bytes());
                        let taken = Input::SnapshotTaken { op, state: Ok(state) };
                        self.replica.step(Now::default(), taken, &mut self.effects);
                    }
                    Effect::Stop(reason) => panic!("{reason}"),
                    _ => {}
                }
            }
        }
    }
}

/// A write of nothing.
pub(super) fn nothing(sequence: u64) -> Write {
    Write {
        id: WriteId { boot: 1, sequence },
        record: None,
        reset: false,
        snapshot: None,
        truncate_above: None,
        entries: Entries::new(),
        trim_through: None,
        commit: OpNumber(0),
    }
}

/// All that can be written: bootstrap, entries, several in one batch, a large one, snapshots, trims, another view's tail, a log that
/// takes the place of all before.
pub(super) fn story() -> Vec<Vec<Write>> {
    let mut alone = Alone::new();
    let mut batches: Vec<Vec<Write>> = alone.writes().into_iter().map(|write| vec![write]).collect();
    for number in 0..3 {
        alone.ask(vec![number; 5]);
    }
    // They waited for one flush.
    batches.push(alone.writes());
    alone.ask(vec![9; 1200]);
    alone.ask(vec![10; 5]);
    batches.extend(alone.writes().into_iter().map(|write| vec![write]));
    let (mut other, mut fork) = (Alone::new(), Alone::new());
    for number in 0..3 {
        other.ask(vec![number; 5]);
        fork.ask(vec![number; 5]);
    }
    // The tail of another view takes the place of the own one.
    other.ask(vec![9; 1200]);
    other.ask(vec![77; 300]);
    let commit = batches.last().and_then(|batch| batch.last()).expect("there are writes").commit;
    let replaced = last_entry(&other.writes());
    let mut record = record_of(&batches);
    (record.view, record.log_view) = (ViewNumber(5), ViewNumber(5));
    let truncate_above = Some(OpNumber(replaced.first().0 - 1));
    let commit = commit.min(OpNumber(replaced.first().0 - 1));
    batches.push(vec![Write {
        record: Some(record.clone()),
        truncate_above,
        entries: [replaced].into(),
        commit,
        ..nothing(90)
    }]);
    // A promise alone.
    record.view = ViewNumber(6);
    batches.push(vec![Write { record: Some(record.clone()), commit, ..nothing(91) }]);
    // Somebody else's snapshot and what follows it, in the place of all.
    for number in 0..9 {
        fork.ask(vec![50 + number; 20]);
    }
    let after: Vec<Write> = fork.writes();
    let snapshot = newest_snapshot(&after);
    let entries: Vec<Entry> = after.iter().flat_map(|write| write.entries.clone()).collect();
    let entries: Vec<Entry> = entries.into_iter().filter(|entry| entry.first() > snapshot.op()).collect();
    let commit = snapshot.op();
    let snapshot = Some(snapshot);
    let reset = Write {
        record: Some(record),
        reset: true,
        snapshot,
        entries: entries.clone().into(),
        commit,
        ..nothing(92)
    };
    batches.push(vec![nothing(91), reset, nothing(93)]);
    // It goes on from there.
    let mut last = entries.last().map_or(commit, Entry::last);
    for number in 0..7 {
        fork.ask(vec![80 + number; 30]);
        for mut write in fork.writes() {
            write.entries.retain(|entry| entry.first() > last);
            last = write.entries.last().map_or(last, Entry::last);
            batches.push(vec![write]);
        }
    }
    batches
}

/// Bootstrap, a few operations, two snapshots.
pub(super) fn short_story() -> Vec<Vec<Write>> {
    let mut alone = Alone::new();
    (0..8).for_each(|number| alone.ask(vec![number; 3]));
    let (mut batches, mut waiting) = (Vec::new(), Vec::new());
    for write in alone.writes() {
        let alone = write.record.is_some() || write.snapshot.is_some();
        waiting.push(write);
        if alone || waiting.len() == 3 {
            batches.push(mem::take(&mut waiting));
        }
    }
    batches.push(waiting);
    batches
}

pub(super) fn last_entry(writes: &[Write]) -> Entry {
    let entries = writes.iter().flat_map(|write| &write.entries);
    entries.last().expect("there are entries").clone()
}

pub(super) fn newest_snapshot(writes: &[Write]) -> Arc<Snapshot> {
    writes.iter().rev().find_map(|write| write.snapshot.clone()).expect("there was one")
}

pub(super) fn record_of(batches: &[Vec<Write>]) -> Box<vsr_core::Record> {
    let records = batches.iter().rev().flatten().find_map(|write| write.record.clone());
    records.expect("the first write has one")
}
