//! openraft 0.10 (alpha): as the driver of 0.9, with what changed. Entries are read and applied as streams, a reply is sent from within
//! the state machine, and replication is a stream of requests.
//!
//! Choices: replies go through `OneshotResponder`, as in upstream's benchmark, and so does each request of a replication stream through
//! one call, in order.

use super::openraft::group;
use crate::{
    memory::workload::Table,
    openraft::v0_10::{Log, Machine, Types},
};
use openraft_0_10::{
    OptionalSend, Raft, RaftNetworkV2,
    alias::{SnapshotOf, VoteOf},
    errors::{RPCError, ReplicationClosed, StreamingError, Unreachable},
    network::RPCOption,
    raft::{AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse},
};
use std::{error::Error, future::Future};

group!(openraft_0_10, Raft<Types, Machine>);

impl Way {
    fn reach(&self) -> Result<&Raft<Types, Machine>, Unreachable<Types>> {
        self.replica().map_err(|error| unreachable(&error))
    }
}

fn unreachable(error: &(impl Error + 'static)) -> Unreachable<Types> {
    Unreachable::new(error)
}

impl RaftNetworkV2<Types> for Way {
    type SnapshotData = Table;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        Ok(self.reach()?.append_entries(rpc).await.map_err(|error| unreachable(&error))?)
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<Types>,
        _: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        Ok(self.reach()?.vote(rpc).await.map_err(|error| unreachable(&error))?)
    }

    async fn full_snapshot(
        &mut self,
        vote: VoteOf<Types>,
        snapshot: SnapshotOf<Types, Table>,
        _: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let installed = self.reach()?.install_full_snapshot(vote, snapshot).await;
        Ok(installed.map_err(|error| unreachable(&error))?)
    }
}
