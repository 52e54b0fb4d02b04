//! openraft 0.10 (alpha): as the driver of 0.9, with what changed. Entries are read and applied as streams, a reply is sent from within
//! the state machine, and replication is a stream of requests.
//!
//! Choices: those of the driver of 0.9. Replies go through `OneshotResponder`, as in upstream's benchmark, and so does each request of a
//! replication stream through one call, in order.

use super::{LOG_MAX, Running, entries::Entries};
use crate::memory::workload::{self, Put, Table};
use openraft_0_10::{
    Config, EntryPayload, LogState, OptionalSend, Raft, RaftLogReader, RaftNetworkFactory, RaftNetworkV2,
    RaftSnapshotBuilder, RaftTypeConfig, SnapshotPolicy,
    alias::{EntryOf, LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf, VoteOf},
    errors::{RPCError, ReplicationClosed, StreamingError, Unreachable},
    impls::{
        BoxedErrorSource, Entry, InlineBatch, OneshotResponder, TokioRuntime, Vote, leader_id_adv::LeaderId,
    },
    network::RPCOption,
    raft::{AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse},
    storage::{EntryResponder, IOFlushed, RaftLogStorage, RaftStateMachine},
    vote::RaftLeaderId,
};
use std::{
    error::Error,
    fmt::{self, Debug, Display},
    future::Future,
    io,
    ops::RangeBounds,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};
use tokio_stream::{Stream, StreamExt};

const REPLICAS: [u64; 3] = [0, 1, 2];

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Types;

/// The crate's defaults, but for the first four.
impl RaftTypeConfig for Types {
    type D = Put;
    type R = u64;
    type Node = ();
    type Responder<T>
        = OneshotResponder<Self, T>
    where
        T: OptionalSend + 'static;

    type NodeId = u64;
    type Term = u64;
    type LeaderId = LeaderId<u64, u64>;
    type Vote = Vote<Self::LeaderId>;
    type Payload = EntryPayload<Put, u64, ()>;
    type Entry = Entry<<Self::LeaderId as RaftLeaderId>::Committed, Self::Payload>;
    type Batch<T>
        = InlineBatch<T>
    where
        T: OptionalSend + 'static;
    type AsyncRuntime = TokioRuntime;
    type ErrorSource = BoxedErrorSource;
}

/// It wants to be able to log operations.
impl Display for Put {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "put {:?}", self.key)
    }
}

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

#[derive(Clone, Default)]
struct Log(Arc<Mutex<LogInner>>);

#[derive(Default)]
struct LogInner {
    entries: Entries<EntryOf<Types>>,
    vote: Option<VoteOf<Types>>,
    purged: Option<LogIdOf<Types>>,
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
    ) -> io::Result<Vec<EntryOf<Types>>> {
        Ok(self.lock().entries.copy(range))
    }

    async fn read_vote(&mut self) -> io::Result<Option<VoteOf<Types>>> {
        Ok(self.lock().vote)
    }
}

impl RaftLogStorage<Types> for Log {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<Types>> {
        let log = self.lock();
        let last_log_id = log.entries.last().map(|entry| entry.log_id).or(log.purged);
        Ok(LogState { last_purged_log_id: log.purged, last_log_id })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &VoteOf<Types>) -> io::Result<()> {
        self.lock().vote = Some(*vote);
        Ok(())
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> io::Result<()>
    where
        I: IntoIterator<Item = EntryOf<Types>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut log = self.lock();
        entries.into_iter().for_each(|entry| log.entries.put(entry.log_id.index, entry));
        drop(log);
        callback.io_completed(Ok(()));
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogIdOf<Types>>) -> io::Result<()> {
        self.lock().entries.truncate(last.map_or(0, |last| last.index + 1));
        Ok(())
    }

    async fn purge(&mut self, through: LogIdOf<Types>) -> io::Result<()> {
        let mut log = self.lock();
        log.entries.purge(through.index);
        log.purged = Some(through);
        Ok(())
    }
}

#[derive(Clone, Default)]
pub(super) struct Machine(Arc<Mutex<MachineInner>>);

#[derive(Default)]
struct MachineInner {
    table: Table,
    applied: Option<LogIdOf<Types>>,
    membership: StoredMembershipOf<Types>,
    snapshot: Option<SnapshotOf<Types, Table>>,
}

impl Machine {
    fn lock(&self) -> MutexGuard<'_, MachineInner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RaftSnapshotBuilder<Types> for Machine {
    type SnapshotData = Table;

    async fn build_snapshot(&mut self) -> io::Result<SnapshotOf<Types, Table>> {
        let mut machine = self.lock();
        let meta = SnapshotMetaOf::<Types> {
            last_log_id: machine.applied,
            last_membership: machine.membership.clone(),
        };
        let snapshot = SnapshotOf::<Types, Table> { meta, snapshot: machine.table.clone() };
        machine.snapshot = Some(snapshot.clone());
        Ok(snapshot)
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotData = Table;
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> io::Result<(Option<LogIdOf<Types>>, StoredMembershipOf<Types>)> {
        let machine = self.lock();
        Ok((machine.applied, machine.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<Types>>> + Unpin + OptionalSend,
    {
        while let Some((entry, responder)) = entries.try_next().await? {
            // For one entry: a lock may not be held while the next one is waited for.
            let reply = self.lock().apply(entry);
            if let Some(responder) = responder {
                responder.send(reply);
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMetaOf<Types>, snapshot: Table) -> io::Result<()> {
        let mut machine = self.lock();
        machine.applied = meta.last_log_id;
        machine.membership = meta.last_membership.clone();
        machine.table = snapshot.clone();
        machine.snapshot = Some(SnapshotOf::<Types, Table> { meta: meta.clone(), snapshot });
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<SnapshotOf<Types, Table>>> {
        Ok(self.lock().snapshot.clone())
    }
}

impl MachineInner {
    fn apply(&mut self, entry: EntryOf<Types>) -> u64 {
        self.applied = Some(entry.log_id);
        match entry.payload {
            EntryPayload::Normal(put) => self.table.put(&put),
            EntryPayload::Blank => 0,
            EntryPayload::Membership(membership) => {
                self.membership = StoredMembershipOf::<Types>::new(Some(entry.log_id), membership);
                0
            }
        }
    }
}
