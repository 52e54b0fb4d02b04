//! When what happened to a snapshot, as observers of the replicas hear of it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use vsr_actor::{
    Observer, Record, ReplicaId,
    observe::{Definition, Event},
};

/// Of the latest snapshot.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    /// Snapshots that were begun.
    pub(super) begun: u64,
    /// The last of them that was kept, and the log trimmed behind it.
    pub(super) kept: u64,
    /// How long the last one took to be written out and flushed, and its size.
    pub(super) taken: Option<(Duration, u64)>,
    /// The first piece arrived, and the last one was kept, of so many bytes.
    pub(super) first_piece: Option<Instant>,
    pub(super) whole: Option<(Instant, u64)>,
    /// How long the state machine took to read it.
    pub(super) restored: Option<Duration>,
}

/// Hears of one replica.
#[derive(Clone)]
pub(super) struct Watch {
    of: ReplicaId,
    seen: Arc<Mutex<Seen>>,
}

impl Watch {
    pub(super) fn new(of: ReplicaId) -> Self {
        Self { of, seen: Arc::default() }
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        // Every change under it is a single assignment.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Watch {
    fn observe(&self, record: &Record<'_>) {
        if record.common.node_id != self.of {
            return;
        }
        let mut seen = self.seen();
        match record.event {
            Event::SnapshotBegun { .. } => seen.begun += 1,
            Event::Trimmed { .. } => seen.kept = seen.begun,
            Event::SnapshotTaken { bytes, duration: Some(duration), .. } => {
                seen.taken = Some((*duration, *bytes));
            }
            Event::PieceReceived { held, bytes, .. } => {
                let now = Instant::now();
                seen.first_piece.get_or_insert(now);
                if held == bytes {
                    seen.whole = Some((now, *bytes));
                }
            }
            Event::CallbackSlow { callback: "restore", duration, .. } => seen.restored = Some(*duration),
            _ => {}
        }
    }

    fn wants(&self, definition: &'static Definition) -> bool {
        [
            "vsr.snapshot.begun",
            "vsr.snapshot.log_trimmed",
            "vsr.snapshot.taken",
            "vsr.state_transfer.snapshot_received",
            "vsr.callback.slow",
        ]
        .contains(&definition.name)
    }
}
