//! A map of which a copy costs next to nothing: it is cut into shards, and whoever writes to a shard that a copy shares copies that
//! shard alone. So a snapshot of millions of keys does not stop the replica, neither when it is taken nor at the first write after it.

use bytes::Bytes;
use std::{collections::BTreeMap, fmt, sync::Arc};
use vsr_actor::vsr_core::checksum;

/// With two million keys a shard has about 120: copied in a few microseconds. All together are pointers of 128 KiB.
const SHARDS: usize = 1 << 14;

type Shard = BTreeMap<Bytes, Bytes>;

/// Byte strings by byte strings.
#[derive(Clone)]
pub(super) struct Map {
    shards: Vec<Arc<Shard>>,
    len: usize,
}

impl Default for Map {
    fn default() -> Self {
        // All share one empty shard until something is written.
        Self { shards: vec![Arc::default(); SHARDS], len: 0 }
    }
}

/// Where a key belongs: the same on every replica, for the order of a snapshot follows from it.
pub(super) fn shard_of(key: &[u8]) -> usize {
    checksum(key) as usize % SHARDS
}

impl Map {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<&Bytes> {
        self.shards[shard_of(key)].get(key)
    }

    pub(super) fn contains_key(&self, key: &[u8]) -> bool {
        self.get(key).is_some()
    }

    /// Looks before it asks for the right to write, so that no shard is copied for nothing.
    pub(super) fn get_mut(&mut self, key: &[u8]) -> Option<&mut Bytes> {
        let shard = &mut self.shards[shard_of(key)];
        if !shard.contains_key(key) {
            return None;
        }
        Arc::make_mut(shard).get_mut(key)
    }

    pub(super) fn insert(&mut self, key: Bytes, value: Bytes) {
        let shard = Arc::make_mut(&mut self.shards[shard_of(&key)]);
        self.len += usize::from(shard.insert(key, value).is_none());
    }

    pub(super) fn remove(&mut self, key: &[u8]) -> Option<Bytes> {
        let shard = &mut self.shards[shard_of(key)];
        if !shard.contains_key(key) {
            return None;
        }
        self.len -= 1;
        Arc::make_mut(shard).remove(key)
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// All of it, shard by shard, in the order of the keys within each.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Bytes, &Bytes)> {
        self.shards.iter().flat_map(|shard| shard.iter())
    }
}

impl PartialEq for Map {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn b(number: usize) -> Bytes {
        number.to_string().into()
    }

    #[test]
    fn it_is_a_map_with_a_length() {
        let mut map = Map::default();
        for number in 0..1000 {
            map.insert(b(number), b(number * 2));
            map.insert(b(number), b(number * 3));
        }
        assert_eq!((map.len(), map.get(b"7")), (1000, Some(&b(21))));
        assert_eq!((map.remove(b"7"), map.remove(b"7")), (Some(b(21)), None));
        assert!(!map.contains_key(b"7") && map.get_mut(b"7").is_none());
        *map.get_mut(b"8").expect("it is there") = b(1);
        assert_eq!((map.len(), map.get(b"8"), map.iter().count()), (999, Some(&b(1)), 999));
        map.clear();
        assert_eq!((map.len(), map.iter().count()), (0, 0));
    }

    #[test]
    fn a_write_after_a_copy_copies_one_shard_and_a_miss_none() {
        let mut map = Map::default();
        (0..100_000).for_each(|number| map.insert(b(number), b(number)));
        let copy = map.clone();
        let own = |map: &Map| map.shards.iter().zip(&copy.shards).filter(|(a, b)| !Arc::ptr_eq(a, b)).count();
        assert!(map.remove(b"nobody").is_none() && map.get_mut(b"nobody").is_none());
        assert_eq!(own(&map), 0);
        map.insert(b(7), b(8));
        assert_eq!(own(&map), 1);
        map.remove(b"7");
        assert_eq!((own(&map), copy.get(b"7"), copy.len(), map.len()), (1, Some(&b(7)), 100_000, 99_999));
    }
}
