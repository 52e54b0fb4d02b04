//! J4: a view proposes one entry at an op, for ever.

use super::Violation;
use std::collections::HashMap;
use vsr_core::{Body, Entry, Hash, Message, OpNumber, ViewNumber, Write};

#[derive(Debug, Default)]
pub(super) struct Uniqueness {
    hashes: HashMap<(ViewNumber, OpNumber), Hash>,
}

impl Uniqueness {
    pub(super) fn on_write(&mut self, write: &Write) -> Result<(), Violation> {
        write.entries.iter().try_for_each(|entry| self.on_entry(entry))
    }

    pub(super) fn on_send(&mut self, message: &Message) -> Result<(), Violation> {
        match &message.body {
            Body::Prepare { entry, .. } => self.on_entry(entry),
            _ => Ok(()),
        }
    }

    fn on_entry(&mut self, entry: &Entry) -> Result<(), Violation> {
        let (view, first) = (entry.view(), entry.first());
        let known = *self.hashes.entry((view, first)).or_insert(entry.hash());
        if known == entry.hash() {
            return Ok(());
        }
        Err(Violation::new("J4 uniqueness", format!("{view} proposes two entries at {first}")))
    }
}
