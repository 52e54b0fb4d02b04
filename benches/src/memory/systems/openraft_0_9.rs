//! openraft 0.9: a runtime of its own, with tasks for the core, each follower and the state machine; users bring log, state and network.
//!
//! Choices: as in upstream's benchmark the network is a function call to the other replica's handle, a payload has up to 1024 entries,
//! and clients call `client_write` of the leader. Upstream keeps its log in a `BTreeMap` under tokio's lock; here it is a deque under a
//! plain one, for it is never held across a wait. A snapshot every 100 000 entries, which is a copy of the table, trims the log to
//! 10 000. Replica 0 is made leader by `initialize`.

use super::{LOG_MAX, Running, entries::Entries};
use crate::memory::workload::{self, Put, Table};
use openraft_0_9::{
    Config, Entry, EntryPayload, LogId, LogState, OptionalSend, Raft, RaftLogId, RaftLogReader, RaftNetwork,
    RaftNetworkFactory, RaftSnapshotBuilder, Snapshot, SnapshotMeta, SnapshotPolicy, StorageError,
    StoredMembership, Vote,
    error::{Fatal, RPCError, RaftError, RemoteError, ReplicationClosed, StreamingError, Unreachable},
    network::RPCOption,
    raft::{AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse},
    storage::{LogFlushed, RaftLogStorage, RaftStateMachine},
};
use std::{
    fmt::Debug,
    future::Future,
    ops::RangeBounds,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

const REPLICAS: [u64; 3] = [0, 1, 2];

openraft_0_9::declare_raft_types!(
    pub(super) Types: D = Put, R = u64, Node = (), SnapshotData = Table,
);

type Stored<T> = Result<T, StorageError<u64>>;

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

#[derive(Clone, Default)]
struct Log(Arc<Mutex<LogInner>>);

#[derive(Default)]
struct LogInner {
    entries: Entries<Entry<Types>>,
    vote: Option<Vote<u64>>,
    purged: Option<LogId<u64>>,
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, LogInner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RaftLogReader<Types> for Log {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> Stored<Vec<Entry<Types>>> {
        Ok(self.lock().entries.copy(range))
    }
}

impl RaftLogStorage<Types> for Log {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Stored<LogState<Types>> {
        let log = self.lock();
        let last_log_id = log.entries.last().map(|entry| *entry.get_log_id()).or(log.purged);
        Ok(LogState { last_purged_log_id: log.purged, last_log_id })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote<u64>) -> Stored<()> {
        self.lock().vote = Some(*vote);
        Ok(())
    }

    async fn read_vote(&mut self) -> Stored<Option<Vote<u64>>> {
        Ok(self.lock().vote)
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<Types>) -> Stored<()>
    where
        I: IntoIterator<Item = Entry<Types>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut log = self.lock();
        entries.into_iter().for_each(|entry| log.entries.put(entry.log_id.index, entry));
        drop(log);
        callback.log_io_completed(Ok(()));
        Ok(())
    }

    async fn truncate(&mut self, from: LogId<u64>) -> Stored<()> {
        self.lock().entries.truncate(from.index);
        Ok(())
    }

    async fn purge(&mut self, through: LogId<u64>) -> Stored<()> {
        let mut log = self.lock();
        log.entries.purge(through.index);
        log.purged = Some(through);
        Ok(())
    }
}

#[derive(Clone, Default)]
struct Machine(Arc<Mutex<MachineInner>>);

#[derive(Default)]
struct MachineInner {
    table: Table,
    applied: Option<LogId<u64>>,
    membership: StoredMembership<u64, ()>,
    snapshot: Option<Snapshot<Types>>,
}

impl Machine {
    fn lock(&self) -> MutexGuard<'_, MachineInner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RaftSnapshotBuilder<Types> for Machine {
    async fn build_snapshot(&mut self) -> Stored<Snapshot<Types>> {
        let mut machine = self.lock();
        let meta = SnapshotMeta {
            last_log_id: machine.applied,
            last_membership: machine.membership.clone(),
            snapshot_id: machine.applied.map_or_else(String::new, |applied| applied.to_string()),
        };
        let snapshot = Snapshot { meta, snapshot: Box::new(machine.table.clone()) };
        machine.snapshot = Some(snapshot.clone());
        Ok(snapshot)
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> Stored<(Option<LogId<u64>>, StoredMembership<u64, ()>)> {
        let machine = self.lock();
        Ok((machine.applied, machine.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Stored<Vec<u64>>
    where
        I: IntoIterator<Item = Entry<Types>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut machine = self.lock();
        let replies = entries.into_iter().map(|entry| {
            machine.applied = Some(entry.log_id);
            match entry.payload {
                EntryPayload::Normal(put) => machine.table.put(&put),
                EntryPayload::Blank => 0,
                EntryPayload::Membership(membership) => {
                    machine.membership = StoredMembership::new(Some(entry.log_id), membership);
                    0
                }
            }
        });
        Ok(replies.collect())
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> Stored<Box<Table>> {
        Ok(Box::default())
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta<u64, ()>, snapshot: Box<Table>) -> Stored<()> {
        let mut machine = self.lock();
        machine.applied = meta.last_log_id;
        machine.membership = meta.last_membership.clone();
        machine.table = Table::clone(&snapshot);
        machine.snapshot = Some(Snapshot { meta: meta.clone(), snapshot });
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Stored<Option<Snapshot<Types>>> {
        Ok(self.lock().snapshot.clone())
    }
}
