//! This project, as its users meet it: default configuration, events on, one client that all tasks share.

use super::Running;
use crate::memory::workload::{Client, Put, Table};
use vsr_actor::{Cluster, Commit, StateMachine};

pub(super) struct Group {
    client: vsr_actor::Client<Table>,
    _cluster: Cluster<Table>,
}

impl StateMachine for Table {
    type Operation = Put;
    type Reply = u64;

    fn handle_commit(&mut self, _: &Commit, put: Put) -> u64 {
        self.put(&put)
    }
}

impl Running for Group {
    type Client = vsr_actor::Client<Table>;

    async fn start() -> Result<Self, String> {
        let cluster = Cluster::in_process(3, Table::default).await.map_err(|error| error.to_string())?;
        Ok(Self { client: cluster.client(), _cluster: cluster })
    }

    fn client(&self) -> Self::Client {
        self.client.clone()
    }
}

impl Client for vsr_actor::Client<Table> {
    async fn put(&mut self, put: Put) -> Result<u64, String> {
        self.request(put).await.map_err(|error| error.to_string())
    }
}
