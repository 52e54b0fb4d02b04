//! What the tests replicate, and how they start it.

use std::time::Duration;
use vsr_actor::{Cluster, Config, prelude::*};

/// Appends what it is given, and answers with all of it: order, loss and repetition are visible.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Journal {
    pub(crate) items: Vec<u64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Ask {
    Add(u64),
    Read,
    Panic,
    Pad(Vec<u8>),
}

impl StateMachine for Journal {
    type Operation = Ask;
    type Reply = Vec<u64>;

    fn handle_commit(&mut self, _commit: &Commit, ask: Ask) -> Vec<u64> {
        match ask {
            Ask::Add(item) => {
                self.items.push(item);
                vec![item]
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
    cluster.expect("a valid configuration")
}

pub(crate) fn second() -> Duration {
    Duration::from_secs(1)
}
