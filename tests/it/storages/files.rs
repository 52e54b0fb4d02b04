//! The storage in files: with each durability, and with segments so small that all of them are used many times.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use vsr_actor::{Durability, FileLog};
use vsr_test::storage_conformance::Place;

/// A directory that goes with the test.
struct Directory {
    path: PathBuf,
    durability: Durability,
    segment_bytes: u64,
}

impl Directory {
    fn new(durability: Durability, segment_bytes: u64) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let (process, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(format!("vsr-storage-{process}-{count}"));
        Self { path, durability, segment_bytes }
    }
}

impl Place for Directory {
    type Storage = FileLog;

    fn storage(&mut self) -> FileLog {
        FileLog::new(&self.path).durability(self.durability).segment_bytes(self.segment_bytes)
    }

    fn lose_log(&mut self) -> bool {
        self.storage().lose_log().expect("nobody uses it");
        true
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

mod sync {
    vsr_test::storage_conformance!(|| super::Directory::new(super::Durability::Sync, 4096));
}

mod interval {
    vsr_test::storage_conformance!(|| {
        let now_and_then = super::Duration::from_millis(1);
        super::Directory::new(super::Durability::Interval(now_and_then), 64 << 10)
    });
}

mod none {
    vsr_test::storage_conformance!(|| super::Directory::new(super::Durability::None, 1 << 20));
}
