//! The keys with their values and deadlines, at one moment of the log's time. What is over at that moment is hidden from everybody,
//! removed or not.

use super::{
    Moment, Version,
    map::{Entry, Key, Map, own, shard_of},
};
use bytes::Bytes;
use std::collections::BTreeSet;

/// Every change goes through the methods here: they keep deadlines, versions and digest in step with the entries.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Keyspace {
    entries: Map,
    /// The keys that end some day, by when they do. Follows from the entries: no part of a snapshot.
    deadlines: BTreeSet<(u64, Key)>,
    /// The sum of the digests of the entries: so it does not depend on the order in which they were written.
    digest: u128,
    moment: Moment,
}

impl Keyspace {
    /// What a snapshot held.
    pub(super) fn restored(entries: Map, moment: Moment) -> Self {
        let mut deadlines = BTreeSet::new();
        let mut digest = 0_u128;
        for (key, entry) in entries.iter() {
            digest = digest.wrapping_add(entry.digest());
            deadlines.extend(entry.expires.map(|at| (at, Key::from_slice(key))));
        }
        Self { entries, deadlines, digest, moment }
    }

    /// The moment of the operation that is about to be executed. Time does not go back.
    pub(super) fn advance(&mut self, moment: Moment) {
        let timestamp = moment.timestamp.max(self.moment.timestamp);
        self.moment = Moment { timestamp, ..moment };
    }

    pub(super) fn moment(&self) -> Moment {
        self.moment
    }

    pub(super) fn entries(&self) -> &Map {
        &self.entries
    }

    pub(super) fn digest(&self) -> u128 {
        self.digest
    }

    /// Whether this entry is still there as far as anybody can see.
    pub(super) fn shows(&self, entry: &Entry) -> bool {
        self.is_to_come(entry.expires)
    }

    fn is_to_come(&self, expires: Option<u64>) -> bool {
        expires.is_none_or(|at| at > self.moment.milliseconds())
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<&Entry> {
        self.entries.get(key).filter(|entry| self.shows(entry))
    }

    pub(super) fn contains(&self, key: &[u8]) -> bool {
        self.get(key).is_some()
    }

    pub(super) fn version(&self, key: &[u8]) -> Version {
        match self.entries.get(key) {
            Some(entry) if self.shows(entry) => Version::present(entry.changed),
            Some(entry) => Version::absent(entry.changed.max(self.entries.gone(key))),
            None => Version::absent(self.entries.gone(key)),
        }
    }

    /// Sets a key. One whose time is over at once is gone at once.
    pub(super) fn put(&mut self, key: &[u8], value: &[u8], expires: Option<u64>) {
        if !self.is_to_come(expires) {
            self.remove(key);
            return;
        }
        let changed = self.moment.op;
        if self.change_entry(key, |entry| entry.replace(key, value, expires, changed)).is_some() {
            return;
        }
        let entry = Entry::new(key, own(value), expires, changed);
        self.digest = self.digest.wrapping_add(entry.digest());
        self.deadlines.extend(expires.map(|at| (at, Key::from_slice(key))));
        self.entries.insert(key, entry);
    }

    /// Changes the value, or the deadline, of a key that is there.
    pub(super) fn change<T>(&mut self, key: &[u8], change: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        if !self.contains(key) {
            return None;
        }
        let op = self.moment.op;
        let result = self.change_entry(key, |entry| {
            entry.changed = op;
            let result = change(entry);
            entry.seal(key);
            result
        })?;
        if !self.contains(key) {
            self.remove(key);
        }
        Some(result)
    }

    /// `change` leaves a sealed entry.
    fn change_entry<T>(&mut self, key: &[u8], change: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        let entry = self.entries.get_mut(key)?;
        let (before, old) = (entry.digest(), entry.expires);
        let result = change(entry);
        let (after, new) = (entry.digest(), entry.expires);
        self.digest = self.digest.wrapping_sub(before).wrapping_add(after);
        if old != new {
            let own = Key::from_slice(key);
            if let Some(at) = old {
                self.deadlines.remove(&(at, own.clone()));
            }
            self.deadlines.extend(new.map(|at| (at, own)));
        }
        Some(result)
    }

    /// Takes a key out; its value, unless its time was over.
    pub(super) fn remove(&mut self, key: &[u8]) -> Option<Bytes> {
        let entry = self.entries.remove(key)?;
        let shown = self.shows(&entry);
        self.digest = self.digest.wrapping_sub(entry.digest());
        if let Some(at) = entry.expires {
            self.deadlines.remove(&(at, Key::from_slice(key)));
        }
        self.entries.note_gone(shard_of(key), entry.changed);
        shown.then_some(entry.value)
    }

    pub(super) fn clear(&mut self) {
        // Whoever watches a missing key may find it changed: one number for all keys that ever were.
        self.entries = Map::emptied(self.moment.op);
        self.deadlines.clear();
        self.digest = 0;
    }

    /// When the first key ends, in milliseconds.
    pub(super) fn first_deadline(&self) -> Option<u64> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Takes out keys whose time is over, at most so many.
    pub(super) fn remove_expired(&mut self, count_max: usize) {
        for _ in 0..count_max {
            match self.deadlines.first() {
                Some((at, key)) if *at <= self.moment.milliseconds() => {
                    let key = key.clone();
                    self.remove(&key);
                }
                _ => break,
            }
        }
    }

    /// Whether all that follows from the entries is what it should be.
    pub(super) fn check(&self) -> Result<(), String> {
        let fresh = Self::restored(self.entries.clone(), self.moment);
        if fresh.deadlines != self.deadlines {
            return Err("the deadlines are not those of the entries".into());
        }
        let is_sealed = |(key, entry): (&[u8], &Entry)| entry.digest() == entry.digest_under(key);
        if !self.entries.iter().all(is_sealed) || fresh.digest != self.digest {
            return Err("the digest is not that of the entries".into());
        }
        if self.entries.iter().count() != self.entries.len() {
            return Err("the entries are not as many as counted".into());
        }
        Ok(())
    }
}
