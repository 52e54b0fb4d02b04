//! An idle group speaks less and less often, and whoever wants something brings back the usual pace (rule B14).
//!
//! Each heartbeat promises when the next one comes at the latest, and backups wait accordingly longer for it. The interval doubles
//! one step at a time, and what is promised is one step ahead: a heartbeat that gets lost is no reason to vote.

use super::{Mode, Replica};
use crate::{
    config::PACE_MAX,
    event::Ignored,
    id::{Time, ViewNumber},
    message::Body,
    mutation::Mutation,
};
use core::time::Duration;

/// How often a primary speaks.
#[derive(Clone, Copy, Debug, Hash)]
pub(crate) struct Pace {
    /// The next heartbeat comes within the heartbeat interval times two to the power of this.
    doublings: u8,
    /// When the group was seen to have something to do, last.
    busy_at: Time,
}

impl Pace {
    pub(crate) fn usual(now: Time) -> Self {
        Self { doublings: 0, busy_at: now }
    }
}

impl Replica {
    /// At a heartbeat: when the next one comes. The growth begins one time-out after the last work: by then whatever a backup had under
    /// way is done or given up, and every backup has heard what is committed.
    pub(super) fn choose_pace(&mut self) {
        let idle = self.is_idle() && (self.all_answered() || self.mutated(Mutation::QuietThoughUnanswered));
        let (now, timeout, pace_max) =
            (self.now.monotonic, self.config.heartbeat_timeout, self.config.pace_max());
        let Mode::Primary(primary) = &mut self.mode else { return };
        if !idle && primary.pace.doublings > 0 {
            primary.listening_since = now;
        }
        if !idle {
            primary.pace = Pace::usual(now);
        } else if now >= primary.pace.busy_at.after(timeout) {
            primary.pace.doublings = (primary.pace.doublings + 1).min(pace_max);
        }
        let doublings = primary.pace.doublings;
        self.timers.repeat_at = now.after(self.config.interval_at(doublings));
    }

    /// The promise that goes with a heartbeat: one step ahead where the next heartbeat may take that step, so that one that gets lost is
    /// no silence.
    pub(super) fn promised_pace(&self) -> u8 {
        let (Mode::Primary(primary), pace_max @ 1..) = (&self.mode, self.config.pace_max()) else { return 0 };
        let Pace { doublings, busy_at } = primary.pace;
        let next = self.now.monotonic.after(self.config.interval_at(doublings));
        let may_grow = next >= busy_at.after(self.config.heartbeat_timeout) && self.is_idle();
        let ahead = u8::from(may_grow && !self.mutated(Mutation::PromiseTooLittle));
        (doublings + ahead).min(pace_max)
    }

    /// Whether this primary knows of nothing that anybody waits for. A backup that lacks something says so itself.
    fn is_idle(&self) -> bool {
        let Mode::Primary(primary) = &self.mode else { return false };
        let op = self.log.op();
        let votes = self.count_votes() > 0 && !self.mutated(Mutation::SleepThroughVotes);
        primary.announced
            && !primary.abdicated
            && !votes
            && self.commit == op
            && primary.commit_told == op
            && primary.queue.len() == 0
            && self.reads.is_empty()
            && self.transfer.is_none()
            && !self.digests.are_to_be_told()
            && self.durability.waiting_since().is_none()
    }

    /// At the end of a turn: what came in it may be a reason to go back to the usual pace at once.
    pub(super) fn mind_the_pace(&mut self) {
        let wakes = match &self.mode {
            Mode::Primary(primary) => primary.pace.doublings > 0 && !self.is_idle(),
            Mode::Backup(backup) => backup.pace > 0 && self.wants_something(),
            _ => false,
        };
        if !wakes {
            return;
        }
        if matches!(self.mode, Mode::Primary(_)) {
            return self.speak_up();
        }
        self.expect_the_usual_pace();
        if self.durability.view() >= self.view && !self.mutated(Mutation::WakeNobody) {
            self.broadcast(&Body::Wake);
        }
    }

    /// A primary that was silent for long begins anew to wait for answers.
    fn speak_up(&mut self) {
        let now = self.now.monotonic;
        let Mode::Primary(primary) = &mut self.mode else { return };
        if primary.pace.doublings > 0 {
            primary.listening_since = now;
        }
        primary.pace = Pace::usual(now);
        self.timers.repeat_at = now.after(self.config.heartbeat_interval);
        self.broadcast_commit(true);
    }

    /// Whether this backup waits for anything of which its primary may not know.
    fn wants_something(&self) -> bool {
        let wants = self.credits.are_used()
            || !self.reads.is_empty()
            || self.transfer.is_some()
            || self.count_votes() > 0 && !self.mutated(Mutation::SleepThroughVotes);
        wants && !self.mutated(Mutation::WaitAsPromised)
    }

    /// A primary that is gone is found within the usual time-out from now on.
    fn expect_the_usual_pace(&mut self) {
        let Mode::Backup(backup) = &mut self.mode else { return };
        backup.pace = 0;
        backup.waking = true;
        let promised = self.timers.failure_at;
        self.restart_failure_timer();
        self.timers.failure_at = self.timers.failure_at.min(promised);
    }

    /// Messages get lost: asked again at each interval until the primary is heard.
    pub(super) fn wake_again(&mut self) {
        let waking = matches!(&self.mode, Mode::Backup(backup) if backup.waking);
        if waking && self.durability.view() >= self.view {
            self.send(self.primary_of(self.view), Body::Wake);
        }
    }

    /// A backup that starts does not know what its primary has promised.
    pub(super) fn wake_after_start(&mut self) {
        if self.config.pace_max() > 0 {
            self.expect_the_usual_pace();
            self.wake_again();
        }
    }

    /// Somebody wants something, or does not know when the next heartbeat comes.
    pub(super) fn on_wake(&mut self, view: ViewNumber) -> Result<(), Ignored> {
        if view < self.view {
            return Err(Ignored::OldView);
        }
        if view > self.view {
            return Err(Ignored::NewerView);
        }
        match &self.mode {
            Mode::Primary(primary) if primary.announced && !primary.abdicated => self.speak_up(),
            Mode::Backup(backup) if backup.pace > 0 => self.expect_the_usual_pace(),
            _ => {}
        }
        Ok(())
    }

    /// What was promised in a heartbeat. No promise silences the detection of failures: it is bounded.
    pub(super) fn heed_promise(&mut self, pace: u8) {
        let bound = if self.mutated(Mutation::BelieveAnyPromise) { 30 } else { PACE_MAX };
        let ignored = self.mutated(Mutation::ExpectTheUsualPace);
        if let Mode::Backup(backup) = &mut self.mode {
            backup.pace = if ignored { 0 } else { pace.min(bound) };
            backup.waking = false;
        }
    }

    /// How long this replica waits for its primary, without jitter.
    pub(super) fn patience(&self) -> Duration {
        let pace = if let Mode::Backup(backup) = &self.mode { backup.pace } else { 0 };
        self.config.heartbeat_timeout * (1 << pace)
    }

    /// Whether the repeat timer has anything to do. A backup that waits for nothing sleeps until its primary is overdue.
    pub(super) fn has_to_repeat(&self) -> bool {
        match &self.mode {
            Mode::Backup(backup) => {
                backup.waking
                    || self.credits.are_used()
                    || !self.reads.is_empty()
                    || self.transfer.is_some()
                    || self.incoming.is_some()
                    || self.arrived.is_some()
                    || self.votes.has(self.me)
                    || self.digests.are_to_be_told()
            }
            _ => true,
        }
    }
}
