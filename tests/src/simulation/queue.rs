//! What will happen, in order of time; what happens at the same time keeps its order.

use std::{cmp::Reverse, collections::BinaryHeap};
use vsr_core::{Message, OpNumber, Request, WriteId};

/// Something that will happen.
#[derive(Clone, Debug)]
pub(super) enum Event {
    Deliver { replica: usize, message: Message },
    Persisted { replica: usize, id: WriteId },
    SnapshotWritten { replica: usize, op: OpNumber, boot: u64 },
    Staged { replica: usize, boot: u64 },
    Requests { replica: usize, client: usize, requests: Vec<Request> },
    Read { replica: usize, client: usize, number: u64 },
    Turn { replica: usize },
    Timer { replica: usize },
    Restart { replica: usize },
    Client { client: usize },
    Fault,
    DiskFault,
    DiskHasRoom { replica: usize },
    Heal { generation: u64 },
}

impl Event {
    /// The replica that must be awake for it.
    pub(super) fn replica(&self) -> Option<usize> {
        match self {
            Self::Deliver { replica, .. }
            | Self::Requests { replica, .. }
            | Self::Read { replica, .. }
            | Self::Turn { replica }
            | Self::Timer { replica } => Some(*replica),
            // A disk does not pause with its machine's scheduler, nor do other threads; the rest is the outside world.
            Self::Persisted { .. }
            | Self::SnapshotWritten { .. }
            | Self::Staged { .. }
            | Self::Restart { .. }
            | Self::Client { .. }
            | Self::Fault
            | Self::DiskFault
            | Self::DiskHasRoom { .. }
            | Self::Heal { .. } => None,
        }
    }
}

/// The future. The heap orders small keys; events are large, and stay where they are until their time has come.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    /// Time, number, place in `events`.
    heap: BinaryHeap<Reverse<(u64, u64, usize)>>,
    events: Vec<Option<Event>>,
    free: Vec<usize>,
    sequence: u64,
}

impl Queue {
    pub(super) fn at(&mut self, at: u64, event: Event) {
        self.sequence += 1;
        let place = self.free.pop().unwrap_or_else(|| {
            self.events.push(None);
            self.events.len() - 1
        });
        self.events[place] = Some(event);
        self.heap.push(Reverse((at, self.sequence, place)));
    }

    pub(super) fn pop(&mut self) -> Option<(u64, Event)> {
        let Reverse((at, _, place)) = self.heap.pop()?;
        self.free.push(place);
        Some((at, self.events[place].take()?))
    }

    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }
}
