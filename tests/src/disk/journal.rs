//! The journal: one frame for each write, one behind the other, each with its number, a checksum, and a mark at its end that
//! is zero until the frame was written to its end. The journal is zeroed before it is used, and frames begin at sectors, so that
//! a scan finds the next one behind a damaged one.

use super::{content::Content, mutation::StorageMutation, mutation::StorageMutations};
use std::collections::VecDeque;
use vsr_core::{Entry, OpNumber, Write};

/// What a scan finds where a frame should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The frame, and its checksum is right.
    Whole,
    /// Zeros: it was never written, or is no more.
    Missing,
    /// Its beginning; the mark at its end is zero.
    Torn,
    /// Something with a mark at its end and a wrong checksum.
    Corrupt,
}

/// One write.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) sequence: u64,
    /// The last frame that was known to be flushed when this one was written.
    pub(super) flushed: u64,
    /// Which snapshot is the current one.
    pub(super) snapshot_op: OpNumber,
    /// The rest; its snapshot is a file.
    pub(super) write: Write,
    pub(super) state: State,
}

/// How a scan ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scan {
    /// So many frames are good; what follows was never finished.
    Clean { frames: usize, cut: bool },
    /// Something that may have been flushed is damaged (rule F5).
    Suspect,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Journal {
    pub(super) frames: VecDeque<Frame>,
}

impl Journal {
    /// Rule F5, in two values. A frame that was never finished was never acknowledged, and may be cut: it has no mark at its end,
    /// and no later frame can know that it was flushed. Any other damage may have been a promise.
    pub(super) fn scan(&self, mutations: StorageMutations) -> Scan {
        let Some(first_bad) = self.frames.iter().position(|frame| frame.state != State::Whole) else {
            return Scan::Clean { frames: self.frames.len(), cut: false };
        };
        let bad = &self.frames[first_bad];
        let unfinished = matches!(bad.state, State::Missing | State::Torn)
            || mutations.contains(StorageMutation::CutCorruptTail);
        let witnessed = !mutations.contains(StorageMutation::CutWitnessed) && self.is_witnessed(first_bad);
        if unfinished && !witnessed { Scan::Clean { frames: first_bad, cut: true } } else { Scan::Suspect }
    }

    /// Whether a later frame knows that this one was flushed, or may know: it has its mark, and cannot be read.
    pub(super) fn is_witnessed(&self, index: usize) -> bool {
        let sequence = self.frames[index].sequence;
        let knows = |later: &Frame| match later.state {
            State::Whole => later.flushed >= sequence,
            State::Corrupt => true,
            State::Missing | State::Torn => false,
        };
        self.frames.range(index + 1..).any(knows)
    }

    /// The sum of the first `frames` frames.
    pub(super) fn fold(&self, frames: usize) -> Content {
        let mut content = Content::default();
        self.frames.range(..frames).for_each(|frame| content.apply(frame));
        content
    }

    /// Gives up what nobody needs. The last frame stays: it names the snapshot and the commit-number.
    pub(super) fn trim(&mut self, first: OpNumber) {
        while self.frames.len() > 1 {
            let needed =
                self.frames[0].write.entries.last().is_some_and(|entry: &Entry| entry.last() >= first);
            if needed {
                break;
            }
            self.frames.pop_front();
        }
    }
}
