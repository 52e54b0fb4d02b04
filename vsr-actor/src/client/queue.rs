//! The requests of one session that are not answered: numbers, copies on their way, deadlines.

use super::session::Told;
use crate::{Outcome, ReplyTo, RequestError};
use bytes::{Bytes, BytesMut};
use std::{collections::VecDeque, time::Duration};
use tokio::time::Instant;
use vsr_core::Refusal;

/// In order of their numbers, without a gap; the first has number `base`.
pub(super) struct Queue<R> {
    base: u64,
    items: VecDeque<Item<R>>,
    /// No deadline of anyone who waits is before this.
    earliest_deadline: Option<Instant>,
    arena: BytesMut,
}

/// One request.
pub(super) struct Item<R> {
    operation: Bytes,
    checksum: u64,
    /// Who waits; nobody any more after an answer or a deadline.
    to: Option<ReplyTo<R>>,
    answered: bool,
    submitted: Instant,
    deadline: Instant,
    /// Copies that replicas hold.
    copies: u32,
    /// A copy that a replica had taken is gone without an answer: it may be proposed.
    maybe_proposed: bool,
    refusal: Option<Refusal>,
}

/// A request that left before its turn.
pub(super) struct Withdrawn<R> {
    /// Who waits for it still.
    pub(super) to: Option<ReplyTo<R>>,
    /// The size of its operation.
    pub(super) bytes: usize,
    /// Whether the numbers from its own on may be used anew: nobody can have proposed any of them.
    pub(super) number_is_free: bool,
}

/// Operations are collected in blocks of this size, so that a small one needs no allocation of its own.
const ARENA_BYTES: usize = 64 << 10;

/// `now` plus `wait`, or so late that nobody will see it.
pub(super) fn after(now: Instant, wait: Duration) -> Instant {
    const NEVER: Duration = Duration::from_secs(30 * 365 * 86_400);
    now + wait.min(NEVER)
}

impl<R> Default for Queue<R> {
    fn default() -> Self {
        Self { base: 1, items: VecDeque::new(), earliest_deadline: None, arena: BytesMut::new() }
    }
}

impl<R> Queue<R> {
    /// The lowest number that is not answered.
    pub(super) fn base(&self) -> u64 {
        self.base
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(super) fn at(&mut self, index: usize) -> &mut Item<R> {
        &mut self.items[index]
    }

    /// When the oldest unanswered request came.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.items.front().map(|item| item.submitted)
    }

    pub(super) fn earliest_deadline(&self) -> Option<Instant> {
        self.earliest_deadline
    }

    /// Adds a request; returns its deadline.
    pub(super) fn push(
        &mut self,
        operation: &[u8],
        checksum: u64,
        to: ReplyTo<R>,
        now: Instant,
        deadline: Duration,
    ) -> Instant {
        let operation = self.store(operation);
        let deadline = after(now, deadline);
        self.earliest_deadline =
            Some(self.earliest_deadline.map_or(deadline, |earliest| earliest.min(deadline)));
        self.items.push_back(Item {
            operation,
            checksum,
            to: Some(to),
            answered: false,
            submitted: now,
            deadline,
            copies: 0,
            maybe_proposed: false,
            refusal: None,
        });
        deadline
    }

    fn store(&mut self, operation: &[u8]) -> Bytes {
        if operation.len() > ARENA_BYTES / 8 {
            return Bytes::copy_from_slice(operation);
        }
        if self.arena.capacity() - self.arena.len() < operation.len() {
            self.arena.reserve(ARENA_BYTES);
        }
        self.arena.extend_from_slice(operation);
        self.arena.split().freeze()
    }

    fn index(&self, number: u64) -> Option<usize> {
        let index = usize::try_from(number.checked_sub(self.base)?).ok()?;
        (index < self.items.len()).then_some(index)
    }

    fn item(&mut self, number: u64) -> Option<&mut Item<R>> {
        let index = self.index(number)?;
        self.items.get_mut(index)
    }

    /// The request is answered; who waits for it, and how many requests left the queue by that.
    pub(super) fn answer(&mut self, number: u64) -> (Option<ReplyTo<R>>, usize) {
        let Some(item) = self.item(number) else { return (None, 0) };
        item.copies = item.copies.saturating_sub(1);
        item.answered = true;
        let to = item.to.take();
        let mut freed = 0;
        while self.items.front().is_some_and(|item| item.answered) {
            self.items.pop_front();
            self.base += 1;
            freed += 1;
        }
        if self.items.is_empty() {
            self.earliest_deadline = None;
        }
        (to, freed)
    }

    /// A copy was given back: whoever held it did not propose it.
    pub(super) fn came_back(&mut self, number: u64, refusal: Option<Refusal>) {
        if let Some(item) = self.item(number) {
            item.copies = item.copies.saturating_sub(1);
            item.refusal = refusal.or(item.refusal);
        }
    }

    /// A copy is gone that may have been proposed.
    pub(super) fn vanished(&mut self, number: u64) {
        if let Some(item) = self.item(number) {
            item.copies = item.copies.saturating_sub(1);
            item.maybe_proposed = true;
        }
    }

    /// Index of the first request of those at the end that nobody can have proposed: they can be numbered anew.
    fn first_unsent(&self) -> usize {
        self.items.iter().rposition(Item::may_be_proposed).map_or(0, |index| index + 1)
    }

    /// Takes a request out, unless somebody can have proposed it. `sent` goes down if it was among the first `sent`.
    pub(super) fn withdraw(&mut self, number: u64, sent: &mut usize) -> Option<Withdrawn<R>> {
        let index = self.index(number).filter(|index| !self.items[*index].may_be_proposed())?;
        let number_is_free = index >= self.first_unsent();
        let Item { operation, to, .. } = self.items.remove(index)?;
        *sent -= usize::from(index < *sent);
        Some(Withdrawn { to, bytes: operation.len(), number_is_free })
    }

    /// Tells those whose deadline has passed. A request that nobody can have proposed, nor any after it, is withdrawn: it was not
    /// executed and its number is free again. All others stay and are sent until they are answered; their callers are told that the
    /// outcome is unknown. Returns how many were withdrawn; `sent` goes down by those of them that were among the first `sent`.
    pub(super) fn expire(
        &mut self,
        now: Instant,
        register_refusal: Option<Refusal>,
        sent: &mut usize,
    ) -> (usize, Vec<Told<R>>) {
        let mut told = Vec::new();
        if self.earliest_deadline.is_none_or(|earliest| now < earliest) {
            return (0, told);
        }
        let unsent = self.first_unsent();
        let (mut withdrawn, mut withdrawn_sent) = (0, 0);
        self.earliest_deadline = None;
        for index in (0..self.items.len()).rev() {
            let item = &mut self.items[index];
            if item.to.is_none() {
                continue;
            }
            if now < item.deadline {
                let earliest = self.earliest_deadline.unwrap_or(item.deadline);
                self.earliest_deadline = Some(earliest.min(item.deadline));
                continue;
            }
            let waited = now - item.submitted;
            let refusal = item.refusal.or(register_refusal);
            let to = item.to.take().expect("checked above");
            let error = if index < unsent {
                RequestError::Deadline { waited }
            } else {
                self.items.remove(index);
                withdrawn += 1;
                withdrawn_sent += usize::from(index < *sent);
                match refusal {
                    Some(Refusal::Overloaded | Refusal::OutsideWindow) => RequestError::Overloaded { waited },
                    Some(Refusal::NoPrimary | Refusal::TooLarge | Refusal::Behind) | None => {
                        RequestError::NoPrimary { waited }
                    }
                }
            };
            told.push((to, error));
        }
        *sent -= withdrawn_sent;
        told.reverse();
        (withdrawn, told)
    }

    /// What may have been proposed is unknown and leaves; the rest stays, with numbers from 1. Returns whom to tell, and how many left.
    pub(super) fn evict(&mut self) -> (Vec<Told<R>>, usize) {
        let mut told = Vec::new();
        let before = self.items.len();
        self.items.retain_mut(|item| {
            let stays = !item.may_be_proposed();
            if !stays {
                told.extend(item.to.take().map(|to| (to, RequestError::SessionEvicted)));
            }
            stays
        });
        self.base = 1;
        (told, before - self.items.len())
    }

    /// Everything leaves.
    pub(super) fn close(&mut self) -> Vec<Told<R>> {
        let items = std::mem::take(&mut self.items);
        self.earliest_deadline = None;
        let tell = |item: Item<R>| {
            let unknown = item.may_be_proposed();
            let outcome = if unknown { Outcome::Unknown } else { Outcome::NotExecuted };
            item.to.map(|to| (to, RequestError::Stopped { outcome }))
        };
        items.into_iter().filter_map(tell).collect()
    }
}

impl<R> Item<R> {
    pub(super) fn is_answered(&self) -> bool {
        self.answered
    }

    pub(super) fn operation(&self) -> Bytes {
        self.operation.clone()
    }

    pub(super) fn checksum(&self) -> u64 {
        self.checksum
    }

    pub(super) fn went_out(&mut self) {
        self.copies += 1;
    }

    fn may_be_proposed(&self) -> bool {
        self.answered || self.copies > 0 || self.maybe_proposed
    }
}
