//! openraft 0.9: a runtime of its own, with tasks for the core, each follower and the state machine; users bring log, state and network.
//!
//! Choices: as in upstream's benchmark the network is a function call to the other replica's handle, a payload has up to 1024 entries,
//! and clients call `client_write` of the leader. A snapshot every 100 000 entries, which is a copy of the table, trims the log to
//! 10 000. Replica 0 is made leader by `initialize`.

use super::{LOG_MAX, Running};
use crate::{
    memory::workload::{self, Put},
    openraft::v0_9::{Log, Machine, Types},
};
use openraft_0_9::{
    Config, OptionalSend, Raft, RaftNetwork, RaftNetworkFactory, Snapshot, SnapshotPolicy, Vote,
    error::{Fatal, RPCError, RaftError, RemoteError, ReplicationClosed, StreamingError, Unreachable},
    network::RPCOption,
    raft::{AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse},
};
use std::{
    future::Future,
    sync::{Arc, OnceLock},
    time::Duration,
};

const REPLICAS: [u64; 3] = [0, 1, 2];

pub(super) struct Group {
    leader: Raft<Types>,
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

pub(super) struct OneClient(Raft<Types>);

impl workload::Client for OneClient {
    async fn put(&mut self, put: Put) -> Result<u64, String> {
        self.0.client_write(put).await.map(|written| written.data).map_err(|error| error.to_string())
    }
}

/// Finds the other replicas: all are in this process.
#[derive(Clone, Default)]
struct Router {
    replicas: Arc<OnceLock<Vec<Raft<Types>>>>,
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

type Refused = RPCError<u64, (), RaftError<u64>>;

impl Way {
    fn replica(&self) -> Result<&Raft<Types>, Unreachable> {
        let found = self.router.replicas.get().and_then(|replicas| replicas.get(self.target as usize));
        found.ok_or_else(|| Unreachable::new(&std::io::Error::other("it has not started yet")))
    }

    fn remote(&self, error: RaftError<u64>) -> Refused {
        RPCError::RemoteError(RemoteError::new(self.target, error))
    }
}

impl RaftNetwork<Types> for Way {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, Refused> {
        self.replica()?.append_entries(rpc).await.map_err(|error| self.remote(error))
    }

    async fn vote(&mut self, rpc: VoteRequest<u64>, _: RPCOption) -> Result<VoteResponse<u64>, Refused> {
        self.replica()?.vote(rpc).await.map_err(|error| self.remote(error))
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote<u64>,
        snapshot: Snapshot<Types>,
        _: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<u64>, StreamingError<Types, Fatal<u64>>> {
        let installed = self.replica()?.install_full_snapshot(vote, snapshot).await;
        installed.map_err(|error| StreamingError::RemoteError(RemoteError::new(self.target, error)))
    }
}
