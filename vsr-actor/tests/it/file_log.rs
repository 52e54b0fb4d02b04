//! Replicas whose logs are in files of a real disk. Time is not paused here: a disk does not stand still with the runtime.

use crate::common::{Ask, Journal, add, read};
use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};
use vsr_actor::{
    Builder, Cluster, Config, FileLog, Handle, LogStorage, Persisted, ReplicaError, ReplicaId,
    vsr_core::{Entry, LogState},
};

/// A directory that goes with the test.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let (process, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Self(std::env::temp_dir().join(format!("vsr-file-log-{process}-{count}")))
    }

    pub(crate) fn files(&self, replica: &str, prefix: &str) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.0.join(replica)).expect("it was made");
        let paths = entries.map(|entry| entry.expect("it can be read").path());
        let named =
            |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix));
        let mut paths: Vec<_> = paths.filter(named).collect();
        paths.sort();
        paths
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const ALONE: ReplicaId = ReplicaId(0);

async fn alone(directory: &Path) -> Result<Handle<Journal>, ReplicaError> {
    Builder::new(ALONE, [ALONE], Journal::default()).data_dir(directory).start().await
}

#[tokio::test]
async fn a_cluster_comes_back_from_its_directories() {
    let directory = Directory::new();
    let start = || {
        let mut config = Config::default();
        config.limits.snapshot_interval_ops = 8;
        config.limits.log_keep_ops = 8;
        Cluster::builder(3, Journal::default).config(config).data_dir(&directory.0).start()
    };
    for round in 0..3 {
        let cluster = start().await.expect("the directories are good");
        for item in 0..20 {
            let count = add(&cluster.client(), round * 20 + item).await.expect("there is a quorum");
            assert_eq!(count, round * 20 + item + 1);
        }
        if round == 1 {
            // The whole process, for all that the directories know.
            for id in cluster.ids() {
                cluster.crash(*id).await.expect("it runs");
            }
        } else {
            cluster.shutdown().await.expect("nothing failed");
        }
    }
    assert_eq!(directory.files("replica-1", "snapshot-").len(), 2, "two are kept");
}

#[tokio::test]
async fn what_a_replica_loses_it_gets_back_and_a_wiped_one_is_a_stranger() {
    let directory = Directory::new();
    let cluster =
        Cluster::builder(3, Journal::default).data_dir(&directory.0).start().await.expect("it is new");
    for item in 0..5 {
        add(&cluster.client(), item).await.expect("there is a quorum");
    }
    let id = cluster.ids()[2];
    cluster.crash(id).await.expect("it runs");
    cluster.lose_log(id).expect("it is down");
    cluster.restart(id).await.expect("the record is there");
    cluster.await_convergence().await.expect("it gets its log back");
    while cluster.handle(id).expect("it runs").dump().await.expect("it runs").pending_writes > 0 {
        tokio::task::yield_now().await;
    }
    // A bit has turned in the middle of its log.
    cluster.crash(id).await.expect("it runs");
    let log = directory.files("replica-2", "log-").remove(0);
    let mut bytes = std::fs::read(&log).expect("it can be read");
    bytes[600] ^= 1;
    std::fs::write(&log, bytes).expect("it can be written");
    cluster.restart(id).await.expect("the record is there");
    cluster.await_convergence().await.expect("it gets its log back");
    add(&cluster.client_at(id).expect("it is a member"), 5).await.expect("it takes part");
    cluster.crash(id).await.expect("it runs");
    cluster.wipe(id).expect("it is down");
    assert_eq!(directory.files("replica-2", "record").len(), 0);
    cluster.restart(id).await.expect("it does not know yet");
    let ended = cluster.handle(id).expect("it was started").join().await;
    assert!(matches!(ended, Err(ReplicaError::Fenced(_))), "{ended:?}");
}

#[tokio::test]
async fn a_directory_has_one_user_at_a_time() {
    let directory = Directory::new();
    let first = alone(&directory.0).await.expect("it is new");
    let error = alone(&directory.0).await.expect_err("it is in use").to_string();
    assert!(error.contains("in use") && error.contains(&*directory.0.to_string_lossy()), "{error}");
    first.shutdown().await.expect("nothing failed");
    // Dropped in the middle of whatever it does, it is free as soon as nobody writes to it.
    for item in 0..20 {
        let running = alone(&directory.0).await.expect("it is free");
        let client = running.client();
        let asking = tokio::spawn(async move { add(&client, item).await });
        for _ in 0..item {
            tokio::task::yield_now().await;
        }
        drop(running);
        asking.abort();
    }
    alone(&directory.0).await.expect("it is in order").shutdown().await.expect("nothing failed");
}

#[tokio::test]
async fn what_cannot_be_a_directory_is_told() {
    let directory = Directory::new();
    std::fs::create_dir_all(&directory.0).expect("there is room");
    let file = directory.0.join("file");
    std::fs::write(&file, "in the way").expect("there is room");
    let error = alone(&file).await.expect_err("it is a file").to_string();
    assert!(error.contains("file"), "{error}");
    let error = alone(&file.join("below")).await.expect_err("it is below a file").to_string();
    assert!(error.contains("make the directory"), "{error}");
}

#[tokio::test]
async fn another_replicas_directory_is_refused() {
    let directory = Directory::new();
    alone(&directory.0).await.expect("it is new").shutdown().await.expect("nothing failed");
    let other = ReplicaId(1);
    let error = Builder::new(other, [other], Journal::default()).data_dir(&directory.0).start().await;
    let error = error.expect_err("it is replica 0's").to_string();
    assert!(error.contains("R0") && error.contains("R1"), "{error}");
}

#[tokio::test]
async fn a_write_may_be_larger_than_a_segment() {
    let directory = Directory::new();
    let start = || {
        let log = FileLog::new(&directory.0).segment_bytes(64 << 10);
        Builder::new(ALONE, [ALONE], Journal::default()).storage(log).start()
    };
    let replica = start().await.expect("it is new");
    for bytes in [10, 3 << 20, 10, 100 << 10] {
        replica.client().request(Ask::Pad(vec![7; bytes])).await.expect("it runs");
    }
    replica.shutdown().await.expect("nothing failed");
    let mut storage = FileLog::new(&directory.0);
    let restored = storage.open(Persisted::default()).await.expect("it is free");
    assert_eq!(restored.log, LogState::Intact);
    let sizes: Vec<_> = restored.entries.iter().map(Entry::bytes).filter(|bytes| *bytes > 50).collect();
    assert!(sizes[0] > 3 << 20 && sizes[1] > 100 << 10 && sizes.len() == 2, "{sizes:?}");
    drop(storage);
    assert_eq!(read(&start().await.expect("it is good").client()).await, []);
}
