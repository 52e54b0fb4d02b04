//! Bytes that a message carries behind it, or still refers to.

use crate::{
    run::{from_hex, to_hex},
    state::{BlobError, State},
};
use alloc::string::String;
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::Error as _};

/// Bytes of which a binary format encodes only the length: they travel raw behind the message.
///
/// Those of a [`State`] that is not in memory are only referred to, until somebody who may wait for a disk
/// [loads](crate::Message::load) or [reads](Self::read) them.
#[derive(Clone, Debug)]
pub struct Trailing {
    source: Source,
    len: u64,
}

#[derive(Clone, Debug)]
enum Source {
    Here(Bytes),
    In { state: State, offset: u64 },
}

impl Trailing {
    /// What begins at `offset` of `state`, at most `bytes_max` bytes.
    pub(crate) fn of(state: &State, offset: u64, bytes_max: usize) -> Self {
        if let Some(bytes) = state.in_memory(offset, bytes_max) {
            return bytes.into();
        }
        let len = state.len().saturating_sub(offset).min(bytes_max as u64);
        Self { source: Source::In { state: state.clone(), offset }, len }
    }

    /// How many bytes there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes themselves. May take as long as a disk takes, if they are not [here](Self::is_here).
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn read(&self) -> Result<Bytes, BlobError> {
        match &self.source {
            Source::Here(bytes) => Ok(bytes.clone()),
            Source::In { state, offset } => state.read(*offset, self.len as usize),
        }
    }

    /// Whether they are in memory.
    #[must_use]
    pub fn is_here(&self) -> bool {
        matches!(self.source, Source::Here(_))
    }

    /// Those that are in memory.
    pub(crate) fn here(&self) -> &[u8] {
        match &self.source {
            Source::Here(bytes) => bytes,
            Source::In { .. } => &[],
        }
    }

    pub(crate) fn load(&mut self) -> Result<(), BlobError> {
        self.source = Source::Here(self.read()?);
        Ok(())
    }

    pub(crate) fn attach(&mut self, bytes: Bytes) {
        self.source = Source::Here(bytes);
    }

    pub(crate) fn is_complete(&self) -> bool {
        !self.is_here() || self.here().len() as u64 == self.len
    }
}

impl Default for Trailing {
    fn default() -> Self {
        Bytes::new().into()
    }
}

impl From<Bytes> for Trailing {
    fn from(bytes: Bytes) -> Self {
        Self { len: bytes.len() as u64, source: Source::Here(bytes) }
    }
}

/// The same bytes, or the same error of reading them.
impl PartialEq for Trailing {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.read() == other.read()
    }
}

impl Eq for Trailing {}

impl Serialize for Trailing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            to_hex(&self.read().map_err(S::Error::custom)?).serialize(serializer)
        } else {
            self.len.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Trailing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            from_hex(&text).map(Self::from).ok_or_else(|| D::Error::custom("a piece is not hexadecimal"))
        } else {
            Ok(Self { source: Source::Here(Bytes::new()), len: u64::deserialize(deserializer)? })
        }
    }
}
