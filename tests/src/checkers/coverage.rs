//! What must happen sometimes: a path no seed takes is a path no seed tests.

use vsr_core::Event;

macro_rules! marks {
    ($($name:ident),* $(,)?) => {
        #[derive(Clone, Copy)]
        enum Mark { $($name,)* }

        const NAMES: &[&str] = &[$(stringify!($name),)*];

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
    ReadsAsked, ProbeOkReceived, ReadIndexReceived, ReadRefused,
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
