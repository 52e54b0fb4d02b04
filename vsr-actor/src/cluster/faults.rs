//! What tests can do to an in-process cluster.

use super::{Cluster, kept::Kept};
use crate::{ClusterError, Rule, StateMachine, StorageError, Verdict};
use vsr_core::{Message, ReplicaId};

/// Everything that may go wrong can be made to:
///
/// ```
/// # use std::time::Duration;
/// # use vsr_actor::{PrimaryChanges, Verdict, prelude::*};
/// # #[derive(Default, Serialize, Deserialize)]
/// # struct Counter { total: i64 }
/// # impl StateMachine for Counter {
/// #     type Operation = i64;
/// #     type Reply = i64;
/// #     fn handle_commit(&mut self, _commit: &Commit, add: i64) -> i64 { self.total += add; self.total }
/// # }
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let cluster = Cluster::in_process(3, Counter::default).await?;
/// let mut primaries: PrimaryChanges = cluster.primary_changes(); // a `Stream`
/// let [first, second, third] = cluster.ids() else { panic!("there are three") };
/// let counter = cluster.client_at(*second)?;
///
/// let late = cluster.rule(|_from, _to, _message| Verdict::Delay(Duration::from_millis(3)));
/// assert_eq!(counter.request(5).await?, 5);
/// drop(late); // so long it was in force
///
/// cluster.isolate(*first)?; // or into sides:
/// cluster.partition(&[&[*first], &[*second, *third]]);
/// assert_eq!(counter.request(7).await?, 12);
/// cluster.heal();
///
/// cluster.pause(*third)?; // it stands still, and its mailboxes fill
/// cluster.resume(*third)?;
///
/// cluster.crash(*first).await?;
/// cluster.lose_log(*first)?; // its memory: it gets its log from the others
/// cluster.restart(*first).await?;
/// cluster.await_convergence().await?;
/// cluster.crash(*third).await?;
/// cluster.wipe(*third)?; // its disk: it is gone for good
/// for status in cluster.statuses() {
///     println!("{status}");
/// }
/// assert!(cluster.handle(*second)?.status().health.is_running());
/// cluster.running(*first).await?; // its handle; started again, if it is down
/// # Ok(cluster.shutdown().await?)
/// # }
/// ```
impl<M: StateMachine> Cluster<M> {
    /// Ends a replica's task at once, as a crash of its process would. What its storage holds stays. Returns when the task is gone.
    /// Not cancel-safe: dropped before it is ready, the replica may be going down still.
    ///
    /// # Errors
    /// There is no such replica, or it is down already.
    pub async fn crash(&self, id: ReplicaId) -> Result<(), ClusterError> {
        let slot = &self.slots[self.index_of(id)?];
        let _changing = slot.changing.lock().await;
        let handle = slot.state().handle.take().ok_or(ClusterError::NotRunning { id })?;
        self.network.disconnect(id);
        handle.crash().await;
        slot.state().last = Some(handle.status());
        Ok(())
    }

    /// Empties the storage of a crashed replica, as if its disk were lost. The group takes what starts on it for a stranger.
    ///
    /// # Errors
    /// There is no such replica, it runs, or its directory cannot be emptied.
    pub fn wipe(&self, id: ReplicaId) -> Result<(), ClusterError> {
        self.change_storage(id, Kept::wipe)
    }

    /// Takes the log of a crashed replica, as if it had kept it in memory only. What it promised about views stays, as it must.
    /// Started again it recovers: it has no vote until it has the log back from the others, which takes a quorum of them with
    /// logs of their own, the primary of their view among them. Where too many have lost theirs at once, they stop and say so.
    ///
    /// # Errors
    /// There is no such replica, it runs, or its directory cannot be changed.
    pub fn lose_log(&self, id: ReplicaId) -> Result<(), ClusterError> {
        self.change_storage(id, Kept::lose_log)
    }

    fn change_storage(
        &self,
        id: ReplicaId,
        change: impl FnOnce(&Kept) -> Result<(), StorageError>,
    ) -> Result<(), ClusterError> {
        let slot = &self.slots[self.index_of(id)?];
        let Ok(_changing) = slot.changing.try_lock() else { return Err(ClusterError::Running { id }) };
        if slot.state().handle.is_some() {
            return Err(ClusterError::Running { id });
        }
        change(&slot.storage).map_err(|error| ClusterError::Replica { id, error: error.into() })
    }

    /// Cuts the network into sides: replicas reach those on their own side only. Replicas that are on no side given here are together
    /// on one more. Replaces the partition before. Clients of this process still reach every replica.
    pub fn partition(&self, sides: &[&[ReplicaId]]) {
        self.network.partition(sides);
    }

    /// Cuts one replica off from all others.
    ///
    /// # Errors
    /// There is no such replica.
    pub fn isolate(&self, id: ReplicaId) -> Result<(), ClusterError> {
        self.index_of(id)?;
        self.network.isolate(id);
        Ok(())
    }

    /// Ends every partition. Rules stay.
    pub fn heal(&self) {
        self.network.heal();
    }

    /// Makes a replica stand still: it handles nothing, and its mailboxes fill, until [`resume`](Self::resume). Takes effect with the
    /// replica's next turn.
    ///
    /// # Errors
    /// There is no such replica, or it does not run.
    pub fn pause(&self, id: ReplicaId) -> Result<(), ClusterError> {
        self.handle(id)?.pause().pause();
        Ok(())
    }

    /// Lets a paused replica go on.
    ///
    /// # Errors
    /// There is no such replica, or it does not run.
    pub fn resume(&self, id: ReplicaId) -> Result<(), ClusterError> {
        self.handle(id)?.pause().resume();
        Ok(())
    }

    /// Decides, for as long as the returned value lives, what becomes of each message (from, to, message) between replicas. Of several
    /// rules the strictest verdict counts. Called on the senders' tasks: it must not block.
    pub fn rule(
        &self,
        rule: impl Fn(ReplicaId, ReplicaId, &Message) -> Verdict + Send + Sync + 'static,
    ) -> Rule {
        Rule::add(&self.network, rule)
    }
}
