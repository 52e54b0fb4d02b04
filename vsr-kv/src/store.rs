//! The replicated state: byte strings by byte strings, and what each operation does to them.

mod expiry;
mod keyspace;
mod listing;
mod map;
mod moment;
mod operation;
mod reply;
mod snapshot;
mod strings;
mod transaction;
mod wire;

pub use moment::{Moment, Version};
pub use operation::{Condition, Expiry, ExpiryCondition, Operation, TimeUnit, When};
pub use reply::{Reply, StoreError, Type};
pub(crate) use transaction::COMMANDS_MAX;

use bytes::Bytes;
use keyspace::Keyspace;
use vsr_actor::{Commit, StateMachine};

/// The longest value.
pub const VALUE_BYTES_MAX: usize = 1 << 20;
/// The most bytes of values in one reply. A session keeps replies for clients that ask again, so each must fit into what it keeps: see
/// [`config`](crate::dev::config).
pub const REPLY_BYTES_MAX: usize = 2 << 20;
/// What a part of a reply takes beside its bytes, at most: a mark and a length.
const PART_BYTES: usize = 8;

/// The state machine behind the server.
///
/// Time passes for it with the log only: what an operation sees has not expired by the timestamp of that operation, and whoever reads
/// beside the log sees the time of the last operation. A tick takes out what nobody asked for.
///
/// Two stores with the same content write the same snapshot.
#[derive(Debug, Default)]
pub struct Store {
    keys: Keyspace,
}

impl StateMachine for Store {
    type Operation = Operation;
    type Reply = Reply;

    fn handle_commit(&mut self, commit: &Commit, operation: Operation) -> Reply {
        self.apply(commit.into(), &operation)
    }

    fn next_tick(&self) -> Option<u64> {
        self.due()
    }

    fn handle_tick(&mut self, commit: &Commit) {
        self.tick(commit.into());
    }
}

fn value_or_nil(value: Option<Bytes>) -> Reply {
    value.map_or(Reply::Nil, Reply::Bulk)
}

fn length(length: usize) -> Reply {
    Reply::Int(i64::try_from(length).unwrap_or(i64::MAX))
}

impl Store {
    /// Executes one operation of the log.
    pub fn apply(&mut self, moment: Moment, operation: &Operation) -> Reply {
        self.keys.advance(moment);
        match operation {
            Operation::Transaction { watched, commands } => self.transaction(watched, commands),
            other => self.execute(other, REPLY_BYTES_MAX),
        }
    }

    /// Answers an operation that changes nothing, from the state as it is. An operation that changes something is refused: it belongs
    /// into the log.
    #[must_use]
    pub fn read(&self, operation: &Operation) -> Reply {
        if !operation.is_read() {
            return Reply::Error(StoreError::NotARead);
        }
        let room = match operation {
            // Not kept by a session; bounded by the size of a shard.
            Operation::Scan { .. } => usize::MAX,
            _ => REPLY_BYTES_MAX,
        };
        self.look(operation, room).unwrap_or(Reply::Error(StoreError::NotARead))
    }

    /// What a key is now, to be compared in a transaction.
    #[must_use]
    pub fn version(&self, key: &[u8]) -> Version {
        self.keys.version(key)
    }

    /// The op that changed the state last, or might have.
    #[must_use]
    pub fn op(&self) -> u64 {
        self.keys.moment().op
    }

    /// Whether what the store keeps beside its entries agrees with them. For tests: it looks at everything.
    ///
    /// # Errors
    /// What does not agree.
    pub fn check(&self) -> Result<(), String> {
        self.keys.check()
    }

    /// One operation, with a reply of at most `room` bytes: what would bring more is refused before it changes anything.
    fn execute(&mut self, operation: &Operation, room: usize) -> Reply {
        if let Some(reply) = self.look(operation, room) {
            return reply;
        }
        if let Some(key) = operation.returns_value_of()
            && self.keys.get(key).is_some_and(|entry| entry.value.len() + PART_BYTES > room)
        {
            return Reply::Error(StoreError::ReplyTooLarge);
        }
        self.change(operation)
    }

    /// An operation that changes nothing; nothing, if it is another.
    fn look(&self, operation: &Operation, room: usize) -> Option<Reply> {
        let keys = &self.keys;
        Some(match operation {
            Operation::Get { key } => match keys.get(key) {
                Some(entry) if entry.value.len() + PART_BYTES > room => {
                    Reply::Error(StoreError::ReplyTooLarge)
                }
                entry => value_or_nil(entry.map(|entry| entry.value.clone())),
            },
            Operation::GetMany { keys } => self.get_many(keys, room),
            Operation::Exists { keys: named } => {
                length(named.iter().filter(|key| keys.contains(key)).count())
            }
            Operation::Length { key } => length(keys.get(key).map_or(0, |entry| entry.value.len())),
            Operation::Type { key } => {
                Reply::Type(if keys.contains(key) { Type::String } else { Type::None })
            }
            Operation::Size => length(keys.entries().len()),
            Operation::TimeToLive { key, unit } => self.time_to_live(key, *unit),
            Operation::ExpiryTime { key, unit } => self.expiry_time(key, *unit),
            Operation::Keys { pattern } => self.list(pattern, listing::KEYS_MAX, room),
            Operation::Scan { cursor, count, pattern, strings } => {
                self.scan(*cursor, *count, pattern.as_deref(), *strings, room)
            }
            Operation::RandomKey { seed } => self.random_key(*seed, room),
            _ => return None,
        })
    }

    fn change(&mut self, operation: &Operation) -> Reply {
        match operation {
            Operation::Set { key, value, condition, get, expiry } => {
                self.set(key, value, *condition, *get, *expiry)
            }
            Operation::SetIfMissing { key, value } => self.set_if_missing(key, value),
            Operation::GetDelete { key } => value_or_nil(self.keys.remove(key)),
            Operation::SetMany { pairs } => self.set_many(pairs),
            Operation::Delete { keys } => {
                length(keys.iter().filter(|key| self.keys.remove(key).is_some()).count())
            }
            Operation::Append { key, value } => self.append(key, value),
            Operation::Add { key, delta } => self.add(key, *delta),
            Operation::CompareAndSet { key, old, new } => self.compare_and_set(key, old, new),
            Operation::Flush => {
                self.keys.clear();
                Reply::Ok
            }
            Operation::GetExpire { key, expiry } => self.get_expire(key, *expiry),
            Operation::Expire { key, when, condition } => self.expire(key, *when, *condition),
            Operation::Persist { key } => self.persist(key),
            Operation::Transaction { .. } => Reply::Error(StoreError::Nested),
            Operation::Get { .. }
            | Operation::GetMany { .. }
            | Operation::Exists { .. }
            | Operation::Length { .. }
            | Operation::Type { .. }
            | Operation::Size
            | Operation::TimeToLive { .. }
            | Operation::ExpiryTime { .. }
            | Operation::Keys { .. }
            | Operation::Scan { .. }
            | Operation::RandomKey { .. } => Reply::Error(StoreError::NotARead),
        }
    }
}

/// An integer exactly as Redis takes it: no space, no plus sign, no leading zero, no `-0`.
#[must_use]
pub fn parse_integer(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    match digits {
        b"0" if digits.len() == text.len() => Some(0),
        [b'1'..=b'9', ..] if digits.iter().all(u8::is_ascii_digit) => {
            std::str::from_utf8(text).ok()?.parse().ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
