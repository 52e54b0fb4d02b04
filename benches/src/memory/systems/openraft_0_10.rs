//! openraft 0.10 (alpha): as the driver of 0.9, with what changed. Entries are read and applied as streams, a reply is sent from within
//! the state machine, and replication is a stream of requests.
//!
//! Choices: those of the driver of 0.9. Replies go through `OneshotResponder`, as in upstream's benchmark, and so does each request of a
//! replication stream through one call, in order.

use super::{LOG_MAX, Running};
use crate::{
    memory::workload::{self, Put, Table},
    openraft::v0_10::{Log, Machine, Types},
};
use openraft_0_10::{
    Config, OptionalSend, Raft, RaftNetworkFactory, RaftNetworkV2, SnapshotPolicy,
    alias::{SnapshotOf, VoteOf},
    errors::{RPCError, ReplicationClosed, StreamingError, Unreachable},
    network::RPCOption,
    raft::{AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse},
};
use std::{
    error::Error,
    future::Future,
    io,
    sync::{Arc, OnceLock},
    time::Duration,
};

const REPLICAS: [u64; 3] = [0, 1, 2];

pub(super) struct Group {
    leader: Raft<Types, Machine>,
}

impl Running for Group {
    type Client = OneClient;

    async fn start() -> Result<Self, String> {
        let config = Config {
            // A replica that gets no processor for a while is not to be taken for dead.
            election_timeout_min: 1000,
            election_timeout_max: 2000,
            max_payload_entries: 1024,
            purge_batch_size: 1024,
            snapshot_policy: SnapshotPolicy::LogsSinceLast(LOG_MAX as u64),
            max_in_snapshot_log_to_keep: LOG_MAX as u64 / 10,
            ..Config::default()
        };
        let config = Arc::new(config.validate().map_err(|error| error.to_string())?);
        let router = Router::default();
        let mut replicas = Vec::new();
        for id in REPLICAS {
            let raft =
                Raft::new(id, config.clone(), router.clone(), Log::default(), Machine::default()).await;
            replicas.push(raft.map_err(|error| error.to_string())?);
        }
        router.replicas.set(replicas.clone()).map_err(|_| "a router is filled once")?;
        let leader = replicas.swap_remove(0);
        leader
            .initialize(std::collections::BTreeSet::from(REPLICAS))
            .await
            .map_err(|error| error.to_string())?;
        let wait = leader.wait(Some(Duration::from_secs(10))).current_leader(0, "initialized").await;
        wait.map_err(|error| error.to_string())?;
        Ok(Self { leader })
    }

    fn client(&self) -> OneClient {
        OneClient(self.leader.clone())
    }
}

pub(super) struct OneClient(Raft<Types, Machine>);

impl workload::Client for OneClient {
    async fn put(&mut self, put: Put) -> Result<u64, String> {
        self.0.client_write(put).await.map(|written| written.data).map_err(|error| error.to_string())
    }
}

/// Finds the other replicas: all are in this process.
#[derive(Clone, Default)]
struct Router {
    replicas: Arc<OnceLock<Vec<Raft<Types, Machine>>>>,
}

impl RaftNetworkFactory<Types> for Router {
    type Network = Way;

    async fn new_client(&mut self, target: u64, (): &()) -> Way {
        Way { router: self.clone(), target }
    }
}

struct Way {
    router: Router,
    target: u64,
}

impl Way {
    fn replica(&self) -> Result<&Raft<Types, Machine>, Unreachable<Types>> {
        let found = self.router.replicas.get().and_then(|replicas| replicas.get(self.target as usize));
        found.ok_or_else(|| unreachable(&io::Error::other("it has not started yet")))
    }
}

fn unreachable<E: Error + 'static>(error: &E) -> Unreachable<Types> {
    Unreachable::new(error)
}

impl RaftNetworkV2<Types> for Way {
    type SnapshotData = Table;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        Ok(self.replica()?.append_entries(rpc).await.map_err(|error| unreachable(&error))?)
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<Types>,
        _: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        Ok(self.replica()?.vote(rpc).await.map_err(|error| unreachable(&error))?)
    }

    async fn full_snapshot(
        &mut self,
        vote: VoteOf<Types>,
        snapshot: SnapshotOf<Types, Table>,
        _: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let installed = self.replica()?.install_full_snapshot(vote, snapshot).await;
        Ok(installed.map_err(|error| unreachable(&error))?)
    }
}
