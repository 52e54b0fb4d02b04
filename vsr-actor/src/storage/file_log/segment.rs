//! A segment: a file of a fixed size, full of zeros until frames are written to it.

use super::{
    files::{DataFile, Files},
    format::{Identity, SegmentHeader},
};
use std::{io, sync::Arc};

/// One that may be written to.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) number: u64,
    /// Of the file.
    pub(super) bytes: u64,
    pub(super) file: Arc<dyn DataFile>,
}

const PREFIX: &str = "log-";
const SPARE: &str = "spare-";

/// Zeros are written so many at a time. Linux keeps what was written at once together in its cache, and goes through all of that at each
/// later write to a part of it: after zeros by the megabyte a small frame and its flush cost half as much processor time again.
const CHUNK: u64 = 64 << 10;

pub(super) fn name(number: u64) -> String {
    format!("{PREFIX}{number:016x}")
}

/// The number of a segment, by its name.
pub(super) fn number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(PREFIX).filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}

/// Whether it is an unfinished segment, which a crash has left.
pub(super) fn is_spare(name: &str) -> bool {
    name.starts_with(SPARE)
}

/// What is to be prepared.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) identity: Identity,
    pub(super) number: u64,
    pub(super) bytes: u64,
    /// Segments that nobody needs, the oldest first. They are given up in this order: a crash must not leave a gap. The last one is
    /// used again, if it has the size.
    pub(super) retired: Vec<String>,
}

impl Order {
    /// Writes a segment of zeros, durably, so that what is written to it later changes nothing but its contents. Only then it gets its
    /// name.
    pub(super) fn prepare(&self, files: &dyn Files) -> io::Result<Segment> {
        let spare = format!("{SPARE}{:016x}", self.number);
        let prepared = self.try_prepare(files, &spare);
        if prepared.is_err() {
            // It may be what fills the disk.
            let _ = files.remove(&spare);
        }
        prepared
    }

    fn try_prepare(&self, files: &dyn Files, spare: &str) -> io::Result<Segment> {
        let mut reused = false;
        if let Some((last, rest)) = self.retired.split_last() {
            for name in rest {
                tolerant(files.remove(name))?;
                files.sync_names()?;
            }
            reused = tolerant(files.rename(last, spare))?;
            files.sync_names()?;
        }
        let file = if reused { files.open(spare)? } else { files.create(spare)? };
        let file = if reused && file.len()? != self.bytes { files.create(spare)? } else { file };
        let Self { identity, number, bytes, .. } = *self;
        let zeros = vec![0; bytes.min(CHUNK) as usize];
        let mut offset = 0;
        while offset < bytes {
            let length = (bytes - offset).min(CHUNK);
            file.write_at(offset, &zeros[..length as usize])?;
            offset += length;
        }
        file.write_at(0, &SegmentHeader { identity, number, bytes }.encode())?;
        file.sync()?;
        files.rename(spare, &name(number))?;
        files.sync_names()?;
        Ok(Segment { number, bytes, file })
    }
}

/// False if the file is gone already: an earlier attempt came that far.
fn tolerant(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
