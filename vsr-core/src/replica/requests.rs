//! From a client to the queue of the primary: admission, holding, forwarding (decisions 6, 7, 8 and 17).

use super::{Mode, Replica, normal::Primary};
use crate::{
    config::Limits,
    effect::{Answer, Asked, Refusal},
    event::{Event, Ignored},
    id::{ClientId, RequestNumber, SessionId, Time, ViewNumber},
    message::Body,
    mutation::Mutation,
    run::{Origin, Request, Run, RunBuilder},
    trace_context::TraceContext,
};
use alloc::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    vec,
    vec::Vec,
};
use bytes::{Buf, Bytes, BytesMut};

/// A backup's right to forward: as much as the primary is sure to have room for.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Credits {
    /// Forwarded and not seen committed, with size and time.
    used: BTreeMap<Asked, (usize, Time)>,
    bytes: usize,
    /// To be forwarded at the end of the turn.
    pending: RunBuilder,
}

impl Credits {
    pub(crate) fn room(&self, limits: &Limits) -> usize {
        if self.bytes >= limits.forward_bytes_max {
            return 0;
        }
        limits.forward_ops_max.saturating_sub(self.used.len())
    }

    pub(crate) fn are_used(&self) -> bool {
        !self.used.is_empty()
    }

    fn give_back(&mut self, of: &Asked) {
        if let Some((bytes, _)) = self.used.remove(of) {
            self.bytes -= bytes;
        }
    }
}

/// Requests that wait at the primary.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Queue {
    /// Admitted: they will be proposed in this order.
    ready: VecDeque<Ready>,
    /// Their operations, one behind the other, as they will lie in an entry.
    operations: BytesMut,
    /// Too early: a lower number of their session is missing.
    held: BTreeMap<(SessionId, RequestNumber), Held>,
    /// What each replica's clients have waiting here.
    waiting: Vec<Waiting>,
    /// The highest number admitted in each session, by slot; sessions that have admitted none since the view started are missing.
    admitted: Vec<Option<(SessionId, RequestNumber)>>,
    /// Clients whose registration is under way.
    registering: BTreeSet<ClientId>,
}

/// A request that was admitted.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Ready {
    pub(crate) origin: Origin,
    /// How long its operation is.
    pub(crate) bytes: usize,
    pub(crate) trace: Option<Arc<TraceContext>>,
    /// The replica whose client it is.
    pub(crate) from: usize,
}

#[derive(Clone, Debug, Hash)]
struct Held {
    request: Request,
    from: usize,
    since: Time,
}

/// Where a request belongs in the queue.
enum Place {
    /// It is the next one of its session, or a registration.
    Next,
    /// A lower number of its session is missing.
    Held,
    /// It is under way already.
    Nowhere,
}

#[derive(Clone, Copy, Debug, Default, Hash)]
struct Waiting {
    ops: usize,
    bytes: usize,
}

impl Waiting {
    fn add(&mut self, bytes: usize) {
        self.ops += 1;
        self.bytes += bytes;
    }

    fn remove(&mut self, bytes: usize) {
        self.ops -= 1;
        self.bytes -= bytes;
    }
}

/// A buffer for operations that is larger than this was needed once, and is not kept when it is empty.
const BUFFER_KEPT_MAX: usize = 64 << 10;

impl Queue {
    pub(crate) fn new(replicas: usize) -> Self {
        Self {
            ready: VecDeque::new(),
            operations: BytesMut::new(),
            held: BTreeMap::new(),
            waiting: vec![Waiting::default(); replicas],
            admitted: Vec::new(),
            registering: BTreeSet::new(),
        }
    }

    /// Counts what an entry of the log holds as admitted: "table or log" (decision 6).
    pub(crate) fn note_logged(&mut self, origin: Origin, sessions_max: u32) {
        match origin {
            Origin::Register { client } => {
                self.registering.insert(client);
            }
            Origin::Request { session, request, .. } if session.slot < sessions_max => {
                self.note_admitted(session, request);
            }
            Origin::Request { .. } | Origin::Tick => {}
        }
    }

    fn note_admitted(&mut self, session: SessionId, request: RequestNumber) {
        let slot = session.slot as usize;
        if self.admitted.len() <= slot {
            self.admitted.resize(slot + 1, None);
        }
        let known = self.admitted[slot].filter(|(found, _)| *found == session).map(|(_, known)| known);
        self.admitted[slot] = Some((session, known.map_or(request, |known| known.max(request))));
    }

    /// The highest number of a session in the table (`last`), the log or this queue.
    fn highest(&self, session: SessionId, last: RequestNumber) -> RequestNumber {
        match self.admitted.get(session.slot as usize) {
            Some(Some((found, admitted))) if *found == session => last.max(*admitted),
            _ => last,
        }
    }

    /// Admits a request, behind all others.
    #[inline]
    fn admit(&mut self, request: &Request, from: usize) {
        self.waiting[from].add(request.operation.len());
        self.line_up(request, from);
    }

    #[inline]
    fn line_up(&mut self, request: &Request, from: usize) {
        let Request { origin, operation, trace } = request;
        if self.operations.capacity() - self.operations.len() < operation.len() {
            self.operations.reserve(operation.len());
        }
        self.operations.extend_from_slice(operation);
        let ready = Ready { origin: *origin, bytes: operation.len(), trace: trace.clone(), from };
        self.ready.push_back(ready);
    }

    fn hold(&mut self, session: SessionId, request: RequestNumber, held: Held) {
        self.waiting[held.from].add(held.request.operation.len());
        self.held.insert((session, request), held);
    }

    /// Admits the next request of a session, and those that were held because it was missing.
    #[inline]
    fn admit_next(&mut self, session: SessionId, number: RequestNumber, request: &Request, from: usize) {
        self.admit(request, from);
        let last = if self.held.is_empty() { number } else { self.admit_held(session, number) };
        self.note_admitted(session, last);
    }

    /// Admits what was held because `request` was missing. The highest number that is admitted now.
    fn admit_held(&mut self, session: SessionId, request: RequestNumber) -> RequestNumber {
        if let Some(earlier) = self.held.remove(&(session, request)) {
            self.waiting[earlier.from].remove(earlier.request.operation.len());
        }
        let mut last = request;
        while let Some(next) = self.held.remove(&(session, RequestNumber(last.0 + 1))) {
            self.line_up(&next.request, next.from);
            last.0 += 1;
        }
        last
    }

    #[inline]
    fn has_room(&self, from: usize, bytes: usize, own: bool, limits: &Limits) -> bool {
        let waiting = self.waiting[from];
        let (ops_max, bytes_max) = if own {
            (limits.queue_ops_max, limits.queue_bytes_max)
        } else {
            // One operation more than the credits in bytes: the last one a backup sends may pass its bound.
            (limits.forward_ops_max, limits.forward_bytes_max.saturating_add(limits.operation_bytes_max))
        };
        waiting.ops < ops_max && (waiting.bytes == 0 || waiting.bytes + bytes <= bytes_max)
    }

    /// What was admitted, in the order in which it will be proposed.
    pub(crate) fn ready(&self) -> impl Iterator<Item = &Ready> {
        self.ready.iter()
    }

    /// Takes out the first ones, which have so many bytes: their operations, and what else there is of each.
    pub(crate) fn take(&mut self, ops: usize, bytes: usize) -> (Bytes, impl Iterator<Item = Ready>) {
        let Self { ready, operations, waiting, .. } = self;
        let taken = ready.drain(..ops).inspect(|ready| {
            if !matches!(ready.origin, Origin::Tick) {
                waiting[ready.from].remove(ready.bytes);
            }
        });
        // As much as they need: an entry is kept for long, and the buffer is used again.
        let body = Bytes::copy_from_slice(&operations[..bytes]);
        if bytes == operations.len() && operations.capacity() > BUFFER_KEPT_MAX {
            *operations = BytesMut::new();
        } else {
            operations.advance(bytes);
        }
        (body, taken)
    }

    /// A tick goes first and takes nobody's room.
    pub(crate) fn push_tick(&mut self, from: usize) {
        self.ready.push_front(Ready { origin: Origin::Tick, bytes: 0, trace: None, from });
    }

    pub(crate) fn len(&self) -> usize {
        self.ready.len() + self.held.len()
    }

    /// Where all that waits comes from, and through which replica.
    fn origins(&self) -> impl Iterator<Item = (Origin, usize)> {
        let ready = self.ready.iter().map(|ready| (ready.origin, ready.from));
        ready.chain(self.held.values().map(|held| (held.request.origin, held.from)))
    }
}

impl Primary {
    pub(crate) fn room(&self, limits: &Limits) -> usize {
        let waiting = self.queue.waiting[self.me];
        if waiting.bytes >= limits.queue_bytes_max {
            return 0;
        }
        limits.queue_ops_max.saturating_sub(waiting.ops)
    }
}

/// What to call a request by; a tick has no name.
fn asked(origin: Origin) -> Option<Asked> {
    match origin {
        Origin::Register { client } => Some(Asked::Register(client)),
        Origin::Request { session, request, .. } => Some(Asked::Request(session, request)),
        Origin::Tick => None,
    }
}

impl Replica {
    /// A request of one of this replica's own clients.
    pub(super) fn on_request(&mut self, request: &Request) {
        let Some(of) = asked(request.origin) else { return };
        if request.operation.len() > self.config.limits.operation_bytes_max {
            return self.refuse(of, Refusal::TooLarge);
        }
        if let Some(answer) = self.known_answer(request.origin) {
            if answer == Answer::Conflict {
                self.observe(Event::Conflict { of });
            } else {
                self.observe_step(Event::Duplicate { of });
            }
            return self.answer(of, answer);
        }
        match &self.mode {
            Mode::Primary(primary) if !primary.abdicated => {
                if let Err(refusal) = self.enqueue(request, self.me) {
                    self.refuse(of, refusal);
                }
            }
            Mode::Backup(_) if !self.leaving => self.add_to_forward(of, request),
            _ => self.refuse(of, Refusal::NoPrimary),
        }
    }

    /// Requests of a backup's clients. They go no further (rule B9: one hop).
    pub(super) fn on_forwarded(&mut self, from: usize, view: ViewNumber, run: &Run) -> Result<(), Ignored> {
        if view < self.view {
            return Err(Ignored::OldView);
        }
        if !run.is_well_formed() {
            return Err(Ignored::Malformed);
        }
        if matches!(self.mode, Mode::Backup(_)) && self.mutated(Mutation::ForwardForwarded) {
            let to = self.primary_of(self.view);
            let to = if to == from { (to + 1) % self.replicas() } else { to };
            if to != self.me {
                self.send(to, Body::Request(run.clone()));
            }
            return Ok(());
        }
        let Mode::Primary(primary) = &self.mode else { return Err(Ignored::NotPrimary) };
        if view != self.view || primary.abdicated {
            return Err(Ignored::NotPrimary);
        }
        let mut result = Ok(());
        for mut request in run.requests() {
            if self.mutated(Mutation::ForgetTrace) {
                request.trace = None;
            }
            // An answer from the table is the business of the replica the client is at: it has, or will have, the same table.
            if matches!(request.origin, Origin::Tick) || self.known_answer(request.origin).is_some() {
                continue;
            }
            if request.operation.len() > self.config.limits.operation_bytes_max {
                result = Err(Ignored::TooLarge);
                continue;
            }
            if let Err(Refusal::Overloaded) = self.enqueue(&request, from) {
                result = Err(Ignored::Full);
            }
        }
        result
    }

    /// What the session table says, which any replica may answer (decision 7).
    fn known_answer(&self, origin: Origin) -> Option<Answer> {
        match origin {
            Origin::Register { client } => self.sessions.of_client(client).map(Answer::Registered),
            Origin::Request { session, request, checksum, .. } => match self.sessions.last(session) {
                None if session.number <= self.commits.last_applied()
                    || self.mutated(Mutation::EvictUnknownSessions) =>
                {
                    Some(Answer::Evicted)
                }
                None => None,
                Some(_) if self.mutated(Mutation::ForgetSessions) => None,
                Some(last) if request > last => None,
                Some(_) => self.stored_answer(session, request, checksum),
            },
            Origin::Tick => None,
        }
    }

    /// Admits a request, holds it, or says why not. A request that is under way already is dropped: its commit will answer it.
    fn enqueue(&mut self, request: &Request, from: usize) -> Result<(), Refusal> {
        let place = self.place(request, from)?;
        let Mode::Primary(primary) = &mut self.mode else { return Err(Refusal::NoPrimary) };
        let queue = &mut primary.queue;
        match (place, request.origin) {
            (Place::Next, Origin::Request { session, request: number, .. }) => {
                queue.admit_next(session, number, request, from);
            }
            (Place::Next, Origin::Register { client }) => {
                queue.registering.insert(client);
                queue.admit(request, from);
            }
            (Place::Held, Origin::Request { session, request: number, .. }) => {
                let held = Held { request: request.clone(), from, since: self.now.monotonic };
                queue.hold(session, number, held);
                self.observe_step(Event::Held { of: Asked::Request(session, number) });
            }
            (Place::Next | Place::Held | Place::Nowhere, _) => {}
        }
        Ok(())
    }

    /// Where a request belongs in the queue.
    #[inline]
    fn place(&self, asked: &Request, from: usize) -> Result<Place, Refusal> {
        let Mode::Primary(primary) = &self.mode else { return Err(Refusal::NoPrimary) };
        let (queue, own) = (&primary.queue, from == self.me);
        let has_room = || {
            queue.has_room(from, asked.operation.len(), own, &self.config.limits)
                || self.mutated(Mutation::UnboundedQueue)
        };
        let again = self.mutated(Mutation::ForgetSessions);
        let (session, request, acked_below) = match asked.origin {
            Origin::Request { session, request, acked_below, .. } => (session, request, acked_below),
            Origin::Register { client } if queue.registering.contains(&client) && !again => {
                return Ok(Place::Nowhere);
            }
            Origin::Register { .. } if has_room() => return Ok(Place::Next),
            Origin::Register { .. } => return Err(Refusal::Overloaded),
            Origin::Tick => return Ok(Place::Nowhere),
        };
        let any_window = self.mutated(Mutation::ExceedWindow);
        let window = if any_window { u64::MAX / 2 } else { u64::from(self.config.replicated.window) };
        // A session whose registration is not applied here yet: the client tries again.
        let Some(last) = self.sessions.last(session) else { return Err(Refusal::NoPrimary) };
        #[cfg(feature = "inject")]
        let last = self.appended.get(&session).map_or(last, |appended| last.max(*appended));
        if acked_below > request || request.0 - acked_below.0 >= window {
            return Err(Refusal::OutsideWindow);
        }
        let highest = queue.highest(session, last);
        let too_early = request.0 > highest.0 + 1;
        let under_way = request <= highest || too_early && queue.held.contains_key(&(session, request));
        if under_way && !again {
            Ok(Place::Nowhere)
        } else if !has_room() {
            Err(Refusal::Overloaded)
        } else if request.0 > highest.0 + window {
            Err(Refusal::OutsideWindow)
        } else if too_early && !self.mutated(Mutation::AdmitGaps) {
            Ok(Place::Held)
        } else {
            Ok(Place::Next)
        }
    }

    fn add_to_forward(&mut self, of: Asked, request: &Request) {
        let view_is_durable = self.durability.view() >= self.view;
        let without_credit = self.mutated(Mutation::ForwardWithoutCredit);
        let credits = &mut self.credits;
        if credits.used.contains_key(&of) {
            // Still to be sent, or lost: only then is another copy of use.
            if !view_is_durable {
                return;
            }
        } else {
            if credits.room(&self.config.limits) == 0 && !without_credit {
                return self.refuse(of, Refusal::Overloaded);
            }
            credits.bytes += request.operation.len();
            credits.used.insert(of, (request.operation.len(), self.now.monotonic));
        }
        credits.pending.push(request);
        if credits.pending.bytes() >= self.config.limits.entry_bytes_max {
            self.forward();
        }
    }

    /// Sends the requests of the turn to the primary, in one message.
    pub(super) fn forward(&mut self) {
        let may_speak = matches!(self.mode, Mode::Backup(_)) && self.durability.view() >= self.view;
        if may_speak && !self.credits.pending.is_empty() {
            let run = self.credits.pending.finish();
            let to = self.primary_of(self.view);
            self.observe_step(Event::Forwarded { to: self.id_of(to), requests: run.len() });
            self.send(to, Body::Request(run));
        }
    }

    /// A request was committed: its credit comes back.
    pub(super) fn settled(&mut self, of: Asked) {
        if let Mode::Primary(primary) = &mut self.mode {
            if let Asked::Register(client) = of {
                primary.queue.registering.remove(&client);
            }
        } else if !self.credits.used.is_empty() {
            self.credits.give_back(&of);
        }
    }

    /// A request that was not committed within a time-out is taken for lost; its client sends it again.
    pub(super) fn expire_credits(&mut self) {
        let (now, timeout) = (self.now.monotonic, self.config.heartbeat_timeout);
        let Credits { used, bytes, .. } = &mut self.credits;
        used.retain(|_, (size, since)| {
            let keep = now < since.after(timeout);
            if !keep {
                *bytes -= *size;
            }
            keep
        });
    }

    /// The view is over: whatever waited here was never proposed.
    pub(super) fn drop_requests(&mut self, queue: Option<Queue>) {
        let credits = core::mem::take(&mut self.credits);
        for (origin, from) in queue.iter().flat_map(Queue::origins) {
            if let Some(of) = asked(origin).filter(|_| from == self.me) {
                self.refuse(of, Refusal::NoPrimary);
            }
        }
        if self.mutated(Mutation::RefuseForwarded) {
            credits.used.keys().for_each(|of| self.refuse(*of, Refusal::NoPrimary));
        }
        let mut pending = credits.pending;
        for request in pending.finish().requests() {
            if let Some(of) = asked(request.origin) {
                self.refuse(of, Refusal::NoPrimary);
            }
        }
    }

    /// A request whose predecessors did not come within a time-out is given up: its client sends all of them again, in order.
    pub(super) fn expire_held(&mut self) {
        let (now, timeout, me) = (self.now.monotonic, self.config.heartbeat_timeout, self.me);
        let Mode::Primary(primary) = &mut self.mode else { return };
        let Queue { held, waiting, .. } = &mut primary.queue;
        let mut given_up = Vec::new();
        held.retain(|(session, request), held| {
            let keep = now < held.since.after(timeout);
            if !keep {
                waiting[held.from].remove(held.request.operation.len());
                if held.from == me {
                    given_up.push(Asked::Request(*session, *request));
                }
            }
            keep
        });
        for of in given_up {
            self.refuse(of, Refusal::Overloaded);
        }
    }

    fn refuse(&mut self, of: Asked, reason: Refusal) {
        self.observe(Event::Refused { of, reason });
        self.answer(of, Answer::Refused(reason));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An entry is kept for long, and a state machine may keep a slice of it for longer.
    #[test]
    fn what_is_taken_shares_no_memory_with_what_waits() {
        let mut queue = Queue::new(1);
        for byte in 1..=3 {
            let origin = Origin::Register { client: ClientId(byte.into()) };
            queue.admit(&Request::new(origin, Bytes::from(vec![byte; 100])), 0);
        }
        queue.push_tick(0);
        let (first, taken) = queue.take(3, 200);
        assert_eq!(taken.map(|ready| ready.bytes).collect::<Vec<_>>(), [0, 100, 100]);
        assert_eq!(first, [[1; 100], [2; 100]].concat());
        let (second, taken) = queue.take(1, 100);
        assert_eq!(taken.count(), 1);
        assert_eq!(second, [3; 100].as_slice());
        assert!(first.is_unique() && second.is_unique());
        assert_eq!(queue.len(), 0);
    }
}
