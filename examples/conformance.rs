//! The transport of `custom_transport.rs` keeps the duties of a transport, and the storage of `log_on_disk.rs` its word.

#[path = "custom_transport.rs"]
#[expect(dead_code, reason = "only its transport is used here")]
mod custom_transport;
#[path = "log_on_disk.rs"]
#[expect(dead_code, reason = "only its storage is used here")]
mod log_on_disk;

use bytes::Bytes;
use custom_transport::Wires;
use std::sync::Arc;
use tokio::{
    sync::{Mutex, mpsc},
    task::JoinHandle,
};
use vsr_actor::{Message, ReplicaId};
use vsr_test::transport_conformance::{Inbox, Network};

/// The wires are there from the start; who reads them comes and goes.
struct Channels {
    wires: Vec<mpsc::Sender<Bytes>>,
    ends: Vec<Arc<Mutex<mpsc::Receiver<Bytes>>>>,
    readers: Vec<Option<JoinHandle<()>>>,
}

impl Channels {
    fn new(ids: &[ReplicaId]) -> Self {
        let (wires, ends): (Vec<_>, Vec<_>) = ids.iter().map(|_| mpsc::channel(1024)).unzip();
        let ends = ends.into_iter().map(|end| Arc::new(Mutex::new(end))).collect();
        Self { wires, ends, readers: ids.iter().map(|_| None).collect() }
    }
}

impl Network for Channels {
    type Transport = Wires;

    async fn connect(&mut self, id: ReplicaId, inbox: Inbox) -> Wires {
        let end = self.ends[id.0 as usize].clone();
        let read = async move {
            let mut end = end.lock().await;
            while let Some(bytes) = end.recv().await {
                if let Ok(message) = Message::decode(bytes) {
                    inbox.deliver(message);
                }
            }
        };
        self.readers[id.0 as usize] = Some(tokio::spawn(read));
        Wires(self.wires.clone())
    }

    async fn disconnect(&mut self, id: ReplicaId) {
        if let Some(reader) = self.readers[id.0 as usize].take() {
            reader.abort();
            let _ = reader.await;
        }
    }
}

vsr_test::transport_conformance!(Channels::new, start_paused = true);

/// The storage of `log_on_disk.rs` keeps its word.
mod storage {
    use super::log_on_disk::LogOnDisk;
    use std::{
        path::PathBuf,
        sync::atomic::{AtomicU32, Ordering},
    };
    use vsr_test::storage_conformance::Place;

    /// A file that goes with the test.
    struct OneFile(PathBuf);

    impl OneFile {
        fn new() -> Self {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let (process, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
            Self(std::env::temp_dir().join(format!("vsr-log-on-disk-{process}-{count}")))
        }
    }

    impl Drop for OneFile {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    impl Place for OneFile {
        type Storage = LogOnDisk;

        fn storage(&mut self) -> LogOnDisk {
            LogOnDisk::new(&self.0)
        }
    }

    vsr_test::storage_conformance!(OneFile::new);
}
