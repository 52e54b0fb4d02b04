//! What must happen sometimes: a path no seed takes is a path no seed tests.

use crate::disk::{Failure, Finding};
use vsr_core::Event;

macro_rules! marks {
    ($($name:ident),* $(,)?; $($storage:ident),* $(,)?) => {
        #[derive(Clone, Copy)]
        enum Mark { $($name,)* $($storage,)* }

        const NAMES: &[&str] = &[$(stringify!($name),)* $(stringify!($storage),)*];

        fn mark(event: &Event) -> Option<Mark> {
            match event {
                $(Event::$name { .. } => Some(Mark::$name),)*
                _ => None,
            }
        }
    };
}

marks! {
    ViewEntered, LeadershipStarted, LeadershipStopped, PrimaryTimedOut, VoteCast, VoteCancelled, Abdicated,
    DoViewChangeReceived, LogChosen, StartViewReceived, Truncated, Retransmitted, PrepareOkReceived,
    RecoveryStarted, RecoveryReceived, RecoveryResponseReceived, RecoveryTargetKnown, Recovered,
    GetStateReceived, NewStateReceived, ViewInstalled, SnapshotTaken, SnapshotSkipped, SnapshotInstalled,
    PieceReceived, PiecesDiscarded, Trimmed,
    SessionRegistered, SessionEvicted, Duplicate, Held, Forwarded, Refused,
    ReadsAsked, ProbeOkReceived, ReadIndexReceived, ReadRefused;
    TailCut, LogSuspect, SlotRepaired, FlushFailed, DiskFull, RecordUnreadable, DiskWiped,
}

/// How often each path was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage([u64; NAMES.len()]);

impl Default for Coverage {
    fn default() -> Self {
        Self([0; NAMES.len()])
    }
}

impl Coverage {
    pub(super) fn on_event(&mut self, event: &Event) {
        if let Some(mark) = mark(event) {
            self.0[mark as usize] += 1;
        }
    }

    pub(super) fn on_finding(&mut self, finding: Finding) {
        let mark = match finding {
            Finding::TailCut => Mark::TailCut,
            Finding::Suspect => Mark::LogSuspect,
            Finding::SlotRepaired => Mark::SlotRepaired,
        };
        self.0[mark as usize] += 1;
    }

    pub(super) fn on_failure(&mut self, failure: Failure) {
        let mark = match failure {
            Failure::FlushFailed => Mark::FlushFailed,
            Failure::DiskFull => Mark::DiskFull,
            Failure::Unreadable => Mark::RecordUnreadable,
        };
        self.0[mark as usize] += 1;
    }

    pub(super) fn on_wipe(&mut self) {
        self.0[Mark::DiskWiped as usize] += 1;
    }

    /// Adds what another run saw.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }

    /// Each path by the name of its event, and how often it was taken.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        NAMES.iter().copied().zip(self.0)
    }

    /// How often the event of this name happened.
    #[must_use]
    pub fn of(&self, name: &str) -> u64 {
        self.iter().find(|(other, _)| *other == name).map_or(0, |(_, count)| count)
    }
}
