//! The states of snapshots that are under way at a host: its own that are written out, and one that arrives and is staged.

use crate::checkers::Violation;
use bytes::Bytes;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};
use vsr_core::{Blob, BlobError, Input, OpNumber, StagePart, Staged, State, StateDigest};

/// What a crash takes all of.
#[derive(Debug, Default)]
pub(crate) struct States {
    /// The own ones that are being written out: one, or more if the others became useless.
    frozen: BTreeMap<OpNumber, Bytes>,
    /// What was staged so far.
    staged: Vec<u8>,
    /// Parts under way there; the last one may be wanted, the others were given up, and their answers come late.
    parts: VecDeque<StagePart>,
    /// Whether the last one is wanted.
    wanted: bool,
}

impl States {
    pub(crate) fn freeze(&mut self, op: OpNumber, state: Bytes) {
        self.frozen.insert(op, state);
    }

    /// The states frozen up to `op` are written out, or there is no room for them.
    pub(crate) fn write_out(&mut self, op: OpNumber, room: bool) -> impl Iterator<Item = Input> + use<> {
        let later = self.frozen.split_off(&op.next());
        let written = std::mem::replace(&mut self.frozen, later);
        let result = move |state: Bytes| if room { Ok(kept(state)) } else { Err(no_room()) };
        written.into_iter().map(move |(op, state)| Input::SnapshotTaken { op, state: result(state) })
    }

    /// A part of a state is to be staged.
    ///
    /// # Errors
    /// When it is not what the contract of the effect promises: one at a time, each where the last one ended.
    pub(crate) fn stage(&mut self, part: StagePart) -> Result<(), Violation> {
        if part.offset == 0 && !self.wanted {
            self.staged.clear();
        }
        let held = self.staged.len() as u64;
        if self.wanted || part.offset != held {
            let what = format!("a part at {} where {held} bytes are staged", part.offset);
            let busy = if self.wanted { ", and another is under way" } else { "" };
            return Err(Violation::new("staging", what + busy));
        }
        self.parts.push_back(part);
        self.wanted = true;
        Ok(())
    }

    /// Nobody waits for what was staged. What is under way goes its way.
    pub(crate) fn unstage(&mut self) {
        self.staged.clear();
        self.wanted = false;
    }

    /// The oldest part under way is done with, if there is one.
    pub(crate) fn finish_part(&mut self, room: bool) -> Option<Input> {
        let StagePart { id, header, bytes, .. } = self.parts.pop_front()?;
        let was_given_up = !self.wanted || !self.parts.is_empty();
        if was_given_up {
            return Some(Input::Staged { id, result: Ok(Staged::Part) });
        }
        self.wanted = false;
        let bytes = if room { bytes.read() } else { Err(no_room()) };
        let result = bytes.map(|bytes| {
            self.staged.extend_from_slice(&bytes);
            let whole = self.staged.len() as u64 == header.state_bytes;
            if whole { Staged::Whole(kept(std::mem::take(&mut self.staged).into())) } else { Staged::Part }
        });
        if result.is_err() {
            self.staged.clear();
        }
        Some(Input::Staged { id, result })
    }

    /// All parts that are under way are done with.
    pub(crate) fn finish_parts(&mut self) -> Vec<Input> {
        std::iter::from_fn(|| self.finish_part(true)).collect()
    }
}

/// A state that is not in memory, for all the protocol knows.
#[derive(Debug)]
struct Elsewhere(Bytes);

impl Blob for Elsewhere {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read(&self, offset: u64, bytes_max: usize) -> Result<Bytes, BlobError> {
        self.0.read(offset, bytes_max)
    }
}

fn kept(bytes: Bytes) -> State {
    let mut digest = StateDigest::new();
    digest.update(&bytes);
    State::new(Arc::new(Elsewhere(bytes)), digest.finish())
}

fn no_room() -> BlobError {
    BlobError::new("no room")
}
