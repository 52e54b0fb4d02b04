//! Simulated storage: what a careful engine keeps on a real disk, and what is left of it after a crash.
//!
//! A write is a frame of the journal; a snapshot is a file that is flushed before the frame that names it is written; a record is
//! in its frame, and when that is flushed in two slots, one after the other. Nothing is durable before a flush. What the engine
//! promises the core is in the documentation of `vsr-core`: a write is durable whole or not at all, after all before it. What
//! the disk does to it is here and in [`Fate`]; that the engine keeps its word all the same is checked by
//! [`Disk::check_word`].

mod content;
mod crash;
mod faults;
mod journal;
mod mutation;
mod open;
mod shelf;
mod slots;
mod word;

pub use crash::Fate;
pub use faults::{Failure, Rot};
pub use mutation::{StorageMutation, StorageMutations, Switches};
pub use open::Finding;

use content::Content;
use journal::{Frame, Journal, State};
use shelf::{File, Shelf};
use slots::{Slot, Slots};
use std::collections::VecDeque;
use vsr_core::{Entry, Hash, OpNumber, Record, ViewNumber, Write, WriteId};
use word::Word;

/// What is kept on the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StorageMode {
    /// Everything.
    #[default]
    Durable,
    /// The record; the log is in memory.
    ViewDurable,
}

/// A write that was accepted and not flushed.
#[derive(Clone, Debug)]
struct Pending {
    write: Write,
    /// The last frame that was flushed when it came.
    flushed: u64,
}

/// The storage of one replica.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    mode: StorageMode,
    mutations: StorageMutations,
    journal: Journal,
    slots: Slots,
    shelf: Shelf,
    pending: VecDeque<Pending>,
    /// The number of the last write that was flushed.
    sequence: u64,
    /// What the engine knows while it runs; what it would find while it does not.
    content: Content,
    /// Whether the engine runs.
    open: bool,
    /// Everything but the record is gone, until a new log is installed.
    lost: bool,
    /// Not even the record can be read.
    unreadable: bool,
    /// There is no room for another write.
    pub(crate) full: bool,
    word: Word,
}

impl Disk {
    /// An empty storage.
    #[must_use]
    pub fn new(mode: StorageMode, mutations: StorageMutations) -> Self {
        Self { mode, mutations, ..Self::default() }
    }

    /// An empty one in the place of this one.
    pub(crate) fn wipe(&mut self) {
        *self = Self::new(self.mode, self.mutations);
    }

    /// Whether an engine runs on it.
    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// Accepts a write; it is not durable yet.
    pub fn submit(&mut self, write: Write) {
        self.pending.push_back(Pending { write, flushed: self.sequence });
        if self.says_too_early() {
            self.word.give(self.sequence + self.pending.len() as u64, None);
        }
    }

    /// Whether it says that a write is done when it has it, as a careless engine does.
    pub(crate) fn says_too_early(&self) -> bool {
        self.mutations.contains(StorageMutation::IgnoreFlush)
    }

    /// The writes that are not durable yet, oldest first.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// The oldest write that is not durable yet.
    #[must_use]
    pub fn first_pending(&self) -> Option<WriteId> {
        self.pending.front().map(|pending| pending.write.id)
    }

    /// The newest write that is not durable yet.
    #[must_use]
    pub fn last_pending(&self) -> Option<WriteId> {
        self.pending.back().map(|pending| pending.write.id)
    }

    /// Whether a write waits to become durable.
    pub(crate) fn is_pending(&self, id: WriteId) -> bool {
        self.pending.front().is_some_and(|p| p.write.id.boot == id.boot && p.write.id.sequence <= id.sequence)
    }

    /// Makes the oldest pending write durable.
    pub fn complete_one(&mut self) -> Option<WriteId> {
        let pending = self.pending.pop_front()?;
        let id = pending.write.id;
        self.flush(pending, State::Whole);
        Some(id)
    }

    /// Makes durable what was submitted up to `id`; true if anything was. A write of an earlier boot is long gone.
    pub fn complete(&mut self, id: WriteId) -> bool {
        let any = self.is_pending(id);
        while self.is_pending(id) {
            self.complete_one();
        }
        any
    }

    /// Snapshot, frame, slots, in this order.
    fn flush(&mut self, pending: Pending, state: State) {
        let record = pending.write.record.as_deref().cloned();
        self.shelf.0.iter_mut().for_each(|file| file.flushed = true);
        if self.lost && !pending.write.reset {
            // There is no journal to write to, and nothing to write to it: a replica without a log has only promises.
            self.sequence += 1;
            self.content.record.clone_from(&record);
        } else {
            self.append(pending, state);
        }
        if let Some(record) = record {
            let copies = self.copies();
            self.slots.0[..copies].fill(Slot::Valid { sequence: self.sequence, record });
        }
        self.journal.trim(self.content.first());
        self.shelf.keep(self.content.snapshot_op);
        self.word.give(self.sequence, Some(&self.content));
    }

    /// Adds a frame, and before it the snapshot that it names.
    fn append(&mut self, pending: Pending, state: State) {
        let Pending { mut write, flushed } = pending;
        if write.reset {
            self.journal = Journal::default();
            self.content = Content { record: self.content.record.take(), ..Content::default() };
            self.lost = false;
        }
        if let Some(snapshot) = write.snapshot.take() {
            let flushed = !self.mutations.contains(StorageMutation::SnapshotPointerFirst);
            self.content.snapshot = Some(snapshot.clone());
            self.shelf.put(File { snapshot, whole: true, flushed });
        }
        self.sequence += 1;
        let snapshot_op = self.content.snapshot.as_ref().map_or(OpNumber(0), |snapshot| snapshot.op());
        let frame = Frame { sequence: self.sequence, flushed, snapshot_op, write, state };
        self.content.apply(&frame);
        self.journal.frames.push_back(frame);
    }

    /// The durable record.
    #[must_use]
    pub fn record(&self) -> Option<&Record> {
        self.content.record.as_ref()
    }

    /// Whether the log is lost: this replica has no vote until it has the group's again.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.lost
    }

    /// Whether every crash costs the log.
    #[must_use]
    pub fn forgets(&self) -> bool {
        self.mode == StorageMode::ViewDurable
    }

    /// Whether nothing can be read, not even the record.
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        self.unreadable
    }

    /// Whether the durable record is that of a formed group.
    #[must_use]
    pub fn is_formed(&self) -> bool {
        self.record().is_some_and(|record| record.formed)
    }

    /// The durable view; views begin at 0.
    #[must_use]
    pub fn view(&self) -> ViewNumber {
        self.record().map_or(ViewNumber(0), |record| record.view)
    }

    /// The durable log view; 0 where the log is lost.
    #[must_use]
    pub fn log_view(&self) -> ViewNumber {
        self.record().filter(|_| !self.lost).map_or(ViewNumber(0), |record| record.log_view)
    }

    /// The durable commit-number.
    #[must_use]
    pub fn commit(&self) -> OpNumber {
        self.content.commit
    }

    /// The op of the durable snapshot.
    #[must_use]
    pub fn snapshot_op(&self) -> OpNumber {
        self.content.snapshot_op
    }

    /// The last durable op.
    #[must_use]
    pub fn op(&self) -> OpNumber {
        self.content.op()
    }

    /// The durable hash at `op`, if an entry or the snapshot ends there.
    #[must_use]
    pub fn hash_at(&self, op: OpNumber) -> Option<Hash> {
        self.content.hash_at(op)
    }

    /// The durable entries.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.content.entries.iter()
    }
}
