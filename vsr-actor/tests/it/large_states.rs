//! States larger than memory: taken, sent, received and restored, they are nowhere whole but where the storage keeps them. And what
//! happens when that has no room, or cannot be read.

use crate::file_log::Directory;
use bytes::Bytes;
use std::{
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{sync::mpsc, task::JoinSet, time::timeout};
use vsr_actor::{
    Appended, Builder, Client, Config, Frozen, Handle, InProcessNetwork, LogStorage, MemoryStorage,
    Persisted, Record, ReplicaId, Stage, StorageError,
    prelude::*,
    vsr_core::{Blob, BlobError, Restored, State, StateDigest, Write},
};

/// Most that may be asked for, or written, at once.
const PIECE_BYTES: usize = 64 << 10;
const STATE_BYTES: usize = 128 * PIECE_BYTES;
/// Of paused time.
const PATIENCE: Duration = Duration::from_secs(120);
const IDS: [ReplicaId; 3] = [ReplicaId(0), ReplicaId(1), ReplicaId(2)];

/// The disks of a test, and what was read from them and is in memory.
#[derive(Default)]
struct Disks {
    in_memory: AtomicUsize,
    most: AtomicUsize,
    read: AtomicUsize,
    no_room: AtomicBool,
    unreadable: AtomicBool,
}

/// Bytes that were read.
struct InMemory {
    bytes: Vec<u8>,
    disks: Arc<Disks>,
}

impl AsRef<[u8]> for InMemory {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for InMemory {
    fn drop(&mut self) {
        self.disks.in_memory.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}

/// Bytes on a disk.
struct File {
    bytes: Vec<u8>,
    digest: StateDigest,
    disks: Arc<Disks>,
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "File({} bytes)", self.bytes.len())
    }
}

impl io::Write for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        assert!(bytes.len() <= PIECE_BYTES, "{} bytes at once", bytes.len());
        if self.disks.no_room.load(Ordering::Relaxed) {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "the disk is full"));
        }
        self.digest.update(bytes);
        self.bytes.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stage for File {
    fn finish(self: Box<Self>) -> io::Result<State> {
        let digest = self.digest.finish();
        Ok(State::new(Arc::new(*self), digest))
    }
}

impl Blob for File {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read(&self, offset: u64, bytes_max: usize) -> Result<Bytes, BlobError> {
        if bytes_max > PIECE_BYTES {
            return Err(BlobError::new(format!("{bytes_max} bytes at once")));
        }
        if self.disks.unreadable.load(Ordering::Relaxed) {
            return Err(BlobError::new("the disk is gone"));
        }
        let start = (offset as usize).min(self.bytes.len());
        let bytes = self.bytes[start..(start + bytes_max).min(self.bytes.len())].to_vec();
        self.disks.read.fetch_add(bytes.len(), Ordering::Relaxed);
        let now = self.disks.in_memory.fetch_add(bytes.len(), Ordering::Relaxed) + bytes.len();
        self.disks.most.fetch_max(now, Ordering::Relaxed);
        Ok(Bytes::from_owner(InMemory { bytes, disks: Arc::clone(&self.disks) }))
    }
}

/// Its log is in memory, its states are on a disk.
#[derive(Clone, Default)]
struct Storage {
    log: MemoryStorage,
    disks: Arc<Disks>,
}

#[async_trait::async_trait]
impl LogStorage for Storage {
    async fn open(&mut self, persisted: Persisted) -> Result<Restored, StorageError> {
        self.log.open(persisted).await
    }

    fn append(&mut self, write: Write) -> Result<Appended, StorageError> {
        self.log.append(write)
    }

    fn stage(&mut self) -> Box<dyn Stage> {
        let disks = Arc::clone(&self.disks);
        Box::new(File { bytes: Vec::new(), digest: StateDigest::new(), disks })
    }
}

/// A sum, and so much that follows from it that nobody keeps it in memory.
#[derive(Default)]
struct Large(i64);

/// The state's part at an index.
fn part(total: i64, index: usize) -> [u8; 4096] {
    std::array::from_fn(|place| (total as usize).wrapping_mul(31).wrapping_add(index * 7 + place) as u8)
}

impl Snapshot for Large {
    fn snapshot(&self) -> Frozen {
        let total = self.0;
        Frozen::new(move |to| {
            to.write_all(&total.to_le_bytes())?;
            (0..STATE_BYTES / 4096).try_for_each(|index| to.write_all(&part(total, index)))
        })
    }

    fn restore(&mut self, from: &mut dyn io::Read) -> io::Result<()> {
        let mut total = [0; 8];
        from.read_exact(&mut total)?;
        let total = i64::from_le_bytes(total);
        let mut read = [0; 4096];
        for index in 0..STATE_BYTES / 4096 {
            from.read_exact(&mut read)?;
            if read != part(total, index) {
                return Err(io::Error::other(format!("part {index} is wrong")));
            }
        }
        if from.read(&mut read)? > 0 {
            return Err(io::Error::other("there is more than was written"));
        }
        self.0 = total;
        Ok(())
    }
}

impl StateMachine for Large {
    type Operation = i64;
    type Reply = i64;

    fn handle_commit(&mut self, _commit: &Commit, add: i64) -> i64 {
        self.0 += add;
        self.0
    }
}

fn config() -> Config {
    let mut config = Config::default();
    config.limits.snapshot_interval_ops = 4;
    config.limits.log_keep_ops = 0;
    config.limits.transfer_bytes_max = PIECE_BYTES;
    config
}

/// Replicas, what carries their messages, and what they tell.
struct Group {
    network: InProcessNetwork,
    postmen: JoinSet<()>,
    storages: [Storage; 3],
    tell: mpsc::UnboundedSender<&'static str>,
    told: mpsc::UnboundedReceiver<&'static str>,
}

impl Group {
    fn new() -> Self {
        let (tell, told) = mpsc::unbounded_channel();
        let (network, postmen) = (InProcessNetwork::default(), JoinSet::new());
        Self { network, postmen, storages: Default::default(), tell, told }
    }

    async fn start(&mut self, id: ReplicaId, members: &[ReplicaId], config: Config) -> Handle<Large> {
        let (transport, mut arrivals) = self.network.connect(id, 1024);
        let tell = self.tell.clone();
        let observer = move |record: &Record<'_>| {
            let _ = tell.send(record.name());
        };
        let replica = Builder::new(id, members.iter().copied(), Large::default())
            .config(config)
            .transport(transport)
            .storage(self.storages[id.0 as usize].clone())
            .observer(observer)
            .start()
            .await
            .expect("the configuration is valid");
        let handle = replica.clone();
        self.postmen.spawn(async move {
            while let Some(message) = arrivals.recv().await {
                handle.deliver(message);
            }
        });
        replica
    }

    /// Three replicas, of which the last has missed more than the log holds.
    async fn with_one_behind(&mut self) -> (Vec<Handle<Large>>, Client<Large>) {
        let mut replicas = Vec::new();
        for id in IDS {
            replicas.push(self.start(id, &IDS, config()).await);
        }
        let client = replicas[0].client();
        client.request(1).await.expect("the group is healthy");
        replicas.pop().expect("there are three").shutdown().await.expect("it runs");
        for n in 2..=10 {
            assert_eq!(client.request(1).await, Ok(n));
        }
        for replica in &replicas {
            let mut watch = replica.watch_status();
            let mut status = watch.latest();
            while status.protocol.snapshot.0 < 4 {
                status = watch.next().await.expect("it runs");
            }
        }
        (replicas, client)
    }

    /// Waits for an event.
    async fn hears(&mut self, name: &str) {
        let heard = async { while self.told.recv().await.expect("replicas run") != name {} };
        timeout(PATIENCE, heard).await.unwrap_or_else(|_| panic!("nobody tells of {name}"));
    }

    fn disks(&self, id: usize) -> &Disks {
        &self.storages[id].disks
    }
}

/// Waits until a replica has executed what the others have.
async fn catches_up(replica: &Handle<Large>) {
    let mut watch = replica.watch_status();
    let caught_up = async {
        let mut status = watch.latest();
        while status.protocol.applied.0 < 11 {
            status = watch.next().await.expect("it runs");
        }
    };
    timeout(PATIENCE, caught_up).await.expect("it catches up");
}

#[tokio::test(start_paused = true)]
async fn no_more_than_a_few_pieces_of_a_state_are_in_memory() {
    let mut group = Group::new();
    let (replicas, client) = group.with_one_behind().await;
    let late = group.start(IDS[2], &IDS, config()).await;
    catches_up(&late).await;
    group.hears("vsr.state_transfer.snapshot_installed").await;
    let sent = group.disks(0).read.load(Ordering::Relaxed) + group.disks(1).read.load(Ordering::Relaxed);
    assert!(sent >= STATE_BYTES, "it was sent from a disk");
    assert!(group.disks(2).read.load(Ordering::Relaxed) >= STATE_BYTES, "and restored from another");
    assert_eq!(client.request(1).await, Ok(11));
    // A replica that is started again reads its own.
    late.shutdown().await.expect("it runs");
    let late = group.start(IDS[2], &IDS, config()).await;
    catches_up(&late).await;
    for id in 0..3 {
        let most = group.disks(id).most.load(Ordering::Relaxed);
        assert!(most <= 4 * PIECE_BYTES, "{most} bytes of {STATE_BYTES}");
    }
    drop((replicas, late));
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_without_room_is_taken_when_there_is_room_though_the_log_is_full() {
    let mut group = Group::new();
    let mut config = config();
    config.limits.log_ops_max = 8;
    group.disks(0).no_room.store(true, Ordering::Relaxed);
    let replica = group.start(IDS[0], &IDS[..1], config).await;
    let client = replica.client().with_deadline(Duration::from_secs(60));
    let mut requests = JoinSet::new();
    requests.spawn(async move {
        for n in 1..=30 {
            assert_eq!(client.request(1).await, Ok(n));
        }
    });
    for _ in 0..3 {
        group.hears("vsr.snapshot.failed").await;
    }
    let status = replica.status().protocol;
    assert!(status.op.0 <= 12 && status.snapshot.0 == 0, "{status:?}");
    group.disks(0).no_room.store(false, Ordering::Relaxed);
    requests.join_next().await.expect("there is one").expect("all were answered");
    assert!(replica.status().protocol.snapshot.0 > 0);
    replica.shutdown().await.expect("it never stopped");
}

#[tokio::test(start_paused = true)]
async fn a_state_that_arrives_where_there_is_no_room_is_fetched_anew() {
    let mut group = Group::new();
    let (_replicas, _client) = group.with_one_behind().await;
    group.disks(2).no_room.store(true, Ordering::Relaxed);
    let late = group.start(IDS[2], &IDS, config()).await;
    for _ in 0..3 {
        group.hears("vsr.state_transfer.snapshot_not_kept").await;
    }
    group.disks(2).no_room.store(false, Ordering::Relaxed);
    catches_up(&late).await;
}

#[tokio::test(start_paused = true)]
async fn a_piece_that_cannot_be_read_is_not_sent_and_asked_for_again() {
    let mut group = Group::new();
    let (_replicas, _client) = group.with_one_behind().await;
    let unreadable = |group: &Group, yes| {
        (0..2).for_each(|id| group.disks(id).unreadable.store(yes, Ordering::Relaxed));
    };
    unreadable(&group, true);
    let late = group.start(IDS[2], &IDS, config()).await;
    for _ in 0..3 {
        group.hears("vsr.state_transfer.snapshot_unreadable").await;
    }
    unreadable(&group, false);
    catches_up(&late).await;
}

/// On a real disk; so time is not paused.
#[tokio::test]
async fn a_state_travels_from_one_directory_to_another() {
    let directory = Directory::new();
    let cluster = Cluster::builder(3, Large::default).config(config()).data_dir(&directory.0);
    let cluster = cluster.start().await.expect("the directory is new");
    let client = cluster.client();
    client.request(1).await.expect("the group is healthy");
    let late = IDS[2];
    cluster.crash(late).await.expect("it runs");
    for n in 2..=20 {
        assert_eq!(client.request(1).await, Ok(n));
    }
    for id in &IDS[..2] {
        let mut watch = cluster.handle(*id).expect("it runs").watch_status();
        let mut status = watch.latest();
        while status.protocol.snapshot.0 < 4 {
            status = watch.next().await.expect("it runs");
        }
    }
    cluster.restart(late).await.expect("it is in order");
    cluster.await_convergence().await.expect("it gets what it missed");
    let status = cluster.handle(late).expect("it runs").status().protocol;
    assert!(status.applied.0 >= 21, "{status:?}");
    cluster.shutdown().await.expect("nothing failed");
    for file in directory.files("replica-2", "snapshot-") {
        let bytes = file.metadata().expect("it is there").len();
        assert!(bytes >= STATE_BYTES as u64, "{}: {bytes} bytes", file.display());
    }
    assert_eq!(directory.files("replica-2", "stage-").len(), 0, "nothing half is left");
    assert_ne!(directory.files("replica-2", "snapshot-").len(), 0);
}
