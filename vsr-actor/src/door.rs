//! Where clients find replicas: shared by the replicas of a group that live in this process and the clients that know them.

use crate::{StateMachine, client::Knock, read::ReadJob};
use std::fmt;
use tokio::sync::{mpsc, watch};
use vsr_core::{ReplicaId, ViewNumber};

/// The way into one replica.
pub(crate) struct Door<M: StateMachine> {
    pub(crate) id: ReplicaId,
    /// Nothing while the replica does not run.
    pub(crate) lane: Option<mpsc::Sender<Knock<M::Reply>>>,
    /// The same for reads.
    pub(crate) reads: Option<mpsc::Sender<ReadJob<M>>>,
    /// The latest view that the replica saw start, and its primary.
    pub(crate) started: Option<(ViewNumber, ReplicaId)>,
}

/// All replicas of a group in this process. Clients take a closed channel for "stopped for good".
pub(crate) type Doors<M> = watch::Sender<Vec<Door<M>>>;
pub(crate) type DoorsView<M> = watch::Receiver<Vec<Door<M>>>;

pub(crate) fn doors<M: StateMachine>(ids: impl IntoIterator<Item = ReplicaId>) -> Doors<M> {
    let closed = |id| Door { id, lane: None, reads: None, started: None };
    watch::Sender::new(ids.into_iter().map(closed).collect())
}

/// The latest view that an open door has seen start, and its primary.
pub(crate) fn latest<M: StateMachine>(doors: &[Door<M>]) -> Option<(ViewNumber, ReplicaId)> {
    doors.iter().filter(|door| door.lane.is_some()).filter_map(|door| door.started).max()
}

/// Keeps one replica's door open; closes it when the replica's task ends, whatever ends it.
pub(crate) struct DoorKeeper<M: StateMachine> {
    doors: Doors<M>,
    index: usize,
    /// The lane behind the door, to know it by.
    own: mpsc::WeakSender<Knock<M::Reply>>,
    started: Option<(ViewNumber, ReplicaId)>,
}

impl<M: StateMachine> DoorKeeper<M> {
    pub(crate) fn open(
        doors: Doors<M>,
        index: usize,
        id: ReplicaId,
        lane: mpsc::Sender<Knock<M::Reply>>,
        reads: mpsc::Sender<ReadJob<M>>,
    ) -> Self {
        doors.send_modify(|doors| doors[index].id = id);
        let keeper = Self { doors, index, own: lane.downgrade(), started: None };
        keeper.set(Some(lane), Some(reads));
        keeper
    }

    /// Tells clients that a view has started.
    pub(crate) fn announce(&mut self, view: ViewNumber, primary: ReplicaId) {
        if self.started != Some((view, primary)) {
            self.started = Some((view, primary));
            self.doors.send_modify(|doors| doors[self.index].started = Some((view, primary)));
        }
    }

    fn set(&self, lane: Option<mpsc::Sender<Knock<M::Reply>>>, reads: Option<mpsc::Sender<ReadJob<M>>>) {
        let mut old = None;
        self.doors.send_modify(|doors| {
            let door = &mut doors[self.index];
            old = Some((std::mem::replace(&mut door.lane, lane), std::mem::replace(&mut door.reads, reads)));
            door.started = None;
        });
        // The last sender of a lane may take requests with it, whose waiters lock their sessions: not inside of the watch's lock.
        drop(old);
    }
}

impl<M: StateMachine> Drop for DoorKeeper<M> {
    fn drop(&mut self) {
        // Not a door that its successor has opened meanwhile.
        let own = self.own.upgrade().is_some_and(|own| {
            self.doors.borrow()[self.index].lane.as_ref().is_some_and(|lane| lane.same_channel(&own))
        });
        if own {
            self.set(None, None);
        }
    }
}

impl<M: StateMachine> fmt::Debug for Door<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door")
            .field("id", &self.id)
            .field("open", &self.lane.is_some())
            .field("started", &self.started)
            .finish()
    }
}
