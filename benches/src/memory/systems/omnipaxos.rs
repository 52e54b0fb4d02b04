//! omnipaxos: a state machine that hands out messages and decided entries when it is asked.
//!
//! Choices: each replica is a task with the crate's own storage in memory and its defaults otherwise. A turn appends all that waited and
//! takes in all messages, then reads what was decided, once, and hands to each peer in one piece what is for it: the crate has merged
//! the appends of the turn by then, so that its own batches, which wait to be full, are not needed. All three replicas apply what they
//! have decided. The leader trims the log when it has 100 000 entries, and each replica what it has applied of that. Ticks (heartbeats) come every 50 ms and half a second without one elects
//! another leader; replica 1 is preferred, so that clients know whom to ask.

use super::{
    DRAIN_MAX, LOG_MAX, Running,
    inbox::{Company, Request, Submit},
};
use crate::memory::workload::{Put, Table};
use omnipaxos::{
    ClusterConfig, OmniPaxos, OmniPaxosConfig, ServerConfig,
    messages::{Message as Protocol, sequence_paxos::PaxosMsg},
    storage::{Entry, NoSnapshot},
    util::LogEntry,
};
use omnipaxos_storage::memory_storage::MemoryStorage;
use std::{collections::VecDeque, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{Interval, MissedTickBehavior, interval},
};

/// They count from 1.
const REPLICAS: [u64; 3] = [1, 2, 3];
const LEADER: u64 = 1;
const TICK: Duration = Duration::from_millis(50);
const ELECTION_TICKS: u64 = 10;

impl Entry for Put {
    type Snapshot = NoSnapshot;
}

pub(super) enum Message {
    Request(Request),
    /// What a peer had to say, at once.
    Protocol(Vec<Protocol<Put>>),
}

impl From<Request> for Message {
    fn from(request: Request) -> Self {
        Self::Request(request)
    }
}

type Door = mpsc::UnboundedSender<Message>;

pub(super) struct Group {
    leader: Door,
    _tasks: JoinSet<()>,
}

impl Running for Group {
    type Client = Submit<Message>;

    async fn start() -> Result<Self, String> {
        let (doors, inboxes): (Vec<_>, Vec<_>) = REPLICAS.iter().map(|_| mpsc::unbounded_channel()).unzip();
        let mut tasks = JoinSet::new();
        let mut elected = Vec::new();
        for (id, inbox) in REPLICAS.into_iter().zip(inboxes) {
            let (tell, told) = oneshot::channel();
            let mut ticks = interval(TICK);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let host = Host {
                replica: replica(id)?,
                doors: doors.clone(),
                table: Table::default(),
                applied: 0,
                replies: VecDeque::new(),
                elected: (id == LEADER).then_some(tell),
            };
            tasks.spawn(async move {
                if let Err(error) = run(host, inbox, ticks).await {
                    eprintln!("error: replica {id} of omnipaxos: {error}");
                    // A group that has lost a replica is worth no figure, and this process measures nothing else.
                    std::process::exit(1);
                }
            });
            elected.extend((id == LEADER).then_some(told));
        }
        for told in elected {
            told.await.map_err(|_| "the leader ended before it led")?;
        }
        let leader = doors.into_iter().next().ok_or("no replicas")?;
        Ok(Self { leader, _tasks: tasks })
    }

    fn client(&self) -> Self::Client {
        Submit(self.leader.clone())
    }
}

fn replica(id: u64) -> Result<OmniPaxos<Put, MemoryStorage<Put>>, String> {
    let cluster_config =
        ClusterConfig { configuration_id: 1, nodes: REPLICAS.to_vec(), ..ClusterConfig::default() };
    let server_config = ServerConfig {
        pid: id,
        election_tick_timeout: ELECTION_TICKS,
        leader_priority: u32::from(id == LEADER),
        ..ServerConfig::default()
    };
    let config = OmniPaxosConfig { cluster_config, server_config };
    config.build(MemoryStorage::default()).map_err(|error| error.to_string())
}

struct Host {
    replica: OmniPaxos<Put, MemoryStorage<Put>>,
    doors: Vec<Door>,
    table: Table,
    /// Entries of the log that are in the table.
    applied: usize,
    /// At the leader, in the order of its log: no other replica appends.
    replies: VecDeque<oneshot::Sender<u64>>,
    /// Who waits for this replica to lead.
    elected: Option<oneshot::Sender<()>>,
}

async fn run(
    mut host: Host,
    mut inbox: mpsc::UnboundedReceiver<Message>,
    mut ticks: Interval,
) -> Result<(), String> {
    let mut drained = Vec::with_capacity(DRAIN_MAX);
    let mut outgoing = Vec::new();
    let mut company = Company::default();
    loop {
        company.wait().await;
        tokio::select! {
            biased;
            _ = ticks.tick() => host.replica.tick(),
            count = inbox.recv_many(&mut drained, DRAIN_MAX) => if count == 0 { return Ok(()) },
        }
        let mut requests = 0;
        for message in drained.drain(..) {
            match message {
                Message::Request(Request { put, reply }) => {
                    requests += 1;
                    host.replica.append(put).map_err(|error| format!("no append: {error:?}"))?;
                    host.replies.push_back(reply);
                }
                Message::Protocol(messages) => {
                    for message in messages {
                        host.handle(message)?;
                    }
                }
            }
        }
        company.came(requests);
        host.apply()?;
        host.trim();
        host.deliver(&mut outgoing);
        if host.replica.get_current_leader() == Some((LEADER, true))
            && let Some(waits) = host.elected.take()
        {
            let _ = waits.send(());
        }
    }
}

impl Host {
    fn handle(&mut self, message: Protocol<Put>) -> Result<(), String> {
        // What the leader has trimmed may have been decided by the message before: it is read while it is there.
        if let Protocol::SequencePaxos(message) = &message
            && let PaxosMsg::Compaction(_) = message.msg
        {
            self.apply()?;
        }
        self.replica.handle_incoming(message);
        Ok(())
    }

    fn apply(&mut self) -> Result<(), String> {
        if self.replica.get_decided_idx() == self.applied {
            return Ok(());
        }
        for entry in self.replica.read_decided_suffix(self.applied).into_iter().flatten() {
            let LogEntry::Decided(put) = entry else {
                return Err(format!("after entry {} comes {entry:?}", self.applied));
            };
            self.applied += 1;
            let number = self.table.put(&put);
            if let Some(reply) = self.replies.pop_front() {
                let _ = reply.send(number);
            }
        }
        Ok(())
    }

    /// Only the leader may; it tells the others.
    fn trim(&mut self) {
        if self.applied - self.replica.get_compacted_idx() > LOG_MAX {
            // Not yet possible while a replica has nothing of it: tried again after the next turn.
            let _ = self.replica.trim(None);
        }
    }

    /// A peer that is gone has no use for messages: the group is being stopped.
    fn deliver(&mut self, outgoing: &mut Vec<Protocol<Put>>) {
        self.replica.take_outgoing_messages(outgoing);
        let mut sorted: [Vec<_>; REPLICAS.len()] = Default::default();
        for message in outgoing.drain(..) {
            sorted[message.get_receiver() as usize - 1].push(message);
        }
        for (door, messages) in self.doors.iter().zip(sorted) {
            if !messages.is_empty() {
                let _ = door.send(Message::Protocol(messages));
            }
        }
    }
}
