//! This project, as its users meet it: default configuration, events on, one client that all tasks share. The operation is written as
//! its 80 bytes, by hand, as whoever counts nanoseconds would: the free serde form reads and writes an array byte by byte. The state has
//! the free form.

use super::Running;
use crate::memory::workload::{Client, Put, Table};
use bytes::Bytes;
use std::ops::Range;
use vsr_actor::{Cluster, Commit, Payload, PayloadError, StateMachine};

/// A put, as bytes.
pub(crate) struct Operation(Put);

impl Payload for Operation {
    fn encode(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.0.key);
        into.extend_from_slice(&self.0.value.0);
        into.extend_from_slice(&self.0.value.1);
    }

    fn decode(from: Bytes) -> Result<Self, PayloadError> {
        Self::decode_part(&from, 0..from.len())
    }

    fn decode_part(body: &Bytes, part: Range<usize>) -> Result<Self, PayloadError> {
        let from = &body[part];
        let wrong = || PayloadError { wanted: "put", why: format!("{} bytes, not 80", from.len()) };
        let (key, value) = from.split_first_chunk().ok_or_else(wrong)?;
        let (first, second) = value.split_first_chunk().ok_or_else(wrong)?;
        let second = second.try_into().map_err(|_| wrong())?;
        Ok(Self(Put { key: *key, value: (*first, second) }))
    }
}

pub(super) struct Group {
    client: vsr_actor::Client<Table>,
    _cluster: Cluster<Table>,
}

impl StateMachine for Table {
    type Operation = Operation;
    type Reply = u64;

    fn handle_commit(&mut self, _: &Commit, operation: Operation) -> u64 {
        self.put(&operation.0)
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
        self.request(Operation(put)).await.map_err(|error| error.to_string())
    }
}
