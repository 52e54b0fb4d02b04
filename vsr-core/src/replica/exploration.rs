//! What an exhaustive search needs of a replica: to know a state when it comes again, and to be the one who says what a clock does.

use super::{Mode, Replica};
use crate::{
    id::{Nonce, OpNumber, Time},
    rng::Rng,
};
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};

/// The two clocks of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Timer {
    /// Repeats what got no answer.
    Repeat,
    /// Gives up on the primary.
    Failure,
}

impl Replica {
    /// Feeds `hasher` with everything that decides what this replica will do, if time stands still and
    /// [`draw_from`](Self::draw_from) is called before every step.
    ///
    /// Left out are the configuration, which never changes; clocks, the generator and the jitter of timers, which the caller decides;
    /// the numbers of writes and of staged parts, which only name them; who was heard, which is for people where no group may be quiet; the time-outs' back-off, which is nothing but time; and
    /// digests, which follow from what was applied.
    pub fn fingerprint(&self, hasher: &mut impl Hasher) {
        let Self {
            config: _,
            me,
            incarnation,
            membership,
            mode,
            view,
            log_view,
            start_op,
            log,
            commit,
            commits,
            digests: _,
            sessions,
            snapshot,
            votes,
            peers: _,
            transfer,
            incoming,
            staged: _,
            arrived,
            served,
            durability,
            credits,
            reads,
            timers,
            next_tick,
            leaving,
            observed: _,
            rng: _,
            now: _,
            out: _,
            appended,
        } = self;
        (me, incarnation, membership, mode, view, log_view, start_op).hash(hasher);
        (log, commit, commits, sessions, snapshot).hash(hasher);
        (votes, transfer, incoming, arrived, served, durability, credits, reads).hash(hasher);
        (timers.failure_at.is_some(), next_tick, leaving, appended).hash(hasher);
    }

    /// The question whose answer it waits for; answers to any other are ignored.
    #[must_use]
    pub fn question(&self) -> Option<Nonce> {
        self.transfer.as_ref().map(|transfer| transfer.nonce())
    }

    /// What the primary of a view knows each replica to hold: less is nothing new to it.
    #[must_use]
    pub fn acknowledged(&self) -> Vec<OpNumber> {
        match &self.mode {
            Mode::Primary(primary) => primary.acknowledged().collect(),
            _ => Vec::new(),
        }
    }

    /// From here on, what looks random comes from `seed`: with one made of the state, equal states draw equal numbers.
    pub fn draw_from(&mut self, seed: u64) {
        self.rng = Rng::new(seed);
    }

    /// Lets one timer be due now, and not the other, so that [`Input::Timer`](crate::Input::Timer) means exactly that one. False: it
    /// does not run. All that happened before seems to have happened just now, but for a question that may be repeated.
    pub fn make_due(&mut self, timer: Timer) -> bool {
        let (now, never) = (self.now.monotonic, Time(u64::MAX));
        match timer {
            Timer::Repeat => {
                self.timers.repeat_at = now;
                self.timers.failure_at = self.timers.failure_at.map(|_| never);
                if let Some(transfer) = &mut self.transfer {
                    transfer.asked_long_ago();
                }
                !matches!(self.mode, Mode::Stopped)
            }
            Timer::Failure => {
                self.timers.repeat_at = never;
                self.timers.failure_at = self.timers.failure_at.map(|_| now);
                self.timers.failure_at.is_some()
            }
        }
    }
}
