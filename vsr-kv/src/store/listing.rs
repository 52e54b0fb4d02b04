//! Which keys there are: all at once, a piece at a time, or any one.

use super::{PART_BYTES, Reply, Store, StoreError, map::SHARDS};
use crate::glob;
use bytes::Bytes;

/// `KEYS` looks at every key while everybody waits: not at more than these.
pub(super) const KEYS_MAX: usize = 1 << 20;
/// A call of `SCAN` looks at no further shard when it has seen so many keys, whatever its `COUNT`, or so many bytes of keys.
const SCANNED_MAX: u64 = 10_000;
const SCANNED_BYTES_MAX: usize = 1 << 20;

impl Store {
    pub(super) fn list(&self, pattern: &[u8], keys_max: usize, room: usize) -> Reply {
        if self.keys.entries().len() > keys_max {
            return Reply::Error(StoreError::TooManyKeys);
        }
        let shown = self.keys.entries().iter().filter(|(_, entry)| self.keys.shows(entry));
        let mut keys = Vec::new();
        let mut bytes = 0;
        for (key, _) in shown.filter(|(key, _)| glob::matches(pattern, key)) {
            bytes += key.len() + PART_BYTES;
            if bytes > room {
                return Reply::Error(StoreError::TooManyKeys);
            }
            keys.push(Some(Bytes::copy_from_slice(key)));
        }
        Reply::Array(keys)
    }

    /// The cursor is the shard to go on with. A key never leaves its shard, and a shard is looked at whole: so a key that is there from
    /// the first call to the last is returned, and none is returned twice.
    pub(super) fn scan(
        &self,
        cursor: u64,
        count: u64,
        pattern: Option<&[u8]>,
        strings: bool,
        room: usize,
    ) -> Reply {
        let first = usize::try_from(cursor).unwrap_or(SHARDS).min(SHARDS);
        let (mut seen, mut seen_bytes, mut bytes) = (0, 0, 0);
        let mut keys = Vec::new();
        let mut next = SHARDS;
        for (index, shard) in self.keys.entries().shards().enumerate().skip(first) {
            if seen >= count.min(SCANNED_MAX) || seen_bytes >= SCANNED_BYTES_MAX {
                next = index;
                break;
            }
            for (key, entry) in shard.iter() {
                seen += 1;
                seen_bytes += key.len();
                let fits = pattern.is_none_or(|pattern| glob::matches(pattern, key));
                if strings && fits && self.keys.shows(entry) {
                    bytes += key.len() + PART_BYTES;
                    keys.push(Bytes::copy_from_slice(key));
                }
            }
        }
        if bytes > room {
            return Reply::Error(StoreError::ReplyTooLarge);
        }
        Reply::Scanned { cursor: if next == SHARDS { 0 } else { next as u64 }, keys }
    }

    /// Any key: the first that `seed` leads to. Shards of a few keys are as likely as shards of many.
    pub(super) fn random_key(&self, seed: u64, room: usize) -> Reply {
        let first = seed as usize % SHARDS;
        let shards = || self.keys.entries().shards();
        for shard in shards().skip(first).chain(shards().take(first)) {
            let shown = || shard.iter().filter(|(_, entry)| self.keys.shows(entry));
            let count = shown().count();
            if count > 0 {
                let at = (seed / SHARDS as u64) as usize % count;
                return shown().nth(at).map_or(Reply::Nil, |(key, _)| bulk(key, room));
            }
        }
        Reply::Nil
    }
}

fn bulk(key: &[u8], room: usize) -> Reply {
    if key.len() + PART_BYTES > room {
        Reply::Error(StoreError::ReplyTooLarge)
    } else {
        Reply::Bulk(Bytes::copy_from_slice(key))
    }
}
