//! What the tests replicate, and how they start it.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
};
use vsr_actor::{Client, Cluster, Config, RequestError, linearizability::Model, prelude::*};

/// Keeps what it is given, in order, and shows it when asked: loss, repetition and disorder are visible.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Journal {
    items: Vec<u64>,
}

impl Journal {
    pub(crate) fn items(&self) -> &[u64] {
        &self.items
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Ask {
    /// Keep this; the reply is how many there are.
    Add(u64),
    /// Show everything.
    Read,
    /// Panic.
    Panic,
    /// Be large.
    Pad(Vec<u8>),
}

impl StateMachine for Journal {
    type Operation = Ask;
    type Reply = Vec<u64>;

    fn handle_commit(&mut self, _commit: &Commit, ask: Ask) -> Vec<u64> {
        match ask {
            Ask::Add(item) => {
                self.items.push(item);
                vec![self.items.len() as u64]
            }
            Ask::Read => self.items.clone(),
            Ask::Panic => panic!("asked to"),
            Ask::Pad(_) => Vec::new(),
        }
    }
}

pub(crate) async fn cluster(n: usize) -> Cluster<Journal> {
    cluster_with(n, Config::default()).await
}

pub(crate) async fn cluster_with(n: usize, config: Config) -> Cluster<Journal> {
    let cluster = Cluster::builder(n, Journal::default).config(config).seed(7).start().await;
    cluster.expect("the configuration is valid")
}

pub(crate) async fn add(client: &Client<Journal>, item: u64) -> Result<u64, RequestError> {
    client.request(Ask::Add(item)).await.map(|reply| reply[0])
}

pub(crate) async fn read(client: &Client<Journal>) -> Vec<u64> {
    client.request(Ask::Read).await.expect("the group is healthy")
}

/// Polls once.
pub(crate) async fn is_pending<F: Future>(mut future: Pin<&mut F>) -> bool {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await
}

/// Waits until as many tasks are left: what was aborted is gone after a few turns of the runtime.
pub(crate) async fn until_tasks_are(wanted: usize) {
    let metrics = tokio::runtime::Handle::current().metrics();
    for _ in 0..1000 {
        if metrics.num_alive_tasks() == wanted {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("{} tasks are left, {wanted} were there before", metrics.num_alive_tasks());
}

/// The journal as a sequential model: adds an item, or shows all.
pub(crate) struct Spec;

impl Model for Spec {
    type State = Vec<u64>;
    type Op = Option<u64>;
    type Reply = Vec<u64>;

    fn initial() -> Vec<u64> {
        Vec::new()
    }

    fn step(state: &Vec<u64>, add: &Option<u64>) -> (Vec<u64>, Vec<u64>) {
        let mut state = state.clone();
        let Some(item) = add else { return (state.clone(), state) };
        state.push(*item);
        let reply = vec![state.len() as u64];
        (state, reply)
    }
}
