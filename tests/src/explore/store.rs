//! The storage of an explored replica: what is durable, and the writes that a crash may take away.

use std::{
    collections::VecDeque,
    hash::{Hash, Hasher},
};
use vsr_core::{Entry, Hash as LogHash, OpNumber, Record, Restored, ViewNumber, Write, WriteId};

/// Writes are done in order, each whole or not at all.
#[derive(Clone, Debug, Default)]
pub(super) struct Store {
    record: Option<Record>,
    entries: Vec<Entry>,
    commit: OpNumber,
    pending: VecDeque<Write>,
}

impl Store {
    pub(super) fn submit(&mut self, write: Write) {
        assert!(
            write.snapshot.is_none() && write.trim_through.is_none(),
            "no search gets as far as a snapshot"
        );
        self.pending.push_back(write);
    }

    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// The oldest pending write becomes durable.
    pub(super) fn complete_one(&mut self) -> Option<WriteId> {
        let write = self.pending.pop_front()?;
        if write.reset {
            (self.entries, self.commit) = (Vec::new(), OpNumber(0));
        }
        if let Some(record) = write.record {
            self.record = Some(*record);
        }
        if let Some(above) = write.truncate_above {
            self.entries.retain(|entry| entry.last() <= above);
        }
        self.entries.extend(write.entries);
        self.commit = self.commit.max(write.commit);
        Some(write.id)
    }

    /// A crash that comes when so many of the pending writes are done, whether that was reported or not.
    pub(super) fn crash(&mut self, done: usize) {
        for _ in 0..done {
            self.complete_one();
        }
        self.pending.clear();
    }

    pub(super) fn restored(&self) -> Restored {
        Restored {
            record: self.record.clone(),
            entries: self.entries.clone(),
            commit: self.commit,
            ..Restored::default()
        }
    }

    pub(super) fn view(&self) -> ViewNumber {
        self.record.as_ref().map_or(ViewNumber(0), |record| record.view)
    }

    pub(super) fn log_view(&self) -> ViewNumber {
        self.record.as_ref().map_or(ViewNumber(0), |record| record.log_view)
    }

    pub(super) fn commit(&self) -> OpNumber {
        self.commit
    }

    pub(super) fn op(&self) -> OpNumber {
        self.entries.last().map_or(OpNumber(0), Entry::last)
    }

    /// The durable hash at `op`, if an entry ends there.
    pub(super) fn hash_at(&self, op: OpNumber) -> Option<LogHash> {
        if op == OpNumber(0) {
            return Some(LogHash::default());
        }
        self.entries.iter().find(|entry| entry.last() == op).map(Entry::hash)
    }
}

/// Names of writes are left out, as in the fingerprint of the replica.
impl Hash for Store {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let Self { record, entries, commit, pending } = self;
        (record, entries, commit).hash(hasher);
        for Write { id: _, record, snapshot, truncate_above, entries, trim_through, commit, reset } in pending
        {
            (record, snapshot, truncate_above, entries, trim_through, commit, reset).hash(hasher);
        }
    }
}
