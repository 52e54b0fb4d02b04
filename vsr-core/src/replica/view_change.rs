//! From one view to the next (rules C1–C15 as decision 2 has them).

use super::{Mode, Replica, normal::Backup};
use crate::{
    event::{Event, Ignored, StatusName},
    id::{OpNumber, Time, ViewNumber},
    message::{Body, DoViewChange, StartView, Suffix},
    mutation::Mutation,
};
use alloc::{boxed::Box, vec, vec::Vec};
use core::time::Duration;

#[derive(Clone, Debug, Hash)]
pub(crate) struct ViewChange {
    /// The logs received, by sender. Only the primary of the view to come has any.
    logs: Vec<Option<DoViewChange>>,
    /// Whose log the view will start with.
    pub(crate) chosen: Option<usize>,
    #[cfg(feature = "inject")]
    received: usize,
    #[cfg(feature = "inject")]
    latest: usize,
}

impl ViewChange {
    pub(crate) fn new(replicas: usize) -> Self {
        Self {
            logs: vec![None; replicas],
            chosen: None,
            #[cfg(feature = "inject")]
            received: 0,
            #[cfg(feature = "inject")]
            latest: 0,
        }
    }

    /// The suffix of the chosen log.
    pub(crate) fn chosen_suffix(&self) -> Option<&Suffix> {
        self.logs[self.chosen?].as_ref().map(|log| &log.suffix)
    }
}

/// Who wants to leave the current view, and since when (decision 2). Cleared with every view.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Votes(Vec<Option<Time>>);

impl Votes {
    pub(crate) fn new(replicas: usize) -> Self {
        Self(vec![None; replicas])
    }

    pub(crate) fn clear(&mut self) {
        self.0.fill(None);
    }

    fn set(&mut self, voter: usize, now: Time) {
        self.0[voter] = Some(now);
    }

    pub(crate) fn remove(&mut self, voter: usize) {
        self.0[voter] = None;
    }

    pub(crate) fn has(&self, voter: usize) -> bool {
        self.0[voter].is_some()
    }

    /// Votes of others expire after one time-out; the own one stands until it is cancelled.
    fn count(&self, me: usize, now: Time, timeout: Duration) -> usize {
        let stands = |(voter, cast): (usize, &Option<Time>)| {
            cast.is_some_and(|cast| voter == me || now < cast.after(timeout))
        };
        self.0.iter().enumerate().filter(|vote| stands(*vote)).count()
    }
}

impl Replica {
    /// "I want out." Changes nothing here until a quorum wants the same.
    pub(super) fn cast_vote(&mut self) {
        if self.transfer.is_some() && self.mutated(Mutation::NoVoteInTransfer) {
            return;
        }
        if !self.votes.has(self.me) {
            self.observe(Event::VoteCast { view: self.view });
        }
        self.votes.set(self.me, self.now.monotonic);
        self.send_vote_again();
        self.tally();
    }

    pub(super) fn cancel_vote(&mut self) {
        if self.votes.has(self.me) {
            self.votes.remove(self.me);
            self.observe(Event::VoteCancelled { view: self.view });
        }
    }

    pub(super) fn send_vote_again(&mut self) {
        if self.votes.has(self.me) && self.may_vote() {
            self.broadcast(&Body::StartViewChange);
        }
    }

    /// Not before the view is durable (rule F1), and, after a loss, the log that took the place of the one lost (rule F8).
    fn may_vote(&self) -> bool {
        let has_log = self.durability.log_view().is_some() || self.mutated(Mutation::VoteWhileRecovering);
        self.durability.view() >= self.view && has_log
    }

    pub(super) fn on_start_view_change(&mut self, from: usize, view: ViewNumber) -> Result<(), Ignored> {
        if view < self.view {
            self.answer_left_behind(from);
            return Err(Ignored::OldView);
        }
        if view > self.view {
            if self.mutated(Mutation::IgnoreHigherVotes) {
                return Err(Ignored::NewerView);
            }
            self.enter_view(view);
        }
        let copy = self.votes.has(from) && self.mutated(Mutation::CountDuplicateLeaves);
        let absent = self.others().find(|voter| copy && !self.votes.has(*voter));
        self.votes.set(absent.unwrap_or(from), self.now.monotonic);
        let votes = self.count_votes();
        self.observe(Event::VoteReceived { from: self.id_of(from), view, votes });
        // The primary itself wants out: nobody waits for a time-out.
        let hands_over = from == self.primary_of(view) && !self.mutated(Mutation::NoHandOver);
        if hands_over && !self.votes.has(self.me) {
            self.cast_vote();
        }
        self.tally();
        Ok(())
    }

    pub(super) fn count_votes(&self) -> usize {
        let timeout = self.config.heartbeat_timeout;
        let timeout = if self.mutated(Mutation::VotesNeverExpire) { Duration::MAX } else { timeout };
        self.votes.count(self.me, self.now.monotonic, timeout)
    }

    fn tally(&mut self) {
        let needed = if self.mutated(Mutation::EnterViewAlone) { 1 } else { self.quorum() };
        if self.count_votes() >= needed && self.view.next() < ViewNumber::MAX {
            self.enter_view(self.view.next());
        }
    }

    /// Leaves the view for a higher one. The log is frozen from here (rule C5); nothing names the view before it is durable.
    pub(super) fn enter_view(&mut self, view: ViewNumber) {
        assert!(view > self.view, "views only grow");
        self.observe(Event::ViewEntered { from: self.view, to: view });
        let before = self.view;
        if matches!(self.mode, Mode::ViewChange(_)) && self.mutated(Mutation::LogViewWithoutLog) {
            self.log_view = before;
        }
        self.view = view;
        if !self.mutated(Mutation::KeepVotes) {
            self.votes.clear();
        }
        let stale = self.transfer.as_ref().is_some_and(|transfer| transfer.view < view);
        if stale && !self.mutated(Mutation::KeepStaleTransfer) {
            self.transfer = None;
        }
        let from = self.mode.name();
        if from != StatusName::ViewChange {
            self.observe(Event::StatusChanged { from, to: StatusName::ViewChange });
        }
        let mode = Mode::ViewChange(Box::new(ViewChange::new(self.replicas())));
        let queue = match core::mem::replace(&mut self.mode, mode) {
            Mode::Primary(primary) => {
                if primary.announced {
                    self.observe(Event::LeadershipStopped { view: before });
                }
                Some(primary.queue)
            }
            _ => None,
        };
        self.drop_requests(queue);
        self.cancel_reads();
        self.durability.record_changed();
        self.timers.attempts += 1;
        self.restart_failure_timer();
        self.send_do_view_change();
    }

    /// The own log, to the primary of the view; not before all of it and the view are durable (decision 3). Repeated until the
    /// view starts.
    pub(super) fn send_do_view_change(&mut self) {
        let Mode::ViewChange(change) = &self.mode else { return };
        let to = self.primary_of(self.view);
        if !self.log_is_durable() && !self.mutated(Mutation::DoViewChangeBeforePersisted) {
            return;
        }
        if to != self.me {
            self.send_log_to(to);
        } else if change.logs[self.me].is_none() || self.mutated(Mutation::CountDuplicateVotes) {
            let log = self.own_log();
            self.note_log(self.me, log);
        }
    }

    fn send_log_to(&mut self, to: usize) {
        let log = self.own_log();
        self.observe(Event::DoViewChangeSent {
            to: self.id_of(to),
            view: self.view,
            log_view: log.log_view,
            op: log.suffix.op(),
            commit: log.suffix.base,
        });
        self.send(to, Body::DoViewChange(Box::new(log)));
    }

    fn own_log(&self) -> DoViewChange {
        let commit =
            self.log.point_at(self.commit).expect("the commit-number is the end of an entry that is held");
        let suffix = self.log.suffix(commit, self.log.op(), usize::MAX);
        DoViewChange { log_view: self.log_view, timestamp: self.log.end().timestamp, suffix }
    }

    /// To a replica in a lower view (decision 2): how to get here.
    fn answer_left_behind(&mut self, from: usize) {
        if self.durability.view() < self.view || self.mutated(Mutation::NoStartViewAnswer) {
            return;
        }
        match &self.mode {
            Mode::Primary(primary) if primary.announced => self.send_start_view(from),
            _ if self.votes.has(self.me) && self.may_vote() => self.send(from, Body::StartViewChange),
            Mode::ViewChange(_) if self.log_is_durable() => self.send_log_to(from),
            _ => {}
        }
    }

    pub(super) fn on_do_view_change(
        &mut self,
        from: usize,
        view: ViewNumber,
        body: DoViewChange,
    ) -> Result<(), Ignored> {
        if !body.suffix.is_intact() || body.log_view >= view {
            return Err(Ignored::Malformed);
        }
        if view < self.view {
            self.answer_left_behind(from);
            return Err(Ignored::OldView);
        }
        if view > self.view {
            if self.mutated(Mutation::IgnoreHigherVotes) {
                return Err(Ignored::NewerView);
            }
            self.enter_view(view);
        }
        match &self.mode {
            // Its start-view was lost.
            Mode::Primary(primary) if primary.announced => {
                self.answer_left_behind(from);
                Err(Ignored::AlreadyStarted)
            }
            Mode::Primary(_) => Err(Ignored::NotDurable),
            Mode::ViewChange(_) if self.primary_of(view) == self.me => {
                self.observe(Event::DoViewChangeReceived {
                    from: self.id_of(from),
                    log_view: body.log_view,
                    op: body.suffix.op(),
                    commit: body.suffix.base,
                });
                self.note_log(from, body);
                Ok(())
            }
            Mode::Backup(_) => Err(Ignored::AlreadyStarted),
            _ => Err(Ignored::NotPrimary),
        }
    }

    /// Collects logs of distinct senders; with a quorum, the own one among them, the best is chosen (rules A3, C6).
    fn note_log(&mut self, from: usize, log: DoViewChange) {
        let (quorum, me) = (self.quorum(), self.me);
        let by_op = self.mutated(Mutation::ChooseByOp);
        let base_max =
            if self.mutated(Mutation::ChooseWhatJoins) { self.log.op() } else { OpNumber(u64::MAX) };
        let Mode::ViewChange(change) = &mut self.mode else { return };
        if change.chosen.is_some() {
            return;
        }
        change.logs[from].get_or_insert(log);
        let count = change.logs.iter().flatten().count();
        #[cfg(feature = "inject")]
        let count = if self.config.mutations.contains(Mutation::CountDuplicateVotes) {
            change.received += 1;
            change.received
        } else {
            count
        };
        #[cfg(feature = "inject")]
        if self.config.mutations.contains(Mutation::ChooseLast) {
            change.latest = from;
        }
        if count < quorum || change.logs[me].is_none() {
            return;
        }
        let best = |(_, log): &(usize, &DoViewChange)| {
            (if by_op { ViewNumber(0) } else { log.log_view }, log.suffix.op())
        };
        let logs = change.logs.iter().enumerate().filter_map(|(i, log)| log.as_ref().map(|log| (i, log)));
        let logs = logs.filter(|(_, log)| log.suffix.base <= base_max);
        change.chosen = logs.max_by_key(best).map(|(index, _)| index);
        #[cfg(feature = "inject")]
        if self.config.mutations.contains(Mutation::ChooseLast) {
            change.chosen = Some(change.latest);
        }
        self.report_choice();
        self.complete_choice(false);
    }

    fn report_choice(&mut self) {
        let Mode::ViewChange(change) = &self.mode else { return };
        if let Some((chosen, log)) =
            change.chosen.and_then(|chosen| Some((chosen, change.logs[chosen].as_ref()?)))
        {
            let (view, of, log_view) = (self.view, self.id_of(chosen), log.log_view);
            let (op, commit) = (log.suffix.op(), log.suffix.base);
            self.observe(Event::LogChosen { view, of, log_view, op, commit });
        }
    }

    /// The chosen log is complete here: it becomes this replica's, whole and durably, before anybody hears of it (rule C7).
    pub(super) fn start_view(&mut self) {
        let Mode::ViewChange(change) = &self.mode else { return };
        let Some(transfer) = self.transfer.take() else { return };
        let logs = || change.logs.iter().flatten();
        // Time that any of them has logged is not undone, whosever log was chosen (rule B8).
        let forgets = self.mutated(Mutation::ForgetTimeOfLogs);
        let timestamp = logs().map(|log| log.timestamp).max().filter(|_| !forgets).unwrap_or_default();
        let commit = logs().map(|log| log.suffix.base).max().unwrap_or_default();
        let lowest = logs().map(|log| log.suffix.base).min().unwrap_or_default();
        if !self.install_log(transfer) {
            return;
        }
        self.log_view = self.view;
        self.start_op = self.log.op();
        self.set_commit(commit.min(self.log.op()));
        self.durability.record_changed();
        let announce_from = self.log.point_at(lowest).unwrap_or_else(|| self.log.end());
        self.become_primary(timestamp, announce_from);
        self.announce_if_durable();
    }

    /// The view starts when its record and its log are durable here (rule C7).
    pub(super) fn announce_if_durable(&mut self) {
        let ready = self.durability.log_view() == Some(self.view) && self.durability.op() >= self.start_op
            || self.mutated(Mutation::StartViewBeforePersisted);
        let Mode::Primary(primary) = &mut self.mode else { return };
        if primary.announced || !ready {
            return;
        }
        primary.announced = true;
        self.hear_all_now();
        let (view, start_op) = (self.view, self.start_op);
        self.observe(Event::LeadershipStarted { view });
        self.observe(Event::ViewStarted { view, primary: self.config.replica, start_op });
        if view > ViewNumber(0) {
            self.others().for_each(|to| self.send_start_view(to));
        }
    }

    fn send_start_view(&mut self, to: usize) {
        let Mode::Primary(primary) = &self.mode else { return };
        let commit = self.log.point_at(self.commit).unwrap_or_else(|| self.log.end());
        let from = primary.announce_from;
        let from = if self.log.point_at(from.op).is_some() { from } else { commit };
        let suffix = self.log.suffix(from, self.log.op(), self.config.limits.transfer_bytes_max);
        self.observe(Event::StartViewSent { to: self.id_of(to), op: suffix.op() });
        let body = StartView { start_op: self.start_op, commit: self.commit, suffix };
        self.send(to, Body::StartView(Box::new(body)));
    }

    /// Only a view that has not started here, and none below the own (rule C8). What follows is decision 4.
    pub(super) fn on_start_view(
        &mut self,
        from: usize,
        view: ViewNumber,
        body: StartView,
    ) -> Result<(), Ignored> {
        self.check_primary(from, view)?;
        if !body.suffix.is_intact() {
            return Err(Ignored::Malformed);
        }
        if view < self.view && self.mutated(Mutation::AcceptOldStartView) {
            self.transfer = None;
        } else if view < self.view {
            return Err(Ignored::OldView);
        } else if view == self.view && !matches!(self.mode, Mode::ViewChange(_)) {
            return Err(Ignored::AlreadyStarted);
        }
        self.observe(Event::StartViewReceived { from: self.id_of(from), view, op: body.suffix.op() });
        if !self.begin_transfer(view, from) {
            return Err(Ignored::OldView);
        }
        self.note_view(Some(body.start_op), body.commit);
        self.stage(from, &body.suffix)
    }

    /// The log of the view is here: follow its primary.
    pub(super) fn become_backup(&mut self) {
        self.votes.clear();
        self.timers.attempts = 0;
        let before = core::mem::replace(&mut self.mode, Mode::Backup(Backup::following()));
        if before.name() != self.mode.name() {
            self.observe(Event::StatusChanged { from: before.name(), to: self.mode.name() });
        }
        if let Mode::Primary(primary) = before {
            self.observe(Event::LeadershipStopped { view: self.log_view });
            self.drop_requests(Some(primary.queue));
        } else {
            self.drop_requests(None);
        }
        self.cancel_reads();
        self.restart_failure_timer();
    }
}
