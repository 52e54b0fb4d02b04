//! Disks without room: nothing is acknowledged, reads go on, and what had waited is done when there is room again.

use super::wire::Peer;
use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};
use vsr_actor::vsr_core::{Restored, Write};
use vsr_actor::{
    Appended, Builder, Handle, InProcessNetwork, LogStorage, MemoryStorage, Persisted, ReplicaId,
    StorageError,
};
use vsr_kv::{
    group::{Front, Member},
    server::{Settings, serve},
    store::Store,
};

/// A storage that has no room while the test says so.
#[derive(Clone)]
struct Narrow {
    disk: Arc<Mutex<Disk>>,
    /// How many writes wait for room.
    waiting: Arc<watch::Sender<usize>>,
}

#[derive(Default)]
struct Disk {
    kept: MemoryStorage,
    is_full: bool,
    waiting: Vec<Write>,
    persisted: Option<Persisted>,
}

impl Narrow {
    fn new() -> Self {
        Self { disk: Arc::default(), waiting: Arc::new(watch::channel(0).0) }
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().expect("no panic")
    }

    fn fill(&self) {
        self.disk().is_full = true;
    }

    fn make_room(&self) {
        let mut disk = self.disk();
        disk.is_full = false;
        for write in std::mem::take(&mut disk.waiting) {
            let id = write.id;
            disk.kept.append(write).expect("memory takes all");
            disk.persisted.as_ref().expect("it was opened").advance(id);
        }
    }

    async fn wait_until_stuck(&self) {
        let mut waiting = self.waiting.subscribe();
        waiting.wait_for(|waiting| *waiting > 0).await.expect("the storage is there");
    }
}

#[async_trait::async_trait]
impl LogStorage for Narrow {
    async fn open(&mut self, persisted: Persisted) -> Result<Restored, StorageError> {
        let mut kept = {
            let mut disk = self.disk();
            disk.persisted = Some(persisted.clone());
            disk.kept.clone()
        };
        kept.open(persisted).await
    }

    fn append(&mut self, write: Write) -> Result<Appended, StorageError> {
        let mut disk = self.disk();
        if !disk.is_full {
            return disk.kept.append(write);
        }
        disk.waiting.push(write);
        self.waiting.send_replace(disk.waiting.len());
        Ok(Appended::Pending)
    }
}

#[tokio::test]
async fn with_full_disks_nothing_is_acknowledged_and_reads_go_on() {
    let ids = [0, 1, 2].map(ReplicaId);
    let (network, mut tasks) = (InProcessNetwork::default(), JoinSet::new());
    let (mut replicas, mut disks): (Vec<Handle<Store>>, Vec<Narrow>) = Default::default();
    for id in ids {
        let ((transport, mut arrivals), disk) = (network.connect(id, 1024), Narrow::new());
        let builder = Builder::new(id, ids, Store::default()).transport(transport).storage(disk.clone());
        let replica = builder.start().await.expect("a valid configuration");
        disks.push(disk);
        replicas.push(replica.clone());
        tasks.spawn(async move {
            while let Some(message) = arrivals.recv().await {
                replica.deliver(message);
            }
        });
    }
    let (stop, stopped) = watch::channel(false);
    let mut ports = Vec::new();
    for (id, replica) in ids.into_iter().zip(&replicas) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        ports.push(listener.local_addr().expect("a bound socket").port());
        let group = Member::new(replica.clone(), ids.to_vec());
        let front = Front::new(group, id, &replica.client(), Duration::from_secs(60));
        let served = serve(listener, front, Settings::default(), stopped.clone());
        tasks.spawn(async move { served.await.expect("a listener with an address") });
    }
    let mut writer = Peer::connect(ports[0]).await;
    assert_eq!(writer.ask("SET k old").await, "+OK");
    disks.iter().for_each(Narrow::fill);
    writer.send(b"SET k new\r\nGET k\r\n").await;
    for disk in &disks {
        disk.wait_until_stuck().await;
    }
    for port in &ports {
        let mut reader = Peer::connect(*port).await;
        reader.send("GET k\r\n".repeat(50).as_bytes()).await;
        reader.expect(&"$3\r\nold\r\n".repeat(50)).await;
        assert_eq!(reader.ask("DBSIZE").await, ":1");
    }
    disks.iter().for_each(Narrow::make_room);
    // Nobody had to ask again.
    writer.expect("+OK\r\n$3\r\nnew\r\n").await;
    drop(writer);
    stop.send_replace(true);
    for replica in replicas {
        replica.shutdown().await.expect("a healthy replica");
    }
    tasks.shutdown().await;
}
