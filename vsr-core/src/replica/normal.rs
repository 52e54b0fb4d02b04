//! Normal operation: prepare, prepare-ok, commit (rules B1–B13).

use super::{Mode, Replica, pace::Pace, reads::Probes, requests::Queue};
use crate::{
    entry::Entry,
    event::{Event, Ignored},
    id::{Hash, OpNumber, Time, ViewNumber},
    log::Point,
    message::Body,
    mutation::Mutation,
    stop::StopReason,
};
use alloc::{boxed::Box, vec, vec::Vec};

#[derive(Clone, Debug, Hash)]
pub(crate) struct Primary {
    pub(crate) me: usize,
    /// The view's record and log are durable and its start was sent: only now may it propose (rule C7).
    pub(crate) announced: bool,
    /// It has voted itself out, and is silent so that the backups' votes stand.
    pub(crate) abdicated: bool,
    /// What each replica has acknowledged in this view (rule B4).
    pub(super) progress: Vec<Progress>,
    /// Who is silent since before this may not have been asked.
    pub(super) listening_since: Time,
    /// When the last heartbeat went out.
    pub(super) beat_at: Time,
    pub(super) pace: Pace,
    /// Who has confirmed the reads of this view.
    pub(crate) probes: Probes,
    /// Counts broadcasts.
    pub(super) beat: u64,
    pub(crate) queue: Queue,
    pub(super) tick_under_way: bool,
    /// The newest op that a backup's client asked for: its commit is told at once (decision 17).
    pub(super) forwarded_through: OpNumber,
    /// Where the log ended at the last heartbeat: what is older and not acknowledged is taken for lost.
    op_at_heartbeat: OpNumber,
    /// The commit-number broadcast last.
    pub(super) commit_told: OpNumber,
    /// Bytes of the uncommitted entries.
    pub(super) pipeline_bytes: usize,
    /// No operation of this view is older (rule B8).
    pub(super) timestamp_floor: u64,
    /// Where the log of start-view begins: what every replica heard in the view change has committed.
    pub(crate) announce_from: Point,
    #[cfg(feature = "inject")]
    acks_counted: usize,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    pub(super) acked: OpNumber,
    pub(super) heard: Option<Time>,
}

/// When it was heard is a matter of clocks.
impl core::hash::Hash for Progress {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        self.acked.hash(state);
    }
}

#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Backup {
    /// The newest broadcast seen: an older one is no sign of life (rule B11).
    beat: u64,
    /// Answer the primary at the end of the turn.
    pub(crate) ack_due: bool,
    /// The newest probe to answer at the end of the turn.
    pub(crate) probe: u64,
    /// Known committed, perhaps beyond the own log.
    pub(super) commit_target: OpNumber,
    /// How long the primary may be silent: doublings of the heartbeat interval.
    pub(super) pace: u8,
    /// The primary was asked for its usual pace, and not heard since.
    pub(super) waking: bool,
}

/// What a heartbeat says of the primary beside the commit-number. A proposal says that there is work: the usual pace.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Word {
    /// The next heartbeat comes within the heartbeat interval times two to the power of this.
    pub(crate) pace: u8,
    /// Whom the primary hears, if it says so.
    pub(crate) heard: Option<u64>,
}

impl Primary {
    #[cfg(feature = "inject")]
    pub(super) fn acknowledged(&self) -> impl Iterator<Item = OpNumber> + '_ {
        self.progress.iter().map(|progress| progress.acked)
    }

    /// The highest op that so many replicas have acknowledged.
    fn acknowledged_by(&self, quorum: usize) -> OpNumber {
        let acked = || self.progress.iter().map(|progress| progress.acked);
        let by_quorum = |op: &OpNumber| acked().filter(|acked| acked >= op).count() >= quorum;
        acked().filter(by_quorum).max().unwrap_or_default()
    }

    pub(crate) fn pipeline_bytes(&self) -> usize {
        self.pipeline_bytes
    }
}

impl Backup {
    /// Of a view whose log was just installed: the primary waits for the acknowledgement of it (rule C8).
    pub(crate) fn following() -> Self {
        Self { ack_due: true, ..Self::default() }
    }
}

impl Replica {
    pub(super) fn become_primary(&mut self, timestamp_floor: u64, announce_from: Point) {
        let now = self.now.monotonic;
        let mut queue = Queue::new(self.replicas());
        let sessions_max = self.config.replicated.sessions_max;
        let forgets = self.mutated(Mutation::ProposeLoggedAgain);
        for entry in self.log.entries_after(self.commits.emitted()).filter(|_| !forgets) {
            entry.run().heads().iter().for_each(|head| queue.note_logged(head.origin, sessions_max));
        }
        self.credits = super::Credits::default();
        self.votes.clear();
        self.timers.failure_at = None;
        self.timers.attempts = 0;
        self.set_mode(Mode::Primary(Box::new(Primary {
            me: self.me,
            announced: false,
            abdicated: false,
            progress: vec![Progress { acked: OpNumber(0), heard: None }; self.replicas()],
            listening_since: now,
            beat_at: now,
            pace: Pace::usual(now),
            probes: Probes::new(self.replicas()),
            beat: 0,
            queue,
            tick_under_way: false,
            forwarded_through: OpNumber(0),
            op_at_heartbeat: OpNumber(0),
            commit_told: OpNumber(0),
            pipeline_bytes: self.log.entries_after(self.commit).map(Entry::bytes).sum(),
            timestamp_floor,
            announce_from,
            #[cfg(feature = "inject")]
            acks_counted: 0,
        })));
    }

    /// Commits what a quorum has (rule B5): the own log counts as far as it is durable (rule A4).
    pub(super) fn advance_commit(&mut self) {
        if !matches!(&self.mode, Mode::Primary(primary) if primary.announced) {
            return;
        }
        let (own, quorum, me) = (self.own_acknowledgement(), self.commit_quorum(), self.me);
        let Mode::Primary(primary) = &mut self.mode else { return };
        primary.progress[me].acked = own;
        // Most turns bring no quorum for anything new.
        if primary.progress.iter().filter(|progress| progress.acked > self.commit).count() < quorum {
            return;
        }
        let op = primary.acknowledged_by(quorum);
        if self.mutated(Mutation::CommitOwnViewOnly)
            && self.log.entry_with(op).is_some_and(|entry| entry.view() < self.view)
        {
            return;
        }
        let inside = self.mutated(Mutation::CommitInsideEntry)
            && self.log.entry_with(op).is_some_and(|entry| entry.len() > 1);
        let op = OpNumber(op.0 - u64::from(inside));
        if op > self.commit {
            self.observe_step(Event::QuorumReached { op });
            let committed = self.log.entries_after(self.commit).take_while(|entry| entry.last() <= op);
            let bytes: usize = committed.map(Entry::bytes).sum();
            self.set_commit(op);
            if let Mode::Primary(primary) = &mut self.mode {
                primary.pipeline_bytes -= bytes;
            }
        }
    }

    /// How many entries this replica has proposed as primary that no quorum has yet, as far as it has heard. A host may leave requests
    /// where they are meanwhile: what waits becomes one entry, and many small ones cost more than a few large ones.
    #[must_use]
    pub fn proposals_in_flight(&self) -> usize {
        let Mode::Primary(primary) = &self.mode else { return 0 };
        let acked = |index: usize| {
            if index == self.me { self.own_acknowledgement() } else { primary.progress[index].acked }
        };
        let has_quorum =
            |op: OpNumber| (0..self.replicas()).filter(|i| acked(*i) >= op).count() >= self.commit_quorum();
        self.log.newest().take_while(|entry| entry.last() > self.commit && !has_quorum(entry.last())).count()
    }

    /// By the configuration, whoever is connected (rule A6).
    fn commit_quorum(&self) -> usize {
        if self.mutated(Mutation::QuorumOfConnected) { self.heard() / 2 + 1 } else { self.quorum() }
    }

    pub(super) fn append(&mut self, entry: Entry) {
        self.observe_step(Event::Appended { first: entry.first(), last: entry.last() });
        self.note_append(&entry);
        self.log.append(entry.clone());
        self.durability.appended(entry);
    }

    /// VRR §4.1: a backup appends what follows its log in its view, and nothing else (rule B2).
    pub(super) fn on_prepare(
        &mut self,
        from: usize,
        view: ViewNumber,
        entry: Entry,
        commit: OpNumber,
        beat: u64,
    ) -> Result<(), Ignored> {
        self.check_primary(from, view)?;
        if !entry.is_intact() || commit > entry.last() {
            return Err(Ignored::Malformed);
        }
        self.thaw_if_mutated(view, &entry);
        self.heed_primary(from, view, beat, Word::default())?;
        let end = self.log.end();
        let (first, last) = (entry.first(), entry.last());
        self.observe_step(Event::PrepareReceived { from: self.id_of(from), first, last, commit });
        let mut result = Ok(());
        if first == end.op.next() {
            if entry.parent() != end.hash {
                if self.mutated(Mutation::StopAtBrokenChain) {
                    self.stop(StopReason::Divergence { op: first });
                }
                // Nothing of what it says is about this log, its commit-number included.
                return Err(Ignored::ChainBroken);
            } else if self.has_no_room() {
                result = Err(Ignored::Full);
            } else {
                self.append(entry);
            }
        } else if last <= end.op && !self.mutated(Mutation::AckOnce) {
            self.owe_acknowledgement();
        } else if self.mutated(Mutation::AppendOverGap) {
            self.append(entry);
        }
        self.learn_commit(commit);
        if first > end.op.next() {
            self.fetch_missing(from, OpNumber(first.0 - 1));
        }
        result
    }

    /// A heartbeat: the primary lives, and this much is committed. Answered whatever it says (decision 2).
    pub(super) fn on_commit(
        &mut self,
        from: usize,
        view: ViewNumber,
        commit: OpNumber,
        beat: u64,
        word: Word,
    ) -> Result<(), Ignored> {
        self.check_primary(from, view)?;
        let fresh = self.heed_primary(from, view, beat, word)?;
        self.observe_step(Event::CommitReceived { from: self.id_of(from), commit, fresh });
        if !self.mutated(Mutation::NoHeartbeatAnswer) {
            self.owe_acknowledgement();
        }
        self.learn_commit(commit);
        if commit > self.log.op() {
            self.fetch_missing(from, commit);
        }
        Ok(())
    }

    /// Rule A2: nobody else may say it.
    pub(super) fn check_primary(&self, from: usize, view: ViewNumber) -> Result<(), Ignored> {
        let fine = from == self.primary_of(view) || self.mutated(Mutation::AcceptFromAnybody);
        if fine { Ok(()) } else { Err(Ignored::NotFromPrimary) }
    }

    /// What every broadcast of a primary means, whatever it holds: a sign of life, or of a view that has started (rule B3). Whether
    /// it is news.
    fn heed_primary(
        &mut self,
        from: usize,
        view: ViewNumber,
        beat: u64,
        word: Word,
    ) -> Result<bool, Ignored> {
        if view < self.view {
            return Err(Ignored::OldView);
        }
        let between = matches!(self.mode, Mode::ViewChange(_));
        if (view > self.view || between) && self.mutated(Mutation::AcceptHigherPrepare) {
            self.become_backup();
            (self.view, self.log_view) = (view, view);
            self.durability.record_changed();
        }
        if view > self.view || matches!(self.mode, Mode::ViewChange(_)) {
            if self.mutated(Mutation::CommitOwnSuffix) && view >= self.view {
                self.set_commit(self.log.op());
            }
            self.learn_of_view(view, from);
            return Err(Ignored::NewerView);
        }
        let Mode::Backup(backup) = &mut self.mode else { return Err(Ignored::NotFromPrimary) };
        let fresh = beat > backup.beat;
        backup.beat = backup.beat.max(beat);
        if fresh || self.mutated(Mutation::StaleHeartbeatCounts) {
            self.heed_promise(word.pace);
            self.heed_peers(from, word.heard);
            self.restart_failure_timer();
            if !self.mutated(Mutation::KeepOwnVote) {
                self.cancel_vote();
            }
        }
        Ok(fresh)
    }

    fn owe_acknowledgement(&mut self) {
        if let Mode::Backup(backup) = &mut self.mode {
            backup.ack_due = true;
        }
    }

    /// Rule B6: never beyond the log installed in this view.
    pub(super) fn learn_commit(&mut self, commit: OpNumber) {
        let op = self.log.op();
        if let Mode::Backup(backup) = &mut self.mode {
            backup.commit_target = backup.commit_target.max(commit);
            let known = backup.commit_target.min(op);
            // A commit-number is the end of an entry; one from beyond a gap may be inside of the last entry held.
            if self.log.point_at(known).is_some() {
                self.set_commit(known);
            }
        }
    }

    /// One cumulative acknowledgement a turn, for what is durable (rules B2, F1).
    pub(super) fn acknowledge(&mut self) {
        let eager = self.mutated(Mutation::AckBeforePersisted);
        let Mode::Backup(backup) = &mut self.mode else { return };
        if !backup.ack_due {
            return;
        }
        let (view, op) = (self.view, if eager { self.log.op() } else { self.durability.op() });
        let durable = (eager || self.durability.log_view() == Some(view)) && self.durability.view() == view;
        if durable && let Some(hash) = self.log.hash_at(op) {
            backup.ack_due = false;
            let to = self.primary_of(view);
            self.observe_step(Event::PrepareOkSent { to: self.id_of(to), op });
            self.send(to, Body::PrepareOk { op, hash });
        }
    }

    /// Counts for this view only, and once for each sender (rules A3, B4).
    pub(super) fn on_prepare_ok(
        &mut self,
        from: usize,
        view: ViewNumber,
        op: OpNumber,
        hash: Hash,
    ) -> Result<(), Ignored> {
        let any_view = self.mutated(Mutation::AckAcrossViews);
        let any_log = any_view || self.mutated(Mutation::AckWithoutHash);
        if view < self.view && !any_view {
            return Err(Ignored::OldView);
        }
        if view > self.view {
            return Err(Ignored::NewerView);
        }
        let found = self.log.hash_at(op);
        let now = self.now.monotonic;
        let Mode::Primary(primary) = &mut self.mode else { return Err(Ignored::NotPrimary) };
        primary.progress[from].heard = Some(now);
        if found != Some(hash) && !(any_log && op <= self.log.op()) {
            // An acknowledgement of what was trimmed since is late, not wrong.
            return if op < self.log.base() { Err(Ignored::NothingNew) } else { Err(Ignored::UnknownOp) };
        }
        let fresh = op > primary.progress[from].acked;
        if fresh {
            primary.progress[from].acked = op;
        }
        #[cfg(feature = "inject")]
        if self.config.mutations.contains(Mutation::CountDuplicateAcks) && op == self.log.op() {
            primary.acks_counted += 1;
            if primary.acks_counted >= primary.progress.len() / 2 {
                primary.pipeline_bytes = 0;
                self.set_commit(op);
            }
        }
        self.observe_step(Event::PrepareOkReceived { from: self.id_of(from), op });
        if fresh { Ok(()) } else { Err(Ignored::NothingNew) }
    }

    /// What a primary does at every heartbeat interval: see who answers, speak, repeat what was not acknowledged.
    pub(super) fn on_heartbeat(&mut self) {
        self.choose_pace();
        self.look_at_peers();
        if (self.hears_too_few() || self.storage_hangs()) && !self.mutated(Mutation::NoAbdication) {
            self.abdicate();
        }
        let now = self.now.monotonic;
        let Mode::Primary(primary) = &mut self.mode else { return };
        if primary.abdicated {
            return self.send_vote_again();
        }
        if primary.announced {
            primary.beat_at = now;
            self.broadcast_commit(true);
            self.retransmit();
            self.expire_held();
        }
    }

    /// A primary that could not commit anything must not keep the backups waiting (decision 2, C11).
    fn hears_too_few(&self) -> bool {
        let Mode::Primary(primary) = &self.mode else { return false };
        primary.announced && !primary.abdicated && self.heard() < self.quorum()
    }

    /// Nor must one whose storage does not answer: sooner or later it can propose nothing.
    fn storage_hangs(&self) -> bool {
        let bound = self.config.heartbeat_timeout * 2;
        let hangs =
            self.durability.waiting_since().is_some_and(|since| self.now.monotonic >= since.after(bound));
        hangs && matches!(&self.mode, Mode::Primary(primary) if primary.announced && !primary.abdicated)
    }

    fn abdicate(&mut self) {
        if let Mode::Primary(primary) = &mut self.mode {
            primary.abdicated = true;
            self.observe(Event::Abdicated { view: self.view });
            self.cast_vote();
        }
    }

    /// The host is about to stop this replica (decision 2: hand-over).
    pub(super) fn on_leave(&mut self) {
        self.leaving = true;
        if matches!(&self.mode, Mode::Primary(primary) if !primary.abdicated) {
            self.abdicate();
        }
    }

    pub(super) fn broadcast_commit(&mut self, heartbeat: bool) {
        let commit = if self.mutated(Mutation::HeartbeatWithoutCommit) { OpNumber(0) } else { self.commit };
        let heard = self.heard_peers();
        let Mode::Primary(primary) = &mut self.mode else { return };
        primary.beat += 1;
        primary.commit_told = self.commit;
        let beat = primary.beat;
        let pace = self.promised_pace();
        self.observe_step(Event::CommitSent { commit, heartbeat });
        self.broadcast(&Body::Commit { commit, beat, pace, heard });
    }

    /// Decision 17: a backup's client must not wait for the next heartbeat.
    pub(super) fn tell_commit(&mut self) {
        let Mode::Primary(primary) = &self.mode else { return };
        let untold = primary.commit_told.min(self.commit);
        let waited_for = untold < primary.forwarded_through && !self.mutated(Mutation::NoCommitNudge);
        if untold < self.commit && waited_for && !primary.abdicated {
            self.broadcast_commit(false);
        }
    }

    /// Rule B11: what a backup has not acknowledged within a heartbeat interval is sent again. One that is far behind asks by
    /// itself, and one that is silent gets heartbeats alone until it answers.
    fn retransmit(&mut self) {
        let op = self.log.op();
        let Mode::Primary(primary) = &mut self.mode else { return };
        let until = core::mem::replace(&mut primary.op_at_heartbeat, op);
        if self.mutated(Mutation::NoRetransmission) {
            return;
        }
        for to in self.others() {
            let Mode::Primary(primary) = &self.mode else { return };
            let (acked, beat) = (primary.progress[to].acked, primary.beat);
            let after = self.log.point_at(acked).filter(|after| after.op < until);
            let Some(after) = after.filter(|_| self.is_awaited(to)) else { continue };
            let lost = self.log.suffix(after, until, self.config.limits.retransmit_bytes_max);
            self.observe(Event::Retransmitted { to: self.id_of(to), after: acked });
            for entry in lost.entries {
                let commit = self.commit.min(entry.last());
                self.send(to, Body::Prepare { entry, commit, beat });
            }
        }
    }

    /// What a replica does that does not freeze its log in a view change (rule C5).
    fn thaw_if_mutated(&mut self, view: ViewNumber, entry: &Entry) {
        let follows = view == self.log_view && entry.parent() == self.log.end().hash;
        let between = matches!(self.mode, Mode::ViewChange(_));
        if between && follows && self.mutated(Mutation::AppendInViewChange) {
            self.append(entry.clone());
        }
    }

    #[cfg(feature = "inject")]
    fn note_append(&mut self, entry: &Entry) {
        if self.mutated(Mutation::SessionAtAppend) {
            for crate::run::Head { origin, .. } in entry.run().heads() {
                if let crate::run::Origin::Request { session, request, .. } = origin {
                    self.appended.insert(*session, *request);
                }
            }
        }
    }

    #[cfg(not(feature = "inject"))]
    #[expect(clippy::unused_self, reason = "the same face as with the feature")]
    fn note_append(&self, _: &Entry) {}
}
