//! What the owner of a replica tells its task.

use crate::{Dump, LogStorage, ReplicaError, ReplyTo, RequestError};
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{Notify, oneshot};
use vsr_core::ReplicaId;

/// Where the outcome of an order is waited for.
pub(crate) type Done = oneshot::Sender<Result<(), ReplicaError>>;

/// An order for a replica's task.
pub(crate) enum Control<R> {
    /// End; first hand the view over to another replica, if that is asked for.
    Shutdown { hand_over: bool },
    /// Give an error to somebody whom only the user's `Replies` can answer.
    Reply(ReplyTo<R>, Result<R, RequestError>),
    /// Start on this log; before it has joined only.
    SetLog(Box<dyn LogStorage>, Done),
    /// Be this replica of the group of these members, and join it; once only.
    SetCluster(ReplicaId, Vec<ReplicaId>, Done),
    /// Tell everything about itself.
    Dump(oneshot::Sender<Dump>),
}

/// Makes a replica's task stand still, for tests of what others do meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Pause {
    paused: AtomicBool,
    resumed: Notify,
}

impl Pause {
    pub(crate) fn pause(&self) {
        self.paused.store(true, Ordering::Release);
    }

    pub(crate) fn resume(&self) {
        self.paused.store(false, Ordering::Release);
        self.resumed.notify_one();
    }

    /// Waits while paused, and says whether it had to. Only the replica's task may call it.
    pub(crate) async fn passed(&self) -> bool {
        let mut waited = false;
        while self.paused.load(Ordering::Acquire) {
            self.resumed.notified().await;
            waited = true;
        }
        waited
    }
}
