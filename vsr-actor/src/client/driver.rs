//! What a client does without being asked: opens its session, finds a replica, sends again, keeps deadlines. One task a session.

use super::{
    PrimaryHint,
    queue::{Left, after},
    session::{Lane, Pumped, Session, Told},
    waiter::Knock,
};
use crate::{
    ClientConfig, ReplyTo, StateMachine,
    backoff::Backoff,
    control::Control,
    door::{DoorsView, latest},
};
use std::{future::pending, sync::Arc, time::Duration};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};
use vsr_core::ViewNumber;

/// Which replica a client likes best.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Preference {
    /// The primary: its clients are answered one hop earlier.
    Primary,
    /// The replica at this index, as long as it answers.
    Replica(usize),
    /// The replica at this index, and no other.
    Only(usize),
}

impl Preference {
    pub(super) fn only(self) -> Option<usize> {
        match self {
            Self::Only(index) => Some(index),
            Self::Primary | Self::Replica(_) => None,
        }
    }
}

pub(super) struct Driver<M: StateMachine> {
    session: Arc<Session<M::Reply>>,
    doors: DoorsView<M>,
    preference: Preference,
    home: usize,
    /// The replica that the client likes best, as far as it knows.
    best: Option<usize>,
    /// The view it was in when its door was looked at last; nothing while it was down, or coming up.
    best_seen: Option<ViewNumber>,
    /// When it is tried again, while another one is the home.
    return_at: Option<Instant>,
    return_after: Duration,
    /// The view in which the home was when everything was sent to it; a later one is a reason to send again.
    home_view: Option<ViewNumber>,
    /// The latest view whose primary was followed.
    followed: Option<ViewNumber>,
    backoff: Backoff,
    /// How often in a row everything was sent again without an answer to anything.
    fruitless: u32,
    /// When there was an answer, or everything was sent again.
    last_sign: Instant,
    /// Takes errors for clients that the user's `Replies` answers.
    custom: Option<mpsc::Sender<Control<M::Reply>>>,
}

/// After how many fruitless attempts another replica is tried.
const ATTEMPTS_AT_HOME: u32 = 2;

/// A healed network shows at no door, so the best replica is tried again after this many `retry_max`. In vain, that costs the requests
/// of that moment one attempt; two, if an earlier one was answered from elsewhere meanwhile.
const RETURN_AFTER: u32 = 10;

/// Whatever ends the driver ends the session: nobody would keep its deadlines.
impl<M: StateMachine> Drop for Driver<M> {
    fn drop(&mut self) {
        for (to, error) in self.session.close() {
            to.send(Err(error));
        }
    }
}

impl<M: StateMachine> Driver<M> {
    pub(super) fn new(
        session: Arc<Session<M::Reply>>,
        doors: DoorsView<M>,
        preference: Preference,
        config: ClientConfig,
        custom: Option<mpsc::Sender<Control<M::Reply>>>,
    ) -> Self {
        let best = match preference {
            Preference::Replica(index) | Preference::Only(index) => Some(index),
            Preference::Primary => None,
        };
        let mut driver = Self {
            session,
            doors,
            preference,
            home: best.unwrap_or(0),
            best,
            best_seen: None,
            return_at: None,
            return_after: config.retry_max.saturating_mul(RETURN_AFTER),
            home_view: None,
            followed: None,
            backoff: config.backoff(),
            fruitless: 0,
            last_sign: Instant::now(),
            custom,
        };
        // The first request need not wait for the task to be scheduled.
        driver.look_at_doors();
        driver
    }

    pub(super) async fn run(mut self) {
        let mut permit = None;
        loop {
            let (pumped, told) = self.attend(permit.take());
            self.tell(told).await;
            let (wake_at, lane) = {
                let state = self.session.state();
                (state.wake_at, (pumped == Pumped::Full).then(|| state.lane().cloned()).flatten())
            };
            tokio::select! {
                biased;
                changed = self.doors.changed() => {
                    if changed.is_err() {
                        let told = self.session.close();
                        self.tell(told).await;
                        return;
                    }
                    self.look_at_doors();
                }
                () = self.session.nudge.notified() => {}
                reserved = reserve(lane) => permit = reserved,
                // Going back is no business of `wake_at`, by which a caller knows whether the driver minds its request.
                () = sleep(earlier(wake_at, self.return_at)) => {}
            }
        }
    }

    /// Does what is due.
    fn attend(
        &mut self,
        permit: Option<mpsc::OwnedPermit<Knock<M::Reply>>>,
    ) -> (Pumped, Vec<Told<M::Reply>>) {
        let session = self.session.clone();
        let now = Instant::now();
        let dead = session.state().lane().is_none_or(mpsc::Sender::is_closed);
        if dead {
            self.rotate();
        }
        let mut state = session.state();
        if std::mem::take(&mut state.progress) {
            self.fruitless = 0;
            self.backoff.reset();
            self.last_sign = now;
        }
        if self.return_at.is_some_and(|at| at <= now) {
            drop(state);
            self.go_back(now);
            state = session.state();
        }
        let left = if state.queue.earliest_deadline().is_some_and(|at| at <= now) {
            drop(state);
            let hint = self.hint();
            state = session.state();
            state.expire(now, hint)
        } else {
            Left::default()
        };
        let mut due = None;
        if let Some(oldest) = state.queue.oldest() {
            let at = after(self.last_sign.max(oldest), self.backoff.wait());
            due = Some(at);
            if at <= now {
                self.fruitless += 1;
                self.backoff.grow();
                self.last_sign = now;
                due = Some(after(now, self.backoff.wait()));
                if self.fruitless >= ATTEMPTS_AT_HOME {
                    drop(state);
                    self.rotate();
                    state = session.state();
                }
                state.resend();
            }
        }
        // The lane of the permit may not be the home's any more.
        let fits = permit
            .as_ref()
            .zip(state.lane())
            .is_some_and(|(permit, lane)| permit.same_channel_as_sender(lane));
        let (permit, stale) = if fits { (permit, None) } else { (None, permit) };
        let pumped = state.pump(&session, permit);
        state.wake_at = earlier(due, state.queue.earliest_deadline());
        drop(state);
        // Outside of the lock, like every sender: it may be the last one of its lane.
        drop(stale);
        (pumped, session.room_for(left))
    }

    fn hint(&self) -> Option<PrimaryHint> {
        PrimaryHint::from_doors(&self.doors.borrow(), self.preference.only())
    }

    /// Something changed at a door: a replica came, went, or saw a view start.
    fn look_at_doors(&mut self) {
        let (home, lane, view) = {
            let doors = self.doors.borrow_and_update();
            let open = |index: usize| doors[index].lane.is_some();
            let mut home = self.home;
            let mut news = false;
            if self.preference == Preference::Primary
                && let Some((view, primary)) = latest(&doors).filter(|(view, _)| self.followed < Some(*view))
            {
                self.followed = Some(view);
                self.best = doors.iter().position(|door| door.id == primary);
                news = true;
            }
            if let Some(best) = self.best {
                let seen = doors[best].started.map(|(view, _)| view);
                // Whoever sees a view start is in touch with the others: it is worth a try at once.
                news |= seen > self.best_seen;
                self.best_seen = seen;
                if news && open(best) {
                    home = best;
                }
            }
            if !open(home) && !matches!(self.preference, Preference::Only(_)) {
                home = next_open(home, doors.len(), open).unwrap_or(home);
            }
            (home, doors[home].lane.clone(), doors[home].started.map(|(view, _)| view))
        };
        self.settle(home, lane, view);
    }

    /// Tries the next replica that is open.
    fn rotate(&mut self) {
        let (home, lane, view) = {
            let doors = self.doors.borrow();
            let other = match self.preference {
                Preference::Only(_) => None,
                _ => next_open(self.home, doors.len(), |index| doors[index].lane.is_some()),
            };
            let home = other.unwrap_or(self.home);
            (home, doors[home].lane.clone(), doors[home].started.map(|(view, _)| view))
        };
        self.settle(home, lane, view);
    }

    /// Tries the best replica again, unless it is known to lag behind.
    fn go_back(&mut self, now: Instant) {
        self.return_at = None;
        let found = {
            let doors = self.doors.borrow();
            let up_to_date = |index: &usize| {
                let door = &doors[*index];
                door.lane.is_some() && door.started.is_some() && door.started == latest(&doors)
            };
            let view = |index: usize| doors[index].started.map(|(view, _)| view);
            self.best.filter(up_to_date).map(|index| (index, doors[index].lane.clone(), view(index)))
        };
        let Some((index, lane, view)) = found else {
            self.return_at = Some(after(now, self.return_after));
            return;
        };
        self.settle(index, lane, view);
        self.last_sign = now;
        // One attempt is enough to see that nothing has changed.
        self.fruitless = ATTEMPTS_AT_HOME - 1;
    }

    /// Makes a replica the home; sends everything again if it is another one, or saw a view start.
    fn settle(&mut self, home: usize, lane: Option<Lane<M::Reply>>, view: Option<ViewNumber>) {
        let old = {
            let mut state = self.session.state();
            let same_lane = match (state.lane(), &lane) {
                (Some(old), Some(new)) => old.same_channel(new),
                (None, None) => true,
                _ => false,
            };
            if !same_lane || (view.is_some() && view != self.home_view) {
                state.resend();
            }
            if same_lane { None } else { state.set_lane(lane) }
        };
        // Outside of the lock: the lane may hold waiters of this session.
        drop(old);
        self.home = home;
        self.session.set_home(home);
        self.home_view = view;
        if self.best.is_none_or(|best| best == home) {
            self.return_at = None;
        } else if self.return_at.is_none() {
            self.return_at = Some(after(Instant::now(), self.return_after));
        }
    }

    async fn tell(&self, told: Vec<Told<M::Reply>>) {
        for (to, error) in told {
            match (to, &self.custom) {
                // A replica that is gone has nobody left to answer.
                (to @ ReplyTo::Custom(_), Some(control)) => {
                    let _ = control.send(Control::Reply(to, Err(error))).await;
                }
                (to, _) => to.send(Err(error)),
            }
        }
    }
}

/// The next replica after `home` that is open; itself, if it is the only one.
pub(super) fn next_open(home: usize, replicas: usize, open: impl Fn(usize) -> bool) -> Option<usize> {
    (1..=replicas).map(|step| (home + step) % replicas).find(|index| open(*index))
}

fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

async fn sleep(until: Option<Instant>) {
    match until {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}

async fn reserve<R>(lane: Option<Lane<R>>) -> Option<mpsc::OwnedPermit<Knock<R>>> {
    match lane {
        Some(lane) => lane.reserve_owned().await.ok(),
        None => pending().await,
    }
}
