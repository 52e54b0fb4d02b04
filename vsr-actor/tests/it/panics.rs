//! User code that panics stops its replica, with a reason, and nothing else.

use crate::common::{Ask, add, cluster};
use vsr_actor::{
    Appended, Builder, Health, LogStorage, Message, Outcome, Persisted, ReplicaError, ReplicaId, Replies,
    ReplyTo, RequestError, StorageError, Transport,
    prelude::*,
    vsr_core::{OpNumber, Restored, Write},
};

#[tokio::test(start_paused = true)]
async fn a_panic_poisons_every_replica_at_the_same_operation() {
    let cluster = cluster(3).await;
    let client = cluster.client();
    assert_eq!(add(&client, 1).await, Ok(1));
    let before = client.submit(Ask::Add(2)).await.expect("there is room");
    let fatal = client.submit(Ask::Panic).await.expect("there is room");
    assert_eq!(before.await, Ok(vec![2]), "what was committed before is answered");
    let error = fatal.await.expect_err("nobody could apply it");
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    // The first one takes the operation with it; a second one commits it again and meets the same end. The third is alone then.
    let poisoned = async |id: u32| {
        let handle = cluster.handle(ReplicaId(id)).expect("it was started");
        let Err(ReplicaError::Poisoned { op, reason }) = handle.join().await else { panic!("R{id} goes on") };
        assert!(reason.contains("asked to"), "{reason}");
        assert!(matches!(handle.status().health, Health::Failed(ReplicaError::Poisoned { .. })));
        (id, op)
    };
    let first = poisoned(0).await;
    let second = tokio::select! { second = poisoned(1) => second, second = poisoned(2) => second };
    assert_eq!(first.1, second.1);
    assert_eq!(
        first.1,
        OpNumber(4),
        "behind the session, the first addition and the one it was proposed with"
    );
    // Started again they meet the same operation: it is neither skipped nor applied in silence.
    for (id, _) in [first, second] {
        cluster.restart(ReplicaId(id)).await.expect("it starts");
    }
    let again = tokio::select! {
        again = poisoned(0) => again,
        again = poisoned(1) => again,
        again = poisoned(2) => again,
    };
    assert_eq!(again.1, first.1);
    assert!(cluster.shutdown().await.is_err(), "the owner hears of it");
}

/// Reads nothing but even numbers.
struct Picky;

struct Even(u8);

impl vsr_actor::Payload for Even {
    fn encode(&self, into: &mut Vec<u8>) {
        into.push(self.0);
    }

    fn decode(from: bytes::Bytes) -> Result<Self, vsr_actor::PayloadError> {
        let wrong = |why: &str| vsr_actor::PayloadError { wanted: "an even number", why: why.into() };
        match from.first() {
            Some(byte) if byte % 2 == 0 => Ok(Self(*byte)),
            _ => Err(wrong("it is odd")),
        }
    }
}

impl Snapshot for Picky {
    fn snapshot(&self) -> vsr_actor::Frozen {
        vsr_actor::Frozen::new(|_| Ok(()))
    }

    fn restore(&mut self, _from: &mut dyn std::io::Read) -> std::io::Result<()> {
        Ok(())
    }
}

impl StateMachine for Picky {
    type Operation = Even;
    type Reply = Even;

    fn handle_commit(&mut self, _commit: &Commit, even: Even) -> Even {
        even
    }
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_cannot_be_read_poisons_too() {
    let cluster = Cluster::in_process(3, || Picky).await.expect("a valid configuration");
    let client = cluster.client();
    assert!(client.request(Even(2)).await.is_ok());
    assert!(client.request(Even(3)).await.is_err());
    let joined = cluster.handle(ReplicaId(0)).expect("it was started").join().await;
    let Err(ReplicaError::Poisoned { reason, .. }) = joined else { panic!("{joined:?}") };
    assert!(reason.contains("it is odd"), "{reason}");
}

/// A group of one, whose callbacks panic.
struct Broken;

impl Transport for Broken {
    fn send_vsr(&mut self, _to: ReplicaId, _message: Message) {
        panic!("no wires");
    }
}

impl Replies<i64> for Broken {
    fn send_reply(&mut self, _to: ReplyTo<i64>, _reply: Result<i64, RequestError>) {
        panic!("no paper");
    }
}

#[async_trait::async_trait]
impl LogStorage for Broken {
    async fn open(&mut self, _persisted: Persisted) -> Result<Restored, StorageError> {
        Ok(Restored::default())
    }

    fn append(&mut self, _write: Write) -> Result<Appended, StorageError> {
        panic!("no ink");
    }
}

#[derive(Default, Serialize, Deserialize)]
struct Counter(i64);

impl StateMachine for Counter {
    type Operation = i64;
    type Reply = i64;

    fn handle_commit(&mut self, _commit: &Commit, add: i64) -> i64 {
        self.0 += add;
        self.0
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_another_callback_stops_the_replica_and_names_it() {
    let id = ReplicaId(0);
    let replica = Builder::new(id, [id, ReplicaId(1)], Counter::default()).transport(Broken).start().await;
    let joined = replica.expect("it starts").join().await;
    assert!(matches!(&joined, Err(ReplicaError::Callback { callback: "send_vsr", .. })), "{joined:?}");

    let replica =
        Builder::new(id, [id], Counter::default()).replies(Broken).start().await.expect("it starts");
    let asked = replica.client().request(1).await;
    assert!(matches!(asked, Err(RequestError::Stopped { outcome: Outcome::Unknown })), "{asked:?}");
    let joined = replica.join().await;
    assert!(matches!(&joined, Err(ReplicaError::Callback { callback: "send_reply", .. })), "{joined:?}");

    let replica =
        Builder::new(id, [id], Counter::default()).storage(Broken).start().await.expect("it starts");
    let joined = replica.join().await;
    assert!(matches!(&joined, Err(ReplicaError::Callback { callback: "append", .. })), "{joined:?}");
}

/// Panics at operations below zero, and whenever it is dropped.
#[derive(Default)]
struct Fragile(Counter);

impl Drop for Fragile {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("dropped");
        }
    }
}

impl Snapshot for Fragile {
    fn snapshot(&self) -> vsr_actor::Frozen {
        self.0.snapshot()
    }

    fn restore(&mut self, from: &mut dyn std::io::Read) -> std::io::Result<()> {
        self.0.restore(from)
    }
}

impl StateMachine for Fragile {
    type Operation = i64;
    type Reply = i64;

    fn handle_commit(&mut self, commit: &Commit, add: i64) -> i64 {
        assert!(add >= 0, "the reason");
        self.0.handle_commit(commit, add)
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_last_drop_does_not_hide_why_a_replica_ended() {
    let id = ReplicaId(0);
    let start = || Builder::new(id, [id], Fragile::default()).start();
    let replica = start().await.expect("it starts");
    assert!(replica.client().request(-1).await.is_err());
    let joined = replica.join().await;
    let Err(ReplicaError::Poisoned { reason, .. }) = joined else { panic!("{joined:?}") };
    assert!(reason.contains("the reason"), "{reason}");
    // It is worth a word if nothing else went wrong.
    let replica = start().await.expect("it starts");
    let ended = replica.shutdown().await;
    assert!(matches!(&ended, Err(ReplicaError::Callback { callback: "drop", .. })), "{ended:?}");
}
