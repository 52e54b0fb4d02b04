//! `send_vsr` and `send_reply` of an actor, and what lives beside its replicated state.

use super::desk::{Add, Peek, Sleep, Wake, desks_with};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};
use tokio::sync::mpsc;
use vsr_actor::{
    Builder, Config, Handle, Message, ReplicaId, Replies, ReplyTo, RequestError, Transport, prelude::*,
};

/// Clients, and what they were told.
type Answered = Arc<Mutex<Vec<(Vec<u8>, u64)>>>;

/// Its own network, and its own clients.
#[derive(Default, Serialize, Deserialize)]
struct Networked {
    total: u64,
    #[serde(skip)]
    wires: HashMap<ReplicaId, mpsc::UnboundedSender<Message>>,
    #[serde(skip)]
    answered: Answered,
}

impl StateMachine for Networked {
    type Operation = u64;
    type Reply = u64;
    fn handle_commit(&mut self, _commit: &Commit, add: u64) -> u64 {
        self.total += add;
        self.total
    }
}

impl VsrServer for Networked {
    fn send_vsr(&mut self, to: ReplicaId, message: Message, _default: &mut dyn Transport) {
        let _ = self.wires[&to].send(message);
    }

    fn send_reply(
        &mut self,
        to: ReplyTo<u64>,
        reply: Result<u64, RequestError>,
        default: &mut dyn Replies<u64>,
    ) {
        match to {
            ReplyTo::Custom(client) => {
                let reply = reply.expect("the group is healthy");
                self.answered.lock().expect("no panic").push((client.to_vec(), reply));
            }
            to => default.send_reply(to, reply),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_actor_that_overrides_send_vsr_and_send_reply_needs_no_other_transport() {
    let ids = [0, 1, 2].map(ReplicaId);
    let answered = Answered::default();
    let (wires, ends): (HashMap<_, _>, Vec<_>) = ids
        .iter()
        .map(|id| {
            let (wire, end) = mpsc::unbounded_channel();
            ((*id, wire), end)
        })
        .unzip();
    let mut replicas: Vec<Handle<Networked>> = Vec::new();
    let mut postmen = tokio::task::JoinSet::new();
    for (id, mut end) in ids.into_iter().zip(ends) {
        let server = Networked { wires: wires.clone(), answered: answered.clone(), total: 0 };
        let replica = Builder::server(id, ids, server).start().await.expect("a valid configuration");
        replicas.push(replica.clone());
        postmen.spawn(async move {
            while let Some(message) = end.recv().await {
                replica.deliver(message);
            }
        });
    }
    let client = replicas[1].client();
    assert_eq!(client.request(5).await, Ok(5));
    replicas[2]
        .submit(1, ReplyTo::Custom(bytes::Bytes::from_static(b"a client of its own")))
        .expect("there is room");
    assert_eq!(replicas[2].client().request(1).await, Ok(7), "submitted after it through the same replica");
    assert_eq!(*answered.lock().expect("no panic"), [(b"a client of its own".to_vec(), 6)]);
    replicas[0].shutdown().await.expect("it hands over");
    assert_eq!(client.request(1).await, Ok(8));
}

#[tokio::test(start_paused = true)]
async fn what_lives_beside_the_state_survives_a_snapshot() {
    let mut config = Config::default();
    config.limits.snapshot_interval_ops = 20;
    config.limits.log_keep_ops = 10;
    let (cluster, diary) = desks_with(3, config).await;
    let primary = cluster.primary().await.expect("there is one");
    let behind = cluster.ids().iter().copied().find(|id| *id != primary).expect("there are three");
    let desk = cluster.handle(behind).expect("it runs").server();
    let sleeper = tokio::spawn({
        let desk = desk.clone();
        async move { desk.call_timeout(Sleep, std::time::Duration::from_secs(3600)).await }
    });
    diary.until("kept", 1).await;
    cluster.isolate(behind).expect("it exists");
    let client = cluster.client();
    for _ in 0..200 {
        client.request(1).await.expect("a quorum is left");
    }
    cluster.heal();
    diary.until("restore", 1).await;
    assert_eq!(desk.call(Add(0, 0)).await, Ok((200, 0)));
    assert_eq!(desk.call(Peek).await, Ok(200));
    desk.info(Wake).await.expect("it runs");
    assert_eq!(sleeper.await.expect("no panic"), Ok(200), "the token was not lost with the old state");
}
