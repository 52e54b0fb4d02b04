//! One user at a time: a lock on a file of the directory. It goes with the process, whatever ends it.

use crate::StorageError;
use std::{
    fs::{File, OpenOptions, TryLockError},
    path::Path,
    thread,
    time::{Duration, Instant},
};

pub(super) const NAME: &str = "lock";

/// How long to wait for whoever has it: a writer of this process that is about to end needs no more than a flush.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(5);

/// Held as long as this lives.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "closing the file unlocks it")] File);

/// Takes the lock. May block.
pub(super) fn take(directory: &Path) -> Result<Lock, StorageError> {
    let path = directory.join(NAME);
    let failed = |what: &str, error: std::io::Error| {
        StorageError::caused_by(format!("cannot {what} {}: {error}", path.display()), error)
    };
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(false).open(&path);
    let file = file.map_err(|error| failed("open", error))?;
    let until = Instant::now() + PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Lock(file)),
            Err(TryLockError::WouldBlock) if Instant::now() < until => thread::sleep(PAUSE),
            Err(TryLockError::WouldBlock) => {
                return Err(StorageError::new(format!(
                    "{} is in use by another replica or process: stop that one, or give this replica a directory of its own",
                    directory.display()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(failed("lock", error)),
        }
    }
}
