//! Log and state machine for openraft 0.9.

use super::{Kept, Shared, State};
use crate::memory::workload::{Put, Table};
use openraft_0_9::{
    Entry, EntryPayload, LogId, LogState, OptionalSend, RaftLogId, RaftLogReader, RaftSnapshotBuilder,
    Snapshot, SnapshotMeta, StorageError, StoredMembership, Vote,
    storage::{LogFlushed, RaftLogStorage, RaftStateMachine},
};
use std::{fmt::Debug, ops::RangeBounds};

openraft_0_9::declare_raft_types!(
    pub(crate) Types: D = Put, R = u64, Node = (), SnapshotData = Table,
);

pub(crate) type Log = Shared<Kept<Entry<Types>, Vote<u64>, LogId<u64>>>;
pub(crate) type Machine = Shared<State<LogId<u64>, StoredMembership<u64, ()>, Snapshot<Types>>>;

type Stored<T> = Result<T, StorageError<u64>>;

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
