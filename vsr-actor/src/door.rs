//! Where clients find replicas: shared by the replicas of a group that live in this process and the clients that know them.

use crate::client::Waiter;
use std::fmt;
use tokio::sync::{mpsc, watch};
use vsr_core::{ReplicaId, Request, ViewNumber};

/// A request in a replica's mailbox, with the one who waits for it.
pub(crate) struct Submission<R> {
    pub(crate) request: Request,
    pub(crate) waiter: Waiter<R>,
}

/// The way into one replica.
pub(crate) struct Door<R> {
    pub(crate) id: ReplicaId,
    /// Nothing while the replica does not run.
    pub(crate) lane: Option<mpsc::Sender<Submission<R>>>,
    /// The latest view that the replica saw start, and its primary.
    pub(crate) started: Option<(ViewNumber, ReplicaId)>,
}

/// All replicas of a group in this process. Clients take a closed channel for "stopped for good".
pub(crate) type Doors<R> = watch::Sender<Vec<Door<R>>>;
pub(crate) type DoorsView<R> = watch::Receiver<Vec<Door<R>>>;

pub(crate) fn doors<R>(ids: impl IntoIterator<Item = ReplicaId>) -> Doors<R> {
    watch::Sender::new(ids.into_iter().map(|id| Door { id, lane: None, started: None }).collect())
}

/// Keeps one replica's door open; closes it when the replica's task ends, whatever ends it.
pub(crate) struct DoorKeeper<R> {
    doors: Doors<R>,
    index: usize,
    /// The lane behind the door, to know it by.
    own: mpsc::WeakSender<Submission<R>>,
    started: Option<(ViewNumber, ReplicaId)>,
}

impl<R> DoorKeeper<R> {
    pub(crate) fn open(doors: Doors<R>, index: usize, lane: mpsc::Sender<Submission<R>>) -> Self {
        let keeper = Self { doors, index, own: lane.downgrade(), started: None };
        keeper.set(Some(lane));
        keeper
    }

    /// Tells clients that a view has started.
    pub(crate) fn announce(&mut self, view: ViewNumber, primary: ReplicaId) {
        if self.started != Some((view, primary)) {
            self.started = Some((view, primary));
            self.doors.send_modify(|doors| doors[self.index].started = Some((view, primary)));
        }
    }

    fn set(&self, lane: Option<mpsc::Sender<Submission<R>>>) {
        let mut old = None;
        self.doors.send_modify(|doors| {
            let door = &mut doors[self.index];
            old = std::mem::replace(&mut door.lane, lane);
            door.started = None;
        });
        // The last sender of a lane may take requests with it, whose waiters lock their sessions: not inside of the watch's lock.
        drop(old);
    }
}

impl<R> Drop for DoorKeeper<R> {
    fn drop(&mut self) {
        // Not a door that its successor has opened meanwhile.
        let own = self.own.upgrade().is_some_and(|own| {
            self.doors.borrow()[self.index].lane.as_ref().is_some_and(|lane| lane.same_channel(&own))
        });
        if own {
            self.set(None);
        }
    }
}

impl<R> fmt::Debug for Door<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door")
            .field("id", &self.id)
            .field("open", &self.lane.is_some())
            .field("started", &self.started)
            .finish()
    }
}
