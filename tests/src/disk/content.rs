//! What a storage holds when it is read: the sum of its writes.

use super::journal::Frame;
use std::{collections::VecDeque, sync::Arc};
use vsr_core::{Entry, Hash, OpNumber, Record, Snapshot};

/// Record, snapshot, log.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    pub(super) record: Option<Record>,
    pub(super) snapshot: Option<Arc<Snapshot>>,
    pub(super) entries: VecDeque<Entry>,
    pub(super) commit: OpNumber,
    /// The op of the snapshot that the last frame names.
    pub(super) snapshot_op: OpNumber,
    /// The write that the record is from.
    pub(super) record_sequence: u64,
}

impl Content {
    /// Adds a frame. Its snapshot is a file of its own.
    pub(super) fn apply(&mut self, frame: &Frame) {
        let write = &frame.write;
        if let Some(record) = &write.record {
            self.record = Some(Record::clone(record));
            self.record_sequence = frame.sequence;
        }
        if frame.snapshot_op > self.snapshot_op {
            // What ends before the snapshot would leave a gap behind it.
            if self.entries.back().is_some_and(|entry| entry.last() < frame.snapshot_op) {
                self.entries.clear();
            }
            self.snapshot_op = frame.snapshot_op;
        }
        if let Some(above) = write.truncate_above {
            while self.entries.back().is_some_and(|entry| entry.last() > above) {
                self.entries.pop_back();
            }
        }
        self.entries.extend(write.entries.iter().cloned());
        if let Some(through) = write.trim_through {
            while self.entries.front().is_some_and(|entry| entry.last() <= through) {
                self.entries.pop_front();
            }
        }
        self.commit = self.commit.max(write.commit);
    }

    /// The last op.
    pub(super) fn op(&self) -> OpNumber {
        self.entries.back().map_or(OpNumber(0), Entry::last).max(self.snapshot_op)
    }

    /// Where the log begins: nothing below is needed.
    pub(super) fn first(&self) -> OpNumber {
        self.entries.front().map_or(OpNumber(self.op().0 + 1), Entry::first)
    }

    /// The hash at `op`, if an entry or the snapshot ends there.
    pub(super) fn hash_at(&self, op: OpNumber) -> Option<Hash> {
        if op.0 == 0 {
            return Some(Hash::default());
        }
        if let Some(snapshot) = self.snapshot.as_ref().filter(|snapshot| snapshot.op() == op) {
            return Some(snapshot.hash());
        }
        if self.entries.front().is_some_and(|entry| entry.first().0 == op.0 + 1) {
            return Some(self.entries[0].parent());
        }
        let index = self.entries.partition_point(|entry| entry.last() < op);
        self.entries.get(index).filter(|entry| entry.last() == op).map(Entry::hash)
    }
}
