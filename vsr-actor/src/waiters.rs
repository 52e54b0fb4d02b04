//! Who waits at this replica for which request.

use crate::client::Waiter;
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
    /// In order of their numbers; at most a window of them, as clients of this crate never have more under way in a session. They
    /// leave when they are answered or replaced. Those of a session whose eviction is not noticed here stay until a later session in
    /// this slot sends something: a client that still waits sends again before, and is told.
    waiting: VecDeque<Waiting<R>>,
}

/// One who waits.
pub(crate) struct Waiting<R> {
    pub(crate) request: RequestNumber,
    pub(crate) checksum: u64,
    pub(crate) waiter: Waiter<R>,
    /// When it came.
    pub(crate) since: Time,
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

    /// Returns those whose session is no more: one registered later has its slot, so its eviction is committed.
    pub(crate) fn insert(&mut self, session: SessionId, waiting: Waiting<R>) -> Vec<Waiting<R>> {
        let index = session.slot as usize;
        if index >= self.sessions_max {
            return Vec::new();
        }
        if index >= self.slots.len() {
            self.slots.resize_with(index + 1, || Slot { session: OpNumber(0), waiting: VecDeque::new() });
        }
        let slot = &mut self.slots[index];
        let mut outdated = Vec::new();
        if slot.session != session.number {
            if slot.session > session.number {
                return vec![waiting];
            }
            slot.session = session.number;
            outdated.extend(slot.waiting.drain(..));
        }
        if slot.waiting.back().is_none_or(|last| last.request < waiting.request) {
            slot.waiting.push_back(waiting);
            return outdated;
        }
        match slot.waiting.binary_search_by_key(&waiting.request, |old| old.request) {
            Ok(at) => slot.waiting[at] = waiting,
            Err(at) => slot.waiting.insert(at, waiting),
        }
        outdated
    }

    /// The one who waits for a request, if there is one here.
    pub(crate) fn take(&mut self, session: SessionId, request: RequestNumber) -> Option<Waiting<R>> {
        let slot = self.slots.get_mut(session.slot as usize)?;
        let front = slot.waiting.front()?;
        if slot.session != session.number || front.request > request {
            return None;
        }
        if front.request == request {
            return slot.waiting.pop_front();
        }
        let at = slot.waiting.binary_search_by_key(&request, |waiting| waiting.request).ok()?;
        slot.waiting.remove(at)
    }

    /// Lets all waiters of a session go.
    pub(crate) fn forget(&mut self, session: SessionId) {
        if let Some(slot) =
            self.slots.get_mut(session.slot as usize).filter(|slot| slot.session == session.number)
        {
            slot.waiting.clear();
        }
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
