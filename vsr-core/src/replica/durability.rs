//! What is on its way to the storage, and what has arrived there. What must wait for the storage asks here (D2, rule F1).

use super::{Mode, Replica};
use crate::{
    configuration::Record,
    effect::{Effect, Entries, Write},
    entry::Entry,
    event::Event,
    id::{OpNumber, Time, ViewNumber, WriteId},
    mutation::Mutation,
    snapshot::Snapshot,
};
use alloc::{boxed::Box, collections::VecDeque, sync::Arc};
use core::hash::{Hash, Hasher};

/// How far the group is formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Stage {
    /// Nothing is durable.
    Unknown,
    /// The incarnation is.
    Known,
    /// The membership is.
    Bound,
    /// All members are bound.
    Formed,
}

#[derive(Clone, Debug)]
pub(crate) struct Durability {
    boot: u64,
    sequence: u64,
    durable: State,
    in_flight: VecDeque<InFlight>,
    /// What the next write will hold.
    dirty: Dirty,
    stage: Stage,
}

/// A state of the storage.
#[derive(Clone, Copy, Debug, Hash)]
struct State {
    stage: Stage,
    view: ViewNumber,
    /// None where the log was lost: then nothing that the storage holds is a log.
    log_view: Option<ViewNumber>,
    /// The log as it is now is durable up to here.
    op: OpNumber,
}

#[derive(Clone, Debug)]
struct InFlight {
    sequence: u64,
    state: State,
    snapshot: Option<Arc<Snapshot>>,
    bytes: usize,
    since: Time,
}

#[derive(Clone, Debug, Default, Hash)]
struct Dirty {
    record: bool,
    reset: bool,
    snapshot: Option<Arc<Snapshot>>,
    truncate_above: Option<OpNumber>,
    entries: Entries,
    trim_through: Option<OpNumber>,
}

impl Durability {
    pub(crate) fn new(
        boot: u64,
        stage: Stage,
        view: ViewNumber,
        log_view: Option<ViewNumber>,
        op: OpNumber,
    ) -> Self {
        let durable =
            State { stage: if stage == Stage::Known { Stage::Unknown } else { stage }, view, log_view, op };
        Self { boot, sequence: 0, durable, in_flight: VecDeque::new(), dirty: Dirty::default(), stage }
    }

    /// Names this start of the replica.
    pub(crate) fn boot(&self) -> u64 {
        self.boot
    }

    /// How far the group is formed, durably.
    pub(crate) fn stage(&self) -> Stage {
        self.durable.stage
    }

    /// How far it will be when all writes are done.
    pub(crate) fn wanted_stage(&self) -> Stage {
        self.stage
    }

    pub(crate) fn set_stage(&mut self, stage: Stage) {
        self.stage = stage;
        self.dirty.record = true;
    }

    /// The highest view that may be named.
    pub(crate) fn view(&self) -> ViewNumber {
        self.durable.view
    }

    /// The view whose log the durable log is; none while there is no log.
    pub(crate) fn log_view(&self) -> Option<ViewNumber> {
        self.durable.log_view
    }

    /// How much of the log is durable.
    pub(crate) fn op(&self) -> OpNumber {
        self.durable.op
    }

    /// Since when the oldest write is under way.
    pub(crate) fn waiting_since(&self) -> Option<Time> {
        self.in_flight.front().map(|write| write.since)
    }

    pub(crate) fn bytes_in_flight(&self) -> usize {
        self.in_flight.iter().map(|write| write.bytes).sum()
    }

    /// The op of the newest snapshot that is not durable yet.
    pub(crate) fn snapshot_on_its_way(&self) -> OpNumber {
        let in_flight = self.in_flight.iter().filter_map(|write| write.snapshot.as_ref());
        in_flight.chain(&self.dirty.snapshot).map(|snapshot| snapshot.op()).max().unwrap_or_default()
    }

    pub(crate) fn record_changed(&mut self) {
        self.dirty.record = true;
    }

    /// The log that was lost is about to be replaced: with the next write nothing of it is left.
    pub(crate) fn reset(&mut self) {
        self.dirty.reset = true;
    }

    pub(crate) fn appended(&mut self, entry: Entry) {
        self.dirty.entries.push(entry);
    }

    pub(crate) fn truncated(&mut self, above: OpNumber) {
        self.dirty.entries.retain(|entry| entry.last() <= above);
        self.dirty.truncate_above =
            Some(self.dirty.truncate_above.map_or(above, |earlier| earlier.min(above)));
        self.durable.op = self.durable.op.min(above);
        for write in &mut self.in_flight {
            write.state.op = write.state.op.min(above);
        }
    }

    pub(crate) fn snapshot_taken(&mut self, snapshot: Arc<Snapshot>) {
        self.dirty.snapshot = Some(snapshot);
    }

    pub(crate) fn trimmed(&mut self, through: OpNumber) {
        self.dirty.trim_through = Some(through);
    }

    pub(crate) fn is_clean(&self) -> bool {
        let Dirty { record, reset, snapshot, truncate_above, entries, trim_through } = &self.dirty;
        !record
            && !reset
            && snapshot.is_none()
            && truncate_above.is_none()
            && entries.is_empty()
            && trim_through.is_none()
    }
}

/// Numbers and times of writes are left out: states that differ in nothing else behave alike.
impl Hash for Durability {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let Self { boot: _, sequence: _, durable, in_flight, dirty, stage } = self;
        (durable, in_flight, dirty, stage).hash(hasher);
    }
}

impl Hash for InFlight {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let Self { sequence: _, state, snapshot, bytes, since: _ } = self;
        (state, snapshot, bytes).hash(hasher);
    }
}

impl Replica {
    /// One write for all that changed since the last.
    pub(super) fn flush(&mut self) {
        if self.durability.is_clean() {
            return;
        }
        let record = self.durability.dirty.record.then(|| Box::new(self.record()));
        if self.mutated(Mutation::LeaveOldTail) {
            self.durability.dirty.truncate_above = None;
        }
        let Durability { boot, sequence, in_flight, dirty, stage, .. } = &mut self.durability;
        *sequence += 1;
        let Dirty { reset, snapshot, truncate_above, entries, trim_through, .. } = core::mem::take(dirty);
        in_flight.push_back(InFlight {
            sequence: *sequence,
            state: State { stage: *stage, view: self.view, log_view: Some(self.log_view), op: self.log.op() },
            snapshot: snapshot.clone(),
            bytes: entries.iter().map(Entry::bytes).sum(),
            since: self.now.monotonic,
        });
        self.out.push(Effect::Append(Write {
            id: WriteId { boot: *boot, sequence: *sequence },
            record,
            reset,
            snapshot,
            truncate_above,
            entries,
            trim_through,
            commit: self.commit,
        }));
    }

    /// Decision 11: a watermark. What waited for it happens now.
    pub(super) fn on_persisted(&mut self, write: WriteId) {
        if write.boot != self.durability.boot && !self.mutated(Mutation::PersistedOfAnyBoot) {
            return;
        }
        let State { op: before, stage, .. } = self.durability.durable;
        while self.durability.in_flight.front().is_some_and(|first| first.sequence <= write.sequence) {
            let Some(done) = self.durability.in_flight.pop_front() else { break };
            self.durability.durable = done.state;
            if let Some(snapshot) = done.snapshot {
                self.on_snapshot_durable(snapshot);
            }
        }
        let durable = self.durability.durable.op;
        match &mut self.mode {
            Mode::Bootstrapping(_) => self.continue_bootstrap(stage),
            Mode::Primary(_) => self.announce_if_durable(),
            Mode::Backup(backup) => backup.ack_due |= durable > before,
            Mode::ViewChange(_) => self.send_do_view_change(),
            Mode::Recovering(_) | Mode::Stopped => {}
        }
    }

    /// The log may be trimmed once the snapshot that covers it is durable, never before (rule E1).
    fn on_snapshot_durable(&mut self, snapshot: Arc<Snapshot>) {
        let op = snapshot.op();
        self.snapshot = Some(snapshot);
        self.trim_behind(op);
    }

    /// What a replica a little behind may ask for stays (rule E2), and what somebody is fetching, as long as the log has room for it:
    /// a slow replica never makes the others wait.
    pub(super) fn trim_behind(&mut self, snapshot: OpNumber) {
        let limits = &self.config.limits;
        let kept = self.log.trim_point(snapshot, limits.log_keep_ops, limits.log_keep_bytes);
        let through = if self.mutated(Mutation::KeepNoTail) { snapshot } else { kept };
        let wanted = self.served.lowest(self.now.monotonic).unwrap_or(through).min(through);
        self.trim_log(wanted);
        if self.log_is_oversized() && wanted < through {
            self.served.let_go(through);
            self.trim_log(through);
        }
    }

    fn trim_log(&mut self, through: OpNumber) {
        if through > self.log.base() {
            self.log.trim_through(through);
            self.durability.trimmed(through);
            self.observe(Event::Trimmed { through });
        }
    }

    fn log_is_oversized(&self) -> bool {
        let limits = &self.config.limits;
        self.log.op().0 - self.log.base().0 > limits.log_ops_max || self.log.bytes() > limits.log_bytes_max
    }

    /// Whether nothing may be added: the storage is slow, or a snapshot does not get done and the log cannot be trimmed.
    pub(super) fn has_no_room(&mut self) -> bool {
        if self.storage_is_behind() {
            return true;
        }
        if !self.log_is_oversized() || self.mutated(Mutation::GrowWithoutBound) {
            return false;
        }
        if let Some(snapshot) = &self.snapshot {
            self.trim_behind(snapshot.op());
        }
        // Only a snapshot frees the log. What leads to the next one is let in, and nothing that comes after it.
        let snapshot_will_come =
            self.snapshot_is_under_way() || self.snapshot_is_owed() || self.boundary_is_in_the_log();
        self.log_is_oversized() && snapshot_will_come
    }

    /// Whether the whole log, and the view it belongs to, are durable (rule F1).
    pub(super) fn log_is_durable(&self) -> bool {
        self.durability.op() == self.log.op()
            && self.durability.log_view() == Some(self.log_view)
            && self.durability.view() == self.view
    }

    /// Whether the storage is so far behind that nothing may be added (the back-pressure of a slow disk).
    fn storage_is_behind(&self) -> bool {
        let limits = &self.config.limits;
        self.log.op().0.saturating_sub(self.durability.op().0.max(self.log.base().0))
            >= limits.pipeline_ops_max
            || self.durability.bytes_in_flight() >= limits.pipeline_bytes_max
    }

    /// What this replica counts as its own durable log when it votes.
    pub(super) fn own_acknowledgement(&self) -> OpNumber {
        if self.mutated(Mutation::OwnVoteBeforePersisted) { self.log.op() } else { self.durability.op() }
    }

    fn record(&self) -> Record {
        Record {
            cluster: self.config.cluster,
            group: self.config.group,
            replica: self.config.replica,
            incarnation: self.incarnation,
            membership: self.membership.clone(),
            formed: self.durability.stage == Stage::Formed,
            view: self.view,
            log_view: self.log_view,
            start_op: self.start_op,
        }
    }
}
