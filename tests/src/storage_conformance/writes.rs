//! Writes as replicas make them: those of a group of one, and what others of a group would make of its entries.

use bytes::Bytes;
use std::{mem, sync::Arc};
use vsr_actor::vsr_core::{
    ClientId, ClusterId, Config, Effect, Entries, Entry, GroupId, Input, Now, OpNumber, Origin, Record,
    Replica, ReplicaId, Request, RequestNumber, Restored, SessionId, Snapshot, State, ViewNumber, Write,
    WriteId, checksum,
};

/// A replica alone. Two of them that are asked the same write the same.
pub(super) struct Alone {
    replica: Replica,
    effects: Vec<Effect>,
    writes: Vec<Write>,
    requests: u64,
    /// What its state machine writes into a snapshot.
    state: Arc<dyn Fn(OpNumber) -> State>,
}

/// A snapshot is due after so many operations.
const SNAPSHOT_EVERY: u64 = 4;

impl Alone {
    pub(super) fn new() -> Self {
        Self::with_states(|op| format!("the state at {op}").into_bytes().into())
    }

    /// With states of one's own choice.
    pub(super) fn with_states(state: impl Fn(OpNumber) -> State + 'static) -> Self {
        let mut config = Config::new(ReplicaId(3), vec![ReplicaId(3)]);
        (config.cluster, config.group, config.seed) = (ClusterId(1), GroupId(2), 7);
        config.limits.snapshot_interval_ops = SNAPSHOT_EVERY;
        config.limits.log_keep_ops = 2;
        let mut effects = Vec::new();
        let replica = Replica::start(Now::default(), config, Restored::default(), &mut effects);
        let replica = replica.expect("the configuration is valid");
        let mut alone = Self { replica, effects, writes: Vec::new(), requests: 0, state: Arc::new(state) };
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
        self.take(Origin::Request { session, request: number, acked_below: number, checksum }, operation);
    }

    /// What was written since the last time.
    pub(super) fn writes(&mut self) -> Vec<Write> {
        mem::take(&mut self.writes)
    }

    fn take(&mut self, origin: Origin, operation: Bytes) {
        self.replica.step(Now::default(), Input::Request(Request::new(origin, operation)), &mut self.effects);
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
                        let taken = Input::SnapshotTaken { op, state: Ok((self.state)(op)) };
                        self.replica.step(Now::default(), taken, &mut self.effects);
                    }
                    _ => {}
                }
            }
        }
    }
}

/// A write of nothing. Its name is given when it is handed over.
pub(super) fn nothing() -> Write {
    Write {
        id: WriteId::default(),
        record: None,
        reset: false,
        snapshot: None,
        truncate_above: None,
        entries: Entries::new(),
        trim_through: None,
        commit: OpNumber(0),
    }
}

/// Bootstrap, and some operations with the snapshots that are due.
pub(super) fn beginning(operations: u8) -> Vec<Write> {
    let mut alone = Alone::new();
    (0..operations).for_each(|number| alone.ask(vec![number; 10 * usize::from(number)]));
    alone.writes()
}

/// All that can be written: bootstrap, entries, snapshots and trims, another view's tail, promises, nothing at all, and a log that takes
/// the place of all before.
pub(super) fn story() -> Vec<Write> {
    let mut writes = beginning(5);
    let mut record = record_of(&writes);
    writes.push(another_tail(&mut record, 5));
    for view in [6, 7] {
        record.view = ViewNumber(view);
        writes.push(Write { record: Some(record.clone()), ..nothing() });
    }
    writes.push(nothing());
    let mut other = Alone::new();
    (0..9).for_each(|number| other.ask(vec![50 + number; 20]));
    let (reset, mut last) = replacement(&other.writes(), Some(record));
    writes.push(reset);
    for number in 0..7 {
        other.ask(vec![80 + number; 30]);
        for mut write in other.writes() {
            write.entries.retain(|entry| entry.first() > last);
            last = write.entries.last().map_or(last, Entry::last);
            writes.push(write);
        }
    }
    writes
}

/// The last of so many operations is another one in a later view.
fn another_tail(record: &mut Record, operations: u8) -> Write {
    let mut other = Alone::new();
    (0..operations - 1).for_each(|number| other.ask(vec![number; 10 * usize::from(number)]));
    other.ask(vec![77; 300]);
    (record.view, record.log_view) = (ViewNumber(5), ViewNumber(5));
    let entry = other.writes().iter().flat_map(|write| write.entries.clone()).last().expect("it was asked");
    let truncate_above = Some(OpNumber(entry.first().0 - 1));
    Write { record: Some(Box::new(record.clone())), truncate_above, entries: [entry].into(), ..nothing() }
}

/// The newest snapshot among `writes` and what follows it, in the place of all that is there; and the last op.
pub(super) fn replacement(writes: &[Write], record: Option<Box<Record>>) -> (Write, OpNumber) {
    let snapshot: Arc<Snapshot> =
        writes.iter().rev().find_map(|write| write.snapshot.clone()).expect("some operations were asked");
    let entries = writes.iter().flat_map(|write| write.entries.clone());
    let entries: Entries = entries.filter(|entry| entry.first() > snapshot.op()).collect();
    let (commit, last) = (snapshot.op(), entries.last().map_or(snapshot.op(), Entry::last));
    (Write { record, reset: true, snapshot: Some(snapshot), entries, commit, ..nothing() }, last)
}

/// The latest record.
pub(super) fn record_of(writes: &[Write]) -> Box<Record> {
    writes.iter().rev().find_map(|write| write.record.clone()).expect("the first write has one")
}
