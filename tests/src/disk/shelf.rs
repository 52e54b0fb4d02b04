//! Snapshot files. A frame names the current one; the one before is kept until that frame is flushed.

use std::sync::Arc;
use vsr_core::{OpNumber, Snapshot};

#[derive(Clone, Debug)]
pub(super) struct File {
    pub(super) snapshot: Arc<Snapshot>,
    /// Whether its checksum is right.
    pub(super) whole: bool,
    /// Whether a crash leaves it alone.
    pub(super) flushed: bool,
}

/// The files.
#[derive(Clone, Debug, Default)]
pub(super) struct Shelf(pub(super) Vec<File>);

impl Shelf {
    pub(super) fn put(&mut self, file: File) {
        self.0.retain(|other| other.snapshot.op() != file.snapshot.op());
        self.0.push(file);
    }

    /// The snapshot of an op, if it can be read.
    pub(super) fn get(&self, op: OpNumber) -> Option<&Arc<Snapshot>> {
        self.0.iter().find(|file| file.snapshot.op() == op && file.whole).map(|file| &file.snapshot)
    }

    /// Deletes all but the current one.
    pub(super) fn keep(&mut self, op: OpNumber) {
        self.0.retain(|file| file.snapshot.op() == op);
    }
}
