//! What the store answers, and the bytes in which a session keeps it.

use super::wire::{Reader, put_bytes, put_number, put_signed};
use bytes::Bytes;
use vsr_actor::{Payload, PayloadError};

/// The reply to one operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Done.
    Ok,
    /// There is nothing.
    Nil,
    /// A number.
    Int(i64),
    /// A value.
    Bulk(Bytes),
    /// Values and gaps, in the order of the keys.
    Array(Vec<Option<Bytes>>),
    /// The name of the type of a key.
    Type(Type),
    /// Keys, and where to go on; 0: that was all.
    Scanned {
        /// For the next call.
        cursor: u64,
        /// Some of the keys, in no order.
        keys: Vec<Bytes>,
    },
    /// The replies of a transaction.
    Many(Vec<Reply>),
    /// A transaction that was not executed: a watched key has changed.
    Aborted,
    /// Refused; the state is as it was.
    Error(StoreError),
}

/// The type of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// The key is missing.
    None,
    /// A byte string: all that this version has.
    String,
}

impl Reply {
    /// Bytes of the values in it.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::Bulk(bytes) => bytes.len(),
            Self::Array(values) => values.iter().flatten().map(Bytes::len).sum(),
            Self::Scanned { keys, .. } => keys.iter().map(Bytes::len).sum(),
            Self::Many(replies) => replies.iter().map(Self::size).sum(),
            Self::Ok | Self::Nil | Self::Int(_) | Self::Type(_) | Self::Aborted | Self::Error(_) => 0,
        }
    }

    /// How many values are in it.
    pub(super) fn parts(&self) -> usize {
        match self {
            Self::Bulk(_) => 1,
            Self::Array(values) => values.len(),
            Self::Scanned { keys, .. } => keys.len() + 1,
            Self::Many(replies) => replies.iter().map(Self::parts).sum(),
            Self::Ok | Self::Nil | Self::Int(_) | Self::Type(_) | Self::Aborted | Self::Error(_) => 0,
        }
    }
}

impl Type {
    /// As Redis says it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::String => "string",
        }
    }
}

/// Why the store refused an operation, in the words of Redis where it has some.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The value under the key is no number.
    #[error("ERR value is not an integer or out of range")]
    NotAnInteger,
    /// The sum does not fit.
    #[error("ERR increment or decrement would overflow")]
    Overflow,
    /// The value would become too long.
    #[error("ERR string exceeds maximum allowed size (proto-max-bulk-len)")]
    ValueTooLong,
    /// The values asked for are too many bytes for one reply.
    #[error(
        "ERR the reply would be larger than {} bytes, ask for fewer keys at once",
        super::REPLY_BYTES_MAX
    )]
    ReplyTooLarge,
    /// There are too many keys to be listed at once.
    #[error("ERR there are too many keys for one reply, go through them with SCAN")]
    TooManyKeys,
    /// A transaction was put into a transaction.
    #[error("ERR MULTI calls can not be nested")]
    Nested,
    /// A change was asked for beside the log.
    #[error("ERR this changes the store, and cannot be asked beside the log")]
    NotARead,
}

const OK: u8 = 1;
const NIL: u8 = 2;
const INT: u8 = 3;
const BULK: u8 = 4;
const ARRAY: u8 = 5;
const TYPE_NONE: u8 = 6;
const TYPE_STRING: u8 = 7;
const NOT_AN_INTEGER: u8 = 8;
const OVERFLOW: u8 = 9;
const VALUE_TOO_LONG: u8 = 10;
const REPLY_TOO_LARGE: u8 = 11;
const SCANNED: u8 = 12;
const MANY: u8 = 13;
const ABORTED: u8 = 14;
const TOO_MANY_KEYS: u8 = 15;
const NESTED: u8 = 16;
const NOT_A_READ: u8 = 17;

impl Payload for Reply {
    fn encode(&self, into: &mut Vec<u8>) {
        match self {
            Self::Ok => into.push(OK),
            Self::Nil => into.push(NIL),
            Self::Int(number) => {
                into.push(INT);
                put_signed(into, *number);
            }
            Self::Bulk(bytes) => {
                into.push(BULK);
                put_bytes(into, bytes);
            }
            Self::Array(values) => {
                into.push(ARRAY);
                put_number(into, values.len() as u64);
                for value in values {
                    match value {
                        None => into.push(0),
                        Some(bytes) => {
                            into.push(1);
                            put_bytes(into, bytes);
                        }
                    }
                }
            }
            Self::Type(Type::None) => into.push(TYPE_NONE),
            Self::Type(Type::String) => into.push(TYPE_STRING),
            Self::Error(StoreError::NotAnInteger) => into.push(NOT_AN_INTEGER),
            Self::Error(StoreError::Overflow) => into.push(OVERFLOW),
            Self::Error(StoreError::ValueTooLong) => into.push(VALUE_TOO_LONG),
            Self::Error(StoreError::ReplyTooLarge) => into.push(REPLY_TOO_LARGE),
            Self::Error(StoreError::TooManyKeys) => into.push(TOO_MANY_KEYS),
            Self::Error(StoreError::Nested) => into.push(NESTED),
            Self::Error(StoreError::NotARead) => into.push(NOT_A_READ),
            Self::Scanned { cursor, keys } => {
                into.push(SCANNED);
                put_number(into, *cursor);
                put_number(into, keys.len() as u64);
                keys.iter().for_each(|key| put_bytes(into, key));
            }
            Self::Many(replies) => {
                into.push(MANY);
                put_number(into, replies.len() as u64);
                let mut bytes = Vec::new();
                for reply in replies {
                    bytes.clear();
                    reply.encode(&mut bytes);
                    put_bytes(into, &bytes);
                }
            }
            Self::Aborted => into.push(ABORTED),
        }
    }

    fn decode(from: Bytes) -> Result<Self, PayloadError> {
        let mut reader = Reader::new(from, "reply of the store");
        let reply = match reader.byte()? {
            OK => Self::Ok,
            NIL => Self::Nil,
            INT => Self::Int(reader.signed()?),
            BULK => Self::Bulk(reader.bytes()?),
            ARRAY => {
                let count = reader.count()?;
                let mut values = Vec::with_capacity(count);
                for _ in 0..count {
                    values.push(match reader.byte()? {
                        0 => None,
                        1 => Some(reader.bytes()?),
                        mark => return Err(reader.wrong(format!("a value has the mark {mark}"))),
                    });
                }
                Self::Array(values)
            }
            TYPE_NONE => Self::Type(Type::None),
            TYPE_STRING => Self::Type(Type::String),
            NOT_AN_INTEGER => Self::Error(StoreError::NotAnInteger),
            OVERFLOW => Self::Error(StoreError::Overflow),
            VALUE_TOO_LONG => Self::Error(StoreError::ValueTooLong),
            REPLY_TOO_LARGE => Self::Error(StoreError::ReplyTooLarge),
            TOO_MANY_KEYS => Self::Error(StoreError::TooManyKeys),
            NESTED => Self::Error(StoreError::Nested),
            NOT_A_READ => Self::Error(StoreError::NotARead),
            SCANNED => Self::Scanned { cursor: reader.number()?, keys: reader.list()? },
            MANY => {
                let mut replies = Vec::new();
                for _ in 0..reader.count()? {
                    let bytes = reader.bytes()?;
                    if bytes.first() == Some(&MANY) {
                        return Err(reader.wrong("replies of a transaction within those of another"));
                    }
                    replies.push(Self::decode(bytes)?);
                }
                Self::Many(replies)
            }
            ABORTED => Self::Aborted,
            tag => return Err(reader.wrong(format!("no reply has the tag {tag}"))),
        };
        reader.end()?;
        Ok(reply)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_come_back() {
        let value = Bytes::from_static(b"value");
        for reply in [
            Reply::Ok,
            Reply::Nil,
            Reply::Int(i64::MIN),
            Reply::Bulk(value.clone()),
            Reply::Array(vec![None, Some(value), Some(Bytes::new())]),
            Reply::Type(Type::None),
            Reply::Type(Type::String),
            Reply::Error(StoreError::NotAnInteger),
            Reply::Error(StoreError::Overflow),
            Reply::Error(StoreError::ValueTooLong),
            Reply::Error(StoreError::ReplyTooLarge),
            Reply::Error(StoreError::TooManyKeys),
            Reply::Error(StoreError::Nested),
            Reply::Error(StoreError::NotARead),
            Reply::Scanned { cursor: u64::MAX, keys: vec![Bytes::from_static(b"k")] },
            Reply::Many(vec![Reply::Ok, Reply::Int(5)]),
            Reply::Aborted,
        ] {
            let mut bytes = Vec::new();
            reply.encode(&mut bytes);
            assert_eq!(Reply::decode(bytes.clone().into()), Ok(reply));
            for end in 0..bytes.len() {
                assert!(Reply::decode(Bytes::copy_from_slice(&bytes[..end])).is_err());
            }
        }
    }
}
