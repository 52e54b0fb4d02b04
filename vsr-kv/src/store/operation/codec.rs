//! The bytes by which an operation travels through the log.

use super::super::wire::{Reader, put_bytes, put_number, put_signed};
use super::{Condition, Expiry, ExpiryCondition, Operation, TimeUnit, Version, When};
use bytes::Bytes;
use vsr_actor::{Payload, PayloadError};

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
const GET_EXPIRE: u8 = 16;
const EXPIRE: u8 = 17;
const PERSIST: u8 = 18;
const TIME_TO_LIVE: u8 = 19;
const EXPIRY_TIME: u8 = 20;
const KEYS: u8 = 21;
const SCAN: u8 = 22;
const RANDOM_KEY: u8 = 23;
const TRANSACTION: u8 = 24;

const FLAG_MISSING: u8 = 1;
const FLAG_PRESENT: u8 = 2;
const FLAG_GET: u8 = 4;
const FLAG_KEEP: u8 = 8;
const FLAG_IN: u8 = 16;
const FLAG_AT: u8 = 32;
const EXPIRY_FLAGS: u8 = FLAG_KEEP | FLAG_IN | FLAG_AT;

const FLAG_PATTERN: u8 = 1;
const FLAG_STRINGS: u8 = 2;

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
            Self::Set { key, value, condition, get, expiry } => {
                put_key(into, SET, key);
                let condition = match condition {
                    Condition::Always => 0,
                    Condition::Missing => FLAG_MISSING,
                    Condition::Present => FLAG_PRESENT,
                };
                put_expiry(into, condition | if *get { FLAG_GET } else { 0 }, *expiry);
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
            Self::GetExpire { key, expiry } => {
                put_key(into, GET_EXPIRE, key);
                put_expiry(into, 0, *expiry);
            }
            Self::Expire { key, when, condition } => {
                put_key(into, EXPIRE, key);
                into.push(condition_mark(*condition));
                put_expiry(into, 0, Expiry::At(*when));
            }
            Self::Persist { key } => put_key(into, PERSIST, key),
            Self::TimeToLive { key, unit } => {
                put_key(into, TIME_TO_LIVE, key);
                into.push(unit_mark(*unit));
            }
            Self::ExpiryTime { key, unit } => {
                put_key(into, EXPIRY_TIME, key);
                into.push(unit_mark(*unit));
            }
            Self::Keys { pattern } => put_key(into, KEYS, pattern),
            Self::Scan { cursor, count, pattern, strings } => {
                into.push(SCAN);
                put_number(into, *cursor);
                put_number(into, *count);
                into.push(
                    if *strings { FLAG_STRINGS } else { 0 }
                        | if pattern.is_some() { FLAG_PATTERN } else { 0 },
                );
                if let Some(pattern) = pattern {
                    put_bytes(into, pattern);
                }
            }
            Self::RandomKey { seed } => {
                into.push(RANDOM_KEY);
                put_number(into, *seed);
            }
            Self::Transaction { watched, commands } => {
                into.push(TRANSACTION);
                put_number(into, watched.len() as u64);
                for (key, version) in watched {
                    put_bytes(into, key);
                    put_number(into, version.number());
                }
                put_number(into, commands.len() as u64);
                let mut bytes = Vec::new();
                for command in commands {
                    bytes.clear();
                    command.encode(&mut bytes);
                    put_bytes(into, &bytes);
                }
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
                let condition = match flags & !(FLAG_GET | EXPIRY_FLAGS) {
                    0 => Condition::Always,
                    FLAG_MISSING => Condition::Missing,
                    FLAG_PRESENT => Condition::Present,
                    _ => return Err(reader.wrong(format!("SET with unknown flags {flags}"))),
                };
                let expiry = expiry(&mut reader, flags & EXPIRY_FLAGS)?;
                Self::Set { key, value: reader.bytes()?, condition, get: flags & FLAG_GET != 0, expiry }
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
            GET_EXPIRE => {
                let key = reader.bytes()?;
                let flags = reader.byte()?;
                Self::GetExpire { key, expiry: expiry(&mut reader, flags)? }
            }
            EXPIRE => {
                let (key, condition, flags) = (reader.bytes()?, reader.byte()?, reader.byte()?);
                let condition = CONDITIONS.get(usize::from(condition)).copied();
                let condition = condition.ok_or_else(|| reader.wrong("EXPIRE with an unknown condition"))?;
                match expiry(&mut reader, flags)? {
                    Expiry::At(when) => Self::Expire { key, when, condition },
                    Expiry::Clear | Expiry::Keep => return Err(reader.wrong("EXPIRE without a time")),
                }
            }
            PERSIST => Self::Persist { key: reader.bytes()? },
            TIME_TO_LIVE => Self::TimeToLive { key: reader.bytes()?, unit: unit(&mut reader)? },
            EXPIRY_TIME => Self::ExpiryTime { key: reader.bytes()?, unit: unit(&mut reader)? },
            KEYS => Self::Keys { pattern: reader.bytes()? },
            SCAN => {
                let (cursor, count, flags) = (reader.number()?, reader.number()?, reader.byte()?);
                if flags & !(FLAG_PATTERN | FLAG_STRINGS) != 0 {
                    return Err(reader.wrong(format!("SCAN with unknown flags {flags}")));
                }
                let pattern = if flags & FLAG_PATTERN == 0 { None } else { Some(reader.bytes()?) };
                Self::Scan { cursor, count, pattern, strings: flags & FLAG_STRINGS != 0 }
            }
            RANDOM_KEY => Self::RandomKey { seed: reader.number()? },
            TRANSACTION => {
                let mut watched = Vec::new();
                for _ in 0..reader.count()? {
                    watched.push((reader.bytes()?, Version::from_number(reader.number()?)));
                }
                let mut commands = Vec::new();
                for _ in 0..reader.count()? {
                    let bytes = reader.bytes()?;
                    // No transaction within: a hostile one could be as deep as it is long.
                    if bytes.first() == Some(&TRANSACTION) {
                        return Err(reader.wrong("a transaction within a transaction"));
                    }
                    commands.push(Self::decode(bytes)?);
                }
                Self::Transaction { watched, commands }
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

/// A byte with the kind of the expiry and what else belongs into it, then the time if there is one.
fn put_expiry(into: &mut Vec<u8>, others: u8, expiry: Expiry) {
    match expiry {
        Expiry::Clear => into.push(others),
        Expiry::Keep => into.push(others | FLAG_KEEP),
        Expiry::At(When::In(milliseconds)) => {
            into.push(others | FLAG_IN);
            put_signed(into, milliseconds);
        }
        Expiry::At(When::At(milliseconds)) => {
            into.push(others | FLAG_AT);
            put_signed(into, milliseconds);
        }
    }
}

fn expiry(reader: &mut Reader, flags: u8) -> Result<Expiry, PayloadError> {
    Ok(match flags {
        0 => Expiry::Clear,
        FLAG_KEEP => Expiry::Keep,
        FLAG_IN => Expiry::At(When::In(reader.signed()?)),
        FLAG_AT => Expiry::At(When::At(reader.signed()?)),
        _ => return Err(reader.wrong(format!("an expiry with the flags {flags}"))),
    })
}

/// By their marks.
const CONDITIONS: [ExpiryCondition; 6] = [
    ExpiryCondition::Always,
    ExpiryCondition::Missing,
    ExpiryCondition::Present,
    ExpiryCondition::Later,
    ExpiryCondition::Sooner,
    ExpiryCondition::PresentAndSooner,
];

fn condition_mark(condition: ExpiryCondition) -> u8 {
    match condition {
        ExpiryCondition::Always => 0,
        ExpiryCondition::Missing => 1,
        ExpiryCondition::Present => 2,
        ExpiryCondition::Later => 3,
        ExpiryCondition::Sooner => 4,
        ExpiryCondition::PresentAndSooner => 5,
    }
}

fn unit_mark(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Seconds => 0,
        TimeUnit::Milliseconds => 1,
    }
}

fn unit(reader: &mut Reader) -> Result<TimeUnit, PayloadError> {
    match reader.byte()? {
        0 => Ok(TimeUnit::Seconds),
        1 => Ok(TimeUnit::Milliseconds),
        mark => Err(reader.wrong(format!("no unit of time has the mark {mark}"))),
    }
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
            Operation::Set {
                key: b("k"),
                value: b("v"),
                condition: Condition::Missing,
                get: true,
                expiry: Expiry::Clear,
            },
            Operation::Set {
                key: b("k"),
                value: b(""),
                condition: Condition::Present,
                get: false,
                expiry: Expiry::Keep,
            },
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
            Operation::GetExpire { key: b("k"), expiry: Expiry::Clear },
            Operation::GetExpire { key: b("k"), expiry: Expiry::At(When::In(-5)) },
            Operation::Persist { key: b("k") },
            Operation::TimeToLive { key: b("k"), unit: TimeUnit::Seconds },
            Operation::ExpiryTime { key: b("k"), unit: TimeUnit::Milliseconds },
            Operation::Keys { pattern: b("*") },
            Operation::Scan { cursor: u64::MAX, count: 300, pattern: None, strings: true },
            Operation::Scan { cursor: 0, count: 10, pattern: Some(b("a*")), strings: false },
            Operation::RandomKey { seed: u64::MAX },
            Operation::Transaction { watched: vec![], commands: vec![] },
            Operation::Transaction {
                watched: vec![(b("w"), Version::present(u64::MAX >> 1)), (b("x"), Version::absent(0))],
                commands: vec![Operation::Size, Operation::Get { key: b("k") }],
            },
        ]
        .into_iter()
        .chain(CONDITIONS.map(|condition| Operation::Expire {
            key: b("k"),
            when: When::At(i64::MAX),
            condition,
        }))
        .collect()
    }

    #[test]
    fn a_transaction_within_a_transaction_is_refused() {
        let inner = Operation::Transaction { watched: vec![], commands: vec![] };
        let mut bytes = Vec::new();
        Operation::Transaction { watched: vec![], commands: vec![inner] }.encode(&mut bytes);
        assert!(Operation::decode(bytes.into()).is_err());
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
        Operation::Set {
            key: b("k"),
            value: b("vv"),
            condition: Condition::Missing,
            get: true,
            expiry: Expiry::Clear,
        }
        .encode(&mut bytes);
        assert_eq!(bytes, [2, 1, b'k', 5, 2, b'v', b'v']);
        bytes.clear();
        Operation::Add { key: b("n"), delta: -1 }.encode(&mut bytes);
        assert_eq!(bytes, [11, 1, b'n', 1]);
    }
}
