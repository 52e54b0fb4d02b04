//! Where the replicas of a cluster keep what must survive a crash.

use crate::{Builder, FileLog, MemoryStorage, StateMachine, StorageError};
use std::path::{Path, PathBuf};
use vsr_core::ReplicaId;

/// The place of one replica.
pub(super) enum Kept {
    Memory(MemoryStorage),
    Directory(PathBuf),
}

impl Kept {
    pub(super) fn new(data_dir: Option<&Path>, id: ReplicaId) -> Self {
        let own = |directory: &Path| Self::Directory(directory.join(format!("replica-{}", id.0)));
        data_dir.map_or_else(|| Self::Memory(MemoryStorage::default()), own)
    }

    /// A replica that starts on it.
    pub(super) fn give<M: StateMachine>(&self, builder: Builder<M>) -> Builder<M> {
        match self {
            Self::Memory(storage) => builder.storage(storage.clone()),
            Self::Directory(directory) => builder.data_dir(directory),
        }
    }

    pub(super) fn wipe(&self) -> Result<(), StorageError> {
        match self {
            Self::Memory(storage) => storage.wipe(),
            Self::Directory(directory) => FileLog::new(directory).wipe()?,
        }
        Ok(())
    }

    pub(super) fn lose_log(&self) -> Result<(), StorageError> {
        match self {
            Self::Memory(storage) => storage.lose_log(),
            Self::Directory(directory) => FileLog::new(directory).lose_log()?,
        }
        Ok(())
    }
}
