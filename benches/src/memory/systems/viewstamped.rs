//! The crate viewstamped-replication: a state machine that takes one message at a time and writes its answers into a mailbox.
//!
//! Choices: each replica is a task; it drains its inbox, and what all those messages came to goes to each peer in one piece. The crate
//! has one Prepare and one PrepareOk an operation, and they stay that. Each client task is a client of the protocol, for a client of
//! this crate has one request under way. No message is lost here, and nobody's timer runs. A checkpoint every 100 000 operations trims
//! the log; the crate makes one by copying the table.

use super::{DRAIN_MAX, LOG_MAX, Running, inbox::Company};
use crate::memory::workload::{self, Put, Table};
use std::collections::HashMap;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};
use viewstamped_replication::{
    Client, ClientIdentifier, Configuration, Protocol, Replica, Request, Service,
    buffer::{BufferedMailbox, ProtocolPayload},
};

const REPLICAS: usize = 3;

impl Protocol for Table {
    type Request = Put;
    type Prediction = ();
    type Reply = u64;
    type Checkpoint = Self;
}

impl Service for Table {
    fn predict(&self, _: &Put) {}

    fn checkpoint(&self) -> Self {
        self.clone()
    }

    fn invoke(&mut self, put: &Put, (): &()) -> u64 {
        self.put(put)
    }
}

pub(super) enum Message {
    Request(Request<Put>, oneshot::Sender<u64>),
    /// What a peer had to say, at once.
    Protocol(Vec<ProtocolPayload<Table>>),
}

type Inbox = mpsc::UnboundedReceiver<Message>;
type Door = mpsc::UnboundedSender<Message>;

pub(super) struct Group {
    configuration: Configuration,
    doors: [Door; REPLICAS],
    _tasks: JoinSet<()>,
}

impl Running for Group {
    type Client = OneClient;

    async fn start() -> Result<Self, String> {
        let configuration = Configuration::from(REPLICAS);
        let (doors, inboxes): (Vec<_>, Vec<_>) = (0..REPLICAS).map(|_| mpsc::unbounded_channel()).unzip();
        let doors: [Door; REPLICAS] = doors.try_into().map_err(|_| "not three replicas")?;
        let mut tasks = JoinSet::new();
        for (index, inbox) in inboxes.into_iter().enumerate() {
            let replica = Replica::new(configuration, index, Table::default());
            tasks.spawn(run(Host { replica, doors: doors.clone(), replies: HashMap::new() }, inbox));
        }
        Ok(Self { configuration, doors, _tasks: tasks })
    }

    fn client(&self) -> OneClient {
        let client = Client::new(self.configuration);
        OneClient { primary: self.doors[client.primary()].clone(), client }
    }
}

pub(super) struct OneClient {
    client: Client,
    primary: Door,
}

impl workload::Client for OneClient {
    async fn put(&mut self, put: Put) -> Result<u64, String> {
        let (reply, replied) = oneshot::channel();
        let gone = || "the primary is gone".to_owned();
        let request = self.client.new_request(put);
        self.primary.send(Message::Request(request, reply)).map_err(|_| gone())?;
        replied.await.map_err(|_| gone())
    }
}

struct Host {
    replica: Replica<Table>,
    doors: [Door; REPLICAS],
    /// Who waits for a reply.
    replies: HashMap<ClientIdentifier, oneshot::Sender<u64>>,
}

async fn run(mut host: Host, mut inbox: Inbox) {
    let mut drained = Vec::with_capacity(DRAIN_MAX);
    let mut mailbox = BufferedMailbox::default();
    let mut since_checkpoint = 0;
    let mut company = Company::default();
    loop {
        company.wait().await;
        if inbox.recv_many(&mut drained, DRAIN_MAX).await == 0 {
            return;
        }
        let mut requests = 0;
        for message in drained.drain(..) {
            match message {
                Message::Request(request, reply) => {
                    requests += 1;
                    host.replies.insert(request.client, reply);
                    host.replica.handle_request(request, &mut mailbox);
                    since_checkpoint += 1;
                }
                Message::Protocol(messages) => {
                    since_checkpoint += messages.len();
                    messages.into_iter().for_each(|message| host.handle(message, &mut mailbox));
                }
            }
        }
        company.came(requests);
        host.deliver(&mut mailbox);
        if since_checkpoint >= LOG_MAX {
            // Kept nowhere: there is no disk in this workload.
            drop(host.replica.checkpoint_with_suffix(LOG_MAX / 10));
            since_checkpoint = 0;
        }
    }
}

impl Host {
    fn handle(&mut self, message: ProtocolPayload<Table>, mailbox: &mut BufferedMailbox<Table>) {
        let replica = &mut self.replica;
        match message {
            ProtocolPayload::Prepare(it) => replica.handle_prepare(it, mailbox),
            ProtocolPayload::PrepareOk(it) => replica.handle_prepare_ok(it, mailbox),
            ProtocolPayload::Commit(it) => replica.handle_commit(it, mailbox),
            ProtocolPayload::GetState(it) => replica.handle_get_state(it, mailbox),
            ProtocolPayload::NewState(it) => replica.handle_new_state(it, mailbox),
            ProtocolPayload::StartViewChange(it) => replica.handle_start_view_change(it, mailbox),
            ProtocolPayload::DoViewChange(it) => replica.handle_do_view_change(it, mailbox),
            ProtocolPayload::StartView(it) => replica.handle_start_view(it, mailbox),
            ProtocolPayload::Recovery(it) => replica.handle_recovery(it, mailbox),
            ProtocolPayload::RecoveryResponse(it) => replica.handle_recovery_response(it, mailbox),
        }
    }

    /// A peer that is gone has no use for messages: the group is being stopped.
    fn deliver(&mut self, mailbox: &mut BufferedMailbox<Table>) {
        for envelope in mailbox.drain_replies() {
            if let Some(reply) = self.replies.remove(&envelope.destination) {
                let _ = reply.send(envelope.payload.payload);
            }
        }
        let mut single: [Vec<_>; REPLICAS] = Default::default();
        for envelope in mailbox.drain_send() {
            single[envelope.destination].push(envelope.payload);
        }
        for (door, messages) in self.doors.iter().zip(single) {
            if !messages.is_empty() {
                let _ = door.send(Message::Protocol(messages));
            }
        }
        let broadcast: Vec<_> = mailbox.drain_broadcast().collect();
        if !broadcast.is_empty() {
            let one = (self.replica.index() + 1) % REPLICAS;
            let other = (self.replica.index() + 2) % REPLICAS;
            let _ = self.doors[one].send(Message::Protocol(broadcast.clone()));
            let _ = self.doors[other].send(Message::Protocol(broadcast));
        }
    }
}
