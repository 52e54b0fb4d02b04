//! Three replicas in this process and the client that a user has: one thread, a fixed seed, and time that stands still while there is
//! something to do.

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use vsr_actor::{Client, Cluster, Commit, StateMachine};

/// In a vector rather than a map: one whose hash function is seeded at random costs something else in every run.
const ROWS: usize = 1024;

#[derive(Serialize, Deserialize)]
struct Put {
    row: u16,
    value: [[u8; 32]; 2],
}

#[derive(Serialize, Deserialize)]
struct Table {
    rows: Vec<[[u8; 32]; 2]>,
    puts: u64,
}

impl Default for Table {
    fn default() -> Self {
        Self { rows: vec![[[0; 32]; 2]; ROWS], puts: 0 }
    }
}

impl StateMachine for Table {
    type Operation = Put;
    type Reply = u64;

    fn handle_commit(&mut self, _: &Commit, put: Put) -> u64 {
        if let Some(row) = self.rows.get_mut(usize::from(put.row)) {
            *row = put.value;
        }
        self.puts += 1;
        self.puts
    }
}

pub(super) fn run(clients: u64, operations: u64) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.map_err(|error| format!("no runtime: {error}"))?.block_on(load(clients, operations))
}

async fn load(clients: u64, operations: u64) -> Result<(), String> {
    let started = Cluster::builder(3, Table::default).seed(1).start().await;
    let cluster = started.map_err(|error| error.to_string())?;
    let client = cluster.client();
    let mut tasks = JoinSet::new();
    for number in 0..clients {
        tasks.spawn(put(client.clone(), number, operations / clients));
    }
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(|error| error.to_string())??;
    }
    cluster.shutdown().await.map_err(|error| error.to_string())
}

async fn put(client: Client<Table>, number: u64, operations: u64) -> Result<(), String> {
    for operation in 0..operations {
        let row = (operation * 31 + number) as u16 % ROWS as u16;
        let put = Put { row, value: [[operation as u8; 32]; 2] };
        client.request(put).await.map_err(|error| error.to_string())?;
    }
    Ok(())
}
