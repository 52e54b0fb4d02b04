//! What will happen, in order of time; what happens at the same time keeps its order.

use std::{cmp::Ordering, collections::BinaryHeap};
use vsr_core::{Message, OpNumber, Request, WriteId};

/// Something that will happen.
#[derive(Clone, Debug)]
pub(super) enum Event {
    Deliver { replica: usize, message: Message },
    Persisted { replica: usize, id: WriteId },
    SnapshotWritten { replica: usize, op: OpNumber, boot: u64 },
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
            | Self::Restart { .. }
            | Self::Client { .. }
            | Self::Fault
            | Self::DiskFault
            | Self::DiskHasRoom { .. }
            | Self::Heal { .. } => None,
        }
    }
}

#[derive(Clone, Debug)]
struct Scheduled {
    at: u64,
    sequence: u64,
    event: Event,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    /// The earliest is the greatest: the heap gives out the greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.sequence).cmp(&(self.at, self.sequence))
    }
}

/// The future.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    heap: BinaryHeap<Scheduled>,
    sequence: u64,
}

impl Queue {
    pub(super) fn at(&mut self, at: u64, event: Event) {
        self.sequence += 1;
        self.heap.push(Scheduled { at, sequence: self.sequence, event });
    }

    pub(super) fn pop(&mut self) -> Option<(u64, Event)> {
        self.heap.pop().map(|scheduled| (scheduled.at, scheduled.event))
    }

    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }
}
