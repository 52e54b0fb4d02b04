//! One replica and its owner: handing over, joining, replies of one's own, storages that answer late or fail.

use crate::common::{Ask, Journal, add, cluster, read};
use bytes::Bytes;
use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};
use vsr_actor::{
    Appended, Builder, Health, LogStorage, MemoryStorage, Persisted, ReplicaError, ReplicaId, Replies,
    ReplyTo, RequestError, StatusName, StorageError, Verdict,
    vsr_core::{Restored, Write, WriteId},
};

#[tokio::test(start_paused = true)]
async fn a_primary_that_is_shut_down_hands_over_first() {
    let cluster = cluster(3).await;
    let client = cluster.client();
    assert_eq!(add(&client, 1).await, Ok(1));
    let primary = cluster.primary().await.expect("a primary");
    let begun = Instant::now();
    let handle = cluster.handle(primary).expect("it runs");
    handle.shutdown().await.expect("it runs");
    assert!(matches!(handle.status().health, Health::Stopped));
    assert_eq!(add(&client, 2).await, Ok(2));
    // Nobody had to wait for a time-out.
    assert!(begun.elapsed().as_millis() < 300, "{:?}", begun.elapsed());
    assert_eq!(read(&client).await, [1, 2]);
    assert!(handle.join().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_second_shutdown_does_not_cut_the_hand_over_short() {
    let mut ends = Vec::new();
    // The votes need 40 ms to and fro; then the view change begins.
    for calls in [&[0][..], &[0, 45], &[0, 20, 41, 50, 55]] {
        let cluster = cluster(3).await;
        let client = cluster.client();
        assert_eq!(add(&client, 1).await, Ok(1));
        let primary = cluster.primary().await.expect("a primary");
        let handle = cluster.handle(primary).expect("it runs");
        // Slow enough for the others to call in the middle of it.
        let _rule = cluster.rule(|_, _, _| Verdict::Delay(Duration::from_millis(20)));
        let begun = Instant::now();
        let shutdowns: Vec<_> = calls
            .iter()
            .copied()
            .map(|after| {
                let handle = handle.clone();
                tokio::spawn(async move {
                    sleep(Duration::from_millis(after)).await;
                    handle.shutdown().await
                })
            })
            .collect();
        for shutdown in shutdowns {
            shutdown.await.expect("no panic").expect("it was shut down");
        }
        ends.push(begun.elapsed());
        let last = handle.status().protocol;
        assert_eq!(last.status, StatusName::Normal, "{last:?}");
        assert!(!last.is_primary, "{last:?}");
        assert_eq!(add(&client, 2).await, Ok(2));
    }
    assert!(ends.iter().all(|end| *end == ends[0]), "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn calling_shutdown_again_does_not_prolong_it() {
    let ids = [ReplicaId(0), ReplicaId(1), ReplicaId(2)];
    let cluster = cluster(3).await;
    let primary = cluster.primary().await.expect("a primary");
    let handle = cluster.handle(primary).expect("it runs");
    // Nobody is there to take over.
    for id in ids.into_iter().filter(|id| *id != primary) {
        cluster.crash(id).await.expect("it runs");
    }
    let begun = Instant::now();
    let again = {
        let handle = handle.clone();
        tokio::spawn(async move {
            for _ in 0..9 {
                sleep(Duration::from_millis(100)).await;
                tokio::select! {
                    biased;
                    _ = handle.shutdown() => {}
                    () = std::future::ready(()) => {}
                }
            }
        })
    };
    handle.shutdown().await.expect("it was shut down");
    assert!(begun.elapsed() <= Duration::from_millis(1010), "{:?}", begun.elapsed());
    again.abort();
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_stands_still_can_be_shut_down() {
    let cluster = cluster(3).await;
    for id in cluster.ids() {
        cluster.pause(*id).expect("it runs");
    }
    let handle = cluster.handle(ReplicaId(2)).expect("it runs");
    let ended = tokio::time::timeout(Duration::from_secs(60), handle.shutdown()).await;
    ended.expect("it is resumed").expect("nothing failed");
    let ended = tokio::time::timeout(Duration::from_secs(60), cluster.shutdown()).await;
    ended.expect("all are resumed").expect("nothing failed");
}

#[tokio::test(start_paused = true)]
async fn the_last_handle_takes_the_replica_with_it() {
    let id = ReplicaId(0);
    let replica = Builder::new(id, [id], Journal::default()).start().await.expect("it starts");
    let client = replica.client();
    assert_eq!(add(&client, 1).await, Ok(1));
    let mut status = replica.watch_status();
    drop(replica);
    while status.next().await.is_some() {}
    assert!(matches!(status.latest().health, Health::Failed(ReplicaError::Aborted)));
    assert!(matches!(add(&client, 2).await, Err(RequestError::Stopped { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_replica_goes_on_from_its_storage() {
    let id = ReplicaId(0);
    let storage = MemoryStorage::default();
    let start = || Builder::new(id, [id], Journal::default()).storage(storage.clone()).start();
    let replica = start().await.expect("it starts");
    assert_eq!(add(&replica.client(), 1).await, Ok(1));
    replica.shutdown().await.expect("it runs");
    let replica = start().await.expect("it starts again");
    assert_eq!(add(&replica.client(), 2).await, Ok(2));
}

#[tokio::test(start_paused = true)]
async fn a_storage_of_another_replica_is_refused() {
    let storage = MemoryStorage::default();
    let (a, b) = (ReplicaId(0), ReplicaId(1));
    let first =
        Builder::new(a, [a], Journal::default()).storage(storage.clone()).start().await.expect("it starts");
    assert_eq!(add(&first.client(), 1).await, Ok(1));
    first.shutdown().await.expect("it runs");
    let second = Builder::new(b, [b], Journal::default()).storage(storage).start().await;
    assert!(matches!(second, Err(ReplicaError::Start(_))), "{second:?}");
}

/// Tells replies to a channel.
struct Mail(mpsc::UnboundedSender<(Bytes, Result<Vec<u64>, RequestError>)>);

impl Replies<Vec<u64>> for Mail {
    fn send_reply(&mut self, to: ReplyTo<Vec<u64>>, reply: Result<Vec<u64>, RequestError>) {
        match to {
            ReplyTo::Custom(name) => drop(self.0.send((name, reply))),
            other => other.send(reply),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn replies_of_ones_own_get_what_was_submitted_with_a_name() {
    let id = ReplicaId(0);
    let (mail, mut inbox) = mpsc::unbounded_channel();
    let replica =
        Builder::new(id, [id], Journal::default()).replies(Mail(mail)).start().await.expect("it starts");
    for (item, name) in [(7, "seven"), (8, "eight")] {
        replica.submit(Ask::Add(item), ReplyTo::Custom(name.into())).expect("there is room");
    }
    replica.submit(Ask::Add(9), ReplyTo::Nobody).expect("there is room");
    assert_eq!(inbox.recv().await, Some(("seven".into(), Ok(vec![1]))));
    assert_eq!(inbox.recv().await, Some(("eight".into(), Ok(vec![2]))));
    assert_eq!(read(&replica.client()).await, [7, 8, 9]);
}

#[tokio::test(start_paused = true)]
async fn replies_of_ones_own_get_errors_too() {
    let (mail, mut inbox) = mpsc::unbounded_channel();
    let ids = [ReplicaId(0), ReplicaId(1)];
    // Its peer does not exist: there is no group.
    let replica =
        Builder::new(ids[0], ids, Journal::default()).replies(Mail(mail)).start().await.expect("it starts");
    replica.submit(Ask::Add(1), ReplyTo::Custom("alone".into())).expect("there is room");
    let (name, reply) = inbox.recv().await.expect("the replica runs");
    assert_eq!(name, "alone");
    assert!(matches!(reply, Err(RequestError::NoPrimary { .. })), "{reply:?}");
}

/// Answers when the test lets it.
#[derive(Clone, Default)]
struct Late {
    memory: MemoryStorage,
    written: Arc<Mutex<Written>>,
    told: Arc<tokio::sync::Notify>,
}

#[derive(Default)]
struct Written {
    persisted: Persisted,
    last: WriteId,
}

impl Late {
    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().expect("no test panics in here")
    }

    fn flush(&self) {
        let written = self.written();
        written.persisted.advance(written.last);
    }
}

#[async_trait::async_trait]
impl LogStorage for Late {
    async fn open(&mut self, persisted: Persisted) -> Result<Restored, StorageError> {
        self.written().persisted = persisted.clone();
        self.memory.open(persisted).await
    }

    fn append(&mut self, write: Write) -> Result<Appended, StorageError> {
        self.written().last = write.id;
        self.memory.append(write)?;
        self.told.notify_one();
        Ok(Appended::Pending)
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_answered_before_the_storage_answered() {
    let id = ReplicaId(0);
    let storage = Late::default();
    let start = Builder::new(id, [id], Journal::default()).storage(storage.clone()).start();
    let replica = start.await.expect("it starts");
    let client = replica.client();
    let flusher = {
        let storage = storage.clone();
        tokio::spawn(async move {
            loop {
                storage.told.notified().await;
                storage.flush();
            }
        })
    };
    assert_eq!(add(&client, 1).await, Ok(1));
    flusher.abort();
    let _ = flusher.await;
    let waits = client.with_deadline(Duration::from_secs(2)).request(Ask::Add(2)).await;
    assert!(matches!(waits, Err(RequestError::Deadline { .. })), "{waits:?}");
    // What was unknown happens as soon as the storage has answered; from then on it answers again.
    storage.flush();
    tokio::spawn(async move {
        loop {
            storage.told.notified().await;
            storage.flush();
        }
    });
    assert_eq!(read(&client).await, [1, 2]);
}

/// Fails at the third write.
struct Failing(MemoryStorage, u32);

#[async_trait::async_trait]
impl LogStorage for Failing {
    async fn open(&mut self, persisted: Persisted) -> Result<Restored, StorageError> {
        self.0.open(persisted).await
    }

    fn append(&mut self, write: Write) -> Result<Appended, StorageError> {
        self.1 += 1;
        if self.1 == 3 {
            return Err(StorageError::caused_by("cannot write the log", std::io::Error::other("disk full")));
        }
        self.0.append(write)
    }
}

#[tokio::test(start_paused = true)]
async fn a_storage_that_fails_stops_the_replica_with_its_error() {
    let id = ReplicaId(0);
    let storage = Failing(MemoryStorage::default(), 0);
    let replica =
        Builder::new(id, [id], Journal::default()).storage(storage).start().await.expect("it starts");
    let client = replica.client();
    let _ = add(&client, 1).await;
    let _ = add(&client, 2).await;
    let joined = replica.join().await;
    let Err(ReplicaError::Storage(error)) = joined else { panic!("{joined:?}") };
    assert_eq!(std::error::Error::source(&error).map(ToString::to_string), Some("disk full".into()));
}
