//! The search: delete, rewrite, and keep what still breaks the property.

use super::edits;
use crate::disk::Switches;
use crate::scenario::replay;

/// Texts longer than that are not searched for pairs: they are many.
const PAIRS_MAX: usize = 80;

/// The search gives up after so many commands, with what it has: a minute or two.
const REPLAYED_MAX: u64 = 50_000_000;

/// Lines that break a property, getting fewer.
pub(super) struct Search {
    pub(super) lines: Vec<String>,
    property: &'static str,
    switches: Switches,
    pub(super) replays: u64,
    /// Commands executed for that.
    replayed: u64,
}

impl Search {
    pub(super) fn new(lines: Vec<String>, property: &'static str, switches: Switches) -> Self {
        Self { lines, property, switches, replays: 0, replayed: 0 }
    }

    /// Until nothing can be deleted or made simpler.
    pub(super) fn shrink(&mut self) {
        self.accept(self.lines.clone());
        self.rewrite_all();
        loop {
            let before = self.lines.clone();
            self.delete();
            self.rewrite_all();
            self.rewrite_each();
            self.delete_pairs();
            if self.lines == before {
                return;
            }
        }
    }

    /// Takes the candidate if it breaks the property; what did nothing in it, and what came after, is left out.
    fn accept(&mut self, candidate: Vec<String>) -> bool {
        if self.replayed > REPLAYED_MAX {
            return false;
        }
        self.replays += 1;
        self.replayed += candidate.len() as u64;
        let result = replay(&candidate, self.switches);
        if result.violation.is_none_or(|violation| violation.property != self.property) {
            return false;
        }
        self.lines = result.done.into_iter().map(|position| candidate[position].clone()).collect();
        true
    }

    /// Deletes chunks, from large to single lines. From the end: nothing later depends on what is there.
    fn delete(&mut self) {
        let mut size = self.lines.len() / 2;
        while size > 0 {
            let mut end = self.lines.len();
            let mut any = false;
            // The first line is the cluster itself.
            while end > 1 {
                let start = end.saturating_sub(size).max(1);
                let mut candidate = self.lines.clone();
                candidate.drain(start..end);
                any |= self.accept(candidate);
                end = start.min(self.lines.len());
            }
            if size > 1 || !any {
                size /= 2;
            }
        }
    }

    /// Deletes two lines that need each other, wherever they are.
    fn delete_pairs(&mut self) {
        let mut first = 1;
        while first < self.lines.len() && self.lines.len() <= PAIRS_MAX {
            let lines = &self.lines;
            let without = |second: usize| {
                let kept = (0..lines.len()).filter(|at| *at != first && *at != second);
                kept.map(|at| lines[at].clone()).collect::<Vec<_>>()
            };
            let candidates: Vec<_> = (first + 1..lines.len()).map(without).collect();
            if !candidates.into_iter().any(|candidate| self.accept(candidate)) {
                first += 1;
            }
        }
    }

    /// Rewrites that change many lines at once, while they do not make it longer.
    fn rewrite_all(&mut self) {
        for rewrite in edits::GLOBAL {
            let candidate = rewrite(&self.lines);
            if candidate != self.lines && candidate.len() <= self.lines.len() {
                self.accept(candidate);
            }
        }
    }

    /// Rewrites of single lines into simpler ones.
    fn rewrite_each(&mut self) {
        let mut position = 0;
        while position < self.lines.len() {
            let alternatives = edits::simpler(&self.lines, position);
            let before = self.lines.clone();
            let taken =
                alternatives.into_iter().any(|candidate| candidate != before && self.accept(candidate));
            if !taken {
                position += 1;
            }
        }
    }
}
