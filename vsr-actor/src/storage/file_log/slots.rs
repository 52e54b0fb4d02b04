//! The record in two copies, in a file of its own. The second is written when the first is flushed: a crash damages one at most, and the
//! other says what was promised (rule F4).

use super::{
    files::{DataFile, Files, failed},
    format::{BadPlate, Plate, VERSION},
};
use crate::StorageError;
use bytes::{Buf, BufMut};
use std::{io, sync::Arc};
use vsr_core::Record;

const NAME: &str = "record";
/// The file before the first record is in it: it has its size, so that a full disk is noticed before anything is promised.
const NEW: &str = "record.new";

/// So far apart that no disk can damage both with one write.
const SLOT: usize = 4096;
const MAGIC: [u8; 8] = *b"VSR rec\0";

/// A copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    /// The frame in which the record was written, or the number that it took in place of a frame.
    pub(super) sequence: u64,
    /// Segments before this one count for nothing: the log was found damaged.
    pub(super) log_from: u64,
    pub(super) record: Record,
}

/// The file.
#[derive(Debug)]
pub(super) struct Slots {
    file: Arc<dyn DataFile>,
    /// Whether it has its name.
    named: bool,
}

impl Slot {
    fn encode(&self) -> Vec<u8> {
        let record = self.record.encode();
        Plate::encode(MAGIC, SLOT, |out| {
            out.put_u64_le(self.sequence);
            out.put_u64_le(self.log_from);
            out.put_u32_le(record.len() as u32);
            out.put_slice(&record);
        })
    }

    fn decode(bytes: &[u8]) -> Result<Self, BadPlate> {
        let mut fields = Plate::decode(MAGIC, bytes)?;
        let (sequence, log_from) = (fields.get_u64_le(), fields.get_u64_le());
        let length = fields.get_u32_le() as usize;
        let record = fields.get(..length).and_then(|record| Record::decode(record).ok());
        Ok(Self { sequence, log_from, record: record.ok_or(BadPlate::Damaged)? })
    }
}

/// What was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) slots: Slots,
    /// None if there is no file.
    pub(super) newest: Option<Slot>,
    /// Whether both copies say the same.
    pub(super) agree: bool,
}

impl Slots {
    /// Reads both copies, or makes room for them.
    ///
    /// # Errors
    /// Both copies are damaged: nobody knows what this replica has promised (rule F7).
    pub(super) fn open(files: &dyn Files, names: &[String]) -> Result<Found, StorageError> {
        if !names.iter().any(|name| name == NAME) {
            let slots = Self::create(files).map_err(|error| failed(files, "create", NEW, error))?;
            return Ok(Found { slots, newest: None, agree: true });
        }
        let path = files.path(NAME);
        let read = || {
            let file = files.open(NAME)?;
            let mut bytes = vec![0; file.len()?.min(2 * SLOT as u64) as usize];
            file.read_at(0, &mut bytes)?;
            bytes.resize(2 * SLOT, 0);
            Ok((file, bytes))
        };
        let (file, bytes) = read().map_err(|error| failed(files, "read", NAME, error))?;
        let copies = [&bytes[..SLOT], &bytes[SLOT..]].map(Slot::decode);
        for copy in &copies {
            if let Err(BadPlate::Version(found)) = copy {
                return Err(StorageError::new(format!(
                    "{path} was written by version {found} of the format, this program knows version {VERSION}: start the one that wrote it"
                )));
            }
        }
        let agree = copies[0].is_ok() && copies[0] == copies[1];
        let newest = copies.into_iter().flatten().max_by_key(|slot| slot.sequence);
        if newest.is_none() {
            return Err(StorageError::new(format!(
                "both copies of the record in {path} are damaged, so nobody knows what this replica has promised: restore the file, or \
                 give a new replica an id of its own and an empty directory"
            )));
        }
        Ok(Found { slots: Self { file, named: true }, newest, agree })
    }

    fn create(files: &dyn Files) -> io::Result<Self> {
        let file = files.create(NEW)?;
        file.write_at(0, &[0; 2 * SLOT])?;
        file.sync()?;
        Ok(Self { file, named: false })
    }

    /// Both copies say this, durably.
    pub(super) fn write(&mut self, files: &dyn Files, slot: &Slot) -> io::Result<()> {
        let bytes = slot.encode();
        for copy in 0..2 {
            self.file.write_at(copy * SLOT as u64, &bytes)?;
            self.file.sync()?;
        }
        if !self.named {
            files.rename(NEW, NAME)?;
            files.sync_names()?;
            self.named = true;
        }
        Ok(())
    }

    /// What an earlier process has written and not flushed is durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
}
