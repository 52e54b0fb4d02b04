//! A map of which a copy costs next to nothing: it is cut into shards, and whoever writes to a shard that a copy shares copies that
//! shard alone. So a snapshot of millions of keys does not stop the replica, neither when it is taken nor at the first write after it.

use bytes::Bytes;
use smallvec::SmallVec;
use std::{fmt, mem, sync::Arc};
use vsr_actor::vsr_core::checksum;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed, xxh3_128_with_seed};

/// With two million keys a shard has about 120: copied in a few microseconds. All together are pointers of 128 KiB.
pub(super) const SHARDS: usize = 1 << 14;

/// The bytes of an operation are a slice of a whole log entry: what stays must not keep the entry in memory.
pub(super) fn own(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

/// A key; a short one needs no memory of its own.
pub(super) type Key = SmallVec<[u8; 23]>;

/// What is under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) value: Bytes,
    /// When it ends, in milliseconds since 1970 by the log's time.
    pub(super) expires: Option<u64>,
    /// The op that changed it last.
    pub(super) changed: u64,
    /// Of all that, and of the key: kept, so that whoever replaces a value need not read it.
    digest: u128,
}

impl Entry {
    pub(super) fn new(key: &[u8], value: Bytes, expires: Option<u64>, changed: u64) -> Self {
        let mut entry = Self { value, expires, changed, digest: 0 };
        entry.seal(key);
        entry
    }

    /// Puts another value in the place of this one: into the same memory, if it is as long and nobody else looks at it.
    pub(super) fn replace(&mut self, key: &[u8], value: &[u8], expires: Option<u64>, changed: u64) {
        self.value = match mem::take(&mut self.value).try_into_mut() {
            Ok(mut old) if old.len() == value.len() => {
                old.copy_from_slice(value);
                old.freeze()
            }
            _ => own(value),
        };
        (self.expires, self.changed) = (expires, changed);
        self.seal(key);
    }

    /// To be called after each change.
    pub(super) fn seal(&mut self, key: &[u8]) {
        self.digest = self.digest_under(key);
    }

    /// As it was sealed.
    pub(super) fn digest(&self) -> u128 {
        self.digest
    }

    /// Depends on every byte, and on where key and value meet.
    pub(super) fn digest_under(&self, key: &[u8]) -> u128 {
        let mut times = [0; 17];
        times[..8].copy_from_slice(&self.changed.to_le_bytes());
        times[8..16].copy_from_slice(&self.expires.unwrap_or(0).to_le_bytes());
        times[16] = self.expires.is_some().into();
        xxh3_128_with_seed(&self.value, xxh3_64_with_seed(&times, xxh3_64(key)))
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Shard {
    /// In the order of the keys, side by side; one or two, as most are until there are many keys, are in the shard itself. To find a
    /// key is to wait for memory: each step from one place to another costs as much as all that is done with what lies there.
    entries: SmallVec<[(Key, Entry); 2]>,
    /// The latest change of a key that is gone: see [`Version`](super::Version).
    pub(super) gone: u64,
}

impl Shard {
    /// Where a key is, or would be.
    fn find(&self, key: &[u8]) -> Result<usize, usize> {
        self.entries.binary_search_by(|(own, _)| own.as_slice().cmp(key))
    }

    fn get_mut(&mut self, key: &[u8]) -> Option<&mut Entry> {
        let at = self.find(key).ok()?;
        Some(&mut self.entries[at].1)
    }

    /// False if the key was there.
    fn insert(&mut self, key: &[u8], entry: Entry) -> bool {
        let found = self.find(key);
        match found {
            Ok(at) => self.entries[at].1 = entry,
            Err(at) => self.entries.insert(at, (Key::from_slice(key), entry)),
        }
        found.is_err()
    }

    /// In the order of the keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &Entry)> {
        self.entries.iter().map(|(key, entry)| (key.as_slice(), entry))
    }
}

/// Entries by byte strings.
#[derive(Clone)]
pub(super) struct Map {
    shards: Vec<Arc<Shard>>,
    len: usize,
}

impl Default for Map {
    fn default() -> Self {
        Self::emptied(0)
    }
}

/// Where a key belongs: the same on every replica, for the order of a snapshot follows from it.
pub(super) fn shard_of(key: &[u8]) -> usize {
    checksum(key) as usize % SHARDS
}

impl Map {
    /// A map whose last keys went with the op `gone`.
    pub(super) fn emptied(gone: u64) -> Self {
        // All share one empty shard until something is written.
        let shard = Arc::new(Shard { entries: SmallVec::new(), gone });
        Self { shards: vec![shard; SHARDS], len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<&Entry> {
        let shard = &self.shards[shard_of(key)];
        shard.find(key).ok().map(|at| &shard.entries[at].1)
    }

    pub(super) fn get_mut(&mut self, key: &[u8]) -> Option<&mut Entry> {
        self.shard_with(key)?.get_mut(key)
    }

    /// The shard of a key, to be changed. One that is shared is looked at first, so that none is copied for nothing.
    fn shard_with(&mut self, key: &[u8]) -> Option<&mut Shard> {
        let shard = &mut self.shards[shard_of(key)];
        if Arc::strong_count(shard) > 1 && shard.find(key).is_err() {
            return None;
        }
        Some(Arc::make_mut(shard))
    }

    pub(super) fn insert(&mut self, key: &[u8], entry: Entry) {
        let shard = Arc::make_mut(&mut self.shards[shard_of(key)]);
        self.len += usize::from(shard.insert(key, entry));
    }

    pub(super) fn remove(&mut self, key: &[u8]) -> Option<Entry> {
        let shard = self.shard_with(key)?;
        let at = shard.find(key).ok()?;
        let (_, removed) = shard.entries.remove(at);
        self.len -= 1;
        Some(removed)
    }

    /// The latest change of a key that is gone from the shard of `key`.
    pub(super) fn gone(&self, key: &[u8]) -> u64 {
        self.shards[shard_of(key)].gone
    }

    /// A key of this shard is gone, and `changed` was its last change.
    pub(super) fn note_gone(&mut self, shard: usize, changed: u64) {
        if self.shards[shard].gone < changed {
            Arc::make_mut(&mut self.shards[shard]).gone = changed;
        }
    }

    pub(super) fn shards(&self) -> impl Iterator<Item = &Shard> {
        self.shards.iter().map(Arc::as_ref)
    }

    /// All of it, shard by shard, in the order of the keys within each.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &Entry)> {
        self.shards().flat_map(Shard::iter)
    }
}

impl PartialEq for Map {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.shards().eq(other.shards())
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

    fn entry(number: usize) -> Entry {
        Entry::new(b"", b(number), None, 1)
    }

    #[test]
    fn it_is_a_map_with_a_length() {
        let mut map = Map::default();
        for number in 0..1000 {
            map.insert(&b(number), entry(number * 2));
            map.insert(&b(number), entry(number * 3));
        }
        assert_eq!((map.len(), map.get(b"7")), (1000, Some(&entry(21))));
        assert_eq!((map.remove(b"7"), map.remove(b"7")), (Some(entry(21)), None));
        assert!(map.get(b"7").is_none() && map.get_mut(b"7").is_none());
        *map.get_mut(b"8").expect("it is there") = entry(1);
        assert_eq!((map.len(), map.get(b"8"), map.iter().count()), (999, Some(&entry(1)), 999));
    }

    #[test]
    fn a_write_after_a_copy_copies_one_shard_and_a_miss_none() {
        let mut map = Map::default();
        (0..100_000).for_each(|number| map.insert(&b(number), entry(number)));
        let copy = map.clone();
        let own = |map: &Map| map.shards.iter().zip(&copy.shards).filter(|(a, b)| !Arc::ptr_eq(a, b)).count();
        assert!(map.remove(b"nobody").is_none() && map.get_mut(b"nobody").is_none());
        map.note_gone(3, 0);
        assert_eq!(own(&map), 0);
        map.insert(&b(7), entry(8));
        assert_eq!(own(&map), 1);
        map.remove(b"7");
        assert_eq!((own(&map), copy.get(b"7"), copy.len(), map.len()), (1, Some(&entry(7)), 100_000, 99_999));
    }
}
