//! A client's session: numbers its requests, keeps them until they are answered, and sends them in order (decision 6).

use super::{
    RequestId,
    kept::Late,
    queue::{Excuse, Left, Queue},
    waiter::Knock,
};
use crate::{Outcome, PrimaryHint, ReplyTo, RequestError, config::entropy};
use bytes::Bytes;
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Notify, Semaphore, mpsc},
    time::Instant,
};
use vsr_core::{
    ClientId, OpNumber, Origin, Refusal, Request, RequestNumber, SessionId, TraceContext, checksum,
};

/// An error, and who must hear of it.
pub(crate) type Told<R> = (ReplyTo<R>, RequestError);
pub(crate) type Lane<R> = mpsc::Sender<Knock<R>>;

/// What one client and its clones share.
pub(crate) struct Session<R> {
    state: Mutex<State<R>>,
    /// Wakes the driver.
    pub(super) nudge: Notify,
    /// A permit for each request of the window that is not in use.
    pub(super) room: Semaphore,
    pub(super) operation_bytes_max: usize,
    /// The replica that reads go to first.
    home: AtomicUsize,
    /// The highest op that is known to the client.
    seen: AtomicU64,
}

pub(super) struct State<R> {
    /// Goes up with each new session: copies of requests of earlier ones mean nothing any more.
    generation: u32,
    client: ClientId,
    id: Option<SessionId>,
    /// A registration is under way, or was refused and waits for the next attempt.
    registering: bool,
    register_refusal: Option<Refusal>,
    pub(super) queue: Queue<R>,
    /// How many requests at the front of the queue were handed to the home of now.
    sent: usize,
    lane: Option<Lane<R>>,
    /// The home of now was told that there are requests, and has not taken all of them yet.
    knocking: bool,
    /// Counts homes: a knock at the door of an earlier one means nothing any more.
    knock: u32,
    /// An answer came since the driver looked last.
    pub(super) progress: bool,
    /// When the driver looks again by itself; `None`: not before it is nudged.
    pub(super) wake_at: Option<Instant>,
    closed: bool,
}

/// What stopped the sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pumped {
    /// Nothing: the home will take all that is there, if there is something.
    All,
    /// The home's mailbox is full.
    Full,
    /// There is no home.
    Waiting,
}

impl<R> Session<R> {
    pub(crate) fn new(window: usize, operation_bytes_max: usize) -> Arc<Self> {
        let state = State {
            generation: 0,
            client: draw_client(),
            id: None,
            registering: false,
            register_refusal: None,
            queue: Queue::new(entropy(), window),
            sent: 0,
            lane: None,
            knocking: false,
            knock: 0,
            progress: false,
            wake_at: None,
            closed: false,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            nudge: Notify::new(),
            room: Semaphore::new(window),
            operation_bytes_max,
            home: AtomicUsize::new(0),
            seen: AtomicU64::new(0),
        })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State<R>> {
        // No code of the user runs under this lock, and the library's own does not panic half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a request, for which a permit of `room` was taken, and sends it if its turn has come. Returns its name.
    pub(super) fn submit(
        self: &Arc<Self>,
        operation: &[u8],
        to: ReplyTo<R>,
        now: Instant,
        deadline: Duration,
        trace: Option<Arc<TraceContext>>,
    ) -> Result<RequestId, (RequestError, ReplyTo<R>)> {
        let checksum = checksum(operation);
        let (id, nudge) = {
            let mut state = self.state();
            if state.closed {
                return Err((RequestError::Stopped { outcome: Outcome::NotExecuted }, to));
            }
            let (id, deadline) = state.queue.push(operation, checksum, to, now, deadline, trace);
            let pumped = state.pump(self, None);
            let late = state.wake_at.is_none_or(|at| deadline < at);
            (id, late || pumped == Pumped::Full || (state.id.is_none() && !state.registering))
        };
        if nudge {
            self.nudge.notify_one();
        }
        Ok(id)
    }

    /// Keeps the place of a reply for whoever resolves the request. Returns what is not kept any more.
    #[must_use]
    pub(super) fn keep(&self, request: RequestId, reply: Late<R>) -> Option<Late<R>> {
        let mut state = self.state();
        match request.serial_at(state.queue.client()) {
            Some(serial) => state.queue.kept.keep_reply(serial, reply),
            None => Some(reply),
        }
    }

    pub(super) fn home(&self) -> usize {
        self.home.load(Ordering::Relaxed)
    }

    pub(super) fn set_home(&self, home: usize) {
        self.home.store(home, Ordering::Relaxed);
    }

    pub(super) fn seen(&self) -> OpNumber {
        OpNumber(self.seen.load(Ordering::Acquire))
    }

    /// The client is about to be told something that was so at `op`.
    pub(super) fn saw(&self, op: OpNumber) {
        self.seen.fetch_max(op.0, Ordering::AcqRel);
    }

    /// Requests were executed, at `op` or before: whom to tell of each.
    pub(super) fn complete(
        &self,
        generation: u32,
        numbers: impl Iterator<Item = u64>,
        op: OpNumber,
        callers: &mut Vec<Option<ReplyTo<R>>>,
    ) {
        let freed = {
            let mut state = self.state();
            if state.generation != generation {
                return callers.extend(numbers.map(|_| None));
            }
            state.progress = true;
            callers.extend(numbers.map(|number| state.queue.answer(number)));
            let freed = state.queue.let_go();
            state.sent = state.sent.saturating_sub(freed);
            freed
        };
        self.saw(op);
        if freed > 0 {
            self.room.add_permits(freed);
        }
    }

    pub(super) fn refuse(&self, generation: u32, number: u64, refusal: Refusal) {
        let mut state = self.state();
        if state.generation != generation {
            return;
        }
        match number {
            0 => state.register_refusal = Some(refusal),
            _ => state.queue.came_back(number, Some(refusal)),
        }
    }

    /// The home takes at most `bytes_max`: it is configured with a smaller limit than the client was.
    pub(super) fn too_large(&self, generation: u32, number: u64, bytes_max: usize) -> Vec<Told<R>> {
        let left = {
            let mut state = self.state();
            if state.generation != generation {
                return Vec::new();
            }
            let state = &mut *state;
            state.queue.came_back(number, None);
            let (left, number_is_free) = state.queue.withdraw(number, bytes_max, &mut state.sent);
            // A number cannot be skipped, and this one will never be taken here: the session has come to its end.
            if number_is_free { left } else { left.and(state.start_over()) }
        };
        self.nudge.notify_one();
        self.room_for(left)
    }

    /// Lets others have the room of those that left. Whom to tell.
    pub(super) fn room_for(&self, left: Left<R>) -> Vec<Told<R>> {
        self.room.add_permits(left.freed);
        left.told
    }

    /// Copies are gone without an answer.
    pub(super) fn lost(&self, generation: u32, numbers: impl Iterator<Item = u64>) {
        {
            let mut state = self.state();
            if state.generation != generation {
                return;
            }
            // After a lost registration the next attempt registers again; at once would be for ever, if this copy was replaced by
            // that attempt.
            numbers.filter(|number| *number > 0).for_each(|number| state.queue.vanished(number));
        }
        self.nudge.notify_one();
    }

    /// Gives out what was not sent yet, up to `max` requests, to the one at whose door the `knock` was. In which generation, and
    /// whether there is more.
    pub(super) fn hand_out(&self, knock: u32, max: usize, into: &mut Vec<Request>) -> (u32, bool) {
        let mut state = self.state();
        if state.knock == knock {
            state.hand_out(max, into);
            state.knocking = state.has_unsent();
        }
        (state.generation, state.knock == knock && state.knocking)
    }

    /// A knock came to nothing.
    pub(super) fn unheard(&self, knock: u32) {
        {
            let mut state = self.state();
            if state.knock != knock {
                return;
            }
            state.knocking = false;
        }
        self.nudge.notify_one();
    }

    pub(super) fn registered(&self, generation: u32, id: SessionId) {
        {
            let mut state = self.state();
            if state.generation != generation || state.id.is_some() {
                return;
            }
            state.id = Some(id);
            state.register_refusal = None;
            state.progress = true;
        }
        self.nudge.notify_one();
    }

    /// The session is gone: what was sent is unknown, what was not goes to a new session (decision 7).
    pub(super) fn evict(&self, generation: u32) -> Vec<Told<R>> {
        let left = {
            let mut state = self.state();
            if state.generation != generation {
                return Vec::new();
            }
            state.start_over()
        };
        self.nudge.notify_one();
        self.room_for(left)
    }

    pub(super) fn is_open(&self) -> bool {
        !self.state().is_closed()
    }

    /// Nobody will answer any more.
    pub(super) fn close(&self) -> Vec<Told<R>> {
        let (told, lane) = {
            let mut state = self.state();
            state.closed = true;
            state.generation = state.generation.wrapping_add(1);
            (state.queue.close(), state.lane.take())
        };
        self.room.close();
        // Outside of the lock: the lane may hold waiters of this session.
        drop(lane);
        told
    }
}

impl<R> State<R> {
    /// Whether the home of now should be given something.
    fn has_unsent(&self) -> bool {
        match self.id {
            None => !self.registering && !self.queue.is_empty(),
            Some(_) => self.sent < self.queue.len(),
        }
    }

    /// Tells the home of now that there is something for it, if there is. Uses `permit`, if there is one.
    #[inline]
    pub(super) fn pump(
        &mut self,
        session: &Arc<Session<R>>,
        permit: Option<mpsc::OwnedPermit<Knock<R>>>,
    ) -> Pumped {
        if self.knocking || !self.has_unsent() {
            return Pumped::All;
        }
        self.go_to_the_door(session, permit)
    }

    fn go_to_the_door(
        &mut self,
        session: &Arc<Session<R>>,
        permit: Option<mpsc::OwnedPermit<Knock<R>>>,
    ) -> Pumped {
        let Some(lane) = &self.lane else { return Pumped::Waiting };
        // A place is reserved first: a knock that came back from a full lane would be dropped under its session's lock.
        let knock = || Knock::new(session, self.knock);
        match permit {
            Some(permit) => drop(permit.send(knock())),
            None => match lane.try_reserve() {
                Ok(permit) => permit.send(knock()),
                Err(mpsc::error::TrySendError::Full(())) => return Pumped::Full,
                Err(mpsc::error::TrySendError::Closed(())) => return Pumped::Waiting,
            },
        }
        self.knocking = true;
        Pumped::All
    }

    /// Gives out what was not sent, in order.
    fn hand_out(&mut self, max: usize, into: &mut Vec<Request>) {
        let Some(id) = self.id else {
            if self.has_unsent() && max > 0 {
                self.registering = true;
                into.push(Request::new(Origin::Register { client: self.client }, Bytes::new()));
            }
            return;
        };
        let acked_below = RequestNumber(self.queue.base());
        let until = into.len() + max;
        while self.sent < self.queue.len() && into.len() < until {
            let request = RequestNumber(self.queue.base() + self.sent as u64);
            self.sent += 1;
            let item = self.queue.at(self.sent - 1);
            if !item.is_answered() {
                let checksum = item.checksum();
                let origin = Origin::Request { session: id, request, acked_below, checksum };
                into.push(Request { origin, operation: item.operation(), trace: item.trace() });
                item.went_out();
            }
        }
    }

    /// Begins a new session with what nobody can have proposed in the old one. The rest leaves.
    fn start_over(&mut self) -> Left<R> {
        self.generation = self.generation.wrapping_add(1);
        self.client = draw_client();
        self.id = None;
        self.registering = false;
        self.sent = 0;
        self.queue.evict()
    }

    /// Everything unanswered is to be sent again.
    pub(super) fn resend(&mut self) {
        self.sent = 0;
        self.registering = false;
    }

    /// Sets where requests go from now on. Returns the old lane, to be dropped without the lock.
    #[must_use]
    pub(super) fn set_lane(&mut self, lane: Option<Lane<R>>) -> Option<Lane<R>> {
        self.knock = self.knock.wrapping_add(1);
        self.knocking = false;
        std::mem::replace(&mut self.lane, lane)
    }

    pub(super) fn lane(&self) -> Option<&Lane<R>> {
        self.lane.as_ref()
    }

    /// Gives up requests whose deadline has passed.
    pub(super) fn expire(&mut self, now: Instant, hint: Option<PrimaryHint>) -> Left<R> {
        let excuse = Excuse { register_refusal: self.register_refusal, hint };
        self.queue.expire(now, excuse, &mut self.sent)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }
}

fn draw_client() -> ClientId {
    ClientId(u128::from(entropy()) << 64 | u128::from(entropy()))
}
