//! Opening a storage: what can be read, what must be repaired, and whether the engine has kept its word.

use super::{
    Disk, Failure, StorageMode, StorageMutation,
    content::Content,
    journal::Scan,
    slots::{self, Slot},
};
use vsr_core::{LogState, Restored};

/// What was noticed when a storage was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Writes that were never finished were cut.
    TailCut,
    /// The log may have lost what was promised.
    Suspect,
    /// One of two copies of the record was written again from the other.
    SlotRepaired,
}

/// What can be read.
#[derive(Debug)]
struct Reading {
    content: Content,
    /// The good frames; none if the log is lost.
    frames: usize,
    lost: bool,
    findings: Vec<Finding>,
}

impl Disk {
    /// Reads everything and repairs what can be: then the replica may start on what is returned.
    ///
    /// # Errors
    /// When not even the record can be read.
    pub fn open(&mut self) -> Result<(Restored, Vec<Finding>), Failure> {
        let reading = self.read().map_err(|slots::Unreadable| Failure::Unreadable)?;
        self.open = true;
        self.take(&reading);
        // The next write goes where the cut begins. A log that cannot be trusted stays as it is until another takes its place:
        // a crash before that must find it again.
        if !self.lost {
            self.journal.frames.truncate(reading.frames);
            self.shelf.keep(self.content.snapshot_op);
        }
        if !self.mutations.contains(StorageMutation::SlotNotRepaired) {
            self.repair_slots();
        }
        self.sequence = self.newest_sequence();
        // What the replica acts on from now on, it has been promised.
        self.word.log_excused &= self.lost;
        self.word.record_excused = false;
        self.word.give(self.sequence, Some(&self.content));
        Ok((self.restored(), reading.findings))
    }

    /// What a replica finds when it starts.
    #[must_use]
    pub fn restored(&self) -> Restored {
        Restored {
            record: self.content.record.clone(),
            snapshot: self.content.snapshot.clone(),
            entries: self.content.entries.iter().cloned().collect(),
            commit: self.content.commit,
            log: if self.lost { LogState::Lost } else { LogState::Intact },
        }
    }

    /// Looks at the storage while nobody uses it.
    pub(super) fn look(&mut self) {
        match self.read() {
            Ok(reading) => self.take(&reading),
            Err(slots::Unreadable) => {
                self.unreadable = true;
                self.content = Content::default();
            }
        }
    }

    fn take(&mut self, reading: &Reading) {
        self.content = reading.content.clone();
        self.lost = reading.lost;
        self.unreadable = false;
    }

    fn read(&self) -> Result<Reading, slots::Unreadable> {
        let mut findings = Vec::new();
        let slot = self.slots.newest()?;
        if slot.is_some() && !self.slots.agree() {
            findings.push(Finding::SlotRepaired);
        }
        let slot_record = slot.map(|(_, record)| record.clone());
        let Some((mut content, frames)) = self.read_log(&mut findings) else {
            // What was never part of a group has no log to lose.
            let lost = slot_record.as_ref().is_some_and(|record| record.formed)
                && !self.mutations.contains(StorageMutation::LostLogIsEmpty);
            let content = Content { record: slot_record, ..Content::default() };
            return Ok(Reading { content, frames: 0, lost, findings });
        };
        if slot.is_some_and(|(sequence, _)| sequence > content.record_sequence) {
            content.record = slot_record;
        }
        Ok(Reading { content, frames, lost: false, findings })
    }

    /// The log with its snapshot, and how many frames it is made of; nothing if it cannot be trusted.
    fn read_log(&self, findings: &mut Vec<Finding>) -> Option<(Content, usize)> {
        if self.mode == StorageMode::ViewDurable {
            return None;
        }
        let read = match self.journal.scan(self.mutations) {
            Scan::Clean { frames, cut } => {
                findings.extend(cut.then_some(Finding::TailCut));
                let mut content = self.journal.fold(frames);
                content.snapshot = self.shelf.get(content.snapshot_op).cloned();
                (content.snapshot.is_some() || content.snapshot_op.0 == 0).then_some((content, frames))
            }
            Scan::Suspect => None,
        };
        findings.extend(read.is_none().then_some(Finding::Suspect));
        read
    }

    /// Whether what was flushed cannot be trusted any more.
    pub(super) fn journal_is_bad(&self) -> bool {
        let current = self.content.snapshot_op;
        let whole = current.0 == 0 || self.shelf.get(current).is_some();
        !whole || self.journal.scan(self.mutations) == Scan::Suspect
    }

    /// Both copies say what is known now.
    fn repair_slots(&mut self) {
        let Some(record) = self.content.record.clone() else { return };
        if self.slots.agree()
            && self.slots.newest().is_ok_and(|newest| newest.map(|(_, it)| it) == Some(&record))
        {
            return;
        }
        let sequence = self.newest_sequence();
        self.slots.0.fill(Slot::Valid { sequence, record });
    }

    fn newest_sequence(&self) -> u64 {
        let slot = self.slots.newest().ok().flatten().map_or(0, |(sequence, _)| sequence);
        self.journal.frames.back().map_or(0, |frame| frame.sequence).max(slot)
    }

    /// Whether what can be read holds all that the engine ever said was durable; asked while nobody uses the storage.
    ///
    /// # Errors
    /// What is missing.
    pub fn check_word(&self) -> Result<(), String> {
        self.word.check(self)
    }
}
