//! What must hold after every step, one file for each property (section J of the rule book).

mod agreement;
mod bounds;
mod comparable;
mod coverage;
mod durability;
mod exactly_once;
mod history;
mod leadership;
mod memory;
mod monotone;
mod promises;
mod sessions;
mod traces;
mod uniqueness;

pub use coverage::{Coverage, Mark};

use crate::{
    disk::{Disk, Failure, Finding},
    host::Host,
    subject::Hosted,
};
use bytes::Bytes;
use std::{collections::BTreeSet, fmt};
use vsr_core::{
    Answer, Asked, Entry, Event, Limits, Message, OpNumber, Replica, RequestNumber, SessionId, Snapshot,
    Status, StopReason, Write,
};

/// A property that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which one.
    pub property: &'static str,
    /// How it is broken.
    pub what: String,
}

impl Violation {
    /// A broken property.
    #[must_use]
    pub fn new(property: &'static str, what: String) -> Self {
        Self { property, what }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.property, self.what)
    }
}

/// All properties of one run. Replicas are named by their position.
#[derive(Debug)]
pub struct Checkers {
    agreement: agreement::Agreement,
    history: history::Histories,
    durability: durability::Durability,
    uniqueness: uniqueness::Uniqueness,
    leadership: leadership::Leadership,
    monotone: monotone::Monotone,
    comparable: comparable::Comparable,
    exactly_once: exactly_once::ExactlyOnce,
    sessions: sessions::SessionTables,
    bounds: bounds::Bounds,
    memory: memory::Memory,
    coverage: Coverage,
    /// Nothing is checked but what clients must know anyway.
    pub(crate) unchecked: bool,
    /// A replica may refuse to go on where a scenario wiped it.
    pub(crate) stops_allowed: bool,
    /// A client may hear of a conflict where a scenario makes it use a number twice.
    pub(crate) conflicts_allowed: bool,
    /// Whose disk was wiped: the group must refuse it (decision 12).
    wiped: BTreeSet<usize>,
}

impl Checkers {
    /// Checkers for a group, with the machine that theirs are compared with.
    #[must_use]
    pub fn new(replicas: usize, limits: &Limits, model: Box<dyn Hosted>) -> Self {
        Self {
            agreement: agreement::Agreement::new(replicas),
            history: history::Histories::new(model),
            durability: durability::Durability::new(replicas),
            uniqueness: uniqueness::Uniqueness::default(),
            leadership: leadership::Leadership::new(replicas),
            monotone: monotone::Monotone::new(replicas),
            comparable: comparable::Comparable::new(replicas),
            exactly_once: exactly_once::ExactlyOnce::default(),
            sessions: sessions::SessionTables::default(),
            bounds: bounds::Bounds::new(limits),
            memory: memory::Memory::new(replicas),
            coverage: Coverage::default(),
            unchecked: false,
            stops_allowed: false,
            conflicts_allowed: false,
            wiped: BTreeSet::new(),
        }
    }

    /// The highest op that any replica knows to be committed.
    #[must_use]
    pub fn committed(&self) -> OpNumber {
        self.agreement.committed()
    }

    /// Operations the state machine executed somewhere; each is counted once.
    #[must_use]
    pub fn executed(&self) -> u64 {
        self.history.executed()
    }

    /// Which paths were taken how often.
    #[must_use]
    pub fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// The highest op a client was answered for.
    #[must_use]
    pub fn answered(&self) -> OpNumber {
        self.exactly_once.answered()
    }

    pub(crate) fn on_start(&mut self, replica: usize, disk: &Disk) {
        self.agreement.on_start(replica);
        self.monotone.on_start(replica, disk);
        self.comparable.on_start(replica);
    }

    pub(crate) fn on_wipe(&mut self, replica: usize) {
        self.monotone.on_wipe(replica);
        self.coverage.on_wipe();
        self.wiped.insert(replica);
    }

    pub(crate) fn on_finding(&mut self, finding: Finding) {
        self.coverage.on_finding(finding);
    }

    pub(crate) fn on_failure(&mut self, failure: Failure) {
        self.coverage.on_failure(failure);
    }

    /// The log of a replica is lost.
    pub(crate) fn on_loss(&mut self, replica: usize, disk: &Disk) {
        self.monotone.on_loss(replica, disk);
        self.memory.on_loss(replica, disk);
    }

    pub(crate) fn on_send(
        &mut self,
        replica: usize,
        message: &Message,
        disk: &Disk,
    ) -> Result<(), Violation> {
        if self.unchecked {
            return Ok(());
        }
        promises::check(replica, message, disk)?;
        memory::Memory::on_send(replica, message, disk)?;
        self.uniqueness.on_send(message)
    }

    pub(crate) fn on_write(&mut self, replica: usize, write: &Write) -> Result<(), Violation> {
        if self.unchecked {
            return Ok(());
        }
        self.uniqueness.on_write(write)?;
        match &write.snapshot {
            Some(snapshot) => self.sessions.on_snapshot(replica, snapshot),
            None => Ok(()),
        }
    }

    pub(crate) fn on_event(&mut self, replica: usize, boot: u64, event: &Event) -> Result<(), Violation> {
        self.coverage.on_event(event);
        if self.unchecked {
            return Ok(());
        }
        self.sessions.on_event(event);
        self.memory.on_event(replica, event)?;
        self.leadership.on_event(replica, boot, event)
    }

    pub(crate) fn on_stop(&mut self, replica: usize, reason: &StopReason) -> Result<(), Violation> {
        self.coverage.on_stop(reason);
        if self.unchecked {
            return Ok(());
        }
        self.memory.on_stop(reason)?;
        let expected = match reason {
            StopReason::MemoryLost { .. } => true,
            StopReason::StrangeIncarnation { .. } if self.wiped.contains(&replica) => true,
            StopReason::Divergence { .. } => false,
            _ => self.stops_allowed,
        };
        if expected { Ok(()) } else { Err(Violation::new("stop", format!("replica {replica}: {reason}"))) }
    }

    pub(crate) fn on_install(
        &mut self,
        replica: usize,
        snapshot: &Snapshot,
        machine: &dyn Hosted,
    ) -> Result<(), Violation> {
        if self.unchecked {
            return Ok(());
        }
        self.sessions.on_snapshot(replica, snapshot)?;
        self.history.on_install(replica, snapshot.op(), machine)
    }

    pub(crate) fn on_apply(
        &mut self,
        replica: usize,
        entry: &Entry,
        index: usize,
        reply: &Bytes,
        machine: &dyn Hosted,
    ) -> Result<(), Violation> {
        if self.unchecked {
            self.history.count(OpNumber(entry.first().0 + index as u64));
            return self.exactly_once.on_apply(entry, index);
        }
        traces::check(replica, entry, index)?;
        self.history.on_apply(replica, entry, index, reply, machine)?;
        self.exactly_once.on_apply(entry, index)
    }

    pub(crate) fn on_answer(&mut self, of: &Asked, answer: &Answer) -> Result<(), Violation> {
        self.coverage.on_answer(answer);
        if self.unchecked {
            return Ok(());
        }
        if *answer == Answer::Conflict && self.conflicts_allowed {
            return Ok(());
        }
        self.sessions.on_answer(of, answer)
    }

    /// A replica runs a read on its state at `at`.
    pub(crate) fn on_read(
        &self,
        replica: usize,
        at: OpNumber,
        machine: &dyn Hosted,
    ) -> Result<(), Violation> {
        if self.unchecked {
            return Ok(());
        }
        self.history.on_read(replica, at, machine)
    }

    /// A client takes the answer to a read that had to reflect `floor`. Nothing that is asked from here on may know less.
    pub(crate) fn on_read_answered(&mut self, floor: OpNumber, at: OpNumber) -> Result<(), Violation> {
        if at < floor {
            let what = format!("a read that had to reflect {floor} was served at {at}");
            return Err(Violation::new("J10 linearizable", what));
        }
        self.exactly_once.saw(at);
        Ok(())
    }

    /// A client takes an answer to a request that it invoked when ops up to `floor` had been answered. The op it was executed at.
    pub(crate) fn on_reply(
        &mut self,
        session: SessionId,
        request: RequestNumber,
        floor: OpNumber,
        reply: Option<&Bytes>,
    ) -> Result<OpNumber, Violation> {
        // Clients need the op; the replies are only compared.
        let reply = reply.filter(|_| !self.unchecked);
        self.exactly_once.on_reply(session, request, floor, reply, &self.history)
    }

    pub(crate) fn after_step(&mut self, replica: usize, core: &Replica) -> Result<(), Violation> {
        if self.unchecked {
            return Ok(());
        }
        core.check_invariants();
        let status: Status = core.status();
        self.agreement.after_step(replica, core, &status)?;
        self.monotone.after_step(replica, &status)?;
        self.bounds.after_step(replica, &status, core)
    }

    /// What spans replicas; asked when a disk or the highest commit-number changed.
    pub(crate) fn across(&mut self, hosts: &[Host], disk_changed: bool) -> Result<(), Violation> {
        if self.unchecked {
            return Ok(());
        }
        self.comparable.check(hosts)?;
        if disk_changed {
            self.monotone.on_durable(hosts)?;
            self.memory.on_durable(hosts);
        }
        self.durability.check(hosts, &self.agreement, disk_changed)
    }

    /// What holds when everything is quiet: all replicas are equal.
    pub(crate) fn at_rest(&self, hosts: &[Host]) -> Result<(), Violation> {
        if self.unchecked {
            return Ok(());
        }
        self.sessions.at_rest(hosts)
    }
}
