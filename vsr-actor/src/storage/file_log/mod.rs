//! A log in a directory. What is in its files, and what becomes of them when a disk does what disks do: docs/storage.md.

mod batch;
mod engine;
mod files;
mod format;
mod lock;
mod marker;
mod opening;
mod scan;
mod segment;
mod shelf;
mod slots;
mod stage;
#[cfg(test)]
mod tests;
mod writer;

use super::{Appended, LogStorage, Persisted, Stage, StorageError};
use engine::Options;
use files::{Directory, Files};
use stage::FileStage;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use vsr_core::{Restored, Write};
use writer::Writer;

/// What it means that a write is done. The record of which views a replica has promised is always flushed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// It survives the machine: it was flushed to the disk. What waits at the same time shares one flush.
    #[default]
    Sync,
    /// It survives the process: the operating system has it, and it is flushed after this time at the latest. A replica whose machine
    /// went down without a clean end takes its log for lost and gets it back from the others; if the machines of so many go down at
    /// once that no majority is left with a log, the group stops and what was not on all disks may be gone.
    Interval(Duration),
    /// As [`Interval`](Self::Interval), but the operating system flushes when it likes.
    None,
}

/// Keeps the log, the record and the snapshots of one replica in a directory of their own.
///
/// Nothing is touched before the replica starts; then the directory is made if there is none, and locked. A directory that was used by
/// another replica, cluster or version is refused, and so is one that lacks the record of what the replica has promised. A log that is
/// damaged is not used: the replica gets it from the others.
///
/// Snapshots are streamed into files, and restored from them, so they may be larger than memory.
///
/// ```
/// use vsr_actor::{Builder, FileLog, ReplicaId, prelude::*};
///
/// # #[derive(Default, Serialize, Deserialize)]
/// # struct Counter { total: i64 }
/// # impl StateMachine for Counter {
/// #     type Operation = i64;
/// #     type Reply = i64;
/// #     fn handle_commit(&mut self, _commit: &Commit, add: i64) -> i64 { self.total += add; self.total }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = std::env::temp_dir().join(format!("vsr-doc-file-log-{}", std::process::id()));
/// let id = ReplicaId(0);
/// let start = || Builder::new(id, [id], Counter::default()).storage(FileLog::new(&directory)).start();
/// let first = start().await?;
/// assert_eq!(first.client().request(5).await?, 5);
/// first.shutdown().await?;
/// let second = start().await?; // as after a crash, or of another process
/// assert_eq!(second.client().request(7).await?, 12);
/// second.shutdown().await?;
/// # std::fs::remove_dir_all(&directory)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FileLog {
    directory: PathBuf,
    durability: Durability,
    segment_bytes: u64,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    writer: Writer,
    files: Arc<dyn Files>,
}

impl FileLog {
    /// A log in this directory.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            durability: Durability::default(),
            segment_bytes: 16 << 20,
            open: None,
        }
    }

    /// What it means that a write is done. Default: [`Durability::Sync`].
    ///
    /// ```
    /// use std::time::Duration;
    /// use vsr_actor::{Durability, FileLog};
    ///
    /// let log = FileLog::new("data").durability(Durability::Interval(Duration::from_millis(100))).segment_bytes(64 << 20);
    /// assert_eq!(log.directory(), std::path::Path::new("data"));
    /// ```
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// The size of the files that the log is made of; one that is larger is made for a write that is. Two are there at least, one of
    /// them prepared. Default: 16 MiB.
    #[must_use]
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes;
        self
    }

    /// Where it is.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Removes everything, as if the disk were lost. The replica that uses it must be stopped; what starts here next is a new one, and
    /// the group takes it for a stranger. Blocks for as long as that takes.
    ///
    /// # Errors
    /// The directory is in use, or cannot be changed.
    ///
    /// ```
    /// # use vsr_actor::{FileLog, StorageError};
    /// fn replace_disk(directory: &str) -> Result<(), StorageError> {
    ///     FileLog::new(directory).wipe()
    /// }
    /// ```
    pub fn wipe(&self) -> Result<(), StorageError> {
        self.remove(|_| true)
    }

    /// Removes the log and the snapshots, but not the record of who the replica is and what it promised: it will get its log back from
    /// the others. The replica that uses it must be stopped. Blocks for as long as that takes.
    ///
    /// # Errors
    /// The directory is in use, or cannot be changed.
    pub fn lose_log(&self) -> Result<(), StorageError> {
        self.remove(|name| segment::number(name).is_some() || shelf::is_snapshot(name))
    }

    /// Removes the files that are `unwanted`, but for the one that the lock is on.
    fn remove(&self, unwanted: impl Fn(&str) -> bool) -> Result<(), StorageError> {
        if !self.directory.exists() {
            return Ok(());
        }
        let _lock = lock::take(&self.directory)?;
        let files = Directory(self.directory.clone());
        let remove = || {
            for name in files.list()?.iter().filter(|name| **name != lock::NAME && unwanted(name)) {
                files.remove(name)?;
            }
            files.sync_names()
        };
        remove().map_err(|error| files::failed(&files, "remove files from", "", error))
    }

    fn options(&self) -> Options {
        let Self { durability, segment_bytes, .. } = *self;
        Options { durability, segment_bytes, prepare_ahead: true, boot: marker::boot() }
    }
}

#[async_trait::async_trait]
impl LogStorage for FileLog {
    async fn open(&mut self, persisted: Persisted) -> Result<Restored, StorageError> {
        let (directory, options) = (self.directory.clone(), self.options());
        let opening = move || open(directory, options, persisted);
        let opened = tokio::task::spawn_blocking(opening).await;
        let (open, restored) =
            opened.map_err(|error| StorageError::caused_by("opening the log was given up", error))??;
        self.open = Some(open);
        Ok(restored)
    }

    fn append(&mut self, write: Write) -> Result<Appended, StorageError> {
        let Some(open) = &self.open else { return Err(StorageError::new("the log is not open")) };
        if open.writer.append(write) {
            Ok(Appended::Pending)
        } else {
            Err(StorageError::new("the log's writer has ended"))
        }
    }

    fn stage(&mut self) -> Box<dyn Stage> {
        match &self.open {
            Some(open) => Box::new(FileStage::new(open.files.clone())),
            None => Box::new(super::MemoryStage::default()),
        }
    }

    async fn close(&mut self) {
        if let Some(mut open) = self.open.take() {
            open.writer.close().await;
        }
    }
}

fn open(
    directory: PathBuf,
    options: Options,
    persisted: Persisted,
) -> Result<(Open, Restored), StorageError> {
    let failed = |what: &str, error: std::io::Error| {
        StorageError::caused_by(format!("cannot {what} {}: {error}", directory.display()), error)
    };
    fs::create_dir_all(&directory).map_err(|error| failed("make the directory", error))?;
    let lock = lock::take(&directory)?;
    let files: Arc<dyn Files> = Arc::new(Directory(directory.clone()));
    let opened = opening::open(files.clone(), options)?;
    for note in opened.notes {
        persisted.note(format!("{}: {note}", directory.display()));
    }
    let writer = Writer::start(opened.engine, lock, persisted);
    let writer = writer.map_err(|error| failed("start a thread for", error))?;
    Ok((Open { writer, files }, opened.restored))
}
