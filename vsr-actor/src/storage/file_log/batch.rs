//! The payload of a frame: all writes that waited when it was written. And their sum: what a log holds.

use super::format::{FrameHeader, SnapshotName};
use bytes::{Buf, BufMut, Bytes};
use std::collections::VecDeque;
use vsr_core::{DecodeError, Entry, OpNumber, Record, Write};

/// What a write is made of, beside its entries. Commit-number and trim are in the header of the frame.
const RECORD: u8 = 1;
const RESET: u8 = 2;
const SNAPSHOT: u8 = 4;
const TRUNCATE: u8 = 8;

/// One write, as it is read.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) record: Option<Record>,
    reset: bool,
    snapshot: Option<OpNumber>,
    truncate_above: Option<OpNumber>,
    pub(super) entries: Vec<Entry>,
}

/// Adds a write to a payload.
pub(super) fn put(out: &mut Vec<u8>, write: &Write) {
    let mut flags = 0;
    let mut flag = |present: bool, bit: u8| flags |= if present { bit } else { 0 };
    flag(write.record.is_some(), RECORD);
    flag(write.reset, RESET);
    flag(write.snapshot.is_some(), SNAPSHOT);
    flag(write.truncate_above.is_some(), TRUNCATE);
    out.put_u8(flags);
    if let Some(record) = &write.record {
        let record = record.encode();
        out.put_u32_le(record.len() as u32);
        out.put_slice(&record);
    }
    if let Some(snapshot) = &write.snapshot {
        out.put_u64_le(snapshot.op().0);
    }
    if let Some(above) = write.truncate_above {
        out.put_u64_le(above.0);
    }
    out.put_u32_le(write.entries.len() as u32);
    for entry in &write.entries {
        entry.encode(out);
    }
}

/// The writes of a payload. Its checksum was right, so an error says that two versions of this code disagree.
pub(super) fn take_all(payload: Vec<u8>) -> Result<Vec<Kept>, DecodeError> {
    let mut bytes = Bytes::from(payload);
    let mut all = Vec::new();
    while bytes.has_remaining() {
        all.push(take(&mut bytes)?);
    }
    Ok(all)
}

fn take(bytes: &mut Bytes) -> Result<Kept, DecodeError> {
    let short = |missing: bytes::TryGetError| DecodeError::Short { missing: missing.requested as u64 };
    let flags = bytes.try_get_u8().map_err(short)?;
    let record = if flags & RECORD != 0 {
        let length = bytes.try_get_u32_le().map_err(short)? as usize;
        if length > bytes.len() {
            return Err(DecodeError::Short { missing: (length - bytes.len()) as u64 });
        }
        Some(Record::decode(&bytes.split_to(length))?)
    } else {
        None
    };
    let mut op = |bit| -> Result<_, DecodeError> {
        if flags & bit == 0 {
            return Ok(None);
        }
        Ok(Some(OpNumber(bytes.try_get_u64_le().map_err(short)?)))
    };
    let (snapshot, truncate_above) = (op(SNAPSHOT)?, op(TRUNCATE)?);
    let count = bytes.try_get_u32_le().map_err(short)?;
    let entries = (0..count).map(|_| Entry::decode(bytes)).collect::<Result<_, _>>()?;
    Ok(Kept { record, reset: flags & RESET != 0, snapshot, truncate_above, entries })
}

/// What the frames of a log add up to. Nothing is taken off at the front: an older snapshot may need it.
#[derive(Clone, Debug, Default)]
pub(super) struct Contents {
    pub(super) record: Option<Record>,
    /// The frame that the record is from.
    pub(super) record_sequence: u64,
    pub(super) snapshot: SnapshotName,
    pub(super) entries: VecDeque<Entry>,
    pub(super) commit: OpNumber,
    pub(super) trim: OpNumber,
}

impl Contents {
    /// Adds a frame.
    pub(super) fn apply(&mut self, header: &FrameHeader, writes: Vec<Kept>) {
        for write in writes {
            if write.reset {
                self.entries.clear();
            }
            if let Some(record) = write.record {
                self.record = Some(record);
                self.record_sequence = header.sequence;
            }
            // What ends before the snapshot would leave a gap behind it.
            let ends_before = |snapshot| self.entries.back().is_some_and(|entry| entry.last() < snapshot);
            if write.snapshot.is_some_and(ends_before) {
                self.entries.clear();
            }
            if let Some(above) = write.truncate_above {
                while self.entries.back().is_some_and(|entry| entry.last() > above) {
                    self.entries.pop_back();
                }
            }
            self.entries.extend(write.entries);
        }
        (self.commit, self.trim, self.snapshot) = (header.commit, header.trim, header.snapshot);
    }
}
