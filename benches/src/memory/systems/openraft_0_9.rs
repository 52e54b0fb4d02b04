//! openraft 0.9: a runtime of its own, with tasks for the core, each follower and the state machine; users bring log, state and network.

use super::openraft::group;
use crate::openraft::v0_9::{Log, Machine, Types};
use openraft_0_9::{
    OptionalSend, Raft, RaftNetwork, Snapshot, Vote,
    error::{Fatal, RPCError, RaftError, RemoteError, ReplicationClosed, StreamingError, Unreachable},
    network::RPCOption,
    raft::{AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse},
};
use std::future::Future;

group!(openraft_0_9, Raft<Types>);

type Refused = RPCError<u64, (), RaftError<u64>>;

impl Way {
    fn reach(&self) -> Result<&Raft<Types>, Unreachable> {
        self.replica().map_err(|error| Unreachable::new(&error))
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
        self.reach()?.append_entries(rpc).await.map_err(|error| self.remote(error))
    }

    async fn vote(&mut self, rpc: VoteRequest<u64>, _: RPCOption) -> Result<VoteResponse<u64>, Refused> {
        self.reach()?.vote(rpc).await.map_err(|error| self.remote(error))
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote<u64>,
        snapshot: Snapshot<Types>,
        _: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<u64>, StreamingError<Types, Fatal<u64>>> {
        let installed = self.reach()?.install_full_snapshot(vote, snapshot).await;
        installed.map_err(|error| StreamingError::RemoteError(RemoteError::new(self.target, error)))
    }
}
