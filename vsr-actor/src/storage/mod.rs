//! Where a replica keeps what must survive it.

mod file_log;
mod memory;
mod stage;

pub use file_log::{Durability, FileLog};
pub use memory::MemoryStorage;
pub use stage::{MemoryStage, Stage};

use std::{
    error::Error,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Notify, futures::OwnedNotified};
use vsr_core::{Restored, Write, WriteId};

/// The log, the record and the snapshot of one replica.
///
/// The replica's task calls it, so [`append`](Self::append) must not block: a storage with a disk hands the write to a thread of its
/// own, says [`Appended::Pending`], and tells the [`Persisted`] watermark when the write is durable. The protocol holds back whatever
/// depends on a write until then; the storage cannot get that order wrong.
///
/// ```
/// use std::{io, sync::mpsc};
/// use vsr_actor::vsr_core::{Restored, Write};
/// use vsr_actor::{Appended, LogStorage, MemoryStage, Persisted, Stage, StorageError};
///
/// fn save(write: &Write) -> io::Result<()> {
///     # let _ = write;
///     // … to a disk, whole or not at all
///     Ok(())
/// }
///
/// #[derive(Default)]
/// struct Disk { writer: Option<mpsc::Sender<Write>> }
///
/// #[async_trait::async_trait]
/// impl LogStorage for Disk {
///     async fn open(&mut self, persisted: Persisted) -> Result<Restored, StorageError> {
///         let (writer, writes) = mpsc::channel::<Write>();
///         self.writer = Some(writer);
///         std::thread::spawn(move || { // it ends with the storage
///             for write in writes {
///                 match save(&write) {
///                     Ok(()) => persisted.advance(write.id),
///                     Err(error) => return persisted.fail(StorageError::caused_by("cannot write the log", error)),
///                 }
///             }
///         });
///         Ok(Restored::default()) // what an earlier start has left
///     }
///
///     fn append(&mut self, write: Write) -> Result<Appended, StorageError> {
///         let writer = self.writer.as_ref().ok_or_else(|| StorageError::new("the log is not open"))?;
///         writer.send(write).map_err(|_| StorageError::new("the writer is gone"))?;
///         Ok(Appended::Pending)
///     }
///
///     async fn close(&mut self) {
///         self.writer = None; // one that waits for its thread here lets a process end with nothing under way
///     }
///
///     fn stage(&mut self) -> Box<dyn Stage> {
///         Box::new(MemoryStage::default()) // or a file, for states larger than memory
///     }
/// }
/// # use vsr_actor::{Builder, ReplicaId, prelude::*};
/// # #[derive(Default, Serialize, Deserialize)]
/// # struct Counter { total: i64 }
/// # impl StateMachine for Counter {
/// #     type Operation = i64;
/// #     type Reply = i64;
/// #     fn handle_commit(&mut self, _commit: &Commit, add: i64) -> i64 { self.total += add; self.total }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let id = ReplicaId(0);
/// # let replica = Builder::new(id, [id], Counter::default()).storage(Disk::default()).start().await?;
/// # assert_eq!(replica.client().request(5).await?, 5);
/// # Ok(replica.shutdown().await?)
/// # }
/// ```
#[async_trait::async_trait]
pub trait LogStorage: Send + 'static {
    /// Reads what earlier starts left. Called once, before anything else; `persisted` belongs to this start.
    ///
    /// A storage that may have lost entries it had reported as durable says [`LogState::Lost`](vsr_core::LogState::Lost), and goes on
    /// saying so until a write with [`reset`](Write::reset) is durable; then the replica gets its log from the others. The record it
    /// must never lose.
    ///
    /// # Errors
    /// When the storage cannot be read; the replica then does not start.
    async fn open(&mut self, persisted: Persisted) -> Result<Restored, StorageError>;

    /// Makes a write durable, whole or not at all, after all writes before it. One with [`reset`](Write::reset) makes void
    /// everything but the record, before the rest of it is added.
    ///
    /// # Errors
    /// When that is impossible. The replica stops; the write is not tried again.
    fn append(&mut self, write: Write) -> Result<Appended, StorageError>;

    /// A place for a state that is about to be written out or received. What comes of it may be in the snapshot of a later write; or
    /// nothing comes of it. It must not block. Without it a state is kept in memory, whole.
    fn stage(&mut self) -> Box<dyn Stage> {
        Box::new(MemoryStage::default())
    }

    /// The replica has ended, and nothing will be added: finishes what is under way. Nothing depends on it, for a storage must be
    /// found as it was promised also if it was dropped without this; but a process that is about to end had better wait.
    async fn close(&mut self) {}
}

/// How far a write got within the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is durable.
    Done,
    /// It is under way; [`Persisted`] will tell.
    Pending,
}

/// Tells a replica which writes are durable. A watermark: it only grows, telling never waits, and nothing told can be lost.
///
/// ```
/// use std::time::Duration;
/// use vsr_actor::vsr_core::WriteId;
/// use vsr_actor::{Persisted, StorageError};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let persisted = Persisted::default(); // a replica hands one to `LogStorage::open`; here we are the replica
/// persisted.note("a write that was never finished was cut");
/// persisted.stalled(StorageError::new("there is no room on the disk"));
/// persisted.flushed(4096, Duration::from_micros(120));
/// persisted.advance(WriteId { boot: 1, sequence: 7 }); // so there is room again
/// persisted.changed().await;
/// assert!(persisted.sequence() == 7 && persisted.error().is_none());
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Persisted(Arc<Watermark>);

#[derive(Debug, Default)]
struct Watermark {
    sequence: AtomicU64,
    error: OnceLock<StorageError>,
    /// What an observer hears of, and nobody else.
    news: Mutex<News>,
    /// Whether there is any: asked in each turn.
    has_news: AtomicBool,
    notify: Arc<Notify>,
}

/// What happened in a storage since the replica last looked.
#[derive(Clone, Debug, Default)]
pub(crate) struct News {
    /// Flushes: how many bytes each, and how long it took.
    pub(crate) flushes: Vec<(u64, Duration)>,
    pub(crate) notes: Vec<String>,
    /// The storage has no room, or has got some again. The error stays as long as it stands.
    pub(crate) stalled: Option<StorageError>,
    pub(crate) stall_changed: bool,
}

/// So many flushes are remembered for a replica that does not look.
const FLUSHES_MAX: usize = 1024;

impl Persisted {
    /// This write and all before it are durable. If the storage had [stalled](Self::stalled), it goes on.
    pub fn advance(&self, write: WriteId) {
        self.0.sequence.fetch_max(write.sequence, Ordering::AcqRel);
        let mut news = self.news();
        news.stall_changed |= news.stalled.take().is_some();
        drop(news);
        self.0.notify.notify_one();
    }

    /// Writes wait for something that may come back by itself: room on the disk. The replica stops acknowledging, goes on reading, and
    /// is as before when the next write is durable.
    pub fn stalled(&self, error: StorageError) {
        let mut news = self.news();
        news.stall_changed |= news.stalled.is_none();
        news.stalled = Some(error);
        drop(news);
        self.0.notify.notify_one();
    }

    /// So many bytes were flushed, and it took so long: for the metrics.
    pub fn flushed(&self, bytes: u64, took: Duration) {
        let mut news = self.news();
        if news.flushes.len() < FLUSHES_MAX {
            news.flushes.push((bytes, took));
        }
    }

    /// Something that an operator should know: what was found damaged, and what was done about it.
    pub fn note(&self, what: impl Into<String>) {
        self.news().notes.push(what.into());
        self.0.notify.notify_one();
    }

    fn news(&self) -> MutexGuard<'_, News> {
        // Every change under it is a single assignment.
        let news = self.0.news.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.has_news.store(true, Ordering::Release);
        news
    }

    /// A pending write failed: the replica stops. Only the first error counts.
    pub fn fail(&self, error: StorageError) {
        let _ = self.0.error.set(error);
        self.0.notify.notify_one();
    }

    /// What is new since the last time, if anything is.
    pub(crate) fn take_news(&self) -> Option<News> {
        if !self.0.has_news.load(Ordering::Acquire) {
            return None;
        }
        let mut news = self.news();
        self.0.has_news.store(false, Ordering::Release);
        let stalled = news.stalled.clone();
        Some(std::mem::replace(&mut *news, News { stalled, ..News::default() }))
    }

    /// Why the storage waits, if it does.
    pub(crate) fn why_stalled(&self) -> Option<StorageError> {
        self.news().stalled.clone()
    }

    /// The sequence of the latest durable write; 0 before the first. For whoever tests a storage.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.0.sequence.load(Ordering::Acquire)
    }

    /// Why a write failed, if one did. For whoever tests a storage.
    #[must_use]
    pub fn error(&self) -> Option<&StorageError> {
        self.0.error.get()
    }

    /// The same as [`changed`](Self::changed), to be kept and polled again and again.
    pub(crate) fn next_change(&self) -> OwnedNotified {
        self.0.notify.clone().notified_owned()
    }

    /// Waits until something was told since the last time, for whoever tests a storage. Cancel-safe.
    pub async fn changed(&self) {
        self.0.notify.notified().await;
    }
}

/// A storage that failed, and how.
#[derive(Clone)]
pub struct StorageError {
    what: String,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl StorageError {
    /// An error that says in words what could not be done.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), source: None }
    }

    /// The same, with what caused it.
    pub fn caused_by(what: impl Into<String>, source: impl Error + Send + Sync + 'static) -> Self {
        Self { what: what.into(), source: Some(Arc::new(source)) }
    }
}

impl fmt::Debug for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StorageError").field("what", &self.what).field("source", &self.source).finish()
    }
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Error for StorageError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}
