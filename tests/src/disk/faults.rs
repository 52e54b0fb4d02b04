//! What happens to a disk: bits that turn, flushes that fail, no room left.

use super::{
    Disk, StorageMode, StorageMutation,
    journal::State,
    slots::{Slot, Unreadable},
};
use std::{fmt, mem};
use vsr_core::{Entry, Write};

/// Why an engine gave up. The process of its replica ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A flush failed: what became of the data nobody knows, and a second flush would not tell (rule F6).
    FlushFailed,
    /// There is no room for a write. Nothing is lost; with room it can start again.
    DiskFull,
    /// Both copies of the record are damaged: nobody knows what this replica has promised (rule F7).
    Unreadable,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FlushFailed => "a flush of the storage failed: start the replica again, it will find out what is there",
            Self::DiskFull => "the disk is full: make room, then start the replica again; nothing is lost",
            Self::Unreadable => {
                "both copies of the record are damaged, so nobody knows what this replica has promised: restore its storage, or give a new replica an id of its own"
            }
        })
    }
}

impl std::error::Error for Failure {}

/// Where bits turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rot {
    /// The frame at a position of the journal. One that a later frame has witnessed may read as zeros; the mark at the end of
    /// any other stays what it is: a disk that forgets its last write whole is beyond this engine.
    Frame {
        /// Which one.
        index: usize,
        /// Whether it reads as zeros.
        zeroed: bool,
    },
    /// A copy of the record: 0 or 1.
    Slot(usize),
    /// The current snapshot.
    Snapshot,
}

impl Disk {
    /// Turns bits of what was flushed; false if there is nothing. Nobody notices before the storage is opened again.
    pub fn rot(&mut self, rot: Rot) -> bool {
        match rot {
            Rot::Frame { index, zeroed } => {
                if index >= self.frames() {
                    return false;
                }
                let zeroed = zeroed && self.journal.is_witnessed(index);
                self.journal.frames[index].state = if zeroed { State::Missing } else { State::Corrupt };
                self.word.log_excused = true;
            }
            Rot::Slot(copy) => {
                if matches!(self.slots.0[copy], Slot::Blank) {
                    return false;
                }
                self.slots.0[copy] = Slot::Rotten;
                self.word.record_excused |= self.slots.newest() == Err(Unreadable);
            }
            Rot::Snapshot => {
                let Some(file) = self.shelf.0.last_mut() else { return false };
                file.whole = false;
                self.word.log_excused = true;
            }
        }
        if !self.open {
            self.look();
        }
        true
    }

    /// Frames of the journal.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.journal.frames.len()
    }

    /// Whether a copy of the record can be read.
    #[must_use]
    pub fn has_copy(&self, copy: usize) -> bool {
        matches!(self.slots.0[copy], Slot::Valid { .. })
    }

    /// The position of the frame that holds an operation.
    #[must_use]
    pub fn frame_of(&self, operation: &str) -> Option<usize> {
        let holds = |entry: &Entry| (0..entry.len()).any(|index| entry.operation(index) == operation);
        self.journal.frames.iter().position(|frame| frame.write.entries.iter().any(holds))
    }

    /// Whether the log is lost, or will be found lost at the next start; or even the record. In VIEW-DURABLE every crash costs
    /// the log, which is not counted here.
    #[must_use]
    pub fn is_doomed(&self) -> bool {
        let log = self.mode == StorageMode::Durable && self.journal_is_bad();
        self.lost || log || self.slots.newest().is_err()
    }

    /// Whether the engine repeats a flush that failed, and believes the second answer.
    pub(crate) fn retries_failed_flush(&self) -> bool {
        self.mutations.contains(StorageMutation::RetryFailedFlush)
    }

    /// The flush failed and was repeated: the kernel has forgotten what it could not write, and says that all is well (rule F6).
    pub(crate) fn forget_pending(&mut self) {
        for pending in mem::take(&mut self.pending) {
            self.flush(pending, State::Missing);
        }
    }

    /// Whether a write is durable when it is accepted: it is held in memory, and nothing before it waits.
    pub(crate) fn is_instant(&self, write: &Write) -> bool {
        self.mode == StorageMode::ViewDurable && self.pending.is_empty() && write.record.is_none()
    }
}
