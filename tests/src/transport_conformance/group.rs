//! Whole groups over the transport, small and with short time-outs.

use super::{
    Inbox, Lossy,
    any::{AnyNetwork, Make},
    stage::{Wrong, ids},
};
use crate::linearizability::{CallId, Model, Recorder, check};
use serde::{Deserialize, Serialize};
use std::{
    future::poll_fn,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
    time::Duration,
};
use vsr_actor::{
    Builder, Client, Commit, Config, Handle, MemoryStorage, Message, Outcome, ReplicaId, RequestError,
    StateMachine, StatusName, Transport,
};

/// What is replicated: each operation puts a number in, and the reply is the number that was there. Loss, repetition and disorder
/// are all visible in the replies.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Register(u64);

impl StateMachine for Register {
    type Operation = u64;
    type Reply = u64;

    fn handle_commit(&mut self, _commit: &Commit, number: u64) -> u64 {
        std::mem::replace(&mut self.0, number)
    }
}

/// The register, one operation at a time.
struct Spec;

impl Model for Spec {
    type State = u64;
    type Op = u64;
    type Reply = u64;

    fn initial() -> u64 {
        0
    }

    fn step(state: &u64, number: &u64) -> (u64, u64) {
        (*number, *state)
    }
}

struct Group<'a> {
    network: Box<dyn AnyNetwork + 'a>,
    seats: Vec<Seat>,
    /// Makes the network bad.
    seed: Option<u64>,
    lives: u64,
}

/// What stays of a replica when it dies.
struct Seat {
    storage: MemoryStorage,
    /// Where its inbox leads to while it lives.
    replica: Arc<Mutex<Option<Handle<Register>>>>,
}

impl Seat {
    fn replica(&self) -> Option<Handle<Register>> {
        self.replica.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, replica: Option<Handle<Register>>) {
        // The one before may die of this, but not while the lock is held.
        let before =
            std::mem::replace(&mut *self.replica.lock().unwrap_or_else(PoisonError::into_inner), replica);
        drop(before);
    }
}

impl<'a> Group<'a> {
    async fn new(make: Make<'a>, seed: Option<u64>) -> Result<Self, Wrong> {
        let ids = ids(3);
        let seat = |_: &ReplicaId| Seat { storage: MemoryStorage::default(), replica: Arc::default() };
        let mut group = Self { network: make(&ids), seats: ids.iter().map(seat).collect(), seed, lives: 0 };
        for id in ids {
            group.start(id).await?;
        }
        Ok(group)
    }

    fn seat(&self, id: ReplicaId) -> &Seat {
        &self.seats[id.0 as usize]
    }

    async fn start(&mut self, id: ReplicaId) -> Result<(), Wrong> {
        let replica = self.seat(id).replica.clone();
        let inbox = Inbox::new(move |message: Message| {
            // What arrives before the replica runs is lost.
            if let Some(replica) = &*replica.lock().unwrap_or_else(PoisonError::into_inner) {
                replica.deliver(message);
            }
        });
        let transport = self.network.connect(id, inbox).await;
        self.lives += 1;
        let transport: Box<dyn Transport> = match self.seed {
            None => transport,
            Some(seed) => Box::new(Lossy::new(transport, seed * 1000 + self.lives)),
        };
        let mut config = Config::default();
        config.seed = Some(self.lives);
        config.heartbeat_interval = Duration::from_millis(50);
        config.heartbeat_timeout = Duration::from_millis(250);
        config.client.deadline = DEADLINE;
        let storage = self.seat(id).storage.clone();
        let builder = Builder::new(id, ids(3), Register::default())
            .config(config)
            .transport(transport)
            .storage(storage);
        let replica = builder.start().await.map_err(|error| format!("{id} cannot start: {error}"))?;
        self.seat(id).set(Some(replica));
        Ok(())
    }

    /// Ends a replica as the crash of its process would.
    async fn crash(&mut self, id: ReplicaId) {
        let Some(replica) = self.seat(id).replica() else { return };
        let mut status = replica.watch_status();
        self.seat(id).set(None);
        drop(replica);
        while status.next().await.is_some() {}
        self.network.disconnect(id).await;
    }

    fn client(&self, id: ReplicaId) -> Result<Client<Register>, Wrong> {
        self.seat(id).replica().map(|replica| replica.client()).ok_or_else(|| format!("{id} does not run"))
    }

    /// The primary that the most recent view has, as far as any replica knows.
    fn primary(&self) -> ReplicaId {
        let statuses = self.seats.iter().filter_map(|seat| Some(seat.replica()?.status().protocol));
        let normal = statuses.filter(|status| status.status == StatusName::Normal);
        normal.max_by_key(|status| status.view).map_or(ReplicaId(0), |status| status.primary)
    }
}

/// How long a request may take: far more than a group needs.
const DEADLINE: Duration = Duration::from_secs(30);

fn failed(what: &str) -> impl Fn(RequestError) -> Wrong + '_ {
    move |error| format!("{what} did not get through: {error}")
}

pub(super) async fn a_group_serves(make: Make<'_>) -> Result<(), Wrong> {
    let group = Group::new(make, None).await?;
    let mut last = 0;
    for round in 0..10 {
        for id in ids(3) {
            let number = round * 10 + u64::from(id.0) + 1;
            let what = format!("request {number} at {id}");
            let reply = group.client(id)?.request(number).await.map_err(failed(&what))?;
            if reply != last {
                return Err(format!("{what} was answered with {reply}, not with {last}"));
            }
            last = number;
        }
    }
    Ok(())
}

pub(super) async fn a_group_fails_over(make: Make<'_>) -> Result<(), Wrong> {
    let mut group = Group::new(make, None).await?;
    let mut last = 0;
    for life in 0..3 {
        let mut ask = async |id: ReplicaId, client: Client<Register>, when: &str| {
            let number = last + 1;
            let what = format!("a request at {id}, {when},");
            let reply = client.request(number).await.map_err(failed(&what))?;
            let right = reply == std::mem::replace(&mut last, number);
            if right {
                Ok(())
            } else {
                Err(format!("{what} was answered with {reply}, not with {}", number - 1))
            }
        };
        let survivor = ReplicaId(life);
        ask(survivor, group.client(survivor)?, "before anything happened").await?;
        let mut victim = group.primary();
        if victim == survivor {
            victim = ReplicaId((life + 1) % 3);
        }
        group.crash(victim).await;
        ask(survivor, group.client(survivor)?, "after the crash of a replica").await?;
        group.start(victim).await?;
        ask(victim, group.client(victim)?, "which was restarted").await?;
    }
    Ok(())
}

/// How often each client asks.
const ASKED: u64 = 40;

pub(super) async fn a_bad_network_loses_nothing(make: Make<'_>) -> Result<(), Wrong> {
    for seed in 1..4 {
        let mut group = Group::new(make, Some(seed)).await?;
        let recorder = Recorder::new();
        let clients: Vec<_> = ids(3).into_iter().map(|id| group.client(id)).collect::<Result<_, _>>()?;
        let asking = clients.iter().enumerate().map(|(index, client)| ask(client, index as u64, &recorder));
        let mut asking: Vec<_> = asking.map(Box::pin).collect();
        // Meanwhile two replicas crash, one of them as primary, and come back.
        let crashing = async {
            for round in 0..2 {
                tokio::time::sleep(Duration::from_millis(150)).await;
                let victim =
                    if round == 0 { group.primary() } else { ReplicaId((group.primary().0 + 1) % 3) };
                group.crash(victim).await;
                tokio::time::sleep(Duration::from_millis(300)).await;
                group.start(victim).await?;
            }
            Ok::<_, Wrong>(())
        };
        let mut crashing = pin!(crashing);
        let (mut over, mut not_executed, mut asked) = (false, Vec::new(), 0);
        poll_fn(|context| {
            if !over && let Poll::Ready(ended) = crashing.as_mut().poll(context) {
                ended?;
                over = true;
            }
            asking.retain_mut(|client| match client.as_mut().poll(context) {
                Poll::Ready((answered, refused)) => {
                    asked += answered;
                    not_executed.extend(refused);
                    false
                }
                Poll::Pending => true,
            });
            if over && asking.is_empty() { Poll::Ready(Ok::<_, Wrong>(())) } else { Poll::Pending }
        })
        .await?;
        drop(asking);
        if asked < ASKED {
            return Err(format!("seed {seed}: only {asked} of {} requests were answered", 3 * ASKED));
        }
        let calls = recorder.into_calls_without(&not_executed);
        check::<Spec>(&calls)
            .map_err(|violation| format!("seed {seed}: {violation}; the calls: {calls:?}"))?;
    }
    Ok(())
}

/// One client: how many requests were answered, and which were certainly not executed. It ends when its replica does.
async fn ask(client: &Client<Register>, index: u64, recorder: &Recorder<u64, u64>) -> (u64, Vec<CallId>) {
    let (mut answered, mut not_executed) = (0, Vec::new());
    for item in 1..=ASKED {
        let number = index * 1000 + item;
        let call = recorder.invoke(number);
        match client.request(number).await {
            Ok(reply) => {
                recorder.returned(call, reply);
                answered += 1;
            }
            Err(error) => {
                if error.outcome() == Outcome::NotExecuted {
                    not_executed.push(call);
                }
                if matches!(error, RequestError::Stopped { .. }) {
                    break;
                }
            }
        }
    }
    (answered, not_executed)
}
