//! Messages as bytes: a version, the encoded message, and behind it the payloads, raw. And what a storage keeps: entries and records,
//! without a version and a checksum, for the file they are in has its own.

use crate::{
    configuration::Record,
    entry::Entry,
    message::{Body, Message, Part, Suffix},
    run::checksum,
    trailing::Trailing,
};
use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use bincode::config;
use bytes::{Buf, Bytes};
use serde::{Serialize, de::DeserializeOwned};

/// The version of the format; it changes when the meaning of any byte does.
pub const FORMAT_VERSION: u8 = 3;

/// Version, length of the encoded message, checksum of all that follows.
const HEADER_BYTES: usize = 1 + size_of::<u32>() + size_of::<u64>();

/// Why bytes are not a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Written by another version.
    #[error("format version {found}, but only {FORMAT_VERSION} is understood here")]
    Version {
        /// The version found.
        found: u8,
    },
    /// Its checksum does not fit.
    #[error("the message was damaged on its way")]
    Damaged,
    /// Shorter than what it announces.
    #[error("the message ends in the middle: {missing} bytes are missing")]
    Short {
        /// How many.
        missing: u64,
    },
    /// Longer than what it announces.
    #[error("{extra} bytes follow the message")]
    Long {
        /// How many.
        extra: usize,
    },
    /// Not a message.
    #[error("not a message: {0}")]
    Malformed(String),
}

/// Bounds what a hostile length can make the decoder allocate.
const META_BYTES_MAX: usize = 512 << 20;

fn format() -> impl config::Config {
    config::standard().with_fixed_int_encoding().with_limit::<META_BYTES_MAX>()
}

/// A value that is not a message, for what is kept rather than sent.
pub(crate) fn encode_value<T: Serialize>(value: &T) -> Bytes {
    bincode::serde::encode_to_vec(value, format())
        .expect("memory takes it, and its types can be written")
        .into()
}

/// The value that [`encode_value`] wrote, and nothing behind it.
pub(crate) fn decode_value<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let (value, read) = bincode::serde::decode_from_slice(bytes, format())
        .map_err(|error| DecodeError::Malformed(error.to_string()))?;
    match bytes.len() - read {
        0 => Ok(value),
        extra => Err(DecodeError::Long { extra }),
    }
}

impl Entry {
    /// Adds the entry to `out`, for a storage: the length of its heads as four bytes, the heads, the operations. The form is fixed:
    /// another one would be another version of every storage that uses it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let heads = encode_value(self);
        out.extend_from_slice(&(heads.len() as u32).to_le_bytes());
        out.extend_from_slice(&heads);
        out.extend_from_slice(self.run().body());
    }

    /// The entry that [`encode`](Self::encode) wrote at the beginning of `bytes`, which is taken off. Its operations are slices of
    /// `bytes`, not copies. Whether the entry [is intact](Self::is_intact) is another question.
    ///
    /// # Errors
    /// What is wrong with the bytes. Any bytes may be given; none makes it panic or allocate without bound.
    pub fn decode(bytes: &mut Bytes) -> Result<Self, DecodeError> {
        let mut length = take(bytes, 4)?;
        let heads = take(bytes, length.get_u32_le().into())?;
        let mut entry: Self = decode_value(&heads)?;
        if entry.run().is_empty() {
            return Err(DecodeError::Malformed("an entry without operations".to_string()));
        }
        entry.attach(take(bytes, entry.trailing_len() as u64)?);
        Ok(entry)
    }
}

impl Record {
    /// The record as bytes, for a storage. The form is fixed: another one would be another version of every storage that uses it.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        encode_value(self)
    }

    /// The record that [`encode`](Self::encode) wrote, and nothing behind it.
    ///
    /// # Errors
    /// What is wrong with the bytes. Any bytes may be given; none makes it panic or allocate without bound.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode_value(bytes)
    }
}

impl Message {
    /// The message as bytes, for a transport that carries bytes. One that is not [loaded](Self::is_loaded) is read first, and if its
    /// piece of a snapshot cannot be read, it goes without: nobody takes that, and the protocol asks again.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        if self.is_loaded() {
            return self.encode_loaded();
        }
        let mut message = self.clone();
        if message.load().is_err()
            && let Some(piece) = message.body.piece_mut()
        {
            piece.bytes = Trailing::default();
        }
        message.encode_loaded()
    }

    fn encode_loaded(&self) -> Bytes {
        let meta = bincode::serde::encode_to_vec(self, format())
            .expect("a message has a binary form, and memory is bounded by Limits");
        let mut payloads = Vec::new();
        self.body.each_payload(&mut |payload| payloads.push(payload));
        let trailing: usize = payloads.iter().map(|payload: &&[u8]| payload.len()).sum();
        let mut frame = Vec::with_capacity(HEADER_BYTES + meta.len() + trailing);
        frame.push(FORMAT_VERSION);
        frame.extend_from_slice(&(meta.len() as u32).to_le_bytes());
        frame.extend_from_slice(&[0; 8]);
        frame.extend_from_slice(&meta);
        for payload in payloads {
            frame.extend_from_slice(payload);
        }
        let checksum = checksum(&frame[HEADER_BYTES..]);
        frame[HEADER_BYTES - 8..HEADER_BYTES].copy_from_slice(&checksum.to_le_bytes());
        frame.into()
    }

    /// About how many bytes [`encode`](Self::encode) writes, without writing them: for bounds of queues.
    #[must_use]
    pub fn size_hint(&self) -> usize {
        /// Around a message, and around each of its payloads.
        const HEAD_BYTES: usize = 128;
        let mut bytes = HEAD_BYTES;
        self.body.each_payload(&mut |payload| bytes += HEAD_BYTES + payload.len());
        bytes
    }

    /// The message that [`encode`](Self::encode) wrote. Payloads are slices of `frame`, not copies.
    ///
    /// # Errors
    /// What is wrong with the bytes. Any bytes may be given; none makes it panic or allocate without bound.
    pub fn decode(mut frame: Bytes) -> Result<Self, DecodeError> {
        if frame.len() < HEADER_BYTES {
            return Err(DecodeError::Short { missing: (HEADER_BYTES - frame.len()) as u64 });
        }
        let version = frame.get_u8();
        if version != FORMAT_VERSION {
            return Err(DecodeError::Version { found: version });
        }
        let meta_len = frame.get_u32_le();
        let sum = frame.get_u64_le();
        if sum != checksum(&frame) {
            return Err(DecodeError::Damaged);
        }
        let meta = take(&mut frame, meta_len.into())?;
        let mut message: Self = decode_value(&meta)?;
        message.body.attach_payloads(&mut |len| take(&mut frame, len))?;
        match frame.len() {
            0 => Ok(message),
            extra => Err(DecodeError::Long { extra }),
        }
    }
}

fn take(frame: &mut Bytes, len: u64) -> Result<Bytes, DecodeError> {
    match usize::try_from(len).ok().filter(|len| *len <= frame.len()) {
        Some(len) => Ok(frame.split_to(len)),
        None => Err(DecodeError::Short { missing: len - frame.len() as u64 }),
    }
}

/// Gives out the next payload of a given length.
type Take<'a> = &'a mut dyn FnMut(u64) -> Result<Bytes, DecodeError>;

/// The payloads of a message, in the order in which they follow it.
impl Body {
    fn each_payload<'a>(&'a self, visit: &mut dyn FnMut(&'a [u8])) {
        match self {
            Self::Request(run) => visit(run.body()),
            Self::Prepare { entry, .. } => visit(entry.run().body()),
            Self::DoViewChange(body) => body.suffix.each_payload(visit),
            Self::StartView(body) => body.suffix.each_payload(visit),
            Self::NewState(body) => match &body.part {
                Part::Snapshot(piece) => visit(piece.bytes.here()),
                Part::Entries(suffix) => suffix.each_payload(visit),
            },
            Self::Bootstrap(_)
            | Self::PrepareOk { .. }
            | Self::Commit { .. }
            | Self::StartViewChange
            | Self::GetState { .. }
            | Self::Digests(_)
            | Self::Recovery { .. }
            | Self::RecoveryResponse(_)
            | Self::Probe { .. }
            | Self::ProbeOk { .. }
            | Self::ReadIndex { .. }
            | Self::ReadIndexOk { .. }
            | Self::Wake => {}
        }
    }

    fn attach_payloads(&mut self, take: Take<'_>) -> Result<(), DecodeError> {
        match self {
            Self::Request(run) => run.attach(take(run.trailing_len() as u64)?),
            Self::Prepare { entry, .. } => entry.attach(take(entry.trailing_len() as u64)?),
            Self::DoViewChange(body) => body.suffix.attach_payloads(take)?,
            Self::StartView(body) => body.suffix.attach_payloads(take)?,
            Self::NewState(body) => match &mut body.part {
                Part::Snapshot(piece) => piece.bytes.attach(take(piece.bytes.len())?),
                Part::Entries(suffix) => suffix.attach_payloads(take)?,
            },
            Self::Bootstrap(_)
            | Self::PrepareOk { .. }
            | Self::Commit { .. }
            | Self::StartViewChange
            | Self::GetState { .. }
            | Self::Digests(_)
            | Self::Recovery { .. }
            | Self::RecoveryResponse(_)
            | Self::Probe { .. }
            | Self::ProbeOk { .. }
            | Self::ReadIndex { .. }
            | Self::ReadIndexOk { .. }
            | Self::Wake => {}
        }
        Ok(())
    }
}

impl Suffix {
    fn each_payload<'a>(&'a self, visit: &mut dyn FnMut(&'a [u8])) {
        self.entries.iter().for_each(|entry| visit(entry.run().body()));
    }

    fn attach_payloads(&mut self, take: Take<'_>) -> Result<(), DecodeError> {
        self.entries.iter_mut().try_for_each(|entry| {
            entry.attach(take(entry.trailing_len() as u64)?);
            Ok(())
        })
    }
}
