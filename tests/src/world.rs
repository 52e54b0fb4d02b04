//! The replicas of one group, each on a machine of its own, and those who watch them. A world does nothing by itself: a
//! scenario or a simulation tells it what happens next.

use crate::{
    checkers::{Checkers, Violation},
    disk::{Disk, Fate, Rot, StorageMode, StorageMutations},
    host::{Host, Outbox, Storage, Watch},
    prng::mix,
    record::{Deed, Recording},
    subject::Subject,
    trace::Trace,
};
use std::{mem, rc::Rc};
use vsr_core::{Config, Input, Now, WriteId};

/// Replicas, checkers and trace.
#[derive(Debug)]
pub struct World {
    /// The replicas, by position.
    pub hosts: Vec<Host>,
    /// What must hold.
    pub checkers: Checkers,
    /// What happened.
    pub trace: Trace,
    /// Inputs given to replicas so far.
    pub steps: u64,
    /// All that was done, if somebody writes it down.
    pub recording: Option<Recording>,
    seed: u64,
}

impl World {
    /// A world of replicas that are all down, on empty disks.
    #[must_use]
    pub fn new(
        configs: Vec<Config>,
        storage: Storage,
        trace: Trace,
        seed: u64,
        subject: &Rc<dyn Subject>,
    ) -> Self {
        let checkers = Checkers::new(configs.len(), &configs[0].limits, subject.model());
        let host = |(i, config)| Host::new(i, config, storage, Rc::clone(subject));
        let hosts = configs.into_iter().enumerate().map(host).collect();
        Self { hosts, checkers, trace, steps: 0, recording: None, seed }
    }

    /// Gives every replica an empty disk of a kind, before they start.
    pub fn equip(&mut self, mode: StorageMode, mutations: StorageMutations) {
        self.hosts.iter_mut().for_each(|host| host.disk = Disk::new(mode, mutations));
    }

    /// The position of a replica.
    #[must_use]
    pub fn position(&self, id: vsr_core::ReplicaId) -> usize {
        self.hosts.iter().position(|host| host.id() == id).expect("replicas send only to members")
    }

    /// What all chance inside of its replicas comes from.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Starts a replica on what its disk holds.
    ///
    /// # Errors
    /// A property that does not hold.
    pub fn start(&mut self, replica: usize, now: Now, out: &mut Outbox) -> Result<(), Violation> {
        self.record(replica, || Deed::Start { now });
        // What other replicas do changes nothing about this one's luck.
        let seed = mix(self.seed ^ mix((replica as u64) << 32 | self.hosts[replica].boots));
        self.trace.tell(|| format!("R{replica} starts"));
        let (host, mut watch) = self.watch(replica);
        let result = host.start(now, seed, out, &mut watch);
        self.note_outcome(replica, out, None);
        result?;
        self.settle_turn(replica)
    }

    /// One turn of a replica; it may crash in the middle.
    ///
    /// # Errors
    /// A property that does not hold.
    pub fn turn(
        &mut self,
        replica: usize,
        now: Now,
        inputs: &mut Vec<Input>,
        out: &mut Outbox,
    ) -> Result<(), Violation> {
        self.record(replica, || Deed::Turn { now, inputs: inputs.clone(), crash_after: None });
        let crash_after = self.hosts[replica].crash_after;
        let (idle, before) = (inputs.is_empty(), self.trace.hash());
        let (host, mut watch) = self.watch(replica);
        let result = host.turn(now, inputs, out, &mut watch);
        self.note_outcome(replica, out, crash_after);
        if idle && result.is_ok() && self.trace.hash() == before {
            self.forget_step();
        }
        result?;
        self.settle_turn(replica)
    }

    /// A replica's storage has done a write and all before it.
    ///
    /// # Errors
    /// A property that does not hold.
    pub fn persist(&mut self, replica: usize, id: WriteId) -> Result<(), Violation> {
        let before = self.hosts[replica].disk.pending();
        let (host, mut watch) = self.watch(replica);
        host.persist(id, &mut watch);
        let writes = before - self.hosts[replica].disk.pending();
        self.record(replica, || Deed::Persist { id, writes });
        self.settle_turn(replica)
    }

    /// A replica is gone, and with it what was not durable.
    pub fn crash(&mut self, replica: usize) {
        self.crash_with(replica, Fate::Lost);
    }

    /// A replica is gone, and what was not durable has its fate.
    pub fn crash_with(&mut self, replica: usize, fate: Fate) {
        self.record(replica, || Deed::Crash { fate });
        self.trace.tell(|| format!("R{replica} crashes"));
        self.trace.note(|| format!("  of what was not flushed: {fate:?}"));
        self.hosts[replica].crash(fate);
        self.note_loss(replica);
    }

    /// A replica is gone, and with it its log; the record stays (rule F5).
    pub fn lose(&mut self, replica: usize) {
        self.crash(replica);
        self.rot(replica, Rot::Frame { index: 0, zeroed: false });
    }

    fn note_loss(&mut self, replica: usize) {
        let host = &self.hosts[replica];
        if host.disk.is_lost() {
            self.trace.tell(|| format!("R{replica} has lost its log"));
            self.checkers.on_loss(replica, &host.disk);
        }
    }

    /// A replica loses its disk as well.
    pub fn wipe(&mut self, replica: usize) {
        self.crash(replica);
        self.record(replica, || Deed::Wipe);
        self.trace.tell(|| format!("R{replica} is wiped"));
        self.hosts[replica].disk.wipe();
        self.hosts[replica].wiped = true;
        self.checkers.on_wipe(replica);
    }

    /// Turns bits of what a replica has flushed; false if there is nothing.
    pub fn rot(&mut self, replica: usize, rot: Rot) -> bool {
        self.record(replica, || Deed::Rot { rot });
        self.trace.tell(|| format!("R{replica} rots: {rot:?}"));
        let host = &mut self.hosts[replica];
        host.disk_changed = true;
        let found = host.disk.rot(rot);
        self.note_loss(replica);
        found
    }

    /// A flush of a replica's storage fails.
    pub fn fail_flush(&mut self, replica: usize) {
        self.record(replica, || Deed::FailFlush);
        let (host, mut watch) = self.watch(replica);
        host.fail_flush(&mut watch);
    }

    /// A replica's disk has no room, or has it again.
    pub fn fill(&mut self, replica: usize, full: bool) {
        self.record(replica, || Deed::Fill { full });
        self.trace.tell(|| format!("R{replica}: disk full: {full}"));
        self.hosts[replica].disk.full = full;
    }

    /// Replicas that do not have what they promised, or will not have it after their next start. The group bears as many as may fail.
    #[must_use]
    pub fn without_memory(&self) -> usize {
        self.hosts.iter().filter(|host| host.is_forgetful()).count()
    }

    /// Whether the group can bear it that a replica loses its memory. Before it is formed there is nothing to remember.
    #[must_use]
    pub fn may_lose_memory(&self, replica: usize) -> bool {
        let formed = self.hosts.iter().all(|host| host.is_out() || host.disk.is_formed());
        formed && !self.hosts[replica].is_out() && self.can_bear_a_loss(replica)
    }

    /// Whether so few others are without memory that one more does not matter.
    #[must_use]
    pub fn can_bear_a_loss(&self, replica: usize) -> bool {
        let others = self.hosts.iter().filter(|host| host.index != replica && host.is_forgetful()).count();
        others < (self.hosts.len() - 1) / 2
    }

    /// From now on a replica's state machine gives other replies than it should (decision 14).
    pub fn bewitch(&mut self, replica: usize) {
        self.hosts[replica].bewitched = true;
        self.checkers.stops_allowed = true;
    }

    fn record(&mut self, replica: usize, deed: impl FnOnce() -> Deed) {
        if let Some(recording) = &mut self.recording {
            recording.begin(replica, deed());
        }
    }

    /// A turn without an input and without an effect is no step.
    fn forget_step(&mut self) {
        if let Some(recording) = &mut self.recording {
            recording.steps.pop();
        }
    }

    fn note_outcome(&mut self, replica: usize, out: &Outbox, crash_after: Option<u64>) {
        if let Some(recording) = &mut self.recording {
            let host = &self.hosts[replica];
            let crashed = !host.is_up() && host.stopped.is_none();
            recording.finish(out, crash_after.filter(|_| crashed));
        }
    }

    fn watch(&mut self, replica: usize) -> (&mut Host, Watch<'_>) {
        let Self { hosts, checkers, trace, steps, .. } = self;
        (&mut hosts[replica], Watch { checkers, trace, steps })
    }

    fn settle_turn(&mut self, replica: usize) -> Result<(), Violation> {
        let disk_changed = mem::take(&mut self.hosts[replica].disk_changed);
        self.checkers.across(&self.hosts, disk_changed)
    }
}
