//! A storage that outlives the replica's task, but not the process.

use super::{Appended, LogStorage, Persisted, StorageError};
use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use vsr_core::{Entry, LogState, OpNumber, Record, Restored, Snapshot, Write};

/// Keeps everything in memory. Clones share what is kept: hand one to the replica and keep another to start it again after a crash.
///
/// A replica started on an empty `MemoryStorage` is a new replica: the group it was a member of takes it for a stranger.
///
/// ```
/// use vsr_actor::{Builder, MemoryStorage, ReplicaId, prelude::*};
///
/// # #[derive(Default, Serialize, Deserialize)]
/// # struct Counter { total: i64 }
/// # impl StateMachine for Counter {
/// #     type Operation = i64;
/// #     type Reply = i64;
/// #     fn handle_commit(&mut self, _commit: &Commit, add: i64) -> i64 { self.total += add; self.total }
/// # }
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (id, kept) = (ReplicaId(0), MemoryStorage::default());
/// let start = || Builder::new(id, [id], Counter::default()).storage(kept.clone()).start();
/// let first = start().await?;
/// assert_eq!(first.client().request(5).await?, 5);
/// first.shutdown().await?;
/// let second = start().await?;
/// assert_eq!(second.client().request(7).await?, 12);
/// second.shutdown().await?;
/// kept.lose_log(); // who it is, and what it promised, is left: with others it would get its log back
/// kept.wipe(); // nothing is left
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct MemoryStorage(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    record: Option<Record>,
    snapshot: Option<Arc<Snapshot>>,
    entries: VecDeque<Entry>,
    commit: OpNumber,
    log: LogState,
}

impl MemoryStorage {
    /// Forgets everything. The replica that uses it must be stopped.
    pub fn wipe(&self) {
        *self.kept() = Kept::default();
    }

    /// Forgets the log, but not who the replica is and what it promised about views: it will get its log back from the others. The
    /// replica that uses it must be stopped.
    pub fn lose_log(&self) {
        let mut kept = self.kept();
        *kept = Kept { record: kept.record.take(), log: LogState::Lost, ..Kept::default() };
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Every write below leaves the contents whole at each step, so a panic elsewhere does not make them unusable.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait::async_trait]
impl LogStorage for MemoryStorage {
    async fn open(&mut self, _persisted: Persisted) -> Result<Restored, StorageError> {
        let kept = self.kept();
        Ok(Restored {
            record: kept.record.clone(),
            snapshot: kept.snapshot.clone(),
            entries: kept.entries.iter().cloned().collect(),
            commit: kept.commit,
            log: kept.log,
        })
    }

    fn append(&mut self, write: Write) -> Result<Appended, StorageError> {
        let mut kept = self.kept();
        if write.reset {
            *kept = Kept { record: kept.record.take(), ..Kept::default() };
        }
        if let Some(record) = write.record {
            kept.record = Some(*record);
        }
        if let Some(snapshot) = write.snapshot {
            kept.snapshot = Some(snapshot);
        }
        if let Some(above) = write.truncate_above {
            while kept.entries.back().is_some_and(|entry| entry.last() > above) {
                kept.entries.pop_back();
            }
        }
        kept.entries.extend(write.entries);
        if let Some(through) = write.trim_through {
            while kept.entries.front().is_some_and(|entry| entry.last() <= through) {
                kept.entries.pop_front();
            }
        }
        kept.commit = kept.commit.max(write.commit);
        Ok(Appended::Done)
    }
}

impl fmt::Debug for MemoryStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = self.kept();
        f.debug_struct("MemoryStorage")
            .field("record", &kept.record)
            .field("snapshot", &kept.snapshot.as_ref().map(|snapshot| snapshot.op()))
            .field("entries", &kept.entries.len())
            .field("commit", &kept.commit)
            .finish()
    }
}
