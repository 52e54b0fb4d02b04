//! Reads beside the log: at the primary (rule G2), at a backup through the primary's index (rule G4), after a given op.

use super::{Mode, Replica};
use crate::{
    effect::{Effect, Refusal},
    event::{Event, Ignored},
    id::{Nonce, OpNumber, ReadId, Time, ViewNumber},
    input::ReadKind,
    message::Body,
    mutation::Mutation,
};
use alloc::{
    collections::{BTreeMap, VecDeque},
    vec,
    vec::Vec,
};

/// Rounds at once: a new one would not be answered sooner, and reads that wait for their turn share one.
const ROUNDS_MAX: usize = 8;

/// Reads that are not served yet.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Reads {
    /// Counts the rounds of this boot, in whatever role and view.
    last_round: u64,
    /// In no round yet.
    fresh: Vec<Reader>,
    /// Asked for and not confirmed, in their order.
    rounds: VecDeque<Round>,
    /// By the op that they must reflect: served when the state does, whatever the view is by then.
    indexed: BTreeMap<(OpNumber, ReadId), Time>,
}

/// Reads that share one question.
#[derive(Clone, Debug, Hash)]
struct Round {
    id: u64,
    /// What the primary must have committed before it serves them. Not known to a backup.
    floor: OpNumber,
    readers: Vec<Reader>,
}

#[derive(Clone, Copy, Debug, Hash)]
struct Reader {
    who: Who,
    since: Time,
}

#[derive(Clone, Copy, Debug, Hash)]
enum Who {
    /// A client of this replica.
    Own(ReadId),
    /// A backup, for a round of its own.
    Backup { from: usize, nonce: Nonce, id: u64 },
}

/// The latest probe that each backup has answered in this view.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Probes(Vec<u64>);

impl Probes {
    pub(crate) fn new(replicas: usize) -> Self {
        Self(vec![0; replicas])
    }

    /// The latest round that a quorum has confirmed. Whoever answers a probe confirms the rounds before it, too: their reads
    /// came earlier. It says nothing of those after it.
    fn confirmed(&self, me: usize, quorum: usize) -> u64 {
        let mut answered = self.0.clone();
        answered[me] = u64::MAX;
        answered.sort_unstable_by(|a, b| b.cmp(a));
        answered[quorum - 1]
    }
}

impl Reads {
    pub(crate) fn is_empty(&self) -> bool {
        self.fresh.is_empty() && self.rounds.is_empty() && self.indexed.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        let in_rounds: usize = self.rounds.iter().map(|round| round.readers.len()).sum();
        self.fresh.len() + in_rounds + self.indexed.len()
    }

    /// Whether a read can be served from the state at `op`.
    pub(crate) fn has_ready(&self, op: OpNumber) -> bool {
        self.indexed.first_key_value().is_some_and(|((at, _), _)| *at <= op)
    }

    /// Takes out the oldest round, if it is settled.
    fn take_round(&mut self, is_settled: impl FnOnce(&Round) -> bool) -> Option<Round> {
        let settled = self.rounds.front().is_some_and(is_settled);
        if settled { self.rounds.pop_front() } else { None }
    }

    /// Takes out what is in no round yet, or in a round that is not confirmed.
    fn take_unconfirmed(&mut self) -> impl Iterator<Item = Reader> + use<> {
        let rounds = core::mem::take(&mut self.rounds);
        core::mem::take(&mut self.fresh).into_iter().chain(rounds.into_iter().flat_map(|round| round.readers))
    }

    pub(crate) fn check(&self, view_is_open: bool) {
        assert!(view_is_open || self.rounds.is_empty(), "nobody asks for reads outside of a view");
        let in_order = self.rounds.iter().zip(self.rounds.iter().skip(1)).all(|(a, b)| a.id < b.id);
        assert!(in_order, "rounds are in their order");
        assert!(self.rounds.len() <= ROUNDS_MAX, "rounds are within their bound");
    }
}

impl Replica {
    /// A read of one of this replica's own clients.
    pub(super) fn on_read(&mut self, id: ReadId, kind: ReadKind) {
        let since = self.now.monotonic;
        if self.reads.len() >= self.config.limits.reads_max {
            return self.refuse_read(id, Refusal::Overloaded);
        }
        if let ReadKind::After(op) = kind
            && !matches!(self.mode, Mode::Recovering(_))
        {
            let op = if self.mutated(Mutation::ReadAfterTooEarly) { OpNumber(0) } else { op };
            self.reads.indexed.insert((op, id), since);
            return;
        }
        let served = match &self.mode {
            Mode::Primary(primary) => !primary.abdicated,
            Mode::Backup(_) => !self.leaving,
            Mode::Bootstrapping(_) | Mode::ViewChange(_) | Mode::Recovering(_) | Mode::Stopped => false,
        };
        if served {
            self.reads.fresh.push(Reader { who: Who::Own(id), since });
        } else {
            self.refuse_read(id, Refusal::NoPrimary);
        }
    }

    /// Asks, once for all reads that came since the last round. A primary that has not announced its view has nobody to ask yet.
    pub(super) fn ask_for_reads(&mut self) {
        self.confirm_rounds();
        let may_ask = match &self.mode {
            Mode::Primary(primary) => primary.announced && !primary.abdicated,
            Mode::Backup(_) => self.durability.view() >= self.view,
            Mode::Bootstrapping(_) | Mode::ViewChange(_) | Mode::Recovering(_) | Mode::Stopped => false,
        };
        if !may_ask || self.reads.fresh.is_empty() || self.reads.rounds.len() >= ROUNDS_MAX {
            return;
        }
        // Every op that a client was answered for before: in this view it is committed here, in an earlier one it is in the log
        // that this view started with.
        let inherited = if self.mutated(Mutation::ReadWithoutFloor) { OpNumber(0) } else { self.start_op };
        let floor = self.commit.max(inherited);
        self.reads.last_round += 1;
        let (id, readers) = (self.reads.last_round, core::mem::take(&mut self.reads.fresh));
        let reads = readers.len();
        self.reads.rounds.push_back(Round { id, floor, readers });
        self.observe_step(Event::ReadsAsked { round: id, reads });
        self.send_round(id);
    }

    /// The primary asks those who have not answered yet whether they are still in its view; a backup asks the primary for an index.
    fn send_round(&mut self, id: u64) {
        if let Mode::Primary(primary) = &self.mode {
            let missing: Vec<_> = self.others().filter(|to| primary.probes.0[*to] < id).collect();
            missing.into_iter().for_each(|to| self.send(to, Body::Probe { id }));
        } else {
            let (to, nonce) = (self.primary_of(self.view), self.read_nonce());
            self.send(to, Body::ReadIndex { nonce, id });
        }
    }

    /// Tells the rounds of this boot from those of earlier ones, whose answers may still be under way.
    fn read_nonce(&self) -> Nonce {
        if self.mutated(Mutation::ReadIndexAcrossBoots) { Nonce(0) } else { Nonce(self.durability.boot()) }
    }

    /// Answered at the end of the turn, if this replica is normal in exactly that view then.
    pub(super) fn on_probe(&mut self, from: usize, view: ViewNumber, id: u64) -> Result<(), Ignored> {
        if from != self.primary_of(view) {
            return Err(Ignored::NotFromPrimary);
        }
        if self.mutated(Mutation::ProbeAcrossViews) && self.durability.view() >= self.view {
            self.send(from, Body::ProbeOk { id });
            return Ok(());
        }
        if view < self.view {
            return Err(Ignored::OldView);
        }
        match &mut self.mode {
            Mode::Backup(backup) if view == self.view => {
                backup.probe = backup.probe.max(id);
                Ok(())
            }
            _ => Err(Ignored::NewerView),
        }
    }

    /// "I am still in your view": one answer a turn, when the view and its log are durable (rule F1).
    pub(super) fn answer_probe(&mut self) {
        let Mode::Backup(backup) = &mut self.mode else { return };
        if backup.probe == 0 {
            return;
        }
        if self.durability.view() == self.view && self.durability.log_view() == Some(self.view) {
            let id = core::mem::take(&mut backup.probe);
            self.send(self.primary_of(self.view), Body::ProbeOk { id });
        }
    }

    pub(super) fn on_probe_ok(&mut self, from: usize, view: ViewNumber, id: u64) -> Result<(), Ignored> {
        let any_view = self.mutated(Mutation::ProbeAcrossViews);
        if view < self.view && !any_view {
            return Err(Ignored::OldView);
        }
        if view > self.view && !any_view {
            return Err(Ignored::NewerView);
        }
        let id = if self.mutated(Mutation::CountEarlierProbe) { self.reads.last_round } else { id };
        let Mode::Primary(primary) = &mut self.mode else { return Err(Ignored::NotPrimary) };
        if id > self.reads.last_round {
            return Err(Ignored::UnknownOp);
        }
        if id <= primary.probes.0[from] {
            return Err(Ignored::NothingNew);
        }
        primary.probes.0[from] = id;
        self.observe_step(Event::ProbeOkReceived { from: self.id_of(from), round: id });
        Ok(())
    }

    /// A backup wants an index for its readers: they are readers of this primary like any other.
    pub(super) fn on_read_index(
        &mut self,
        from: usize,
        view: ViewNumber,
        nonce: Nonce,
        id: u64,
    ) -> Result<(), Ignored> {
        if view < self.view {
            return Err(Ignored::OldView);
        }
        if view > self.view {
            return Err(Ignored::NewerView);
        }
        let Mode::Primary(primary) = &self.mode else { return Err(Ignored::NotPrimary) };
        if primary.abdicated {
            return Err(Ignored::NotPrimary);
        }
        if self.reads.len() >= self.config.limits.reads_max {
            return Err(Ignored::Full);
        }
        let who = Who::Backup { from, nonce, id };
        self.reads.fresh.push(Reader { who, since: self.now.monotonic });
        Ok(())
    }

    /// The index serves the round it was asked for and those before it, whose reads came earlier still.
    pub(super) fn on_read_index_ok(
        &mut self,
        from: usize,
        view: ViewNumber,
        nonce: Nonce,
        id: u64,
        index: OpNumber,
    ) -> Result<(), Ignored> {
        if from != self.primary_of(view) {
            return Err(Ignored::NotFromPrimary);
        }
        if view < self.view {
            return Err(Ignored::OldView);
        }
        if view > self.view || !matches!(self.mode, Mode::Backup(_)) {
            return Err(Ignored::NewerView);
        }
        if nonce != self.read_nonce() {
            return Err(Ignored::StaleNonce);
        }
        if self.reads.rounds.front().is_none_or(|round| round.id > id) {
            return Err(Ignored::NothingNew);
        }
        self.observe_step(Event::ReadIndexReceived { from: self.id_of(from), round: id, index });
        // Committed in this view, or the primary would not have said it: readers need not wait for the next heartbeat.
        self.learn_commit(index);
        if index > self.log.op() {
            self.fetch_missing(from, index);
        }
        let at = if self.mutated(Mutation::ReadBeforeIndex) { OpNumber(0) } else { index };
        while let Some(round) = self.reads.take_round(|round| round.id <= id) {
            round.readers.into_iter().for_each(|reader| self.give_index(reader, at));
        }
        Ok(())
    }

    /// Rule G2.3: a quorum was in this view after the reads came, and what was answered before them is committed here.
    fn confirm_rounds(&mut self) {
        let Mode::Primary(primary) = &self.mode else { return };
        if self.reads.rounds.is_empty() {
            return;
        }
        let mut confirmed = primary.probes.confirmed(self.me, self.quorum());
        if self.mutated(Mutation::ReadWithoutQuorum) {
            confirmed = u64::MAX;
        }
        let commit = self.commit;
        while let Some(round) = self.reads.take_round(|round| round.id <= confirmed && round.floor <= commit)
        {
            round.readers.into_iter().for_each(|reader| self.give_index(reader, round.floor));
        }
    }

    fn give_index(&mut self, reader: Reader, index: OpNumber) {
        match reader.who {
            Who::Own(id) => drop(self.reads.indexed.insert((index, id), reader.since)),
            Who::Backup { from, nonce, id } => self.send(from, Body::ReadIndexOk { nonce, id, index }),
        }
    }

    /// Serves what the state reflects now, after all commits of the turn; no more than a turn should do. A group of one needs no
    /// answers: its round is confirmed in the turn it was asked in.
    pub(super) fn serve_reads(&mut self) {
        self.confirm_rounds();
        let at = self.commits.emitted();
        for _ in 0..self.config.limits.turn_ops_max {
            if !self.reads.has_ready(at) {
                return;
            }
            if let Some(((_, id), _)) = self.reads.indexed.pop_first() {
                self.out.push(Effect::Read { id, at });
            }
        }
    }

    /// Rule G2.4: the view is over, and with it what was asked in it. An index that was given stays valid.
    pub(super) fn cancel_reads(&mut self) {
        for reader in self.reads.take_unconfirmed() {
            match reader.who {
                Who::Own(_) if self.mutated(Mutation::ReadSurvivesView) => {
                    self.give_index(reader, OpNumber(0));
                }
                Who::Own(id) => self.refuse_read(id, Refusal::NoPrimary),
                // It asks the next primary.
                Who::Backup { .. } => {}
            }
        }
    }

    /// At every heartbeat interval: gives up reads that wait for longer than a time-out, so that their clients go elsewhere, and
    /// asks again for the others. The latest round speaks for those before it.
    pub(super) fn repeat_reads(&mut self) {
        let (now, timeout) = (self.now.monotonic, self.config.heartbeat_timeout);
        let late = |since: Time| now >= since.after(timeout);
        let mut given_up = Vec::new();
        let mut keep = |reader: &Reader| {
            if let (true, Who::Own(id)) = (late(reader.since), reader.who) {
                given_up.push((id, Refusal::NoPrimary));
            }
            !late(reader.since)
        };
        self.reads.fresh.retain(&mut keep);
        self.reads.rounds.retain_mut(|round| {
            round.readers.retain(&mut keep);
            !round.readers.is_empty()
        });
        self.reads.indexed.retain(|(_, id), since| {
            if late(*since) {
                given_up.push((*id, Refusal::Behind));
            }
            !late(*since)
        });
        for (id, reason) in given_up {
            self.refuse_read(id, reason);
        }
        let silent = matches!(&self.mode, Mode::Primary(primary) if primary.abdicated);
        if let Some(id) = self.reads.rounds.back().map(|round| round.id).filter(|_| !silent) {
            self.send_round(id);
        }
    }

    fn refuse_read(&mut self, id: ReadId, reason: Refusal) {
        self.observe(Event::ReadRefused { reason });
        self.out.push(Effect::ReadRefused { id, reason });
    }
}
