//! A large state is restored beside the replica's task: what shares its runtime goes on.

use std::{
    io::{self, Read},
    sync::{Arc, Mutex, mpsc as thread},
    time::Duration,
};
use tokio::sync::mpsc;
use vsr_actor::{
    Builder, Config, Frozen, Handle, Health, MemoryStorage, ReplicaError, ReplicaId, prelude::*,
};

/// Too much to be restored at once.
const STATE_BYTES: usize = 256 << 10;
/// A restore that kept the test from going on would wait so long, and fail.
const PATIENCE: Duration = Duration::from_secs(10);
const ID: ReplicaId = ReplicaId(0);

/// What happens while a state is restored; `false` refuses it.
type During = dyn Fn() -> bool + Send + Sync;

struct Adder {
    total: i64,
    during: Arc<During>,
}

impl Snapshot for Adder {
    fn snapshot(&self) -> Frozen {
        let total = self.total;
        Frozen::new(move |to| {
            to.write_all(&total.to_le_bytes())?;
            to.write_all(&[0; STATE_BYTES])
        })
    }

    fn restore(&mut self, from: &mut dyn Read) -> io::Result<()> {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes)?;
        if !(self.during)() {
            return Err(io::Error::other("it is refused"));
        }
        let (total, rest) = bytes.split_first_chunk().ok_or(io::ErrorKind::UnexpectedEof)?;
        assert_eq!(rest.len(), STATE_BYTES);
        self.total = i64::from_le_bytes(*total);
        Ok(())
    }
}

impl StateMachine for Adder {
    type Operation = i64;
    type Reply = i64;

    fn handle_commit(&mut self, _commit: &Commit, add: i64) -> i64 {
        self.total += add;
        self.total
    }
}

/// An actor: none of its callbacks may run before it has its state.
impl VsrServer for Adder {}

async fn start(storage: &MemoryStorage, during: impl Fn() -> bool + Send + Sync + 'static) -> Handle<Adder> {
    let mut config = Config::default();
    config.limits.snapshot_interval_ops = 4;
    config.limits.log_keep_ops = 0;
    let adder = Adder { total: 0, during: Arc::new(during) };
    let builder = Builder::server(ID, [ID], adder).config(config).storage(storage.clone());
    builder.start().await.expect("the configuration is valid")
}

/// A storage with a snapshot, and operations behind it: all together come to ten.
async fn used() -> MemoryStorage {
    let storage = MemoryStorage::default();
    let replica = start(&storage, || unreachable!("there is nothing to restore")).await;
    for n in 1..=10 {
        assert_eq!(replica.client().request(1).await, Ok(n));
    }
    let mut watch = replica.watch_status();
    while watch.latest().protocol.snapshot.0 == 0 {
        watch.next().await.expect("it runs");
    }
    replica.shutdown().await.expect("nothing went wrong");
    storage
}

/// A restore that tells when it has begun, and waits until it may go on.
struct Gate {
    begun: mpsc::UnboundedReceiver<()>,
    go_on: thread::Sender<()>,
}

fn gate() -> (Gate, impl Fn() -> bool + Send + Sync + 'static) {
    let (tell, begun) = mpsc::unbounded_channel();
    let (go_on, wait) = thread::channel();
    let wait = Mutex::new(wait);
    let during =
        move || tell.send(()).is_ok() && wait.lock().is_ok_and(|wait| wait.recv_timeout(PATIENCE).is_ok());
    (Gate { begun, go_on }, during)
}

#[tokio::test(start_paused = true)]
async fn others_go_on_while_a_large_state_is_restored_and_nobody_sees_it_before() {
    let storage = used().await;
    let (mut gate, during) = gate();
    let replica = start(&storage, during).await;
    gate.begun.recv().await.expect("there is a snapshot");
    // This task shares a thread with the replica's; another replica does, too.
    let other = start(&MemoryStorage::default(), || true).await;
    assert_eq!(other.client().request(3).await, Ok(3));
    let client = replica.client();
    let read = tokio::spawn({
        let client = client.clone();
        async move { client.read_stale(|adder| adder.total).await }
    });
    let asked = tokio::spawn(async move { client.request(1).await });
    tokio::task::yield_now().await;
    assert!(!read.is_finished() && !asked.is_finished(), "it has no state yet");
    gate.go_on.send(()).expect("it waits");
    let read = read.await.expect("it does not panic").expect("it runs");
    assert!(read.value >= 4, "{read:?}: at least the state of the snapshot");
    assert_eq!(asked.await.expect("it does not panic"), Ok(11), "what follows the snapshot came after it");
    replica.shutdown().await.expect("nothing went wrong");
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_is_aborted_does_not_wait_for_its_state() {
    let storage = used().await;
    let (mut gate, during) = gate();
    let replica = start(&storage, during).await;
    gate.begun.recv().await.expect("there is a snapshot");
    let mut watch = replica.watch_status();
    drop(replica);
    while !matches!(watch.latest().health, Health::Failed(ReplicaError::Aborted)) {
        watch.next().await.expect("its end is told");
    }
    gate.go_on.send(()).expect("the thread still waits");
}

#[tokio::test(start_paused = true)]
async fn a_large_state_that_cannot_be_restored_stops_the_replica_and_says_why() {
    let storage = used().await;
    let refused = start(&storage, || false).await;
    let panicked = start(&storage, || panic!("no such state")).await;
    for (replica, why) in [(refused, "it is refused"), (panicked, "no such state")] {
        match replica.join().await {
            Err(ReplicaError::Callback { callback: "restore", reason }) => {
                assert!(reason.contains(why), "{reason}")
            }
            other => panic!("{other:?}"),
        }
    }
    let fine = start(&storage, || true).await;
    assert_eq!(fine.client().request(1).await, Ok(11), "the storage is as it was");
    fine.shutdown().await.expect("nothing went wrong");
}
