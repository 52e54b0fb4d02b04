//! The requests of one session that are not answered: numbers, copies on their way, deadlines.

use super::{
    RequestId,
    kept::{Kept, Late},
    session::Told,
};
use crate::{Outcome, PrimaryHint, ReplyTo, RequestError, replies::Waiting};
use bytes::{Bytes, BytesMut};
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tokio::time::Instant;
use vsr_core::{Refusal, TraceContext};

/// In order of their numbers, without a gap; the first has number `base`.
pub(super) struct Queue<R> {
    /// In whose name the requests' ids are given.
    client: u64,
    /// Counts requests from 1; unlike their numbers it never starts over.
    last_serial: u64,
    base: u64,
    items: VecDeque<Item<R>>,
    /// What those are told who ask when it is over.
    pub(super) kept: Kept<R>,
    /// No deadline of anyone who waits is before this.
    earliest_deadline: Option<Instant>,
    arena: BytesMut,
}

/// One request.
pub(super) struct Item<R> {
    serial: u64,
    operation: Bytes,
    checksum: u64,
    trace: Option<Arc<TraceContext>>,
    /// Who waits; nobody any more after an answer. After a deadline it is the place where the reply is kept.
    to: Option<ReplyTo<R>>,
    answered: bool,
    submitted: Instant,
    /// Nothing after it has passed.
    deadline: Option<Instant>,
    /// Copies that replicas hold.
    copies: u32,
    /// A copy that a replica had taken is gone without an answer: it may be proposed.
    maybe_proposed: bool,
    refusal: Option<Refusal>,
}

/// What is to be done, without the lock, after requests left or were given up.
pub(super) struct Left<R> {
    /// How many left.
    pub(super) freed: usize,
    pub(super) told: Vec<Told<R>>,
    /// Not kept any more: may hold values of the user, and is dropped with this.
    outdated: Vec<Late<R>>,
}

/// What those are told whose deadline has passed, beside how long they waited.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Excuse {
    pub(super) register_refusal: Option<Refusal>,
    pub(super) hint: Option<PrimaryHint>,
}

/// Operations are collected in blocks of this size, so that a small one needs no allocation of its own.
const ARENA_BYTES: usize = 64 << 10;

/// `now` plus `wait`, or so late that nobody will see it.
pub(super) fn after(now: Instant, wait: Duration) -> Instant {
    const NEVER: Duration = Duration::from_secs(30 * 365 * 86_400);
    now + wait.min(NEVER)
}

impl<R> Default for Left<R> {
    fn default() -> Self {
        Self { freed: 0, told: Vec::new(), outdated: Vec::new() }
    }
}

impl<R> Left<R> {
    pub(super) fn and(mut self, more: Self) -> Self {
        self.freed += more.freed;
        self.told.extend(more.told);
        self.outdated.extend(more.outdated);
        self
    }
}

impl<R> Queue<R> {
    pub(super) fn new(client: u64, window: usize) -> Self {
        Self {
            client,
            last_serial: 0,
            base: 1,
            items: VecDeque::new(),
            kept: Kept::new(window),
            earliest_deadline: None,
            arena: BytesMut::new(),
        }
    }

    pub(super) fn client(&self) -> u64 {
        self.client
    }

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

    /// Adds a request; returns its name and its deadline.
    #[inline]
    pub(super) fn push(
        &mut self,
        operation: &[u8],
        checksum: u64,
        to: ReplyTo<R>,
        now: Instant,
        deadline: Duration,
        trace: Option<Arc<TraceContext>>,
    ) -> (RequestId, Instant) {
        let operation = self.store(operation);
        let deadline = after(now, deadline);
        self.earliest_deadline =
            Some(self.earliest_deadline.map_or(deadline, |earliest| earliest.min(deadline)));
        self.last_serial += 1;
        self.items.push_back(Item {
            serial: self.last_serial,
            operation,
            checksum,
            trace,
            to: Some(to),
            answered: false,
            submitted: now,
            deadline: Some(deadline),
            copies: 0,
            maybe_proposed: false,
            refusal: None,
        });
        (RequestId::new(self.client, self.last_serial), deadline)
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

    /// The request is answered; who waits for it.
    pub(super) fn answer(&mut self, number: u64) -> Option<ReplyTo<R>> {
        let item = self.item(number)?;
        item.copies = item.copies.saturating_sub(1);
        item.answered = true;
        item.deadline = None;
        item.to.take()
    }

    /// What is answered leaves, as far as nothing unanswered is before it. How many that were.
    pub(super) fn let_go(&mut self) -> usize {
        let freed = self.items.iter().take_while(|item| item.answered).count();
        self.items.drain(..freed);
        self.base += freed as u64;
        if self.items.is_empty() {
            self.earliest_deadline = None;
        }
        freed
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

    /// Takes a request out that is too large for the home, unless somebody can have proposed it. `sent` goes down if it was among the
    /// first `sent`. Also whether the numbers from its own on may be used anew: nobody can have proposed any of them.
    pub(super) fn withdraw(&mut self, number: u64, bytes_max: usize, sent: &mut usize) -> (Left<R>, bool) {
        let mut left = Left::default();
        let index = self.index(number).filter(|index| !self.items[*index].may_be_proposed());
        let Some(index) = index else { return (left, false) };
        let number_is_free = index >= self.first_unsent();
        if let Some(Item { serial, operation, to, .. }) = self.items.remove(index) {
            *sent -= usize::from(index < *sent);
            left.freed = 1;
            let error = RequestError::TooLarge { bytes: operation.len(), bytes_max };
            left.outdated.extend(self.kept.keep_error(serial, error.clone()));
            left.told.extend(to.map(|to| (to, error)));
        }
        (left, number_is_free)
    }

    /// Tells those whose deadline has passed. A request that nobody can have proposed, nor any after it, is withdrawn: it was not
    /// executed and its number is free again. All others stay and are sent until they are answered; their callers are told that the
    /// outcome is unknown, and the reply is kept. `sent` goes down by those that were withdrawn and among the first `sent`.
    pub(super) fn expire(&mut self, now: Instant, excuse: Excuse, sent: &mut usize) -> Left<R> {
        let mut left = Left::default();
        if self.earliest_deadline.is_none_or(|earliest| now < earliest) {
            return left;
        }
        let unsent = self.first_unsent();
        let mut withdrawn_sent = 0;
        self.earliest_deadline = None;
        for index in (0..self.items.len()).rev() {
            let item = &mut self.items[index];
            let Some(deadline) = item.deadline else { continue };
            if now < deadline {
                self.earliest_deadline = Some(self.earliest_deadline.map_or(deadline, |e| e.min(deadline)));
                continue;
            }
            let (serial, waited) = (item.serial, now - item.submitted);
            item.deadline = None;
            if index < unsent {
                let request = RequestId::new(self.client, serial);
                let Some(to) = item.to.take() else { continue };
                if to.is_caller() {
                    let (waiting, late) = Waiting::caller();
                    item.to = Some(ReplyTo::Waiter(waiting));
                    left.outdated.extend(self.kept.keep_reply(serial, late));
                }
                left.told.push((to, RequestError::Deadline { waited, request }));
            } else {
                let error = item.not_executed(waited, excuse);
                left.outdated.extend(self.kept.keep_error(serial, error.clone()));
                left.told.extend(item.to.take().map(|to| (to, error)));
                self.items.remove(index);
                left.freed += 1;
                withdrawn_sent += usize::from(index < *sent);
            }
        }
        *sent -= withdrawn_sent;
        left.told.reverse();
        left
    }

    /// What may have been proposed is unknown and leaves; the rest stays, with numbers from 1.
    pub(super) fn evict(&mut self) -> Left<R> {
        let mut left = Left::default();
        let kept = &mut self.kept;
        self.items.retain_mut(|item| {
            let stays = !item.may_be_proposed();
            if !stays {
                left.freed += 1;
                if !item.answered {
                    left.outdated.extend(kept.keep_error(item.serial, RequestError::SessionEvicted));
                }
                left.told.extend(item.to.take().map(|to| (to, RequestError::SessionEvicted)));
            }
            stays
        });
        self.base = 1;
        left
    }

    /// Who waits for a request that is under way.
    pub(super) fn caller_of(&mut self, serial: u64) -> Option<&mut Option<ReplyTo<R>>> {
        let index = self.items.binary_search_by_key(&serial, |item| item.serial).ok()?;
        let item = &mut self.items[index];
        (!item.answered).then_some(&mut item.to)
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

    pub(super) fn trace(&self) -> Option<Arc<TraceContext>> {
        self.trace.clone()
    }

    pub(super) fn went_out(&mut self) {
        self.copies += 1;
    }

    /// The error of one that is withdrawn.
    fn not_executed(&self, waited: Duration, excuse: Excuse) -> RequestError {
        match self.refusal.or(excuse.register_refusal) {
            Some(Refusal::Overloaded | Refusal::OutsideWindow) => RequestError::Overloaded { waited },
            Some(Refusal::NoPrimary | Refusal::TooLarge | Refusal::Behind) | None => {
                RequestError::NoPrimary { waited, hint: excuse.hint }
            }
        }
    }

    fn may_be_proposed(&self) -> bool {
        self.answered || self.copies > 0 || self.maybe_proposed
    }
}
