//! The lines between nodes are a transport like others: what the suite asks of any is asked of them, too.

use super::{
    envelope::{Envelope, peer_message},
    lines::{Line, Lines},
    node::{LINE_BYTES_MAX, PEERS_MAX},
    output::{self, Peers},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{BufReader, DuplexStream, duplex},
    sync::mpsc,
    task::JoinSet,
};
use vsr_actor::ReplicaId;
use vsr_test::transport_conformance::{Inbox, Network};

type Inputs = Arc<Mutex<BTreeMap<String, mpsc::Sender<Vec<u8>>>>>;

/// What Maelstrom is to nodes: takes the lines of each, and gives them to those they are for.
struct Switch {
    names: Arc<[Arc<str>]>,
    inputs: Inputs,
    tasks: BTreeMap<ReplicaId, JoinSet<()>>,
}

impl Switch {
    fn new(ids: &[ReplicaId]) -> Self {
        let nodes = ids.iter().map(|id| id.0 + 1).max().unwrap_or(0);
        let names = (0..nodes).map(|node| format!("n{node}").into()).collect();
        Self { names, inputs: Inputs::default(), tasks: BTreeMap::new() }
    }
}

/// Reads what a node says.
async fn switch(output: DuplexStream, inputs: Inputs) {
    let mut lines = Lines::new(BufReader::new(output), LINE_BYTES_MAX);
    while let Ok(Some(Line::Whole(line))) = lines.next().await {
        let envelope = Envelope::parse(&line).expect("a node writes messages");
        let input = inputs.lock().expect("nobody panics holding it").get(&envelope.dest).cloned();
        // Nobody is there, or there is no room: the message is lost.
        let _ = input.map(|input| input.try_send(line));
    }
}

impl Network for Switch {
    type Transport = Peers;

    async fn connect(&mut self, id: ReplicaId, inbox: Inbox) -> Peers {
        let tasks = self.tasks.entry(id).or_default();
        let (lane, messages) = mpsc::channel(PEERS_MAX);
        let (answers, answers_lane) = mpsc::channel(1);
        let (node_output, output) = duplex(1 << 20);
        tasks.spawn(async move {
            let _written = output::write(node_output, answers_lane, messages).await;
            drop(answers);
        });
        tasks.spawn(switch(output, self.inputs.clone()));
        let (to, mut input) = mpsc::channel(PEERS_MAX);
        let me = id.0 as usize;
        self.inputs.lock().expect("nobody panics holding it").insert(self.names[me].to_string(), to);
        tasks.spawn(async move {
            while let Some(line) = input.recv().await {
                let envelope = Envelope::parse(&line).expect("a node writes messages");
                inbox.deliver(peer_message(&envelope.body).expect("a line holds what was sent"));
            }
        });
        Peers { names: self.names.clone(), me, lane }
    }

    async fn disconnect(&mut self, id: ReplicaId) {
        self.inputs.lock().expect("nobody panics holding it").remove(&*self.names[id.0 as usize]);
        if let Some(mut tasks) = self.tasks.remove(&id) {
            tasks.shutdown().await;
        }
    }
}

vsr_test::transport_conformance!(Switch::new, start_paused = true);
