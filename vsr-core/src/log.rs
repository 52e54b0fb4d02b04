//! The entries held in memory: a chain without gaps, from `base` to `op`.

use crate::{
    entry::Entry,
    id::{Hash, OpNumber},
    message::Suffix,
};
use alloc::collections::VecDeque;

/// A point of the log: between two entries, or at one of its ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Point {
    pub(crate) op: OpNumber,
    pub(crate) hash: Hash,
    /// Time of the operation at `op`.
    pub(crate) timestamp: u64,
}

impl Point {
    pub(crate) fn end_of(entry: &Entry) -> Self {
        Self { op: entry.last(), hash: entry.hash(), timestamp: entry.last_timestamp() }
    }
}

#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Log {
    base: Point,
    /// Where the last entry ends, or `base`: asked for many times a turn.
    end: Point,
    entries: VecDeque<Entry>,
    bytes: u64,
}

impl Log {
    pub(crate) fn starting_at(base: Point) -> Self {
        Self { base, end: base, entries: VecDeque::new(), bytes: 0 }
    }

    /// What is left of a log above `base`, whether it belongs there or not.
    #[cfg(feature = "inject")]
    pub(crate) fn rebased(mut self, base: Point) -> Self {
        self.trim_through(base.op);
        self.base = base;
        self.find_end();
        self
    }

    /// Bytes of all operations held.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The op before the first entry.
    pub(crate) fn base(&self) -> OpNumber {
        self.base.op
    }

    /// Where the log ends.
    pub(crate) fn end(&self) -> Point {
        self.end
    }

    /// The paper's op-number.
    pub(crate) fn op(&self) -> OpNumber {
        self.end().op
    }

    /// The point at `op`, if an entry ends there and is still held.
    pub(crate) fn point_at(&self, op: OpNumber) -> Option<Point> {
        if op == self.end.op {
            return Some(self.end);
        }
        if op == self.base.op {
            return Some(self.base);
        }
        let entry = self.entries.get(self.index_of(op)?)?;
        (entry.last() == op).then(|| Point::end_of(entry))
    }

    /// The hash at `op`, if an entry ends there and is still held.
    pub(crate) fn hash_at(&self, op: OpNumber) -> Option<Hash> {
        self.point_at(op).map(|point| point.hash)
    }

    /// The entry that holds `op`.
    pub(crate) fn entry_with(&self, op: OpNumber) -> Option<&Entry> {
        self.entries.get(self.index_of(op)?)
    }

    /// The entries, from the newest.
    pub(crate) fn newest(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().rev()
    }

    /// The entries above the point at `after`.
    pub(crate) fn entries_after(&self, after: OpNumber) -> impl Iterator<Item = &Entry> {
        assert!(after >= self.base.op, "entries that were trimmed are not asked for");
        let none = after >= self.end.op;
        let start = if none { None } else { self.index_of(after.next()) }.unwrap_or(self.entries.len());
        self.entries.range(start..)
    }

    /// The entries above the point at `after`, while they end at or below `until` and fit in `bytes_max` (one always does).
    pub(crate) fn suffix(&self, after: Point, until: OpNumber, bytes_max: usize) -> Suffix {
        let mut bytes = 0;
        let entries = self.entries_after(after.op).take_while(|entry| {
            let first = bytes == 0;
            bytes += entry.bytes() + entry.heads_bytes();
            entry.last() <= until && (first || bytes <= bytes_max)
        });
        Suffix { base: after.op, base_hash: after.hash, entries: entries.cloned().collect() }
    }

    pub(crate) fn append(&mut self, entry: Entry) {
        let end = self.end();
        assert_eq!(entry.first(), end.op.next(), "the log has no gaps");
        assert_eq!(entry.parent(), end.hash, "the log is a chain");
        self.bytes += entry.bytes() as u64;
        self.end = Point::end_of(&entry);
        self.entries.push_back(entry);
    }

    pub(crate) fn truncate_above(&mut self, op: OpNumber) {
        assert!(op >= self.base.op, "what was trimmed is committed");
        while let Some(entry) = self.entries.back().filter(|entry| entry.last() > op) {
            self.bytes -= entry.bytes() as u64;
            self.entries.pop_back();
        }
        self.find_end();
        assert_eq!(self.op(), op, "the log is cut between entries");
    }

    pub(crate) fn trim_through(&mut self, op: OpNumber) {
        while let Some(entry) = self.entries.front().filter(|entry| entry.last() <= op) {
            self.base = Point::end_of(entry);
            self.bytes -= entry.bytes() as u64;
            self.entries.pop_front();
        }
        self.find_end();
    }

    fn find_end(&mut self) {
        self.end = self.entries.back().map_or(self.base, Point::end_of);
    }

    /// The highest point to trim through so that `ops` operations or `bytes` bytes below `op` stay.
    pub(crate) fn trim_point(&self, op: OpNumber, ops: u64, bytes: u64) -> OpNumber {
        let mut kept_bytes = 0;
        let Some(end) = self.index_of(op) else { return self.base.op };
        for entry in self.entries.range(..=end).rev() {
            let kept_ops = op.0 - (entry.first().0 - 1);
            kept_bytes += entry.bytes() as u64;
            if kept_ops > ops || kept_bytes > bytes {
                return entry.last();
            }
        }
        self.base.op
    }

    fn index_of(&self, op: OpNumber) -> Option<usize> {
        let end = self.op();
        if op <= self.base.op || op > end {
            return None;
        }
        // Every entry holds at least one operation: that leaves few places near the ends of the log, where most are looked for.
        let mut low = self.entries.len().saturating_sub((end.0 - op.0) as usize + 1);
        let mut high = (self.entries.len() - 1).min((op.0 - self.base.op.0 - 1) as usize);
        while low < high {
            let middle = low.midpoint(high);
            if self.entries[middle].last() < op {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Some(low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::ViewNumber,
        run::{Origin, Request, RunBuilder},
    };
    use bytes::Bytes;

    /// A log that begins at `base` with entries of the given lengths.
    fn log(base: u64, lengths: &[usize]) -> Log {
        let mut log = Log::starting_at(Point { op: OpNumber(base), hash: Hash(7), timestamp: 0 });
        for length in lengths {
            let mut run = RunBuilder::default();
            for _ in 0..*length {
                run.push(&Request::new(Origin::Tick, Bytes::from_static(b"0123456789")));
            }
            let end = log.end();
            log.append(Entry::new(end.op.next(), ViewNumber(0), 0, end.hash, run.finish()));
        }
        log
    }

    #[test]
    fn an_op_inside_of_an_entry_is_no_point() {
        let log = log(0, &[2, 3]);
        assert!(log.point_at(OpNumber(2)).is_some() && log.point_at(OpNumber(5)).is_some());
        assert!(log.point_at(OpNumber(1)).is_none() && log.point_at(OpNumber(6)).is_none());
        assert_eq!(log.entry_with(OpNumber(3)).map(Entry::first), Some(OpNumber(3)));
    }

    #[test]
    fn trimming_keeps_what_the_limits_say() {
        let log = log(0, &[2, 2, 2, 2]);
        let at = |op, ops, bytes| log.trim_point(OpNumber(op), ops, bytes);
        assert_eq!(at(8, 4, 1000), OpNumber(4));
        assert_eq!(at(8, 3, 1000), OpNumber(6), "an entry is kept whole or not at all");
        assert_eq!(at(8, 100, 40), OpNumber(4), "bytes count as well");
        assert_eq!(at(4, 0, 1000), OpNumber(4));
        assert_eq!(at(8, 100, 1000), OpNumber(0));
    }

    #[test]
    fn nothing_is_trimmed_for_a_snapshot_at_or_below_the_base() {
        let log = log(100, &[1, 2, 3]);
        assert_eq!(log.trim_point(OpNumber(100), 0, 0), OpNumber(100));
        assert_eq!(log.trim_point(OpNumber(50), 0, 0), OpNumber(100));
    }

    #[test]
    fn a_suffix_ends_where_it_must_and_has_at_least_one_entry() {
        let log = log(0, &[1, 1, 1]);
        let start = log.point_at(OpNumber(0)).expect("the base");
        assert_eq!(log.suffix(start, OpNumber(2), usize::MAX).op(), OpNumber(2));
        assert_eq!(log.suffix(start, OpNumber(3), 1).op(), OpNumber(1));
    }
}
