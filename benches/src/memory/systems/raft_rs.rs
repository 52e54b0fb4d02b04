//! raft (raft-rs): `RawNode`, whose user carries entries to the log, messages to peers and committed entries to the state machine.
//!
//! Choices: each replica is a task with the crate's `MemStorage`. A turn steps all messages and proposes all that waited, in one message
//! as the protocol has it (`RawNode::propose` makes one for each, which costs a fifth of the throughput), then carries out all that is
//! ready, and hands to each peer in one piece what is for it. Appends to a peer are merged (`batch_append`; without it, and with a message
//! for each proposal, there is less than half the throughput), 1024 may be under way, of 1 MiB each; the pre-vote is off, as by default.
//! An operation is the 80 bytes of its key and value. Nobody ticks: no message is lost here, and the first replica campaigns once. The log
//! is compacted to 10 000 entries whenever it has 100 000: `MemStorage` frees them one by one, which with 1024 clients is what its p99
//! shows. Compacting more often was no better with 256: what stays is moved each time, and all wait for it more often.

use super::{
    DRAIN_MAX, LOG_MAX, Running,
    inbox::{Company, Request, Submit},
};
use crate::memory::workload::{Put, Table};
use raft::{
    Config, RawNode, StateRole,
    eraftpb::{ConfState, Entry, Message as Protocol, MessageType},
    storage::MemStorage,
};
use std::collections::VecDeque;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

/// They count from 1.
const REPLICAS: [u64; 3] = [1, 2, 3];
const LEADER: u64 = 1;

pub(super) enum Message {
    Request(Request),
    /// What a peer had to say, at once.
    Protocol(Vec<Protocol>),
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
        let (tell, elected) = oneshot::channel();
        let mut tell = Some(tell);
        for (id, inbox) in REPLICAS.into_iter().zip(inboxes) {
            let host = Host {
                replica: replica(id).map_err(|error| error.to_string())?,
                doors: doors.clone(),
                table: Table::default(),
                replies: VecDeque::new(),
                elected: if id == LEADER { tell.take() } else { None },
            };
            tasks.spawn(async move {
                if let Err(error) = run(host, inbox).await {
                    eprintln!("error: replica {id} of raft: {error}");
                    // A group that has lost a replica is worth no figure, and this process measures nothing else.
                    std::process::exit(1);
                }
            });
        }
        elected.await.map_err(|_| "the leader ended before it led")?;
        let leader = doors.into_iter().next().ok_or("no replicas")?;
        Ok(Self { leader, _tasks: tasks })
    }

    fn client(&self) -> Self::Client {
        Submit(self.leader.clone())
    }
}

fn replica(id: u64) -> raft::Result<RawNode<MemStorage>> {
    let config = Config {
        id,
        max_size_per_msg: 1 << 20,
        max_inflight_msgs: 1024,
        batch_append: true,
        ..Config::default()
    };
    let storage = MemStorage::new_with_conf_state(ConfState::from((REPLICAS.to_vec(), Vec::new())));
    RawNode::new(&config, storage, &slog::Logger::root(slog::Discard, slog::o!()))
}

struct Host {
    replica: RawNode<MemStorage>,
    doors: Vec<Door>,
    table: Table,
    /// At the leader, in the order of its log: no other replica proposes.
    replies: VecDeque<oneshot::Sender<u64>>,
    /// Who waits for this replica to lead.
    elected: Option<oneshot::Sender<()>>,
}

async fn run(mut host: Host, mut inbox: mpsc::UnboundedReceiver<Message>) -> raft::Result<()> {
    let mut drained = Vec::with_capacity(DRAIN_MAX);
    if host.elected.is_some() {
        host.replica.campaign()?;
        host.carry_out()?;
    }
    let mut proposed = Vec::new();
    let mut company = Company::default();
    loop {
        company.wait().await;
        if inbox.recv_many(&mut drained, DRAIN_MAX).await == 0 {
            return Ok(());
        }
        for message in drained.drain(..) {
            match message {
                Message::Request(Request { put, reply }) => {
                    proposed.push(Entry { data: encode(&put).into(), ..Entry::default() });
                    host.replies.push_back(reply);
                }
                Message::Protocol(messages) => {
                    for message in messages {
                        host.replica.step(message)?;
                    }
                }
            }
        }
        company.came(proposed.len());
        host.propose(std::mem::take(&mut proposed))?;
        host.carry_out()?;
        if host.replica.raft.state == StateRole::Leader
            && let Some(waits) = host.elected.take()
        {
            let _ = waits.send(());
        }
    }
}

impl Host {
    fn propose(&mut self, entries: Vec<Entry>) -> raft::Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut message = Protocol { from: self.replica.raft.id, ..Protocol::default() };
        message.set_msg_type(MessageType::MsgPropose);
        message.set_entries(entries.into());
        self.replica.step(message)
    }

    /// Everything that is ready, in the order that the crate asks for.
    fn carry_out(&mut self) -> raft::Result<()> {
        while self.replica.has_ready() {
            let mut ready = self.replica.ready();
            self.deliver(ready.take_messages());
            self.apply(ready.take_committed_entries());
            let storage = self.replica.store().clone();
            storage.wl().append(ready.entries())?;
            if let Some(state) = ready.hs() {
                storage.wl().set_hardstate(state.clone());
            }
            self.deliver(ready.take_persisted_messages());
            let mut light = self.replica.advance(ready);
            if let Some(commit) = light.commit_index() {
                storage.wl().mut_hard_state().set_commit(commit);
            }
            self.deliver(light.take_messages());
            self.apply(light.take_committed_entries());
            self.replica.advance_apply();
        }
        self.compact()
    }

    fn apply(&mut self, entries: Vec<Entry>) {
        // A new leader commits an entry of its own that says nothing.
        for put in entries.iter().filter_map(|entry| decode(&entry.data)) {
            let number = self.table.put(&put);
            if let Some(reply) = self.replies.pop_front() {
                let _ = reply.send(number);
            }
        }
    }

    /// A peer that is gone has no use for messages: the group is being stopped.
    fn deliver(&mut self, messages: Vec<Protocol>) {
        if messages.is_empty() {
            return;
        }
        let mut sorted: [Vec<_>; REPLICAS.len()] = Default::default();
        for message in messages {
            sorted[message.to as usize - 1].push(message);
        }
        for (door, messages) in self.doors.iter().zip(sorted) {
            if !messages.is_empty() {
                let _ = door.send(Message::Protocol(messages));
            }
        }
    }

    fn compact(&mut self) -> raft::Result<()> {
        let applied = self.replica.raft.raft_log.applied;
        let first = self.replica.raft.raft_log.first_index();
        if applied.saturating_sub(first) <= LOG_MAX as u64 {
            return Ok(());
        }
        self.replica.store().wl().compact(applied - LOG_MAX as u64 / 10)
    }
}

fn encode(put: &Put) -> Vec<u8> {
    [&put.key[..], &put.value.0, &put.value.1].concat()
}

fn decode(bytes: &[u8]) -> Option<Put> {
    let (key, value) = bytes.split_first_chunk()?;
    let (low, high) = value.split_first_chunk()?;
    Some(Put { key: *key, value: (*low, high.try_into().ok()?) })
}
