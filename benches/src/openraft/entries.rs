//! A log in memory for systems that bring none: entries side by side, from an index on.

use std::{
    collections::VecDeque,
    ops::{Bound, RangeBounds},
};

#[derive(Debug)]
pub(crate) struct Entries<E> {
    /// The index of the oldest that is kept.
    first: u64,
    kept: VecDeque<E>,
}

impl<E> Default for Entries<E> {
    fn default() -> Self {
        Self { first: 0, kept: VecDeque::new() }
    }
}

impl<E: Clone> Entries<E> {
    pub(crate) fn last(&self) -> Option<&E> {
        self.kept.back()
    }

    /// Puts one in its place: after the last, or in place of what was there and all after it.
    pub(crate) fn put(&mut self, index: u64, entry: E) {
        if self.kept.is_empty() {
            self.first = index;
        }
        self.truncate(index);
        self.kept.push_back(entry);
    }

    pub(crate) fn copy(&self, range: impl RangeBounds<u64>) -> Vec<E> {
        let place = |index: u64| (index.saturating_sub(self.first) as usize).min(self.kept.len());
        let begin = match range.start_bound() {
            Bound::Included(index) => place(*index),
            Bound::Excluded(index) => place(*index + 1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(index) => place(*index + 1),
            Bound::Excluded(index) => place(*index),
            Bound::Unbounded => self.kept.len(),
        };
        self.kept.range(begin..end.max(begin)).cloned().collect()
    }

    /// Forgets this one and all after it.
    pub(crate) fn truncate(&mut self, from: u64) {
        self.kept.truncate(from.saturating_sub(self.first) as usize);
    }

    /// Forgets this one and all before it.
    pub(crate) fn purge(&mut self, through: u64) {
        let count = ((through + 1).saturating_sub(self.first) as usize).min(self.kept.len());
        self.kept.drain(..count);
        self.first += count as u64;
    }
}
