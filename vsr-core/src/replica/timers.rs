//! Three clocks: one that repeats what got no answer, one that gives up on the primary (rules B11, C1 and C16), and one that runs only after
//! a snapshot could not be written out.

use super::{Mode, Replica};
use crate::{event::Event, id::Time, mutation::Mutation};
use core::time::Duration;

#[derive(Clone, Debug)]
pub(crate) struct Timers {
    /// When to repeat what got no answer: every heartbeat interval.
    pub(crate) repeat_at: Time,
    /// When to vote to leave the view. Not for a primary.
    pub(crate) failure_at: Option<Time>,
    /// When to try again to take a snapshot.
    pub(crate) snapshot_at: Option<Time>,
    /// View changes since a view last started: each waits longer.
    pub(crate) attempts: u32,
}

impl Timers {
    pub(crate) fn starting(now: Time) -> Self {
        Self { repeat_at: now, failure_at: None, snapshot_at: None, attempts: 0 }
    }
}

/// The wait for a new view doubles with each failed attempt, up to this many times.
const BACKOFF_DOUBLINGS_MAX: u32 = 3;

impl Replica {
    pub(super) fn next_timer(&self) -> Time {
        let never = Time(u64::MAX);
        let repeat_at = if self.has_to_repeat() { self.timers.repeat_at } else { never };
        [self.timers.failure_at, self.timers.snapshot_at].into_iter().flatten().fold(repeat_at, Time::min)
    }

    /// While there is nothing to repeat the timer is not looked at: whatever comes then has a whole interval to be answered.
    pub(super) fn rest_if_idle(&mut self) {
        let now = self.now.monotonic;
        if now >= self.timers.repeat_at && !self.has_to_repeat() {
            self.timers.repeat_at = now.after(self.config.heartbeat_interval);
        }
    }

    pub(super) fn on_timer(&mut self) {
        let now = self.now.monotonic;
        if now >= self.timers.repeat_at {
            self.timers.repeat_at = now.after(self.config.heartbeat_interval);
            self.forget_overtaken_snapshots();
            self.on_repeat();
        }
        if self.timers.snapshot_at.is_some_and(|snapshot_at| now >= snapshot_at) {
            self.take_snapshot_again();
        }
        let stopped = matches!(self.mode, Mode::Stopped);
        if !stopped && self.timers.failure_at.is_some_and(|failure_at| now >= failure_at) {
            self.on_failure_timeout();
        }
    }

    fn on_repeat(&mut self) {
        self.repeat_reads();
        match &self.mode {
            Mode::Bootstrapping(_) => self.send_bootstrap(),
            Mode::Primary(_) => {
                self.on_heartbeat();
                // The log of a newer view, if it has heard of one.
                self.fetch_again();
                self.tell_digests();
            }
            Mode::Backup(_) => {
                self.expire_credits();
                self.wake_again();
                self.repeat_vote();
                self.fetch_again();
                self.tell_digests();
            }
            Mode::ViewChange(_) => {
                if !self.mutated(Mutation::SendDoViewChangeOnce) {
                    self.send_do_view_change();
                }
                self.repeat_vote();
                self.fetch_again();
            }
            Mode::Recovering(_) => self.ask_again(),
            Mode::Stopped => {}
        }
    }

    fn repeat_vote(&mut self) {
        if !self.mutated(Mutation::SendVotesOnce) {
            self.send_vote_again();
        }
    }

    fn on_failure_timeout(&mut self) {
        self.give_up_the_silent();
        if matches!(self.mode, Mode::Recovering(_)) {
            if self.mutated(Mutation::NoRecoveryRetry) {
                return self.restart_failure_timer();
            }
            return self.begin_round();
        }
        let waiting = matches!(self.mode, Mode::ViewChange(_));
        let timeout = self.patience();
        self.observe(Event::PrimaryTimedOut { view: self.view, timeout });
        self.heed_promise(0);
        self.restart_failure_timer();
        if !(waiting && self.mutated(Mutation::NoViewChangeTimeout)) {
            self.cast_vote();
        }
    }

    /// A backup waits exactly as long as it is patient: all backups of a primary that died miss it at the same moment, and the later half of
    /// a quorum costs no time. They may move in step, for their votes do not compete: the next primary is known before anybody votes, and
    /// the votes of all count for it (rule C16). Whoever waits for a view or for a lost log waits longer after each attempt that failed, with
    /// some jitter: what made the attempts collide, with each other or with a fault that comes at intervals, must not meet them again.
    pub(super) fn restart_failure_timer(&mut self) {
        let timeout = self.patience();
        let follows = matches!(self.mode, Mode::Backup(_)) && !self.mutated(Mutation::JitterAtOnce);
        let wait = if follows { timeout } else { self.with_backoff(timeout) };
        self.timers.failure_at = Some(self.now.monotonic.after(wait));
    }

    fn with_backoff(&mut self, timeout: Duration) -> Duration {
        let doublings = self.timers.attempts.saturating_sub(1).min(BACKOFF_DOUBLINGS_MAX);
        let jitter = self.rng.next() % (timeout.as_nanos() as u64 / 4).max(1);
        timeout * (1 << doublings) + Duration::from_nanos(jitter)
    }
}
