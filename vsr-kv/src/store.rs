//! The replicated state: byte strings by byte strings, and what each operation does to them.

mod map;
mod operation;
mod reply;
mod snapshot;
mod wire;

pub use operation::{Condition, Operation};
pub use reply::{Reply, StoreError, Type};

use bytes::Bytes;
use map::Map;
use vsr_actor::{Commit, StateMachine};

/// The longest value.
pub const VALUE_BYTES_MAX: usize = 1 << 20;
/// The most bytes of values in one reply. A session keeps replies for clients that ask again, so each must fit into what it keeps: see
/// [`config`](crate::dev::config).
pub const REPLY_BYTES_MAX: usize = 2 << 20;

/// The state machine behind the server.
///
/// Two stores with the same content write the same snapshot.
#[derive(Debug, Default)]
pub struct Store {
    values: Map,
}

impl StateMachine for Store {
    type Operation = Operation;
    type Reply = Reply;

    fn handle_commit(&mut self, _commit: &Commit, operation: Operation) -> Reply {
        self.apply(operation)
    }
}

/// The bytes of an operation are a slice of a whole log entry: what stays must not keep the entry in memory.
fn own(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

fn value_or_nil(value: Option<Bytes>) -> Reply {
    value.map_or(Reply::Nil, Reply::Bulk)
}

fn length(length: usize) -> Reply {
    Reply::Int(i64::try_from(length).unwrap_or(i64::MAX))
}

impl Store {
    /// Executes one operation.
    pub fn apply(&mut self, operation: Operation) -> Reply {
        match operation {
            Operation::Get { key } => value_or_nil(self.values.get(&key).cloned()),
            Operation::Set { key, value, condition, get } => self.set(&key, &value, condition, get),
            Operation::SetIfMissing { key, value } => {
                if self.values.contains_key(&key) {
                    return Reply::Int(0);
                }
                self.put(&key, &value).map_or_else(Reply::Error, |()| Reply::Int(1))
            }
            Operation::GetDelete { key } => value_or_nil(self.values.remove(&key)),
            Operation::GetMany { keys } => self.get_many(&keys),
            Operation::SetMany { pairs } => self.set_many(&pairs),
            Operation::Delete { keys } => {
                length(keys.iter().filter(|key| self.values.remove(key).is_some()).count())
            }
            Operation::Exists { keys } => {
                length(keys.iter().filter(|key| self.values.contains_key(key)).count())
            }
            Operation::Length { key } => length(self.values.get(&key).map_or(0, Bytes::len)),
            Operation::Append { key, value } => self.append(&key, &value),
            Operation::Add { key, delta } => self.add(&key, delta),
            Operation::Type { key } => {
                Reply::Type(if self.values.contains_key(&key) { Type::String } else { Type::None })
            }
            Operation::Size => length(self.values.len()),
            Operation::Flush => {
                self.values.clear();
                Reply::Ok
            }
            Operation::CompareAndSet { key, old, new } => match self.values.get(&key) {
                None => Reply::Nil,
                Some(value) if *value != old => Reply::Int(0),
                Some(_) => self.put(&key, &new).map_or_else(Reply::Error, |()| Reply::Int(1)),
            },
        }
    }

    fn put(&mut self, key: &Bytes, value: &[u8]) -> Result<(), StoreError> {
        if value.len() > VALUE_BYTES_MAX {
            return Err(StoreError::ValueTooLong);
        }
        let value = own(value);
        match self.values.get_mut(key) {
            Some(place) => *place = value,
            None => self.values.insert(own(key), value),
        }
        Ok(())
    }

    fn set(&mut self, key: &Bytes, value: &[u8], condition: Condition, get: bool) -> Reply {
        let old = self.values.get(key).cloned();
        let wanted = match condition {
            Condition::Always => true,
            Condition::Missing => old.is_none(),
            Condition::Present => old.is_some(),
        };
        if wanted && let Err(error) = self.put(key, value) {
            return Reply::Error(error);
        }
        match (get, wanted) {
            (true, _) => value_or_nil(old),
            (false, true) => Reply::Ok,
            (false, false) => Reply::Nil,
        }
    }

    fn get_many(&self, keys: &[Bytes]) -> Reply {
        let mut bytes = 0;
        let mut values = Vec::with_capacity(keys.len());
        for key in keys {
            let value = self.values.get(key).cloned();
            // A gap and a length take room in the reply too.
            bytes += value.as_ref().map_or(0, Bytes::len) + 8;
            if bytes > REPLY_BYTES_MAX {
                return Reply::Error(StoreError::ReplyTooLarge);
            }
            values.push(value);
        }
        Reply::Array(values)
    }

    fn set_many(&mut self, pairs: &[Bytes]) -> Reply {
        let (pairs, _) = pairs.as_chunks::<2>();
        if pairs.iter().any(|[_, value]| value.len() > VALUE_BYTES_MAX) {
            return Reply::Error(StoreError::ValueTooLong);
        }
        for [key, value] in pairs {
            if let Err(error) = self.put(key, value) {
                return Reply::Error(error);
            }
        }
        Reply::Ok
    }

    fn append(&mut self, key: &Bytes, more: &[u8]) -> Reply {
        let Some(place) = self.values.get_mut(key) else {
            return self.put(key, more).map_or_else(Reply::Error, |()| length(more.len()));
        };
        if place.len() + more.len() > VALUE_BYTES_MAX {
            return Reply::Error(StoreError::ValueTooLong);
        }
        // In place while nobody else looks at the value, so that many small appends do not copy it each time.
        let mut value = match std::mem::take(place).try_into_mut() {
            Ok(value) => value,
            Err(shared) => {
                let mut value =
                    bytes::BytesMut::with_capacity((shared.len() + more.len()).next_multiple_of(64));
                value.extend_from_slice(&shared);
                value
            }
        };
        value.extend_from_slice(more);
        *place = value.freeze();
        length(place.len())
    }

    fn add(&mut self, key: &Bytes, delta: i64) -> Reply {
        let number = match self.values.get(key) {
            None => 0,
            Some(value) => match parse_integer(value) {
                Some(number) => number,
                None => return Reply::Error(StoreError::NotAnInteger),
            },
        };
        let Some(sum) = number.checked_add(delta) else { return Reply::Error(StoreError::Overflow) };
        self.put(key, sum.to_string().as_bytes()).map_or_else(Reply::Error, |()| Reply::Int(sum))
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
mod tests {
    use super::*;

    fn b(text: &str) -> Bytes {
        Bytes::copy_from_slice(text.as_bytes())
    }

    fn set(key: &str, value: &str) -> Operation {
        Operation::Set { key: b(key), value: b(value), condition: Condition::Always, get: false }
    }

    fn get(store: &mut Store, key: &str) -> Option<String> {
        match store.apply(Operation::Get { key: b(key) }) {
            Reply::Nil => None,
            Reply::Bulk(value) => Some(String::from_utf8_lossy(&value).into_owned()),
            other => panic!("GET answered {other:?}"),
        }
    }

    #[test]
    fn set_with_its_options_is_that_of_redis_7() {
        let mut store = Store::default();
        let mut set = |value: &str, condition, get| {
            store.apply(Operation::Set { key: b("k"), value: b(value), condition, get })
        };
        assert_eq!(set("no", Condition::Present, false), Reply::Nil);
        assert_eq!(set("no", Condition::Present, true), Reply::Nil);
        assert_eq!(set("a", Condition::Missing, true), Reply::Nil);
        assert_eq!(set("b", Condition::Missing, true), Reply::Bulk(b("a")));
        assert_eq!(set("b", Condition::Missing, false), Reply::Nil);
        assert_eq!(set("b", Condition::Present, true), Reply::Bulk(b("a")));
        assert_eq!(set("c", Condition::Present, false), Reply::Ok);
        assert_eq!(set("d", Condition::Always, true), Reply::Bulk(b("c")));
        assert_eq!(get(&mut store, "k").as_deref(), Some("d"));
    }

    #[test]
    fn numbers_are_those_of_redis() {
        let mut store = Store::default();
        let mut add = |delta| store.apply(Operation::Add { key: b("n"), delta });
        assert_eq!(add(1), Reply::Int(1));
        assert_eq!(add(i64::MAX - 1), Reply::Int(i64::MAX));
        assert_eq!(add(1), Reply::Error(StoreError::Overflow));
        assert_eq!(add(i64::MIN), Reply::Int(-1));
        assert_eq!(add(i64::MIN), Reply::Error(StoreError::Overflow));
        assert_eq!(get(&mut store, "n").as_deref(), Some("-1"));
        for text in ["", " 1", "1 ", "+1", "01", "-0", "-", "1.0", "9223372036854775808", "0x1"] {
            store.apply(super::tests::set("t", text));
            let reply = store.apply(Operation::Add { key: b("t"), delta: 1 });
            assert_eq!(reply, Reply::Error(StoreError::NotAnInteger), "{text:?}");
        }
        assert_eq!(parse_integer(b"-9223372036854775808"), Some(i64::MIN));
        assert_eq!(parse_integer(b"0"), Some(0));
    }

    #[test]
    fn append_grows_a_value_up_to_the_limit_and_disturbs_no_reader() {
        let mut store = Store::default();
        let mut append = |text: &str| store.apply(Operation::Append { key: b("k"), value: b(text) });
        assert_eq!(append("ab"), Reply::Int(2));
        assert_eq!(append("cd"), Reply::Int(4));
        let held = store.apply(Operation::Get { key: b("k") });
        assert_eq!(store.apply(Operation::Append { key: b("k"), value: b("ef") }), Reply::Int(6));
        assert_eq!(held, Reply::Bulk(b("abcd")));
        assert_eq!(get(&mut store, "k").as_deref(), Some("abcdef"));
        let long = "x".repeat(VALUE_BYTES_MAX - 6);
        let full = store.apply(Operation::Append { key: b("k"), value: b(&long) });
        assert_eq!(full, Reply::Int(VALUE_BYTES_MAX as i64));
        let refused = store.apply(Operation::Append { key: b("k"), value: b("x") });
        assert_eq!(refused, Reply::Error(StoreError::ValueTooLong));
        assert_eq!(store.apply(Operation::Length { key: b("k") }), full);
    }

    #[test]
    fn many_keys_at_once() {
        let mut store = Store::default();
        let keys = |names: &[&str]| names.iter().map(|name| b(name)).collect::<Vec<_>>();
        store.apply(Operation::SetMany { pairs: keys(&["a", "1", "b", "2", "a", "3"]) });
        let all = store.apply(Operation::GetMany { keys: keys(&["a", "x", "b"]) });
        assert_eq!(all, Reply::Array(vec![Some(b("3")), None, Some(b("2"))]));
        assert_eq!(store.apply(Operation::Exists { keys: keys(&["a", "a", "x"]) }), Reply::Int(2));
        assert_eq!(store.apply(Operation::Size), Reply::Int(2));
        assert_eq!(store.apply(Operation::Delete { keys: keys(&["a", "a", "x"]) }), Reply::Int(1));
        assert_eq!(store.apply(Operation::Type { key: b("a") }), Reply::Type(Type::None));
        assert_eq!(store.apply(Operation::Type { key: b("b") }), Reply::Type(Type::String));
        assert_eq!(store.apply(Operation::Flush), Reply::Ok);
        assert_eq!(store.apply(Operation::Size), Reply::Int(0));
    }

    #[test]
    fn a_reply_stays_bounded() {
        let mut store = Store::default();
        store.apply(set("big", &"x".repeat(VALUE_BYTES_MAX)));
        let one = store.apply(Operation::GetMany { keys: vec![b("big"); 1] });
        assert!(matches!(one, Reply::Array(_)));
        let many = store.apply(Operation::GetMany { keys: vec![b("big"); 3] });
        assert_eq!(many, Reply::Error(StoreError::ReplyTooLarge));
        let refused = store.apply(set("big", &"x".repeat(VALUE_BYTES_MAX + 1)));
        assert_eq!(refused, Reply::Error(StoreError::ValueTooLong));
        assert_eq!(store.apply(Operation::Length { key: b("big") }), Reply::Int(VALUE_BYTES_MAX as i64));
    }

    #[test]
    fn cas_setnx_getdel() {
        let mut store = Store::default();
        let cas = |old: &str, new: &str| Operation::CompareAndSet { key: b("k"), old: b(old), new: b(new) };
        assert_eq!(store.apply(cas("", "x")), Reply::Nil);
        assert_eq!(store.apply(Operation::SetIfMissing { key: b("k"), value: b("a") }), Reply::Int(1));
        assert_eq!(store.apply(Operation::SetIfMissing { key: b("k"), value: b("b") }), Reply::Int(0));
        assert_eq!(store.apply(cas("b", "c")), Reply::Int(0));
        assert_eq!(store.apply(cas("a", "c")), Reply::Int(1));
        assert_eq!(store.apply(Operation::GetDelete { key: b("k") }), Reply::Bulk(b("c")));
        assert_eq!(store.apply(Operation::GetDelete { key: b("k") }), Reply::Nil);
    }
}
