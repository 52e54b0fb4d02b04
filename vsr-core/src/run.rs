//! A run of operations: heads that say where each came from, and one buffer with all their bytes.

use crate::id::{ClientId, RequestNumber, SessionId};
use alloc::{string::String, vec::Vec};
use bytes::{Bytes, BytesMut};
use core::fmt::Write as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Where an operation comes from, and with it what committing it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Origin {
    /// Opens a session for a client (decision 6). Carries no bytes; the state machine never sees it.
    Register {
        /// Drawn by the client. A client id with a live session gets that session again.
        client: ClientId,
    },
    /// A request of a session.
    Request {
        /// The session it belongs to.
        session: SessionId,
        /// Its place in the session: executed after every lower number and never twice.
        request: RequestNumber,
        /// The client has the replies of all lower numbers: they need not be kept.
        acked_below: RequestNumber,
        /// [`checksum`] of the operation: one number, one operation.
        checksum: u64,
    },
    /// Replicated time moves on because the state machine asked for it (decision 16).
    Tick,
}

/// The checksum that binds an operation to its request number.
#[must_use]
pub fn checksum(operation: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(operation)
}

/// An operation on its way into the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// Who wants it.
    pub origin: Origin,
    /// What the state machine will be given.
    pub operation: Bytes,
}

/// Origin of one operation of a run, and where its bytes end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Head {
    /// Where the operation comes from.
    pub origin: Origin,
    /// End of its bytes in the run's body; they begin where those of the operation before it end.
    pub end: u32,
}

/// Operations side by side. Their bytes travel behind the message, outside of the codec.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Run {
    heads: Vec<Head>,
    body: Bytes,
}

impl Run {
    /// How many operations.
    #[must_use]
    pub fn len(&self) -> usize {
        self.heads.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// All heads, in order.
    #[must_use]
    pub fn heads(&self) -> &[Head] {
        &self.heads
    }

    /// The bytes of all operations, one after the other.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The bytes of the operation at `index`: a slice of the shared body, not a copy.
    #[must_use]
    pub fn operation(&self, index: usize) -> Bytes {
        let start = if index == 0 { 0 } else { self.heads[index - 1].end as usize };
        self.body.slice(start..self.heads[index].end as usize)
    }

    /// The operations, in order.
    pub fn requests(&self) -> impl Iterator<Item = Request> + '_ {
        (0..self.len()).map(|i| Request { origin: self.heads[i].origin, operation: self.operation(i) })
    }

    /// Whether heads and body fit together; what came from outside is asked before it is used.
    pub(crate) fn is_well_formed(&self) -> bool {
        let mut end = 0;
        for head in &self.heads {
            if head.end < end {
                return false;
            }
            end = head.end;
        }
        !self.heads.is_empty() && end as usize == self.body.len()
    }

    /// What the codec must put behind (or find behind) the message.
    pub(crate) fn trailing_len(&self) -> usize {
        self.heads.last().map_or(0, |head| head.end as usize)
    }

    pub(crate) fn attach(&mut self, body: Bytes) {
        self.body = body;
    }
}

/// Collects the operations of one turn; the buffer is reused from turn to turn.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct RunBuilder {
    heads: Vec<Head>,
    body: BytesMut,
}

impl RunBuilder {
    pub(crate) fn push(&mut self, request: &Request) {
        self.body.extend_from_slice(&request.operation);
        self.heads.push(Head { origin: request.origin, end: self.body.len() as u32 });
    }

    pub(crate) fn len(&self) -> usize {
        self.heads.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.body.len()
    }

    pub(crate) fn finish(&mut self) -> Run {
        let room = Vec::with_capacity(self.heads.len().min(64));
        let heads = core::mem::replace(&mut self.heads, room);
        Run { heads, body: self.body.split().freeze() }
    }
}

/// In a binary format the body is left out: it travels raw behind the message. People get it as hexadecimal text.
impl Serialize for Run {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            (&self.heads, to_hex(&self.body)).serialize(serializer)
        } else {
            self.heads.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Run {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let (heads, text) = <(Vec<Head>, String)>::deserialize(deserializer)?;
            let body = from_hex(&text).ok_or_else(|| D::Error::custom("the body is not hexadecimal"))?;
            Ok(Self { heads, body })
        } else {
            Ok(Self { heads: Vec::deserialize(deserializer)?, body: Bytes::new() })
        }
    }
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

pub(crate) fn from_hex(text: &str) -> Option<Bytes> {
    let digits = text.as_bytes();
    let value = |digit: u8| char::from(digit).to_digit(16).map(|d| d as u8);
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    digits
        .chunks(2)
        .map(|pair| Some(value(pair[0])? << 4 | value(pair[1])?))
        .collect::<Option<Vec<u8>>>()
        .map(Bytes::from)
}
