//! Transports with one fault each: the check that is there for it finds it, and says so.

use bytes::Bytes;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Duration, timeout},
};
use vsr_actor::{Message, ReplicaId, Transport, vsr_core::Body};
use vsr_test::transport_conformance::{Check, Inbox, Network, run};

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// Waits for room.
    Blocks,
    /// Panics when there is no room.
    Panics,
    /// Forgets the low bit of a number.
    Mangles,
    /// Talks to the neighbour.
    Misdelivers,
    /// Has a limit that nobody knows of.
    DropsLarge,
    /// Keeps the first connection to a peer for ever.
    NeverReconnects,
    /// Takes everything in.
    Unbounded,
    /// Spawns a task for each message.
    TaskForEach,
    /// Sends to all peers one after the other, and waits for each.
    HeadOfLine,
    /// Nobody ends its tasks.
    Leaks,
    /// Hands what arrives to a life that has ended.
    HandsToTheDead,
    /// Carries nothing.
    Mute,
    /// Acknowledges what is sent in the name of whom it is sent to, and saves itself the sending.
    Forges,
}

type Parcel = (ReplicaId, Bytes);

#[derive(Clone)]
enum Lane {
    Bounded(mpsc::Sender<Bytes>),
    Unbounded(mpsc::UnboundedSender<Bytes>),
    Thread(std::sync::mpsc::SyncSender<Bytes>),
}

#[derive(Clone, Default)]
struct Shared {
    lanes: Arc<Mutex<BTreeMap<ReplicaId, Lane>>>,
    /// Who hangs.
    stalled: Arc<Mutex<BTreeMap<ReplicaId, watch::Sender<bool>>>>,
    /// What was said last.
    said: Arc<Mutex<BTreeMap<ReplicaId, Message>>>,
}

struct Bad {
    fault: Fault,
    shared: Shared,
    inboxes: BTreeMap<ReplicaId, Inbox>,
    pumps: BTreeMap<ReplicaId, JoinHandle<()>>,
}

impl Bad {
    fn with(fault: Fault) -> impl Fn(&[ReplicaId]) -> Self {
        move |_| Self { fault, shared: Shared::default(), inboxes: BTreeMap::new(), pumps: BTreeMap::new() }
    }
}

impl Network for Bad {
    type Transport = BadEnd;

    async fn connect(&mut self, id: ReplicaId, inbox: Inbox) -> BadEnd {
        let dead = self.inboxes.entry(id).or_insert_with(|| inbox.clone()).clone();
        let inbox = if self.fault == Fault::HandsToTheDead { dead } else { inbox };
        let (hangs, mut hanging) = watch::channel(false);
        self.shared.stalled.lock().unwrap().insert(id, hangs);
        let mut receive: Box<dyn FnMut(Bytes) + Send> = Box::new(move |bytes| {
            if let Ok(message) = Message::decode(bytes) {
                inbox.deliver(message);
            }
        });
        let lane = match self.fault {
            Fault::Unbounded => {
                let (lane, mut arrived) = mpsc::unbounded_channel();
                let pump = async move {
                    while let Some(bytes) = arrived.recv().await {
                        let _ = hanging.wait_for(|hangs| !hangs).await;
                        receive(bytes);
                    }
                };
                self.pumps.insert(id, tokio::spawn(pump));
                Lane::Unbounded(lane)
            }
            Fault::Blocks => {
                let (lane, arrived) = std::sync::mpsc::sync_channel(64);
                let pump = async move {
                    loop {
                        while let Ok(bytes) = arrived.try_recv() {
                            receive(bytes);
                        }
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                };
                self.pumps.insert(id, tokio::spawn(pump));
                Lane::Thread(lane)
            }
            _ => {
                let (lane, mut arrived) = mpsc::channel(1024);
                let pump = async move {
                    while let Some(bytes) = arrived.recv().await {
                        let _ = hanging.wait_for(|hangs| !hangs).await;
                        receive(bytes);
                    }
                };
                self.pumps.insert(id, tokio::spawn(pump));
                Lane::Bounded(lane)
            }
        };
        self.shared.lanes.lock().unwrap().insert(id, lane);
        let (queue, mut parcels) = mpsc::channel::<Parcel>(1024);
        if self.fault == Fault::HeadOfLine {
            let shared = self.shared.clone();
            tokio::spawn(async move {
                while let Some((to, bytes)) = parcels.recv().await {
                    let lane = shared.lanes.lock().unwrap().get(&to).cloned();
                    let hanging = shared.stalled.lock().unwrap().get(&to).map(watch::Sender::subscribe);
                    let (Some(Lane::Bounded(lane)), Some(mut hanging)) = (lane, hanging) else { continue };
                    // As if a response were awaited, for a while.
                    let answered = hanging.wait_for(|hangs| !hangs);
                    if timeout(Duration::from_secs(5), answered).await.is_ok() {
                        let _ = lane.try_send(bytes);
                    }
                }
            });
        }
        BadEnd { fault: self.fault, shared: self.shared.clone(), known: BTreeMap::new(), queue, count: 0 }
    }

    async fn disconnect(&mut self, id: ReplicaId) {
        self.shared.lanes.lock().unwrap().remove(&id);
        if let Some(pump) = self.pumps.remove(&id)
            && self.fault != Fault::Leaks
        {
            pump.abort();
        }
        if self.fault == Fault::Leaks {
            tokio::spawn(std::future::pending::<()>());
        }
    }

    fn stall(&mut self, id: ReplicaId) {
        self.shared.stalled.lock().unwrap()[&id].send_replace(true);
    }

    fn resume(&mut self, id: ReplicaId) {
        self.shared.stalled.lock().unwrap()[&id].send_replace(false);
    }
}

struct BadEnd {
    fault: Fault,
    shared: Shared,
    known: BTreeMap<ReplicaId, Lane>,
    queue: mpsc::Sender<Parcel>,
    count: u64,
}

impl BadEnd {
    /// Whom the message is for says that it has it, before it has it.
    fn forge(&mut self, to: ReplicaId, message: Message) -> Option<(ReplicaId, Message)> {
        self.shared.said.lock().unwrap().insert(message.from, message.clone());
        match &message.body {
            Body::Prepare { entry, .. } => {
                let mut forged = self.shared.said.lock().unwrap().get(&to)?.clone();
                forged.view = message.view;
                forged.body = Body::PrepareOk { op: entry.last(), hash: entry.hash() };
                Some((message.from, forged))
            }
            Body::NewState(_) => None,
            _ => Some((to, message)),
        }
    }

    fn lane(&mut self, to: ReplicaId) -> Option<Lane> {
        let lane = || self.shared.lanes.lock().unwrap().get(&to).cloned();
        if self.fault != Fault::NeverReconnects {
            return lane();
        }
        if let Some(lane) = self.known.get(&to) {
            return Some(lane.clone());
        }
        let lane = lane()?;
        Some(self.known.entry(to).or_insert(lane).clone())
    }
}

/// The same message with a number that went through something with 53 bits.
fn rounded(mut message: Message) -> Message {
    message.incarnation.0 = message.incarnation.0 as f64 as u64;
    message
}

impl Transport for BadEnd {
    fn send_vsr(&mut self, to: ReplicaId, message: Message) {
        self.count += 1;
        let to = match self.fault {
            Fault::Misdelivers => ReplicaId((to.0 + self.count.is_multiple_of(7) as u32) % 4),
            Fault::Mute => return,
            _ => to,
        };
        let (to, message) = match self.fault {
            Fault::Mangles => (to, rounded(message)),
            Fault::Forges => match self.forge(to, message) {
                Some(forged) => forged,
                None => return,
            },
            _ => (to, message),
        };
        let bytes = message.encode();
        if self.fault == Fault::DropsLarge && bytes.len() > 2 << 20 {
            return;
        }
        if self.fault == Fault::HeadOfLine {
            let _ = self.queue.try_send((to, bytes));
            return;
        }
        match self.lane(to) {
            None => {}
            Some(Lane::Thread(lane)) => drop(lane.send(bytes)),
            Some(Lane::Unbounded(lane)) => drop(lane.send(bytes)),
            Some(Lane::Bounded(lane)) if self.fault == Fault::TaskForEach => {
                tokio::spawn(async move { lane.send(bytes).await });
            }
            Some(Lane::Bounded(lane)) => {
                let sent = lane.try_send(bytes);
                assert!(self.fault != Fault::Panics || sent.is_ok(), "no room for a message");
            }
        }
    }
}

/// The check fails with that in its message; the same network without the fault passes it.
async fn catches(check: Check, fault: Fault, told: &str) {
    run(check, Bad::with(Fault::None)).await.expect("nothing is wrong");
    let failure = run(check, Bad::with(fault)).await.expect_err("it is broken");
    assert_eq!(failure.check, check.name());
    let text = failure.to_string();
    assert!(text.contains(told) && text.contains(check.duty()), "{text}");
}

#[tokio::test(start_paused = true)]
async fn one_that_mangles() {
    catches(Check::EveryKindArrivesIntact, Fault::Mangles, "got a message that nobody sent").await;
}

#[tokio::test(start_paused = true)]
async fn one_that_drops_large_messages() {
    catches(Check::TheLargestArrives, Fault::DropsLarge, "DoViewChange of 17").await;
}

#[tokio::test(start_paused = true)]
async fn one_that_misdelivers() {
    catches(Check::OnlyTheAddresseeGetsIt, Fault::Misdelivers, "arrived at").await;
}

#[tokio::test(start_paused = true)]
async fn one_that_panics_when_it_is_full() {
    catches(Check::SendingNeverWaits, Fault::Panics, "panicked at message 1025 of 5017: no room").await;
}

#[tokio::test(start_paused = true)]
async fn one_without_a_bound() {
    catches(Check::QueuesAreBounded, Fault::Unbounded, "a queue without a bound").await;
}

#[tokio::test(start_paused = true)]
async fn one_with_a_task_for_each_message() {
    catches(Check::QueuesAreBounded, Fault::TaskForEach, "100000 tasks wait").await;
}

#[tokio::test(start_paused = true)]
async fn one_that_waits_for_a_peer_before_it_serves_the_next() {
    catches(Check::ADeadPeerDisturbsNobody, Fault::HeadOfLine, "while R2 hangs").await;
}

#[tokio::test(start_paused = true)]
async fn one_that_never_reconnects() {
    catches(Check::ARestartedPeerIsReachedAgain, Fault::NeverReconnects, "after R1 was restarted").await;
}

#[tokio::test(start_paused = true)]
async fn one_that_speaks_to_the_dead() {
    catches(Check::ARestartedPeerIsReachedAgain, Fault::HandsToTheDead, "R1 was restarted").await;
}

#[tokio::test(start_paused = true)]
async fn one_that_leaks_tasks() {
    catches(Check::NoTaskIsLeft, Fault::Leaks, "3 tasks").await;
}

#[tokio::test(start_paused = true)]
async fn one_that_carries_nothing() {
    catches(Check::AGroupServes, Fault::Mute, "a quorum of replicas cannot be reached").await;
}

#[tokio::test(start_paused = true)]
async fn one_that_breaks_at_the_first_crash() {
    catches(Check::AGroupFailsOver, Fault::NeverReconnects, "which was restarted").await;
}

#[tokio::test(start_paused = true)]
async fn one_that_waits_for_room() {
    catches(Check::SendingNeverWaits, Fault::Blocks, "waits for somebody to read").await;
}

#[tokio::test(start_paused = true)]
async fn one_that_carries_nothing_does_no_good_on_a_bad_day_either() {
    catches(Check::ABadNetworkLosesNothing, Fault::Mute, "only 0 of 120 requests were answered").await;
}

#[tokio::test(start_paused = true)]
async fn one_that_forges_acknowledgements() {
    catches(Check::ABadNetworkLosesNothing, Fault::Forges, "not linearizable").await;
}
