//! What a crash leaves of writes that were not flushed.

use super::{Disk, Pending, StorageMode, StorageMutation, journal::State, slots::Slot};
use crate::prng::Prng;
use std::mem;

/// What becomes of each write that was not flushed when the machine goes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// All are lost.
    Lost,
    /// All are there.
    Kept,
    /// The first is cut somewhere, without the mark at its end; the others are lost.
    Torn,
    /// The first is damaged, but has its mark; the others are lost.
    Mangled,
    /// The first is lost, the others are there.
    Reordered,
    /// Each has a fate of its own.
    Drawn {
        /// Who draws.
        seed: u64,
        /// Whether it may cost what was promised: a frame may be left that cannot be told from one that was flushed, and the last
        /// good copy of the record may be torn.
        may_mangle: bool,
    },
}

/// The fates of the writes of one crash, one after the other.
#[derive(Debug)]
struct Luck {
    fate: Fate,
    prng: Prng,
    /// A frame before is not whole: no flush behind it has come back.
    unflushed: bool,
}

impl Luck {
    fn new(fate: Fate) -> Self {
        let seed = if let Fate::Drawn { seed, .. } = fate { seed } else { 0 };
        Self { fate, prng: Prng::new(seed), unflushed: false }
    }

    /// What will be found where the write at `index` of those not flushed should be.
    fn write(&mut self, index: usize) -> State {
        match self.fate {
            Fate::Kept => State::Whole,
            Fate::Torn if index == 0 => State::Torn,
            Fate::Mangled if index == 0 => State::Corrupt,
            Fate::Reordered if index > 0 => State::Whole,
            Fate::Lost | Fate::Torn | Fate::Mangled | Fate::Reordered => State::Missing,
            Fate::Drawn { may_mangle, .. } => match self.prng.below(16) {
                0..8 => State::Whole,
                8..12 => State::Missing,
                12 if may_mangle => State::Corrupt,
                _ => State::Torn,
            },
        }
    }

    /// Whether the crash may tear the only good copy of the record.
    fn may_tear_the_last(&self) -> bool {
        !matches!(self.fate, Fate::Drawn { may_mangle: false, .. })
    }

    /// Whether the engine came as far as the step behind a flush.
    fn goes_on(&mut self) -> bool {
        match self.fate {
            Fate::Kept => true,
            Fate::Lost | Fate::Torn | Fate::Mangled | Fate::Reordered => false,
            Fate::Drawn { .. } => self.prng.chance(700),
        }
    }
}

impl Disk {
    /// A crash that takes all that was not durable.
    pub fn crash(&mut self) {
        self.crash_with(Fate::Lost);
    }

    /// A crash. What was not flushed may be there all the same, or in part; the engine did one thing after the other, and how
    /// far it came is a matter of luck.
    pub fn crash_with(&mut self, fate: Fate) {
        let mut luck = Luck::new(fate);
        self.open = false;
        if self.mode == StorageMode::ViewDurable {
            self.journal.frames.clear();
            self.shelf.0.clear();
        }
        self.shelf.0.retain(|file| file.flushed || luck.goes_on());
        let pending = mem::take(&mut self.pending);
        for (index, pending) in pending.into_iter().enumerate() {
            if !self.leave(index, pending, &mut luck) {
                break;
            }
        }
        self.look();
    }

    /// What is left of a write. False if the next one was not begun.
    fn leave(&mut self, index: usize, pending: Pending, luck: &mut Luck) -> bool {
        let record = pending.write.record.as_deref().cloned();
        let in_journal = self.mode == StorageMode::Durable && (!self.lost || pending.write.reset);
        if in_journal {
            let snapshot = pending.write.snapshot.is_some();
            // An unfinished file is not named by anything, and is deleted.
            if snapshot && !luck.goes_on() {
                return false;
            }
            let state = luck.write(index);
            // A new journal takes the place of the old one when its first frame is whole.
            if pending.write.reset && state != State::Whole {
                return false;
            }
            self.word.log_excused |= state == State::Corrupt;
            // A new journal is flushed for itself; else a flush is one of all that was written before.
            luck.unflushed = state != State::Whole || luck.unflushed && !pending.write.reset;
            self.append(pending, state);
            if record.is_some() && (luck.unflushed || !luck.goes_on()) {
                return false;
            }
        } else {
            self.sequence += 1;
        }
        record.is_none_or(|record| {
            (0..self.copies()).all(|copy| {
                match luck.write(0) {
                    State::Missing => return false,
                    State::Torn | State::Corrupt => {
                        self.tear_slot(copy, luck);
                        return false;
                    }
                    State::Whole => {
                        self.slots.0[copy] = Slot::Valid { sequence: self.sequence, record: record.clone() };
                    }
                }
                luck.goes_on()
            })
        })
    }

    /// A crash in the middle of a copy. That costs the record only if the other one had rotted, and nobody had noticed: two faults.
    fn tear_slot(&mut self, copy: usize, luck: &Luck) {
        let last = matches!(self.slots.0[1 - copy], Slot::Rotten);
        if last && !luck.may_tear_the_last() {
            return;
        }
        self.slots.0[copy] = Slot::Torn;
        self.word.record_excused |= last;
    }

    /// In how many places the record is kept.
    pub(super) fn copies(&self) -> usize {
        if self.mutations.contains(StorageMutation::OneSlotCopy) { 1 } else { 2 }
    }
}
