//! A state as its state machine reads it: a part at a time.

use bytes::{Buf, Bytes};
use std::io::{self, Read};
use vsr_core::State;

/// So much is in memory at once of a state that is not.
const PART_BYTES: usize = 64 << 10;

pub(crate) struct StateReader<'a> {
    state: &'a State,
    /// Where the next part begins.
    offset: u64,
    part: Bytes,
    /// Why a part could not be read: no fault of who asked for it.
    pub(crate) failed: Option<String>,
}

impl<'a> StateReader<'a> {
    pub(crate) fn new(state: &'a State) -> Self {
        Self { state, offset: 0, part: Bytes::new(), failed: None }
    }
}

impl Read for StateReader<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.part.is_empty() {
            self.part = self.state.read(self.offset, PART_BYTES).map_err(|error| {
                self.failed = Some(error.to_string());
                io::Error::other(error)
            })?;
            self.offset += self.part.len() as u64;
        }
        let len = self.part.len().min(into.len());
        self.part.copy_to_slice(&mut into[..len]);
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use vsr_core::{Blob, BlobError};

    #[derive(Debug)]
    struct Unreadable;

    impl Blob for Unreadable {
        fn len(&self) -> u64 {
            1
        }

        fn read(&self, _offset: u64, _bytes_max: usize) -> Result<Bytes, BlobError> {
            Err(BlobError::new("the disk is gone"))
        }
    }

    #[test]
    fn it_reads_all_parts_and_then_nothing() {
        let bytes: Vec<u8> = (0..2 * PART_BYTES + 7).map(|index| index as u8).collect();
        let state = State::from(bytes.clone());
        let mut reader = StateReader::new(&state);
        let mut read = Vec::new();
        reader.read_to_end(&mut read).expect("it is in memory");
        assert!(read == bytes && reader.failed.is_none());
    }

    #[test]
    fn what_cannot_be_read_is_remembered() {
        let state = State::new(Arc::new(Unreadable), 0);
        let mut reader = StateReader::new(&state);
        assert!(reader.read(&mut [0]).is_err());
        assert_eq!(reader.failed.as_deref(), Some("the disk is gone"));
    }
}
