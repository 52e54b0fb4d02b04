//! What a client does without being asked: opens its session, finds a replica, sends again, keeps deadlines. One task a session.

use super::{
    backoff::Backoff,
    queue::after,
    session::{Lane, Pumped, Session, Told},
};
use crate::{
    ClientConfig, ReplyTo,
    control::Control,
    door::{DoorsView, Submission},
};
use std::{future::pending, sync::Arc};
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

pub(super) struct Driver<R> {
    session: Arc<Session<R>>,
    doors: DoorsView<R>,
    preference: Preference,
    home: usize,
    /// The view in which the home was when everything was sent to it; a later one is a reason to send again.
    home_view: Option<ViewNumber>,
    /// The latest view whose primary was followed.
    followed: Option<ViewNumber>,
    /// Whether the preferred replica was open when it was looked at last.
    preferred_open: bool,
    backoff: Backoff,
    /// How often in a row everything was sent again without an answer to anything.
    fruitless: u32,
    /// When there was an answer, or everything was sent again.
    last_sign: Instant,
    /// Takes errors for clients that the user's `Replies` answers.
    custom: Option<mpsc::Sender<Control<R>>>,
}

/// After how many fruitless attempts another replica is tried.
const ATTEMPTS_AT_HOME: u32 = 2;

/// Whatever ends the driver ends the session: nobody would keep its deadlines.
impl<R> Drop for Driver<R> {
    fn drop(&mut self) {
        for (to, error) in self.session.close() {
            to.send(Err(error));
        }
    }
}

impl<R: Send + 'static> Driver<R> {
    pub(super) fn new(
        session: Arc<Session<R>>,
        doors: DoorsView<R>,
        preference: Preference,
        config: ClientConfig,
        custom: Option<mpsc::Sender<Control<R>>>,
    ) -> Self {
        let home = match preference {
            Preference::Replica(index) | Preference::Only(index) => index,
            Preference::Primary => 0,
        };
        let mut driver = Self {
            session,
            doors,
            preference,
            home,
            home_view: None,
            followed: None,
            preferred_open: true,
            backoff: Backoff::new(config),
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
                () = sleep(wake_at) => {}
            }
        }
    }

    /// Does what is due.
    fn attend(&mut self, permit: Option<mpsc::OwnedPermit<Submission<R>>>) -> (Pumped, Vec<Told<R>>) {
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
        let (withdrawn, told) = state.expire(now);
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
        session.room.add_permits(withdrawn);
        (pumped, told)
    }

    /// Something changed at a door: a replica came, went, or saw a view start.
    fn look_at_doors(&mut self) {
        let (home, lane, view) = {
            let doors = self.doors.borrow_and_update();
            let open = |index: usize| doors[index].lane.is_some();
            let mut home = self.home;
            match self.preference {
                Preference::Only(_) => {}
                Preference::Replica(preferred) => {
                    let was_open = std::mem::replace(&mut self.preferred_open, open(preferred));
                    if self.preferred_open && !was_open {
                        home = preferred;
                    }
                }
                Preference::Primary => {
                    let latest =
                        doors.iter().filter(|door| door.lane.is_some()).filter_map(|door| door.started).max();
                    if let Some((view, primary)) = latest.filter(|(view, _)| self.followed < Some(*view)) {
                        self.followed = Some(view);
                        let index = doors.iter().position(|door| door.id == primary);
                        home = index.filter(|index| open(*index)).unwrap_or(home);
                    }
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

    /// Makes a replica the home; sends everything again if it is another one, or saw a view start.
    fn settle(&mut self, home: usize, lane: Option<Lane<R>>, view: Option<ViewNumber>) {
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
        self.home_view = view;
    }

    async fn tell(&self, told: Vec<Told<R>>) {
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

fn next_open(home: usize, replicas: usize, open: impl Fn(usize) -> bool) -> Option<usize> {
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

async fn reserve<R>(lane: Option<Lane<R>>) -> Option<mpsc::OwnedPermit<Submission<R>>> {
    match lane {
        Some(lane) => lane.reserve_owned().await.ok(),
        None => pending().await,
    }
}
