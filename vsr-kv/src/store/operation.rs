//! What a client can ask of the store, and the bytes by which it travels through the log.

use super::wire::{Reader, put_bytes, put_number, put_signed};
use bytes::Bytes;
use vsr_actor::{Payload, PayloadError};

/// When a `SET` takes place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// Always.
    #[default]
    Always,
    /// Only if the key is missing (`NX`).
    Missing,
    /// Only if the key is there (`XX`).
    Present,
}

/// One operation of the log. Commands that differ only in their spelling share one (`INCR` is `Add` of 1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `GET`: the value, or nil.
    Get {
        /// Which key.
        key: Bytes,
    },
    /// `SET` with its options.
    Set {
        /// Which key.
        key: Bytes,
        /// Its new value.
        value: Bytes,
        /// When to set it.
        condition: Condition,
        /// Whether the old value is the reply (`GET`).
        get: bool,
    },
    /// `SETNX`: 1 if set, 0 if the key was there.
    SetIfMissing {
        /// Which key.
        key: Bytes,
        /// Its value.
        value: Bytes,
    },
    /// `GETDEL`: the value, which is gone then.
    GetDelete {
        /// Which key.
        key: Bytes,
    },
    /// `MGET`.
    GetMany {
        /// Which keys.
        keys: Vec<Bytes>,
    },
    /// `MSET`: all or nothing, as every operation.
    SetMany {
        /// Keys and values by turns.
        pairs: Vec<Bytes>,
    },
    /// `DEL` and `UNLINK`: how many there were.
    Delete {
        /// Which keys.
        keys: Vec<Bytes>,
    },
    /// `EXISTS`: how many are there; one named twice counts twice.
    Exists {
        /// Which keys.
        keys: Vec<Bytes>,
    },
    /// `STRLEN`.
    Length {
        /// Which key.
        key: Bytes,
    },
    /// `APPEND`: the new length.
    Append {
        /// Which key.
        key: Bytes,
        /// What to add at its end.
        value: Bytes,
    },
    /// `INCR`, `DECR`, `INCRBY`, `DECRBY`: the new number.
    Add {
        /// Which key.
        key: Bytes,
        /// What to add.
        delta: i64,
    },
    /// `TYPE`.
    Type {
        /// Which key.
        key: Bytes,
    },
    /// `DBSIZE`.
    Size,
    /// `FLUSHDB` and `FLUSHALL`.
    Flush,
    /// `CAS key old new`: 1 if the value was `old` and is `new` now, 0 if it is another, nil if the key is missing.
    CompareAndSet {
        /// Which key.
        key: Bytes,
        /// The value it must have.
        old: Bytes,
        /// The value it gets.
        new: Bytes,
    },
}

// The tags are part of every log: never give one a second meaning.
const GET: u8 = 1;
const SET: u8 = 2;
const SET_IF_MISSING: u8 = 3;
const GET_DELETE: u8 = 4;
const GET_MANY: u8 = 5;
const SET_MANY: u8 = 6;
const DELETE: u8 = 7;
const EXISTS: u8 = 8;
const LENGTH: u8 = 9;
const APPEND: u8 = 10;
const ADD: u8 = 11;
const TYPE: u8 = 12;
const SIZE: u8 = 13;
const FLUSH: u8 = 14;
const COMPARE_AND_SET: u8 = 15;

const FLAG_MISSING: u8 = 1;
const FLAG_PRESENT: u8 = 2;
const FLAG_GET: u8 = 4;

impl Operation {
    /// About how many bytes it takes in the log.
    #[must_use]
    pub fn size(&self) -> usize {
        let all = |list: &[Bytes]| list.iter().map(|bytes| bytes.len() + 5).sum();
        let parts: usize = match self {
            Self::Get { key } | Self::GetDelete { key } | Self::Length { key } | Self::Type { key } => {
                key.len()
            }
            Self::Add { key, .. } => key.len() + 10,
            Self::Set { key, value, .. }
            | Self::SetIfMissing { key, value }
            | Self::Append { key, value } => key.len() + value.len(),
            Self::GetMany { keys: list } | Self::SetMany { pairs: list } | Self::Delete { keys: list } => {
                all(list)
            }
            Self::Exists { keys } => all(keys),
            Self::CompareAndSet { key, old, new } => key.len() + old.len() + new.len(),
            Self::Size | Self::Flush => 0,
        };
        parts + 16
    }
}

fn put_list(into: &mut Vec<u8>, list: &[Bytes]) {
    put_number(into, list.len() as u64);
    for bytes in list {
        put_bytes(into, bytes);
    }
}

impl Payload for Operation {
    fn encode(&self, into: &mut Vec<u8>) {
        match self {
            Self::Get { key } => put_key(into, GET, key),
            Self::Set { key, value, condition, get } => {
                put_key(into, SET, key);
                let condition = match condition {
                    Condition::Always => 0,
                    Condition::Missing => FLAG_MISSING,
                    Condition::Present => FLAG_PRESENT,
                };
                into.push(condition | if *get { FLAG_GET } else { 0 });
                put_bytes(into, value);
            }
            Self::SetIfMissing { key, value } => {
                put_key(into, SET_IF_MISSING, key);
                put_bytes(into, value);
            }
            Self::GetDelete { key } => put_key(into, GET_DELETE, key),
            Self::GetMany { keys } => {
                into.push(GET_MANY);
                put_list(into, keys);
            }
            Self::SetMany { pairs } => {
                into.push(SET_MANY);
                put_list(into, pairs);
            }
            Self::Delete { keys } => {
                into.push(DELETE);
                put_list(into, keys);
            }
            Self::Exists { keys } => {
                into.push(EXISTS);
                put_list(into, keys);
            }
            Self::Length { key } => put_key(into, LENGTH, key),
            Self::Append { key, value } => {
                put_key(into, APPEND, key);
                put_bytes(into, value);
            }
            Self::Add { key, delta } => {
                put_key(into, ADD, key);
                put_signed(into, *delta);
            }
            Self::Type { key } => put_key(into, TYPE, key),
            Self::Size => into.push(SIZE),
            Self::Flush => into.push(FLUSH),
            Self::CompareAndSet { key, old, new } => {
                put_key(into, COMPARE_AND_SET, key);
                put_bytes(into, old);
                put_bytes(into, new);
            }
        }
    }

    fn decode(from: Bytes) -> Result<Self, PayloadError> {
        let mut reader = Reader::new(from, "operation of the store");
        let operation = match reader.byte()? {
            GET => Self::Get { key: reader.bytes()? },
            SET => {
                let key = reader.bytes()?;
                let flags = reader.byte()?;
                let condition = match flags & !FLAG_GET {
                    0 => Condition::Always,
                    FLAG_MISSING => Condition::Missing,
                    FLAG_PRESENT => Condition::Present,
                    _ => return Err(reader.wrong(format!("SET with unknown flags {flags}"))),
                };
                Self::Set { key, value: reader.bytes()?, condition, get: flags & FLAG_GET != 0 }
            }
            SET_IF_MISSING => Self::SetIfMissing { key: reader.bytes()?, value: reader.bytes()? },
            GET_DELETE => Self::GetDelete { key: reader.bytes()? },
            GET_MANY => Self::GetMany { keys: reader.list()? },
            SET_MANY => {
                let pairs = reader.list()?;
                if pairs.len() % 2 != 0 {
                    return Err(reader.wrong("a key has no value"));
                }
                Self::SetMany { pairs }
            }
            DELETE => Self::Delete { keys: reader.list()? },
            EXISTS => Self::Exists { keys: reader.list()? },
            LENGTH => Self::Length { key: reader.bytes()? },
            APPEND => Self::Append { key: reader.bytes()?, value: reader.bytes()? },
            ADD => Self::Add { key: reader.bytes()?, delta: reader.signed()? },
            TYPE => Self::Type { key: reader.bytes()? },
            SIZE => Self::Size,
            FLUSH => Self::Flush,
            COMPARE_AND_SET => {
                Self::CompareAndSet { key: reader.bytes()?, old: reader.bytes()?, new: reader.bytes()? }
            }
            tag => return Err(reader.wrong(format!("no operation has the tag {tag}"))),
        };
        reader.end()?;
        Ok(operation)
    }
}

fn put_key(into: &mut Vec<u8>, tag: u8, key: &[u8]) {
    into.push(tag);
    put_bytes(into, key);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn b(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    fn one_of_each() -> Vec<Operation> {
        let list = || vec![b("a"), b(""), b("c"), b("d")];
        vec![
            Operation::Get { key: b("k") },
            Operation::Set { key: b("k"), value: b("v"), condition: Condition::Missing, get: true },
            Operation::Set { key: b("k"), value: b(""), condition: Condition::Present, get: false },
            Operation::SetIfMissing { key: b("k"), value: b("v") },
            Operation::GetDelete { key: b("k") },
            Operation::GetMany { keys: list() },
            Operation::SetMany { pairs: list() },
            Operation::Delete { keys: list() },
            Operation::Exists { keys: list() },
            Operation::Length { key: b("k") },
            Operation::Append { key: b("k"), value: b("v") },
            Operation::Add { key: b("k"), delta: i64::MIN },
            Operation::Type { key: b("k") },
            Operation::Size,
            Operation::Flush,
            Operation::CompareAndSet { key: b("k"), old: b("o"), new: b("n") },
        ]
    }

    #[test]
    fn operations_come_back_and_no_part_of_one_passes_for_another() {
        for operation in one_of_each() {
            let mut bytes = Vec::new();
            operation.encode(&mut bytes);
            assert!(bytes.len() <= operation.size());
            assert_eq!(Operation::decode(bytes.clone().into()).as_ref(), Ok(&operation));
            for end in 0..bytes.len() {
                assert!(
                    Operation::decode(Bytes::copy_from_slice(&bytes[..end])).is_err(),
                    "{operation:?} cut at {end}"
                );
            }
            bytes.push(0);
            assert!(Operation::decode(bytes.into()).is_err());
        }
    }

    #[test]
    fn the_bytes_of_the_log_do_not_change() {
        let mut bytes = Vec::new();
        Operation::Set { key: b("k"), value: b("vv"), condition: Condition::Missing, get: true }
            .encode(&mut bytes);
        assert_eq!(bytes, [2, 1, b'k', 5, 2, b'v', b'v']);
        bytes.clear();
        Operation::Add { key: b("n"), delta: -1 }.encode(&mut bytes);
        assert_eq!(bytes, [11, 1, b'n', 1]);
    }
}
