//! Who waits at this replica for which request.

use crate::client::{Claim, Waiter};
use std::collections::{HashMap, VecDeque};
use vsr_core::{ClientId, OpNumber, RequestNumber, SessionId, Time};

/// Waiters by session slot and number: found without hashing.
pub(crate) struct Waiters<R> {
    slots: Vec<Slot<R>>,
    registrations: HashMap<ClientId, Waiter<R>>,
    sessions_max: usize,
}

struct Slot<R> {
    session: OpNumber,
    /// Whose session it is.
    claim: Option<Claim<R>>,
    /// In order of their numbers; at most a window of them, as clients of this crate never have more under way in a session. They
    /// leave when they are answered or replaced. Those of a session whose eviction is not noticed here stay until a later session in
    /// this slot sends something: a client that still waits sends again before, and is told.
    waiting: VecDeque<Waiting>,
}

/// One who waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    pub(crate) request: RequestNumber,
    pub(crate) checksum: u64,
    /// When it came.
    pub(crate) since: Time,
}

/// What must be done before the requests of a session may wait here.
pub(crate) enum Opened<R> {
    /// Nothing.
    Ready,
    /// An earlier session had the slot: its eviction is committed, and these waited in it.
    Evicted(SessionId, Claim<R>, VecDeque<Waiting>),
    /// They may not: a later session has the slot, so it is this one that was evicted.
    Outdated,
    /// They may not: there is no such slot.
    Unknown,
}

impl<R> Slot<R> {
    fn lose(&mut self) {
        if let Some(claim) = self.claim.as_ref().filter(|_| !self.waiting.is_empty()) {
            claim.lose(self.waiting.drain(..).map(|waiting| waiting.request.0));
        }
    }
}

/// The replica has ended: the copies it had are gone.
impl<R> Drop for Slot<R> {
    fn drop(&mut self) {
        self.lose();
    }
}

impl<R> Waiters<R> {
    pub(crate) fn new(sessions_max: u32) -> Self {
        Self { slots: Vec::new(), registrations: HashMap::new(), sessions_max: sessions_max as usize }
    }

    /// Whether one more registration may wait here.
    pub(crate) fn has_room(&mut self, client: ClientId) -> bool {
        if self.registrations.len() >= self.sessions_max {
            // Clients that are gone wait for nothing.
            self.registrations.retain(|_, waiter| waiter.is_wanted());
        }
        self.registrations.len() < self.sessions_max || self.registrations.contains_key(&client)
    }

    pub(crate) fn insert_registration(&mut self, client: ClientId, waiter: Waiter<R>) {
        self.registrations.insert(client, waiter);
    }

    pub(crate) fn take_registration(&mut self, client: ClientId) -> Option<Waiter<R>> {
        self.registrations.remove(&client)
    }

    /// Requests of a session are about to [wait](Self::insert) here. `claim` is left where it is not needed.
    pub(crate) fn open(&mut self, session: SessionId, claim: &mut Option<Claim<R>>) -> Opened<R> {
        let index = session.slot as usize;
        if index >= self.sessions_max {
            return Opened::Unknown;
        }
        if index >= self.slots.len() {
            let empty = || Slot { session: OpNumber(0), claim: None, waiting: VecDeque::new() };
            self.slots.resize_with(index + 1, empty);
        }
        let slot = &mut self.slots[index];
        if slot.session == session.number {
            return Opened::Ready;
        }
        if slot.session > session.number {
            return Opened::Outdated;
        }
        let before = SessionId { number: std::mem::replace(&mut slot.session, session.number), ..session };
        let outdated = std::mem::replace(&mut slot.claim, claim.take()).filter(|_| !slot.waiting.is_empty());
        match outdated {
            Some(claim) => Opened::Evicted(before, claim, std::mem::take(&mut slot.waiting)),
            // A client that waits for nothing is told when it asks.
            None => Opened::Ready,
        }
    }

    /// One more waits in a session that is [open](Self::open). Another copy of the same request is replaced.
    #[inline]
    pub(crate) fn insert(&mut self, session: SessionId, waiting: Waiting) {
        let Some(slot) = self.slot(session) else { return };
        if slot.waiting.back().is_none_or(|last| last.request < waiting.request) {
            slot.waiting.push_back(waiting);
            return;
        }
        match slot.waiting.binary_search_by_key(&waiting.request, |old| old.request) {
            Ok(at) => {
                slot.waiting[at] = waiting;
                if let Some(claim) = &slot.claim {
                    claim.lose([waiting.request.0].into_iter());
                }
            }
            Err(at) => slot.waiting.insert(at, waiting),
        }
    }

    /// The one who waits for a request, if there is one here. To be answered by the session's [`claim`](Self::claim).
    #[inline]
    pub(crate) fn take(&mut self, session: SessionId, request: RequestNumber) -> Option<Waiting> {
        let slot = self.slot(session)?;
        let front = slot.waiting.front()?;
        if front.request > request {
            return None;
        }
        if front.request == request {
            return slot.waiting.pop_front();
        }
        let at = slot.waiting.binary_search_by_key(&request, |waiting| waiting.request).ok()?;
        slot.waiting.remove(at)
    }

    /// Whose session it is, if any of its requests ever waited here.
    pub(crate) fn claim(&self, session: SessionId) -> Option<&Claim<R>> {
        let slot = self.slots.get(session.slot as usize)?;
        slot.claim.as_ref().filter(|_| slot.session == session.number)
    }

    /// Lets all waiters of a session go.
    pub(crate) fn forget(&mut self, session: SessionId) {
        if let Some(slot) = self.slot(session) {
            slot.lose();
        }
    }

    #[inline]
    fn slot(&mut self, session: SessionId) -> Option<&mut Slot<R>> {
        self.slots.get_mut(session.slot as usize).filter(|slot| slot.session == session.number)
    }

    /// Whether no request ever waited here.
    pub(crate) fn are_unused(&self) -> bool {
        self.slots.is_empty()
    }

    /// How many wait for requests.
    pub(crate) fn len(&self) -> usize {
        self.slots.iter().map(|slot| slot.waiting.len()).sum()
    }

    /// Everyone who waits for a request, by session.
    pub(crate) fn requests(&self) -> Vec<(SessionId, RequestNumber, u64)> {
        let of_slot = |(index, slot): (usize, &Slot<R>)| {
            let session = SessionId { slot: index as u32, number: slot.session };
            slot.waiting.iter().map(|w| (session, w.request, w.checksum)).collect::<Vec<_>>()
        };
        self.slots.iter().enumerate().flat_map(of_slot).collect()
    }

    /// Every client that waits for its session.
    pub(crate) fn registrations(&self) -> Vec<ClientId> {
        self.registrations.keys().copied().collect()
    }
}
