//! How requests become proposals.

use crate::common::{Ask, Journal};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    task::{JoinSet, yield_now},
    time::{Instant, advance},
};
use vsr_actor::{
    Appended, Builder, Cluster, InProcessNetwork, LogStorage, MemoryStorage, Message, Persisted, ReplicaId,
    StorageError, Transport,
    vsr_core::{Body, OpNumber, Restored, Write},
};

/// What a group sends.
#[derive(Clone, Default)]
struct Sent {
    /// First operation and length of each proposal.
    proposals: Arc<Mutex<Vec<(OpNumber, usize)>>>,
    /// No acknowledgement gets through.
    cut: Arc<AtomicBool>,
}

impl Sent {
    /// How many operations the proposals have. Each goes to two backups.
    fn lengths(&self) -> Vec<usize> {
        let mut proposals = self.proposals.lock().expect("nobody panics").clone();
        proposals.dedup();
        proposals.iter().map(|(_, ops)| *ops).collect()
    }
}

/// The way from one replica to the others.
struct Watched {
    way: Box<dyn Transport>,
    sent: Sent,
}

impl Transport for Watched {
    fn send_vsr(&mut self, to: ReplicaId, message: Message) {
        match &message.body {
            Body::PrepareOk { .. } if self.sent.cut.load(Ordering::Relaxed) => return,
            Body::Prepare { entry, .. } => {
                self.sent.proposals.lock().expect("nobody panics").push((entry.first(), entry.len()));
            }
            _ => {}
        }
        self.way.send_vsr(to, message);
    }
}

/// How many operations the proposals have while no acknowledgement arrives: as long as time stands still, and a little later. Twelve
/// requests come one by one.
async fn proposals<S: LogStorage + Default>() -> [Vec<usize>; 2] {
    let (network, sent, ids) = (InProcessNetwork::default(), Sent::default(), [0, 1, 2].map(ReplicaId));
    let (mut replicas, mut pumps) = (Vec::new(), JoinSet::new());
    for id in ids {
        let (way, mut arrived) = network.connect(id, 1024);
        let transport = Watched { way, sent: sent.clone() };
        let builder = Builder::new(id, ids, Journal::default()).storage(S::default());
        let replica = builder.transport(transport).start().await.expect("it is new");
        replicas.push(replica.clone());
        pumps.spawn(async move {
            while let Some(message) = arrived.recv().await {
                replica.deliver(message);
            }
        });
    }
    let client = replicas[0].client();
    client.request(Ask::Read).await.expect("the session is open");
    assert!(replicas[0].status().protocol.is_primary);
    sent.cut.store(true, Ordering::Relaxed);
    sent.proposals.lock().expect("nobody panics").clear();
    let began = Instant::now();
    let mut tickets = Vec::new();
    for item in 0..12 {
        tickets.push(client.try_submit(Ask::Add(item)).expect("the window has room"));
        // Time stands still as long as somebody is busy.
        for _ in 0..20 {
            yield_now().await;
        }
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
    let at_once = sent.lengths();
    advance(Duration::from_millis(5)).await;
    for _ in 0..100 {
        yield_now().await;
    }
    [at_once, sent.lengths()]
}

/// Requests that come while two proposals are under way become one more, although none of the two gets any further. They do not wait for
/// that: the group would be as slow as its network is far.
#[tokio::test(start_paused = true)]
async fn what_comes_while_two_proposals_are_under_way_is_one_more() {
    assert_eq!(proposals::<MemoryStorage>().await, [vec![1, 1], vec![1, 1, 10]]);
}

/// Takes writes first, and says afterwards that they are durable, as one with a disk does.
#[derive(Default)]
struct Later(MemoryStorage, Persisted);

#[async_trait::async_trait]
impl LogStorage for Later {
    async fn open(&mut self, persisted: Persisted) -> Result<Restored, StorageError> {
        self.1 = persisted.clone();
        self.0.open(persisted).await
    }

    fn append(&mut self, write: Write) -> Result<Appended, StorageError> {
        let id = write.id;
        self.0.append(write)?;
        self.1.advance(id);
        Ok(Appended::Pending)
    }
}

/// What it has not begun to write when the next proposal comes is flushed together with that.
#[tokio::test(start_paused = true)]
async fn a_log_on_a_disk_is_not_kept_waiting() {
    let each = vec![1; 12];
    assert_eq!(proposals::<Later>().await, [each.clone(), each]);
}

/// With one client on one worker two replicas are a quorum. A third one that was left behind stays a little behind: it takes several
/// proposals a turn, and acknowledges them at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_backup_that_is_behind_takes_several_proposals_a_turn() {
    const REQUESTS: usize = 1000;
    let acknowledgements: Arc<[AtomicUsize; 3]> = Arc::default();
    let count = acknowledgements.clone();
    let start = Cluster::builder(3, Journal::default)
        .transport(move |id, way| Box::new(Counting { way, id, count: count.clone() }))
        .start();
    let cluster = start.await.expect("a valid configuration");
    let primary = cluster.primary().await.expect("a primary");
    let late = ReplicaId((primary.0 + 1) % 3);
    let client = cluster.client();
    // On the worker, as the replicas are.
    let work = tokio::spawn(async move {
        let ask = async |count| {
            for _ in 0..count {
                client.request(Ask::Read).await.expect("the group is healthy");
            }
        };
        cluster.pause(late).expect("it runs");
        ask(10).await;
        cluster.resume(late).expect("it runs");
        let before = acknowledgements[late.0 as usize].load(Ordering::Relaxed);
        ask(REQUESTS).await;
        acknowledgements[late.0 as usize].load(Ordering::Relaxed) - before
    });
    let sent = work.await.expect("no panic");
    // One for two requests; one at a time it would be as many as requests.
    assert!(sent < REQUESTS * 2 / 3, "{sent} for {REQUESTS}");
}

/// Counts what a replica acknowledges.
struct Counting {
    way: Box<dyn Transport>,
    id: ReplicaId,
    count: Arc<[AtomicUsize; 3]>,
}

impl Transport for Counting {
    fn send_vsr(&mut self, to: ReplicaId, message: Message) {
        if matches!(message.body, Body::PrepareOk { .. }) {
            self.count[self.id.0 as usize].fetch_add(1, Ordering::Relaxed);
        }
        self.way.send_vsr(to, message);
    }
}
