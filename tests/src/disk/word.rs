//! Whether an engine keeps its word: what it said is durable must be there when the storage is opened again.

use super::{Disk, StorageMode, content::Content, journal::State};
use vsr_core::{Hash, OpNumber, Record, ViewNumber};

/// What the engine said is durable.
#[derive(Clone, Debug, Default)]
pub(super) struct Word {
    sequence: u64,
    view: ViewNumber,
    log_view: ViewNumber,
    formed: bool,
    op: OpNumber,
    hash: Option<Hash>,
    commit: OpNumber,
    /// Something was done to the disk that may cost the log …
    pub(super) log_excused: bool,
    /// … or the record.
    pub(super) record_excused: bool,
}

impl Word {
    pub(super) fn give(&mut self, sequence: u64, content: Option<&Content>) {
        self.sequence = sequence;
        let Some(content) = content else { return };
        let of_record = |get: fn(&Record) -> ViewNumber| content.record.as_ref().map_or(ViewNumber(0), get);
        self.view = of_record(|record| record.view);
        self.log_view = of_record(|record| record.log_view);
        self.formed = content.record.as_ref().is_some_and(|record| record.formed);
        (self.op, self.hash, self.commit) = (content.op(), content.hash_at(content.op()), content.commit);
    }

    /// Looks at a storage that nobody uses. A crash alone is no excuse.
    pub(super) fn check(&self, disk: &Disk) -> Result<(), String> {
        if disk.unreadable {
            return if self.record_excused { Ok(()) } else { Err("the record cannot be read".into()) };
        }
        let log_view = disk.record().map_or(ViewNumber(0), |record| record.log_view);
        if disk.view() < self.view || log_view < self.log_view || (self.formed && !disk.is_formed()) {
            return Err(format!("the record of {} falls back to that of {}", self.view, disk.view()));
        }
        if disk.lost {
            let excused = self.log_excused || disk.mode == StorageMode::ViewDurable;
            return if excused { Ok(()) } else { Err("the log is lost".into()) };
        }
        if !self.formed {
            return Ok(());
        }
        let whole = disk.journal.frames.iter().take_while(|frame| frame.state == State::Whole);
        let found = whole.last().map_or(0, |frame| frame.sequence);
        if found < self.sequence {
            return Err(format!("write {} was said to be durable, {found} is the last one", self.sequence));
        }
        let content = &disk.content;
        let same =
            (content.op(), content.hash_at(self.op), content.commit) == (self.op, self.hash, self.commit);
        if found == self.sequence && !same {
            return Err(format!("the log up to {} was said to be durable, another one is found", self.op));
        }
        Ok(())
    }
}
