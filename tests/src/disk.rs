//! Simulated storage: what is durable, and what a crash would take away.

use std::{collections::VecDeque, sync::Arc};
use vsr_core::{Entry, Hash, LogState, OpNumber, Record, Restored, Snapshot, ViewNumber, Write, WriteId};

/// The storage of one replica. Writes are done in order, each whole or not at all.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    record: Option<Record>,
    snapshot: Option<Arc<Snapshot>>,
    entries: VecDeque<Entry>,
    commit: OpNumber,
    pending: VecDeque<Write>,
    /// The log is lost until a write replaces it.
    lost: bool,
}

impl Disk {
    /// Accepts a write; it is not durable yet.
    pub fn submit(&mut self, write: Write) {
        self.pending.push_back(write);
    }

    /// The writes that are not durable yet, oldest first.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// The newest write that is not durable yet.
    #[must_use]
    pub fn last_pending(&self) -> Option<WriteId> {
        self.pending.back().map(|write| write.id)
    }

    /// Makes the oldest pending write durable.
    pub fn complete_one(&mut self) -> Option<WriteId> {
        let write = self.pending.pop_front()?;
        if write.reset {
            self.forget();
            self.lost = false;
        }
        if write.record.is_some() {
            self.record = write.record;
        }
        if let Some(snapshot) = write.snapshot {
            // What ends before the snapshot would leave a gap behind it.
            if self.entries.back().is_some_and(|entry| entry.last() < snapshot.op()) {
                self.entries.clear();
            }
            self.snapshot = Some(snapshot);
        }
        if let Some(above) = write.truncate_above {
            while self.entries.back().is_some_and(|entry| entry.last() > above) {
                self.entries.pop_back();
            }
        }
        self.entries.extend(write.entries);
        if let Some(through) = write.trim_through {
            while self.entries.front().is_some_and(|entry| entry.last() <= through) {
                self.entries.pop_front();
            }
        }
        self.commit = self.commit.max(write.commit);
        Some(write.id)
    }

    /// Makes durable what was submitted up to `id`; true if anything was. A write of an earlier boot is long gone.
    pub fn complete(&mut self, id: WriteId) -> bool {
        let mut any = false;
        while self.pending.front().is_some_and(|w| w.id.boot == id.boot && w.id.sequence <= id.sequence) {
            self.complete_one();
            any = true;
        }
        any
    }

    /// A crash: what was not durable is gone.
    pub fn crash(&mut self) {
        self.pending.clear();
    }

    /// The log is gone, or not to be trusted; the record is there. Before the group is formed there is no log.
    pub fn lose_log(&mut self) {
        self.forget();
        self.lost = self.record.as_ref().is_some_and(|record| record.formed);
    }

    /// Whether the log is lost, and no other has taken its place.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.lost
    }

    fn forget(&mut self) {
        self.snapshot = None;
        self.entries.clear();
        self.commit = OpNumber(0);
    }

    /// What a replica finds when it starts.
    #[must_use]
    pub fn restored(&self) -> Restored {
        Restored {
            record: self.record.clone(),
            snapshot: self.snapshot.clone(),
            entries: self.entries.iter().cloned().collect(),
            commit: self.commit,
            log: if self.lost { LogState::Lost } else { LogState::Intact },
        }
    }

    /// The durable record.
    #[must_use]
    pub fn record(&self) -> Option<&Record> {
        self.record.as_ref()
    }

    /// The durable view; views begin at 0.
    #[must_use]
    pub fn view(&self) -> ViewNumber {
        self.record.as_ref().map_or(ViewNumber(0), |record| record.view)
    }

    /// The durable log view; 0 where the log is lost.
    #[must_use]
    pub fn log_view(&self) -> ViewNumber {
        self.record.as_ref().filter(|_| !self.lost).map_or(ViewNumber(0), |record| record.log_view)
    }

    /// The durable commit-number.
    #[must_use]
    pub fn commit(&self) -> OpNumber {
        self.commit
    }

    /// The op of the durable snapshot.
    #[must_use]
    pub fn snapshot_op(&self) -> OpNumber {
        self.snapshot.as_ref().map_or(OpNumber(0), |snapshot| snapshot.op())
    }

    /// The last durable op.
    #[must_use]
    pub fn op(&self) -> OpNumber {
        self.entries.back().map_or(OpNumber(0), Entry::last).max(self.snapshot_op())
    }

    /// The durable hash at `op`, if an entry or the snapshot ends there.
    #[must_use]
    pub fn hash_at(&self, op: OpNumber) -> Option<Hash> {
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

    /// The durable entries.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.entries.iter()
    }
}
