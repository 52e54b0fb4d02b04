//! Values: set, read, appended to, counted.

use super::{
    Condition, Expiry, PART_BYTES, Reply, Store, StoreError, VALUE_BYTES_MAX, length, parse_integer,
    value_or_nil,
};
use bytes::{Bytes, BytesMut};

impl Store {
    pub(super) fn set(
        &mut self,
        key: &[u8],
        value: &[u8],
        condition: Condition,
        get: bool,
        expiry: Expiry,
    ) -> Reply {
        // A plain SET asks for nothing that was there.
        let asks = get || condition != Condition::Always || expiry == Expiry::Keep;
        let old =
            asks.then(|| self.keys.get(key)).flatten().map(|entry| (entry.value.clone(), entry.expires));
        let wanted = match condition {
            Condition::Always => true,
            Condition::Missing => old.is_none(),
            Condition::Present => old.is_some(),
        };
        let (old, expires) = old.unzip();
        if wanted {
            if value.len() > VALUE_BYTES_MAX {
                return Reply::Error(StoreError::ValueTooLong);
            }
            let expires = self.deadline(expiry, expires.flatten());
            self.keys.put(key, value, expires);
        }
        match (get, wanted) {
            (true, _) => value_or_nil(old),
            (false, true) => Reply::Ok,
            (false, false) => Reply::Nil,
        }
    }

    pub(super) fn set_if_missing(&mut self, key: &[u8], value: &[u8]) -> Reply {
        if self.keys.contains(key) {
            return Reply::Int(0);
        }
        match self.set(key, value, Condition::Always, false, Expiry::Clear) {
            Reply::Ok => Reply::Int(1),
            refused => refused,
        }
    }

    pub(super) fn compare_and_set(&mut self, key: &[u8], old: &[u8], new: &[u8]) -> Reply {
        match self.keys.get(key) {
            None => Reply::Nil,
            Some(entry) if entry.value != old => Reply::Int(0),
            Some(_) => match self.set(key, new, Condition::Always, false, Expiry::Keep) {
                Reply::Ok => Reply::Int(1),
                refused => refused,
            },
        }
    }

    pub(super) fn get_many(&self, keys: &[Bytes], room: usize) -> Reply {
        let mut bytes = 0;
        let mut values = Vec::with_capacity(keys.len());
        for key in keys {
            let value = self.keys.get(key).map(|entry| entry.value.clone());
            // A gap and a length take room in the reply too.
            bytes += value.as_ref().map_or(0, Bytes::len) + PART_BYTES;
            if bytes > room {
                return Reply::Error(StoreError::ReplyTooLarge);
            }
            values.push(value);
        }
        Reply::Array(values)
    }

    pub(super) fn set_many(&mut self, pairs: &[Bytes]) -> Reply {
        let (pairs, _) = pairs.as_chunks::<2>();
        if pairs.iter().any(|[_, value]| value.len() > VALUE_BYTES_MAX) {
            return Reply::Error(StoreError::ValueTooLong);
        }
        for [key, value] in pairs {
            self.keys.put(key, value, None);
        }
        Reply::Ok
    }

    pub(super) fn append(&mut self, key: &[u8], more: &[u8]) -> Reply {
        let before = self.keys.get(key).map_or(0, |entry| entry.value.len());
        if before + more.len() > VALUE_BYTES_MAX {
            return Reply::Error(StoreError::ValueTooLong);
        }
        let known = self.keys.change(key, |entry| {
            // In place while nobody else looks at the value, so that many small appends do not copy it each time.
            let mut value = match std::mem::take(&mut entry.value).try_into_mut() {
                Ok(value) => value,
                Err(shared) => {
                    let mut value = BytesMut::with_capacity((shared.len() + more.len()).next_multiple_of(64));
                    value.extend_from_slice(&shared);
                    value
                }
            };
            value.extend_from_slice(more);
            entry.value = value.freeze();
        });
        if known.is_none() {
            self.keys.put(key, more, None);
        }
        length(before + more.len())
    }

    pub(super) fn add(&mut self, key: &[u8], delta: i64) -> Reply {
        let number = match self.keys.get(key) {
            None => 0,
            Some(entry) => match parse_integer(&entry.value) {
                Some(number) => number,
                None => return Reply::Error(StoreError::NotAnInteger),
            },
        };
        let Some(sum) = number.checked_add(delta) else { return Reply::Error(StoreError::Overflow) };
        self.set(key, sum.to_string().as_bytes(), Condition::Always, false, Expiry::Keep);
        Reply::Int(sum)
    }
}
