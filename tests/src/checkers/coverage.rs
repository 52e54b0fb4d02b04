//! What must happen sometimes: a path no seed takes is a path no seed tests.

use crate::disk::{Failure, Finding};
use std::fmt;
use vsr_core::{Answer, Event, Ignored, Refusal, StopReason};

/// What happens to storages.
const STORAGE: &[&str] =
    &["TailCut", "LogSuspect", "SlotRepaired", "FlushFailed", "DiskFull", "RecordUnreadable", "DiskWiped"];
const DISK_WIPED: usize = 6;

/// All marks, kind by kind. The names of the core's kinds come from matches that the compiler keeps whole.
const KINDS: [(&str, &[&str]); 6] = [
    ("event", Event::NAMES),
    ("ignored", Ignored::NAMES),
    ("refused", Refusal::NAMES),
    ("answer", Answer::NAMES),
    ("stop", StopReason::NAMES),
    ("storage", STORAGE),
];

/// Where a kind begins among all marks.
const fn start(kind: usize) -> usize {
    let (mut start, mut before) = (0, 0);
    while before < kind {
        start += KINDS[before].1.len();
        before += 1;
    }
    start
}

const IGNORED: usize = start(1);
const REFUSED: usize = start(2);
const ANSWER: usize = start(3);
const STOP: usize = start(4);
const STORAGES: usize = start(5);
const MARKS: usize = start(6);

/// Something that must happen sometimes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// What it is: an event, the reason of an ignored message, the reason of a refusal, ...
    pub kind: &'static str,
    /// Its name among its kind.
    pub name: &'static str,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{} {}", self.kind, self.name))
    }
}

/// How often each path was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage([u64; MARKS]);

impl Default for Coverage {
    fn default() -> Self {
        Self([0; MARKS])
    }
}

impl Coverage {
    pub(super) fn on_event(&mut self, event: &Event) {
        self.0[event.index()] += 1;
        match event {
            Event::Ignored { reason, .. } | Event::PiecesDiscarded { reason, .. } => {
                self.0[IGNORED + reason.index()] += 1;
            }
            Event::Refused { reason, .. } | Event::ReadRefused { reason } => {
                self.0[REFUSED + reason.index()] += 1;
            }
            _ => {}
        }
    }

    pub(super) fn on_answer(&mut self, answer: &Answer) {
        self.0[ANSWER + answer.index()] += 1;
    }

    pub(super) fn on_stop(&mut self, reason: &StopReason) {
        self.0[STOP + reason.index()] += 1;
    }

    pub(super) fn on_finding(&mut self, finding: Finding) {
        let mark = match finding {
            Finding::TailCut => 0,
            Finding::Suspect => 1,
            Finding::SlotRepaired => 2,
        };
        self.0[STORAGES + mark] += 1;
    }

    pub(super) fn on_failure(&mut self, failure: Failure) {
        let mark = match failure {
            Failure::FlushFailed => 3,
            Failure::DiskFull => 4,
            Failure::Unreadable => 5,
        };
        self.0[STORAGES + mark] += 1;
    }

    pub(super) fn on_wipe(&mut self) {
        self.0[STORAGES + DISK_WIPED] += 1;
    }

    /// Adds what another run saw.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }

    /// Each mark, and how often it was hit.
    pub fn iter(&self) -> impl Iterator<Item = (Mark, u64)> {
        let marks = KINDS.iter().flat_map(|(kind, names)| names.iter().map(move |name| Mark { kind, name }));
        marks.zip(self.0)
    }

    /// How often the event of this name happened.
    #[must_use]
    pub fn of(&self, name: &str) -> u64 {
        self.iter().find(|(mark, _)| mark.kind == "event" && mark.name == name).map_or(0, |(_, count)| count)
    }
}
