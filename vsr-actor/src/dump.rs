//! Everything a replica can tell about itself, for tests and for people who look for a fault.

use crate::{ReplicaError, StateMachine, lanes::Mailbox, replica_task::ReplicaTask, server::Host};
use serde::Serialize;
use vsr_core::{ClusterId, GroupId, ReplicaId, Status};

/// The inside of a replica at one moment: see [`Handle::dump`](crate::Handle::dump). Fields are added freely.
///
/// ```
/// use vsr_actor::{Callbacks, Depths, Dump, prelude::*};
///
/// # #[derive(Default, Serialize, Deserialize)]
/// # struct Counter { total: i64 }
/// # impl StateMachine for Counter {
/// #     type Operation = i64;
/// #     type Reply = i64;
/// #     fn handle_commit(&mut self, _commit: &Commit, add: i64) -> i64 { self.total += add; self.total }
/// # }
/// # impl VsrServer for Counter {}
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cluster = Cluster::servers(3, Counter::default).await?;
/// let dump: Dump = cluster.handle(cluster.ids()[0])?.dump().await?;
/// let waiting: Depths = dump.mailboxes;
/// let under_way: Callbacks = dump.callbacks.expect("it is no plain state machine");
/// assert_eq!((waiting.calls, under_way.timers), (0, 0));
/// # Ok(cluster.shutdown().await?)
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Dump {
    /// The cluster.
    pub cluster: ClusterId,
    /// The group.
    pub group: GroupId,
    /// The members of the group, in the order that decides who is primary of which view. None before the replica has joined.
    pub members: Vec<ReplicaId>,
    /// Its place in the protocol.
    pub protocol: Status,
    /// How much waits for the replica's task.
    pub mailboxes: Depths,
    /// Requests that were handed to the protocol here and have no reply yet.
    pub waiting_requests: usize,
    /// Clients whose session is not open yet.
    pub waiting_registrations: usize,
    /// Reads that the protocol has not answered yet.
    pub waiting_reads: usize,
    /// Writes that the storage has not reported as durable.
    pub pending_writes: u64,
    /// Why the storage writes nothing at the moment, if it waits for room.
    pub storage_stalled: Option<String>,
    /// Whether a snapshot is being written.
    pub writing_snapshot: bool,
    /// Of the actor; none for a plain state machine.
    pub callbacks: Option<Callbacks>,
}

/// How many messages wait in each lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Depths {
    /// Orders of the owner.
    pub control: usize,
    /// Messages of other replicas.
    pub peers: usize,
    /// Clients that have requests which were not taken yet.
    pub clients: usize,
    /// Reads beside the log.
    pub reads: usize,
    /// Calls, casts and infos.
    pub calls: usize,
}

/// What an actor has under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Callbacks {
    /// Timers that were started and have not fired, or fire again.
    pub timers: usize,
    /// Asynchronous work that has not come back.
    pub spawned: usize,
}

/// What asks for a dump gets if the replica is gone.
pub(crate) fn gone(ended: Result<(), ReplicaError>) -> ReplicaError {
    ended.err().unwrap_or(ReplicaError::Aborted)
}

pub(crate) fn depths<M: StateMachine>(mailbox: &Mailbox<M>, host: Option<&Host<M>>) -> Depths {
    Depths {
        control: mailbox.control.len(),
        peers: mailbox.peers.len(),
        clients: mailbox.clients.len(),
        reads: mailbox.reads.len(),
        calls: host.map_or(0, Host::waiting),
    }
}

impl<M: StateMachine> ReplicaTask<M> {
    pub(crate) fn dump(&self) -> Dump {
        Dump {
            cluster: self.config.cluster,
            group: self.config.group,
            members: self.members.clone(),
            protocol: self.core.status(),
            mailboxes: depths(&self.mailbox, self.host.as_ref()),
            waiting_requests: self.waiters.len(),
            waiting_registrations: self.waiters.registrations().len(),
            waiting_reads: self.readers.len(),
            pending_writes: self.lanes.written.sequence - self.lanes.durable.min(self.lanes.written.sequence),
            storage_stalled: self.persisted.why_stalled().map(|error| error.to_string()),
            writing_snapshot: self.background.snapshots.is_writing(),
            callbacks: self.host.as_ref().map(Host::dump),
        }
    }
}
