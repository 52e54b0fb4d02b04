//! A log file: it grows, or it lies over zeros that were written before.

use std::{
    fs::File,
    io::{self, Seek, SeekFrom, Write},
    path::Path,
};

/// A multiple of what a second of writes takes: how often it is begun again does not matter.
const ZERO_FILLED_BYTES: usize = 64 << 20;

#[derive(Debug)]
pub(super) struct Log {
    file: File,
    /// Of a file of zeros: what is left of it.
    room: Option<usize>,
}

impl Log {
    pub(super) fn create(path: &Path, zero_filled: bool) -> io::Result<Self> {
        let mut file = File::create(path)?;
        if zero_filled {
            let zeros = vec![0; 1 << 20];
            for _ in 0..ZERO_FILLED_BYTES / zeros.len() {
                file.write_all(&zeros)?;
            }
            file.rewind()?;
        }
        file.sync_all()?;
        Ok(Self { file, room: zero_filled.then_some(ZERO_FILLED_BYTES) })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(room) = &mut self.room {
            if *room < bytes.len() {
                self.file.seek(SeekFrom::Start(0))?;
                *room = ZERO_FILLED_BYTES;
            }
            *room -= bytes.len();
        }
        self.file.write_all(bytes)
    }

    pub(super) fn flush(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}
