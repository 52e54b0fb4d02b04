//! A state on its way into a snapshot: a temporary file, with room in front for the header of the snapshot that it may become.

use super::{
    files::{DataFile, Files},
    format::SECTOR,
};
use crate::Stage;
use bytes::Bytes;
use std::{
    fmt,
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};
use vsr_core::{Blob, BlobError, State, StateDigest};

const PREFIX: &str = "stage-";

/// Where the state begins in the file: behind the snapshot's header.
pub(super) const STATE_AT: u64 = SECTOR as u64;

/// So much is written at a time.
pub(super) const BUFFER: usize = 256 << 10;

/// So much is left to be flushed at most. A flush of all of a large state at its end would keep the disk from the log's flushes: the
/// group's clients would wait for it.
pub(super) const UNFLUSHED_MAX: u64 = 1 << 20;

/// No two stages of a process have the same name: one that a replica has left behind may still be under way when the next one starts.
static COUNTER: AtomicU64 = AtomicU64::new(0);

/// Whether it is a temporary file, which a crash has left.
pub(super) fn is_stage(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// Takes a state in.
pub(super) struct FileStage {
    files: Arc<dyn Files>,
    /// Made with the first byte: a stage is handed out where nothing may block.
    file: Option<Arc<FileBlob>>,
    buffer: Vec<u8>,
    written: u64,
    flushed: u64,
    digest: StateDigest,
}

/// The state in a file. As long as it belongs to no snapshot the file goes with the last reference.
pub(super) struct FileBlob {
    pub(super) files: Arc<dyn Files>,
    pub(super) file: Arc<dyn DataFile>,
    pub(super) name: String,
    pub(super) temporary: AtomicBool,
    /// Known when all is written.
    bytes: AtomicU64,
}

impl FileStage {
    pub(super) fn new(files: Arc<dyn Files>) -> Self {
        Self { files, file: None, buffer: Vec::new(), written: 0, flushed: 0, digest: StateDigest::new() }
    }

    fn file(&mut self) -> io::Result<Arc<FileBlob>> {
        if let Some(file) = &self.file {
            return Ok(file.clone());
        }
        let (files, name) =
            (self.files.clone(), format!("{PREFIX}{}", COUNTER.fetch_add(1, Ordering::Relaxed)));
        let file = files.create(&name)?;
        let blob = FileBlob { files, file, name, temporary: AtomicBool::new(true), bytes: AtomicU64::new(0) };
        Ok(self.file.insert(Arc::new(blob)).clone())
    }

    fn write_out(&mut self) -> io::Result<()> {
        let blob = self.file()?;
        blob.file.write_at(STATE_AT + self.written, &self.buffer)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        if self.written - self.flushed >= UNFLUSHED_MAX {
            blob.file.sync()?;
            self.flushed = self.written;
        }
        Ok(())
    }

    /// All is written; the file is flushed here rather than when the log's writer needs it.
    pub(super) fn finish_file(mut self) -> io::Result<State> {
        self.write_out()?;
        let blob = self.file()?;
        blob.file.sync()?;
        blob.bytes.store(self.written, Ordering::Release);
        Ok(State::new(blob, self.digest.finish()))
    }
}

impl Write for FileStage {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.digest.update(bytes);
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER {
            self.write_out()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stage for FileStage {
    fn finish(self: Box<Self>) -> io::Result<State> {
        self.finish_file()
    }
}

impl FileBlob {
    /// The state of a snapshot that is there.
    pub(super) fn of_snapshot(
        files: Arc<dyn Files>,
        file: Arc<dyn DataFile>,
        name: String,
        bytes: u64,
    ) -> Self {
        Self { files, file, name, temporary: AtomicBool::new(false), bytes: AtomicU64::new(bytes) }
    }
}

impl Blob for FileBlob {
    fn len(&self) -> u64 {
        self.bytes.load(Ordering::Acquire)
    }

    fn read(&self, offset: u64, bytes_max: usize) -> Result<Bytes, BlobError> {
        let length = self.len().saturating_sub(offset).min(bytes_max as u64) as usize;
        let mut bytes = vec![0; length];
        let read = self.file.read_at(STATE_AT + offset.min(self.len()), &mut bytes);
        read.map_err(|error| {
            BlobError::new(format!("cannot read {}: {error}", self.files.path(&self.name)))
        })?;
        Ok(bytes.into())
    }
}

impl Drop for FileBlob {
    fn drop(&mut self) {
        if self.temporary.load(Ordering::Acquire) {
            // If that fails, the next start removes it.
            let _ = self.files.remove(&self.name);
        }
    }
}

impl fmt::Debug for FileBlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileBlob({}, {} bytes)", self.files.path(&self.name), self.len())
    }
}
