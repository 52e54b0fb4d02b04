//! omnipaxos: a state machine that hands out messages and decided entries when it is asked.
//!
//! Choices: each replica is a task with the crate's own storage in memory and its defaults otherwise. A turn appends all that waited and
//! takes in all messages, then reads what was decided, once, and hands to each peer in one piece what is for it. The leader trims the
//! log when it has 100 000 entries that all replicas have. Ticks (heartbeats) come every 50 ms and half a second without one elects
//! another leader; replica 1 is preferred, so that clients know whom to ask.

use super::{
    DRAIN_MAX, LOG_MAX, Running,
    inbox::{Request, Submit},
};
use crate::memory::workload::{Put, Table};
use omnipaxos::{
    ClusterConfig, OmniPaxos, OmniPaxosConfig, ServerConfig,
    messages::Message as Protocol,
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
            tasks.spawn(run(host, inbox, ticks));
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

async fn run(mut host: Host, mut inbox: mpsc::UnboundedReceiver<Message>, mut ticks: Interval) {
    let mut drained = Vec::with_capacity(DRAIN_MAX);
    let mut outgoing = Vec::new();
    loop {
        tokio::select! {
            biased;
            _ = ticks.tick() => host.replica.tick(),
            count = inbox.recv_many(&mut drained, DRAIN_MAX) => if count == 0 { return },
        }
        for message in drained.drain(..) {
            match message {
                Message::Request(Request { put, reply }) => match host.replica.append(put) {
                    Ok(()) => host.replies.push_back(reply),
                    // The client sees that nobody will answer.
                    Err(_) => drop(reply),
                },
                Message::Protocol(messages) => {
                    messages.into_iter().for_each(|message| host.replica.handle_incoming(message));
                }
            }
        }
        host.apply();
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
    fn apply(&mut self) {
        if self.replica.get_decided_idx() == self.applied {
            return;
        }
        for entry in self.replica.read_decided_suffix(self.applied).into_iter().flatten() {
            self.applied += 1;
            if let LogEntry::Decided(put) = entry {
                let number = self.table.put(&put);
                if let Some(reply) = self.replies.pop_front() {
                    let _ = reply.send(number);
                }
            }
        }
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
