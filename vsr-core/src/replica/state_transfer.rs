//! Getting a log that is not the own: what is missing in the own view, a newer view, or what a primary to be must have
//! (section D as decisions 4 and 5 have it).
//!
//! Asking changes nothing. What arrives for another view is staged beside the own log, and takes its place when it is whole.

use super::{Mode, Replica};
use crate::{
    effect::Effect,
    event::{Event, Ignored},
    id::{Hash, Nonce, OpNumber, Time, ViewNumber},
    log::{Log, Point},
    message::{Body, NewState, Part, Suffix},
    mutation::Mutation,
    snapshot::{Arrived, Held},
    stop::StopReason,
};
use alloc::boxed::Box;

#[derive(Clone, Debug, Hash)]
pub(crate) struct Transfer {
    /// The view whose log is wanted.
    pub(crate) view: ViewNumber,
    /// Drawn once: retries and later pieces use it again (decision 5).
    nonce: Nonce,
    /// Who is asked; retries rotate.
    source: usize,
    asked_at: Option<Time>,
    /// How far the log must reach, for what is known of it.
    pub(crate) target: OpNumber,
    /// The op at which the view started, once known.
    start_op: Option<OpNumber>,
    /// The best commit-number of a replica that is normal in the view.
    pub(super) commit: OpNumber,
    /// What is held so far: behind the own commit-number, or behind the snapshot that has arrived.
    staged: Suffix,
}

/// What adding a piece to the staged log came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Added {
    Entries,
    Nothing,
    /// It begins beyond what is staged.
    Gap,
    /// It contradicts what is staged.
    Contradiction,
}

impl Transfer {
    /// Adds what a piece has beyond the staged log. Where the own log has the piece's base, it is by its hash the same up to there.
    fn add(&mut self, own: &Log, piece: &Suffix) -> Added {
        let before = self.staged.op();
        if piece.base > before {
            let proven = self.staged.entries.is_empty()
                && own.hash_at(piece.base) == Some(piece.base_hash)
                && own.hash_at(before) == Some(self.staged.hash());
            if !proven {
                return Added::Gap;
            }
            let missing = own.entries_after(before).take_while(|entry| entry.last() <= piece.base);
            self.staged.entries.extend(missing.cloned());
        }
        if piece.base == self.staged.op() && piece.base_hash != self.staged.hash() {
            return Added::Contradiction;
        }
        for entry in &piece.entries {
            let (op, hash) = (self.staged.op(), self.staged.hash());
            if entry.last() < op {
                continue;
            }
            if entry.last() == op {
                if entry.hash() != hash {
                    return Added::Contradiction;
                }
                continue;
            }
            if entry.first() != op.next() || entry.parent() != hash {
                return Added::Contradiction;
            }
            self.staged.entries.push(entry.clone());
        }
        if self.staged.op() > before { Added::Entries } else { Added::Nothing }
    }

    #[cfg(feature = "inject")]
    pub(super) fn nonce(&self) -> Nonce {
        self.nonce
    }

    /// Lets the question be due again.
    #[cfg(feature = "inject")]
    pub(super) fn asked_long_ago(&mut self) {
        self.asked_at = self.asked_at.map(|_| Time(0));
    }

    fn restart_at(&mut self, point: Point) {
        self.staged = Suffix { base: point.op, base_hash: point.hash, entries: alloc::vec::Vec::new() };
    }

    /// How far the staged log reaches.
    pub(super) fn reached(&self) -> OpNumber {
        self.staged.op()
    }
}

impl Replica {
    /// A view above the own, or the own one before its start-view came, has started: get its log, change nothing (rules B3, D2).
    pub(super) fn learn_of_view(&mut self, view: ViewNumber, source: usize) {
        let known = self.transfer.as_ref().is_some_and(|transfer| transfer.view >= view)
            && !self.mutated(Mutation::FetchPerMessage);
        if self.mutated(Mutation::IgnoreNewerView) {
            return;
        }
        if !known && self.begin_transfer(view, source) {
            self.jump_if_mutated(view);
            self.fetch();
        }
    }

    /// Entries of the own view are missing (rule D1).
    pub(super) fn fetch_missing(&mut self, source: usize, target: OpNumber) {
        if self.mutated(Mutation::NoStateTransfer) || !self.begin_transfer(self.view, source) {
            return;
        }
        if let Some(transfer) = &mut self.transfer {
            transfer.target = transfer.target.max(target);
            if transfer.asked_at.is_none() {
                self.fetch();
            }
        }
    }

    /// Makes sure that a transfer of `view` is under way. False if one of a higher view is.
    pub(super) fn begin_transfer(&mut self, view: ViewNumber, source: usize) -> bool {
        if let Some(transfer) = &self.transfer
            && transfer.view >= view
        {
            return transfer.view == view;
        }
        let mut transfer = Transfer {
            view,
            nonce: Nonce(self.rng.next()),
            source,
            asked_at: None,
            target: OpNumber(0),
            start_op: None,
            commit: OpNumber(0),
            staged: Suffix::default(),
        };
        self.forget_overtaken_snapshots();
        let arrived = self.arrived.as_ref().map(|arrived| arrived.snapshot.point());
        transfer.restart_at(arrived.unwrap_or_else(|| self.committed_point()));
        self.transfer = Some(transfer);
        true
    }

    /// Asks the source for what follows what is there.
    pub(super) fn fetch(&mut self) {
        if self.durability.view() < self.view || self.use_whole_snapshot() {
            return;
        }
        let now = self.now.monotonic;
        let end = self.log.end();
        let in_own_view = self.in_own_view();
        let fresh = self.mutated(Mutation::NonceEachRequest).then(|| Nonce(self.rng.next()));
        let Some(transfer) = &mut self.transfer else { return };
        transfer.asked_at = Some(now);
        transfer.nonce = fresh.unwrap_or(transfer.nonce);
        let (after, hash) =
            if in_own_view { (end.op, end.hash) } else { (transfer.staged.op(), transfer.staged.hash()) };
        let (to, view, nonce) = (transfer.source, transfer.view, transfer.nonce);
        let held = self.held_above(after).map(Box::new);
        self.observe(Event::GetStateSent { to: self.id_of(to), view, after });
        self.send(to, Body::GetState { view, after, hash, nonce, held });
    }

    /// Repeated at the heartbeat interval, from one replica after the other; never for each message that says the same.
    pub(super) fn fetch_again(&mut self) {
        let (now, interval, replicas, me) =
            (self.now.monotonic, self.config.heartbeat_interval, self.replicas(), self.me);
        let Some(transfer) = &mut self.transfer else { return };
        if transfer.asked_at.is_none_or(|asked_at| now >= asked_at.after(interval)) {
            if transfer.asked_at.is_some() {
                transfer.source = (transfer.source + 1) % replicas;
                if transfer.source == me {
                    transfer.source = (transfer.source + 1) % replicas;
                }
            }
            self.fetch();
        }
    }

    /// Decision 5: what is committed is final and served always; the rest only from exactly the view that is asked for.
    pub(super) fn on_get_state(
        &mut self,
        from: usize,
        view: ViewNumber,
        after: OpNumber,
        hash: Hash,
        nonce: Nonce,
        held: Option<&Held>,
    ) -> Result<(), Ignored> {
        self.observe(Event::GetStateReceived { from: self.id_of(from), view, after });
        if self.durability.view() < self.view {
            return Err(Ignored::NotDurable);
        }
        let normal = view == self.view && self.serves_its_view();
        if view == self.view && !self.mutated(Mutation::AskingIsNoAnswer) {
            self.heard_from(from);
        }
        let part = match self.piece_for(from, after, held) {
            Some(piece) => {
                let (op, offset) = (piece.header.op, piece.offset);
                self.observe(Event::PieceSent { to: self.id_of(from), op, offset });
                Part::Snapshot(piece)
            }
            None => Part::Entries(self.entries_for(from, after, hash, normal)?),
        };
        let (start_op, commit) = (self.start_op, self.commit);
        self.send(from, Body::NewState(Box::new(NewState { view, nonce, normal, start_op, commit, part })));
        Ok(())
    }

    fn entries_for(
        &mut self,
        from: usize,
        after: OpNumber,
        hash: Hash,
        normal: bool,
    ) -> Result<Suffix, Ignored> {
        let start = (after >= self.log.base()).then(|| self.log.point_at(after)).flatten();
        let any = self.mutated(Mutation::AnswerAnyHash);
        let start = start.filter(|point| point.hash == hash || any).ok_or(Ignored::ChainBroken)?;
        let until = if normal { self.log.op() } else { self.commit };
        let suffix = self.log.suffix(start, until, self.config.limits.transfer_bytes_max);
        if !normal && suffix.entries.is_empty() {
            return Err(Ignored::NothingNew);
        }
        self.observe(Event::NewStateSent { to: self.id_of(from), after, op: suffix.op() });
        self.keep_for(from, after, None);
        Ok(suffix)
    }

    /// Whether it is normal, and the storage knows: what it says of its view's log is true.
    pub(super) fn serves_its_view(&self) -> bool {
        match &self.mode {
            Mode::Primary(primary) => primary.announced,
            Mode::Backup(_) => self.durability.log_view() == Some(self.view),
            _ => false,
        }
    }

    pub(super) fn on_new_state(
        &mut self,
        from: usize,
        view: ViewNumber,
        body: NewState,
    ) -> Result<(), Ignored> {
        let Some(transfer) = &mut self.transfer else { return Err(Ignored::StaleNonce) };
        if (transfer.view, transfer.nonce) != (body.view, body.nonce) {
            return Err(Ignored::StaleNonce);
        }
        if matches!(&body.part, Part::Entries(suffix) if !suffix.is_intact()) {
            return Err(Ignored::Malformed);
        }
        let of_view = (body.normal && view == body.view) || self.mutated(Mutation::StageOtherViews);
        let choosing = self.is_choosing();
        if !of_view && !choosing {
            return Err(Ignored::NotServable);
        }
        let NewState { start_op, commit, normal, part, .. } = body;
        if !choosing {
            self.note_view(Some(start_op).filter(|_| normal), commit);
        }
        match part {
            Part::Snapshot(piece) => self.on_piece(from, &piece),
            Part::Entries(mut suffix) if choosing => {
                self.keep_what_is_final(&mut suffix);
                self.stage(from, &suffix)
            }
            Part::Entries(suffix) if self.in_own_view() => self.append_missing(from, commit, suffix),
            Part::Entries(suffix) => self.stage(from, &suffix),
        }
    }

    /// Whether this replica is the primary to be, has chosen a log, and lacks some of it.
    fn is_choosing(&self) -> bool {
        matches!(&self.mode, Mode::ViewChange(change) if change.chosen.is_some())
            && self.transfer.as_ref().is_some_and(|transfer| transfer.view == self.view)
    }

    /// What a replica that is normal in the view says about it.
    pub(super) fn note_view(&mut self, start_op: Option<OpNumber>, commit: OpNumber) {
        if let Some(transfer) = &mut self.transfer {
            transfer.start_op = start_op.or(transfer.start_op);
            transfer.commit = transfer.commit.max(commit);
        }
    }

    /// The primary to be takes from others only what the chosen log's owner knew to be committed (decision 5).
    fn keep_what_is_final(&self, suffix: &mut Suffix) {
        if let Mode::ViewChange(change) = &self.mode
            && let Some(chosen) = change.chosen_suffix()
        {
            suffix.entries.retain(|entry| entry.last() <= chosen.base);
        }
    }

    /// In the own view: what is missing goes behind what is there (rule D1).
    fn append_missing(&mut self, from: usize, commit: OpNumber, suffix: Suffix) -> Result<(), Ignored> {
        let before = self.log.op();
        let after = suffix.base;
        for entry in suffix.entries {
            let end = self.log.end();
            if entry.last() <= end.op {
                continue;
            }
            if entry.first() != end.op.next() || entry.parent() != end.hash {
                return Err(Ignored::ChainBroken);
            }
            if self.has_no_room() {
                break;
            }
            self.append(entry);
        }
        let op = self.log.op();
        if op > before {
            self.observe(Event::NewStateReceived { from: self.id_of(from), after, op });
            self.note_progress(self.view);
        }
        self.end_transfer_or(op > before, commit);
        if op > before { Ok(()) } else { Err(Ignored::NothingNew) }
    }

    /// The own log has grown: far enough, or there is more to ask for.
    pub(super) fn end_transfer_or(&mut self, fetch: bool, commit: OpNumber) {
        self.learn_commit(commit);
        let op = self.log.op();
        self.transfer.take_if(|transfer| op >= transfer.target);
        if fetch && self.transfer.is_some() {
            self.fetch();
        }
    }

    /// Another view's log grows beside the own; when it is whole it takes its place (decision 4).
    pub(super) fn stage(&mut self, from: usize, suffix: &Suffix) -> Result<(), Ignored> {
        let committed = self.committed_point();
        let Some(transfer) = &mut self.transfer else { return Err(Ignored::StaleNonce) };
        let before = transfer.staged.op();
        let added = transfer.add(&self.log, suffix);
        let (view, op) = (transfer.view, transfer.staged.op());
        if added == Added::Contradiction && !self.restart_staging() {
            self.stop(StopReason::Divergence { op: committed.op });
            return Ok(());
        }
        if op > before {
            self.observe(Event::NewStateReceived { from: self.id_of(from), after: before, op });
            self.note_progress(view);
            self.acknowledge_staged_if_mutated();
        }
        self.use_what_is_staged(op > before);
        if op > before { Ok(()) } else { Err(Ignored::NothingNew) }
    }

    /// A transfer that gets on is as good as a heartbeat, if this replica waits for nothing else: a long catch-up must not be given up
    /// (decision 4).
    pub(super) fn note_progress(&mut self, view: ViewNumber) {
        let waits_for_it = view == self.view || matches!(self.mode, Mode::Recovering(_));
        if waits_for_it && !self.mutated(Mutation::TransferIsNoLife) {
            self.restart_failure_timer();
            self.cancel_vote();
        }
    }

    /// What is staged contradicts itself: begin again. False: nothing is staged, and the contradiction is with what is committed here.
    fn restart_staging(&mut self) -> bool {
        let committed = self.committed_point();
        let Some(transfer) = &mut self.transfer else { return true };
        if transfer.staged.entries.is_empty() && self.arrived.is_none() {
            return false;
        }
        transfer.restart_at(committed);
        self.arrived = None;
        true
    }

    /// A snapshot is whole: what is staged begins behind it.
    pub(super) fn stage_snapshot(&mut self, arrived: Arrived) {
        if let Some(transfer) = &mut self.transfer {
            transfer.restart_at(arrived.snapshot.point());
            self.arrived = Some(arrived);
        }
    }

    /// Something was staged: perhaps it is enough.
    pub(super) fn use_what_is_staged(&mut self, progress: bool) {
        if self.is_choosing() {
            self.complete_choice(progress);
        } else if !self.install_view() {
            self.fetch_after_piece(progress);
        }
    }

    /// After a piece the next is asked for at once; where none arrived, a question under way is waited for.
    fn fetch_after_piece(&mut self, progress: bool) {
        if progress || self.transfer.as_ref().is_some_and(|transfer| transfer.asked_at.is_none()) {
            self.fetch();
        }
    }

    /// Installs the staged view if it is whole: from the own commit-number to the op at which the view started, without a gap.
    fn install_view(&mut self) -> bool {
        let partial = self.mutated(Mutation::InstallPartialView);
        let too_little = self.mutated(Mutation::RecoverTooLittle);
        let whole = self.transfer.as_ref().is_some_and(|transfer| {
            let Some(start_op) = transfer.start_op else { return false };
            let needed = if too_little { start_op } else { start_op.max(transfer.target) };
            transfer.staged.op() >= needed || partial
        });
        let Some(transfer) = self.transfer.take_if(|_| whole) else { return false };
        let (view, start_op, commit) =
            (transfer.view, transfer.start_op.unwrap_or_default(), transfer.commit);
        if !self.install_log(transfer) {
            return true;
        }
        let recovered = matches!(self.mode, Mode::Recovering(_));
        self.become_backup();
        (self.view, self.log_view, self.start_op) = (view, view, start_op);
        self.durability.record_changed();
        if recovered {
            self.durability.reset();
            self.observe(Event::Recovered { view, op: self.log.op() });
        }
        if self.mutated(Mutation::LowerCommit) {
            self.set_commit(commit.min(self.log.op()));
        }
        self.learn_commit(commit);
        let (op, primary) = (self.log.op(), self.id_of(self.primary_of(view)));
        self.observe(Event::ViewInstalled { view, op });
        self.observe(Event::ViewStarted { view, primary, start_op });
        true
    }

    /// The chosen log begins where its owner's commit-number was: what this replica lacks below that must come from others.
    pub(super) fn complete_choice(&mut self, progress: bool) {
        let Mode::ViewChange(change) = &self.mode else { return };
        let (Some(source), Some(chosen)) = (change.chosen, change.chosen_suffix().cloned()) else { return };
        let committed = self.committed_point();
        let source = if source == self.me { (source + 1) % self.replicas() } else { source };
        if !self.begin_transfer(self.view, source) {
            return;
        }
        let Some(transfer) = &mut self.transfer else { return };
        match transfer.add(&self.log, &chosen) {
            Added::Entries | Added::Nothing => self.start_view(),
            Added::Gap => self.fetch_after_piece(progress),
            Added::Contradiction if self.restart_staging() => self.fetch_after_piece(false),
            Added::Contradiction => self.stop(StopReason::Divergence { op: committed.op }),
        }
    }

    /// The staged log takes the place of the own one. What is committed here must be in it; false: it is not, and this replica
    /// has stopped (decision 13).
    pub(super) fn install_log(&mut self, transfer: Transfer) -> bool {
        let Transfer { staged, .. } = transfer;
        let lower = self.mutated(Mutation::SnapshotLowersCommit);
        let mut unproven = false;
        if let Some(arrived) = self.arrived.take().filter(|it| it.snapshot.op() > self.commit || lower) {
            self.replace_log(arrived);
            unproven = self.mutated(Mutation::KeepUnprovenLog);
        }
        if staged.op() < self.log.op() && (unproven || self.mutated(Mutation::KeepLongerLog)) {
            return true;
        }
        let joined = self.log.hash_at(staged.base) == Some(staged.base_hash);
        let mut same = if joined { staged.base } else { OpNumber(0) };
        for entry in &staged.entries {
            if self.log.hash_at(entry.last()) == Some(entry.hash()) {
                same = same.max(entry.last());
            }
        }
        if same < self.commit || self.log.point_at(same).is_none() {
            self.stop(StopReason::Divergence { op: self.commit });
            return false;
        }
        if same < self.log.op() {
            self.observe(Event::Truncated { above: same, until: self.log.op() });
            self.log.truncate_above(same);
            self.durability.truncated(same);
        }
        for entry in staged.entries {
            if entry.first() > same {
                self.append(entry);
            }
        }
        true
    }

    /// A snapshot in place of the whole log (rule D6): state, sessions, commit-number and log base move together.
    pub(super) fn replace_log(&mut self, arrived: Arrived) {
        let base = arrived.snapshot.point();
        let _replaced = core::mem::replace(&mut self.log, Log::starting_at(base));
        self.durability.truncated(OpNumber(0));
        #[cfg(feature = "inject")]
        if self.mutated(Mutation::KeepUnprovenLog) && _replaced.op() > base.op {
            self.log = _replaced.rebased(base);
        }
        self.durability.snapshot_taken(arrived.snapshot.clone());
        self.observe_step(Event::CommitAdvanced { from: self.commit, to: base.op });
        self.commit = base.op;
        self.resume_from(arrived);
    }

    pub(super) fn in_own_view(&self) -> bool {
        matches!(self.mode, Mode::Backup(_))
            && self.transfer.as_ref().is_some_and(|transfer| transfer.view == self.view)
    }

    pub(super) fn committed_point(&self) -> Point {
        self.log.point_at(self.commit).expect("the commit-number is the end of an entry that is held")
    }

    /// What a replica says that takes what is staged for its log.
    fn acknowledge_staged_if_mutated(&mut self) {
        if let Some(transfer) = self.transfer.as_ref().filter(|_| self.mutated(Mutation::AckStaged)) {
            let (view, op, hash) = (transfer.view, transfer.staged.op(), transfer.staged.hash());
            self.send(self.primary_of(view), Body::PrepareOk { op, hash });
            if let Some(Effect::Send { message, .. }) = self.out.last_mut() {
                message.view = view;
            }
        }
    }

    /// What the paper's and other versions of this step do when they ask.
    fn jump_if_mutated(&mut self, view: ViewNumber) {
        let truncate = self.mutated(Mutation::TruncateWhenAsking);
        if truncate || self.mutated(Mutation::EagerView) {
            if truncate {
                self.log.truncate_above(self.commit);
                self.durability.truncated(self.commit);
            }
            self.become_backup();
            (self.view, self.log_view) = (view, view);
            self.durability.record_changed();
        }
    }
}
