//! What a client can ask of the store.

mod codec;

use super::Version;
use bytes::Bytes;

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

/// A point in time, as a client gives it, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// So long after the timestamp of the operation.
    In(i64),
    /// Since 1970.
    At(i64),
}

/// What becomes of the time a key has to live when it is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expiry {
    /// The key stays until it is removed.
    #[default]
    Clear,
    /// As before (`KEEPTTL`); a new key stays.
    Keep,
    /// The key ends then (`EX`, `PX`, `EXAT`, `PXAT`).
    At(When),
}

/// When an `EXPIRE` takes place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExpiryCondition {
    /// Always.
    #[default]
    Always,
    /// Only if the key has no deadline (`NX`).
    Missing,
    /// Only if it has one (`XX`).
    Present,
    /// Only if the new one is later (`GT`, with or without `XX`).
    Later,
    /// Only if the new one is sooner, or the first (`LT`).
    Sooner,
    /// Only if it has one, and the new one is sooner (`XX LT`).
    PresentAndSooner,
}

/// In what a client wants a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeUnit {
    /// Rounded, as Redis does.
    Seconds,
    /// As it is.
    Milliseconds,
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
        /// How long the key lives.
        expiry: Expiry,
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
    /// `GETEX`: the value, and another time to live.
    GetExpire {
        /// Which key.
        key: Bytes,
        /// How long it lives from now on.
        expiry: Expiry,
    },
    /// `EXPIRE` and its kind: 1 if the deadline was set, 0 if not.
    Expire {
        /// Which key.
        key: Bytes,
        /// When it ends; a time that has come removes it at once.
        when: When,
        /// When to do it.
        condition: ExpiryCondition,
    },
    /// `PERSIST`: 1 if the key had a deadline.
    Persist {
        /// Which key.
        key: Bytes,
    },
    /// `TTL` and `PTTL`.
    TimeToLive {
        /// Which key.
        key: Bytes,
        /// In what.
        unit: TimeUnit,
    },
    /// `EXPIRETIME` and `PEXPIRETIME`.
    ExpiryTime {
        /// Which key.
        key: Bytes,
        /// In what.
        unit: TimeUnit,
    },
    /// `KEYS`.
    Keys {
        /// What they look like.
        pattern: Bytes,
    },
    /// `SCAN`.
    Scan {
        /// Where to go on; 0: at the beginning.
        cursor: u64,
        /// About how many keys to look at.
        count: u64,
        /// What they look like; nothing: anything.
        pattern: Option<Bytes>,
        /// Whether keys of byte strings are wanted: there are no others.
        strings: bool,
    },
    /// `RANDOMKEY`.
    RandomKey {
        /// Drawn by whoever asks, so that every replica finds the same.
        seed: u64,
    },
    /// `EXEC`: all replies in their order; or [`Aborted`](super::Reply::Aborted), and nothing is done, if a watched key has changed.
    Transaction {
        /// The keys that must be as they were.
        watched: Vec<(Bytes, Version)>,
        /// What to do. A transaction within is refused.
        commands: Vec<Operation>,
    },
}

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
            Self::Size | Self::Flush | Self::RandomKey { .. } => 0,
            Self::GetExpire { key, .. }
            | Self::Expire { key, .. }
            | Self::Persist { key }
            | Self::TimeToLive { key, .. }
            | Self::ExpiryTime { key, .. } => key.len(),
            Self::Keys { pattern } => pattern.len(),
            Self::Scan { pattern, .. } => pattern.as_ref().map_or(0, Bytes::len) + 16,
            Self::Transaction { watched, commands } => {
                let keys: usize = watched.iter().map(|(key, _)| key.len() + 15).sum();
                keys + commands.iter().map(Self::size).sum::<usize>()
            }
        };
        parts + 32
    }

    /// Whether it changes nothing and needs no time but that of the last operation: then it can be answered beside the log.
    ///
    /// How long a key has still to live is such a question of time: beside the log it would not pass while nothing happens.
    #[must_use]
    pub fn is_read(&self) -> bool {
        match self {
            Self::Get { .. }
            | Self::GetMany { .. }
            | Self::Exists { .. }
            | Self::Length { .. }
            | Self::Type { .. }
            | Self::Size
            | Self::ExpiryTime { .. }
            | Self::Keys { .. }
            | Self::Scan { .. }
            | Self::RandomKey { .. } => true,
            Self::Set { .. }
            | Self::SetIfMissing { .. }
            | Self::GetDelete { .. }
            | Self::SetMany { .. }
            | Self::Delete { .. }
            | Self::Append { .. }
            | Self::Add { .. }
            | Self::Flush
            | Self::CompareAndSet { .. }
            | Self::GetExpire { .. }
            | Self::Expire { .. }
            | Self::Persist { .. }
            | Self::TimeToLive { .. }
            | Self::Transaction { .. } => false,
        }
    }

    /// Whether it looks at many keys, whatever it was asked: its length says nothing about the time it takes.
    #[must_use]
    pub fn is_walk(&self) -> bool {
        matches!(self, Self::Keys { .. } | Self::Scan { .. } | Self::RandomKey { .. } | Self::Flush)
    }

    /// The key whose value is the reply of something that changes it.
    pub(super) fn returns_value_of(&self) -> Option<&Bytes> {
        match self {
            Self::Set { key, get: true, .. } | Self::GetDelete { key } | Self::GetExpire { key, .. } => {
                Some(key)
            }
            _ => None,
        }
    }
}
