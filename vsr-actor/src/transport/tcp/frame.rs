//! Messages in a stream of bytes: a length in 32 bits, little-endian, and so many bytes as `Message::encode` writes them. A frame of
//! length 0 says only that its sender lives.

use bytes::{Buf, Bytes, BytesMut};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};
use vsr_core::{DecodeError, Message};

/// Bytes of the length.
const LENGTH_BYTES: usize = size_of::<u32>();

/// The largest frame that a length can announce.
pub(super) const LENGTH_MAX: usize = u32::MAX as usize;

/// What a frame that only says "I live" looks like.
pub(super) const KEEP_ALIVE: [u8; LENGTH_BYTES] = [0; LENGTH_BYTES];

/// So much is read at once. Frames up to this size are copied out, so that a message that is kept does not keep its neighbours; larger
/// ones get memory of their own.
pub(super) const READ_BYTES: usize = 64 << 10;

/// Why a stream of frames cannot be read any further.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A length above the limit: nothing was allocated for it.
    #[error("a frame of {bytes} bytes was announced, at most {bytes_max} are taken")]
    TooLong {
        /// As announced.
        bytes: usize,
        /// The limit `frame_bytes_max`.
        bytes_max: usize,
    },
    /// The bytes are no message.
    #[error("a frame is no message: {0}")]
    Decode(#[from] DecodeError),
}

/// Appends a message as a frame; whether it is short enough to be sent. If not the buffer is as before.
pub(super) fn put(message: &Message, bytes_max: usize, buffer: &mut Vec<u8>) -> bool {
    let encoded = message.encode();
    if encoded.len() > bytes_max {
        return false;
    }
    buffer.extend_from_slice(&(encoded.len() as u32).to_le_bytes());
    buffer.extend_from_slice(&encoded);
    true
}

/// Cuts a stream into frames. Keeps at most one frame and what is read at once.
#[derive(Debug)]
pub(super) struct Frames {
    bytes_max: usize,
    read: BytesMut,
}

impl Frames {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, read: BytesMut::new() }
    }

    /// Reads what is there, or waits for it; how much that was, 0 at the end of the stream. Cancel-safe.
    pub(super) async fn fill(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<usize> {
        // Memory follows what has arrived, never what was announced: at most as much again.
        let missing = self.announced().map_or(0, |len| (LENGTH_BYTES + len).saturating_sub(self.read.len()));
        let more = missing.min(self.read.len().max(READ_BYTES)).max(READ_BYTES);
        self.read.reserve(more);
        stream.read_buf(&mut self.read).await
    }

    fn announced(&self) -> Option<usize> {
        self.read.first_chunk().map(|length| u32::from_le_bytes(*length) as usize)
    }

    /// How many bytes are set aside for what has not arrived whole.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.read.capacity()
    }

    /// The next message that has arrived whole.
    pub(super) fn next(&mut self) -> Result<Option<Message>, FrameError> {
        loop {
            let Some(bytes) = self.announced() else { return Ok(None) };
            if bytes > self.bytes_max {
                return Err(FrameError::TooLong { bytes, bytes_max: self.bytes_max });
            }
            if self.read.len() < LENGTH_BYTES + bytes {
                return Ok(None);
            }
            self.read.advance(LENGTH_BYTES);
            if bytes > 0 {
                return Ok(Some(Message::decode(self.take(bytes))?));
            }
        }
    }

    fn take(&mut self, bytes: usize) -> Bytes {
        if bytes > READ_BYTES {
            return self.read.split_to(bytes).freeze();
        }
        let frame = Bytes::copy_from_slice(&self.read[..bytes]);
        self.read.advance(bytes);
        frame
    }
}
