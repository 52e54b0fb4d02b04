//! What a state machine wrote: bytes that may be too many for memory, so they are known by their digest and read in parts.

use alloc::{string::String, sync::Arc, vec::Vec};
use bytes::Bytes;
use core::{
    any::Any,
    fmt,
    hash::{Hash, Hasher},
};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

/// Bytes that may lie elsewhere than in memory, in a file above all, and that never change.
///
/// Reading may take as long as a disk takes: it is done by whoever encodes a message, writes a snapshot out or restores it, never on a
/// replica's task. It ends with the last reference; whoever keeps the bytes then may give up their room.
pub trait Blob: Any + fmt::Debug + Send + Sync {
    /// How many bytes there are.
    fn len(&self) -> u64;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What begins at `offset`: `bytes_max` bytes, fewer only where the blob ends.
    ///
    /// # Errors
    /// When they cannot be read.
    fn read(&self, offset: u64, bytes_max: usize) -> Result<Bytes, BlobError>;
}

/// Bytes that cannot be read or kept, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BlobError(String);

impl BlobError {
    /// Says in words what is wrong.
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }

    /// Its words.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// In memory: a read is a slice, not a copy.
impl Blob for Bytes {
    fn len(&self) -> u64 {
        self.as_ref().len() as u64
    }

    fn read(&self, offset: u64, bytes_max: usize) -> Result<Bytes, BlobError> {
        Ok(slice(self, offset, bytes_max))
    }
}

/// What begins at `offset`, at most `bytes_max` bytes.
pub(crate) fn slice(bytes: &Bytes, offset: u64, bytes_max: usize) -> Bytes {
    let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
    let end = start.saturating_add(bytes_max).min(bytes.len());
    bytes.slice(start..end)
}

/// What a state machine wrote, with a digest of it. Two with the same length and digest are the same.
#[derive(Clone, Debug)]
pub struct State {
    blob: Arc<dyn Blob>,
    digest: u128,
}

/// Computes the digest of a [`State`] while its bytes pass.
///
/// ```
/// use std::sync::Arc;
/// use vsr_core::{State, StateDigest};
///
/// let bytes = bytes::Bytes::from_static(b"the state");
/// let mut digest = StateDigest::new();
/// bytes.chunks(4).for_each(|chunk| digest.update(chunk));
/// let state = State::new(Arc::new(bytes.clone()), digest.finish());
/// assert_eq!(state, State::from(bytes));
/// ```
#[derive(Clone, Default)]
pub struct StateDigest(Xxh3);

impl StateDigest {
    /// Of no bytes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// These bytes follow.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all bytes so far.
    #[must_use]
    pub fn finish(&self) -> u128 {
        self.0.digest128()
    }
}

impl fmt::Debug for StateDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StateDigest({:032x})", self.finish())
    }
}

impl State {
    /// The bytes of `blob`, whose [`StateDigest`] is `digest`.
    #[must_use]
    pub fn new(blob: Arc<dyn Blob>, digest: u128) -> Self {
        Self { blob, digest }
    }

    /// How many bytes there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.blob.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.blob.is_empty()
    }

    /// The digest of all of them.
    #[must_use]
    pub fn digest(&self) -> u128 {
        self.digest
    }

    /// Where they are: a storage knows its own by their type.
    #[must_use]
    pub fn blob(&self) -> &Arc<dyn Blob> {
        &self.blob
    }

    /// What begins at `offset`: `bytes_max` bytes, fewer only at the end. May take as long as a disk takes.
    ///
    /// # Errors
    /// When they cannot be read, or there are fewer than there were.
    pub fn read(&self, offset: u64, bytes_max: usize) -> Result<Bytes, BlobError> {
        let bytes = self.blob.read(offset, bytes_max)?;
        let expected = self.len().saturating_sub(offset).min(bytes_max as u64);
        if bytes.len() as u64 == expected {
            Ok(bytes)
        } else {
            let got = bytes.len();
            Err(BlobError(alloc::format!("{got} bytes at {offset} where {expected} are expected")))
        }
    }
}

impl State {
    /// The same without an error, if they are in memory: then nobody has to wait for them.
    pub(crate) fn in_memory(&self, offset: u64, bytes_max: usize) -> Option<Bytes> {
        let bytes = (&*self.blob as &dyn Any).downcast_ref::<Bytes>()?;
        Some(slice(bytes, offset, bytes_max))
    }
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        (self.len(), self.digest) == (other.len(), other.digest)
    }
}

impl Eq for State {}

impl Hash for State {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        (self.len(), self.digest).hash(hasher);
    }
}

/// In memory. Costs a pass over the bytes: not on the replica's task if they are many.
impl From<Bytes> for State {
    fn from(bytes: Bytes) -> Self {
        Self { digest: xxh3_128(&bytes), blob: Arc::new(bytes) }
    }
}

impl From<Vec<u8>> for State {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says that there are more bytes than there are.
    #[derive(Debug)]
    struct Shrunk;

    impl Blob for Shrunk {
        fn len(&self) -> u64 {
            10
        }

        fn read(&self, _offset: u64, _bytes_max: usize) -> Result<Bytes, BlobError> {
            Ok(Bytes::from_static(b"few"))
        }
    }

    #[test]
    fn what_is_in_memory_is_read_without_a_copy() {
        let bytes = Bytes::from_static(b"the state");
        let state = State::from(bytes.clone());
        assert_eq!(state.read(4, 100).as_deref(), Ok(&b"state"[..]));
        assert_eq!(state.read(4, 2).map(|read| read.as_ptr()), Ok(bytes[4..].as_ptr()));
        assert_eq!(state.read(u64::MAX, 2).as_deref(), Ok(&b""[..]));
    }

    #[test]
    fn bytes_that_are_missing_are_an_error() {
        let state = State::new(Arc::new(Shrunk), 0);
        assert!(state.read(7, 3).is_ok() && state.read(0, 3).is_ok());
        assert!(state.read(0, 4).is_err() && state.read(8, 3).is_err());
    }
}
