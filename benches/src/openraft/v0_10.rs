//! Log and state machine for openraft 0.10: entries are applied as a stream, and replies are sent from within the state machine.

use super::{Kept, Shared, State};
use crate::memory::workload::{Put, Table};
use openraft_0_10::{
    EntryPayload, LogState, OptionalSend, RaftLogReader, RaftSnapshotBuilder, RaftTypeConfig,
    alias::{EntryOf, LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf, VoteOf},
    impls::{
        BoxedErrorSource, Entry, InlineBatch, OneshotResponder, TokioRuntime, Vote, leader_id_adv::LeaderId,
    },
    storage::{EntryResponder, IOFlushed, RaftLogStorage, RaftStateMachine},
    vote::RaftLeaderId,
};
use std::{
    fmt::{self, Debug, Display},
    io,
    ops::RangeBounds,
};
use tokio_stream::{Stream, StreamExt};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Types;

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

pub(crate) type Log = Shared<Kept<EntryOf<Types>, VoteOf<Types>, LogIdOf<Types>>>;
pub(crate) type Machine = Shared<State<LogIdOf<Types>, StoredMembershipOf<Types>, SnapshotOf<Types, Table>>>;

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

impl State<LogIdOf<Types>, StoredMembershipOf<Types>, SnapshotOf<Types, Table>> {
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
