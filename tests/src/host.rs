//! One replica and what surrounds it: state machine, storage, clients that wait here. Carries out the core's effects in order.

use crate::{
    checkers::{Checkers, Violation},
    disk::{Disk, Failure, Fate},
    states::States,
    subject::{Hosted, Subject},
    trace::{Trace, describe, describe_executed, describe_write, fingerprint},
};
use bytes::Bytes;
use std::{collections::BTreeMap, mem, rc::Rc};
use vsr_core::{
    Answer, Asked, Config, Effect, Entry, Event, Input, Lookup, Message, Now, OpNumber, Origin, ReadId,
    Refusal, Replica, ReplicaId, Restored, Status, StatusName, StopReason, Time, WriteId, checksum,
};

/// Turns of one instant that are still no endless loop.
const ROUNDS_MAX: usize = 1_000;

/// What a client hears from a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The state machine's reply, fresh.
    Executed(OpNumber, Bytes),
    /// Anything the core says.
    Told(Answer),
}

/// What a read brought: the op that the state reflected, and the value that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The op.
    pub at: OpNumber,
    /// The value, if the machine has it.
    pub value: Option<String>,
}

/// Who waits for a read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reader {
    /// The client.
    pub client: usize,
    /// Which of its reads.
    pub number: u64,
    /// The value it wants to see.
    pub name: String,
}

/// What a turn gave to the outside.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Messages, in order.
    pub sent: Vec<(ReplicaId, Message)>,
    /// Writes that wait for the storage.
    pub writes: Vec<WriteId>,
    /// Snapshots that are being written out.
    pub snapshots: Vec<OpNumber>,
    /// How many parts of states are being staged.
    pub parts: usize,
    /// Answers to waiting clients.
    pub answers: Vec<(usize, Asked, Heard)>,
    /// Reads that were served or refused.
    pub reads: Vec<(Reader, Result<Seen, Refusal>)>,
    /// What happened, for people.
    pub events: Vec<Event>,
    /// Operations committed, for people.
    pub commits: Vec<(Entry, usize, Bytes)>,
}

/// Who watches a turn.
#[derive(Debug)]
pub struct Watch<'a> {
    /// The properties.
    pub checkers: &'a mut Checkers,
    /// The trace.
    pub trace: &'a mut Trace,
    /// Counts inputs.
    pub steps: &'a mut u64,
}

/// How a host's storage answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// In the call itself.
    Immediate,
    /// When it is told to.
    Delayed,
}

/// One replica on its machine.
#[derive(Debug)]
pub struct Host {
    pub(crate) index: usize,
    pub(crate) config: Config,
    pub(crate) core: Option<Replica>,
    subject: Rc<dyn Subject>,
    pub(crate) machine: Box<dyn Hosted>,
    pub(crate) disk: Disk,
    pub(crate) storage: Storage,
    /// How its snapshots are written out.
    pub(crate) snapshots: Storage,
    /// How states that arrive are staged.
    pub(crate) stages: Storage,
    pub(crate) states: States,
    pub(crate) stopped: Option<StopReason>,
    /// Why its storage engine gave up.
    pub(crate) failed: Option<Failure>,
    /// Its disk was wiped: the group must not have it back.
    pub(crate) wiped: bool,
    pub(crate) boots: u64,
    /// Set when the disk changed and the properties of disks were not checked yet.
    pub(crate) disk_changed: bool,
    /// Crash when this many more effects were carried out: the effects of a turn are not atomic.
    pub(crate) crash_after: Option<u64>,
    /// Its state machine gives other replies than it should: what decision 14 is for. The checkers do not look at them.
    pub(crate) bewitched: bool,
    /// Whether events and commits are collected for people.
    pub(crate) observed: bool,
    /// What this replica executed since it started, for the `expect executed` of scenarios.
    pub(crate) history: Vec<(OpNumber, Bytes)>,
    waiters: BTreeMap<Asked, (usize, u64)>,
    readers: BTreeMap<ReadId, Reader>,
    /// Counts reads, across boots.
    reads: u64,
    applied: OpNumber,
    next_tick: Option<u64>,
    effects: Vec<Effect>,
    follow_ups: Vec<Input>,
}

impl Host {
    pub(crate) fn new(index: usize, config: Config, storage: Storage, subject: Rc<dyn Subject>) -> Self {
        Self {
            index,
            config,
            core: None,
            machine: subject.machine(),
            subject,
            disk: Disk::default(),
            storage,
            snapshots: storage,
            stages: storage,
            states: States::default(),
            stopped: None,
            failed: None,
            wiped: false,
            boots: 0,
            disk_changed: false,
            crash_after: None,
            bewitched: false,
            observed: false,
            history: Vec::new(),
            waiters: BTreeMap::new(),
            readers: BTreeMap::new(),
            reads: 0,
            applied: OpNumber(0),
            next_tick: None,
            effects: Vec::new(),
            follow_ups: Vec::new(),
        }
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> ReplicaId {
        self.config.replica
    }

    /// What the replica knows of itself, if it runs.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        self.core.as_ref().map(Replica::status)
    }

    /// Its state machine.
    #[must_use]
    pub fn machine(&self) -> &dyn Hosted {
        &*self.machine
    }

    /// Its storage.
    #[must_use]
    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Whether it runs.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.core.is_some()
    }

    /// Why its storage engine gave up, if it did.
    #[must_use]
    pub fn failed(&self) -> Option<Failure> {
        self.failed
    }

    /// Whether it is out for good: what it promised is gone.
    #[must_use]
    pub fn is_out(&self) -> bool {
        self.wiped || self.disk.is_unreadable()
    }

    /// Whether it does not have what it promised, or will not have it after its next start.
    #[must_use]
    pub fn is_forgetful(&self) -> bool {
        let about_to_crash = self.crash_after.is_some() || self.disk.full;
        self.is_out() || self.disk.is_doomed() || self.disk.forgets() && about_to_crash
    }

    /// When it wants to be woken, by its own clock.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        self.core.as_ref().map(Replica::deadline)
    }

    /// Remembers who wants to hear the answer.
    pub fn wait(&mut self, of: Asked, client: usize, checksum: u64) {
        self.waiters.insert(of, (client, checksum));
    }

    /// Remembers who reads, and gives the read a name.
    pub fn ask(&mut self, reader: Reader) -> ReadId {
        self.reads += 1;
        self.readers.insert(ReadId(self.reads), reader);
        ReadId(self.reads)
    }

    /// Reads the state as it is, if the replica runs.
    ///
    /// # Errors
    /// When the state is not that of the op.
    pub(crate) fn read_stale(&self, name: &str, checkers: &Checkers) -> Result<Option<Seen>, Violation> {
        // A replica without a log has no state to show.
        let Some(status) = self.status().filter(|status| status.status != StatusName::Recovering) else {
            return Ok(None);
        };
        checkers.on_read(self.index, status.applied, &*self.machine)?;
        Ok(Some(Seen { at: status.applied, value: self.machine.value(name) }))
    }

    /// Starts the replica on what its storage holds.
    pub(crate) fn start(
        &mut self,
        now: Now,
        seed: u64,
        out: &mut Outbox,
        watch: &mut Watch<'_>,
    ) -> Result<(), Violation> {
        self.boots += 1;
        self.machine = self.subject.machine();
        self.applied = OpNumber(0);
        self.next_tick = None;
        self.history.clear();
        self.states = States::default();
        self.stopped = None;
        self.failed = None;
        self.config.seed = seed;
        let Some(restored) = self.open(watch)? else { return Ok(()) };
        let mut effects = mem::take(&mut self.effects);
        let started = Replica::start(now, self.config.clone(), restored, &mut effects);
        self.effects = effects;
        match started {
            Ok(core) => self.core = Some(core),
            Err(error) => return Err(Violation::new("start", format!("{}: {error}", self.id()))),
        }
        watch.checkers.on_start(self.index, &self.disk);
        self.turn(now, &mut Vec::new(), out, watch)
    }

    /// What the storage holds, unless it cannot be read.
    fn open(&mut self, watch: &mut Watch<'_>) -> Result<Option<Restored>, Violation> {
        let broken = |what| Violation::new("storage", format!("{}: {what}", self.config.replica));
        if self.disk.is_open() {
            // The process ended, not the machine; but nobody waits for what was under way.
            self.disk.crash();
        }
        self.disk.check_word().map_err(broken)?;
        self.disk_changed = true;
        match self.disk.open() {
            Ok((restored, findings)) => {
                let id = self.id();
                watch.trace.note(|| format!("  {id} opens its storage: {findings:?}"));
                findings.into_iter().for_each(|finding| watch.checkers.on_finding(finding));
                Ok(Some(restored))
            }
            Err(failure) => {
                self.fail(failure, watch);
                Ok(None)
            }
        }
    }

    /// The storage engine gives up, and the process with it.
    pub(crate) fn fail(&mut self, failure: Failure, watch: &mut Watch<'_>) {
        let id = self.id();
        watch.trace.note(|| format!("  {id} fails: {failure}"));
        watch.checkers.on_failure(failure);
        self.failed = Some(failure);
        self.core = None;
    }

    /// A flush fails. A careful engine ends its process; a careless one flushes again (rule F6).
    pub(crate) fn fail_flush(&mut self, watch: &mut Watch<'_>) {
        if self.disk.retries_failed_flush() {
            self.disk.forget_pending();
        } else {
            self.fail(Failure::FlushFailed, watch);
        }
    }

    /// A crash: the process is gone, and what was not durable has its fate.
    pub(crate) fn crash(&mut self, fate: Fate) {
        self.core = None;
        self.crash_after = None;
        self.disk.crash_with(fate);
        self.disk_changed = true;
        self.states = States::default();
        self.waiters.clear();
        self.readers.clear();
        self.effects.clear();
        self.follow_ups.clear();
    }

    /// One turn: all inputs, then effects and follow-ups until nothing is left to do.
    pub(crate) fn turn(
        &mut self,
        now: Now,
        inputs: &mut Vec<Input>,
        out: &mut Outbox,
        watch: &mut Watch<'_>,
    ) -> Result<(), Violation> {
        let mut effects = mem::take(&mut self.effects);
        for input in inputs.drain(..) {
            let Some(core) = &mut self.core else { break };
            *watch.steps += 1;
            core.step(now, input, &mut effects);
        }
        for round in 0.. {
            let Some(core) = &mut self.core else { break };
            core.end_turn(now, &mut effects);
            if effects.is_empty() {
                break;
            }
            if round == ROUNDS_MAX {
                return Err(Violation::new("J14 progress", format!("{}: a turn never ends", self.id())));
            }
            for effect in effects.drain(..) {
                if let Some(left) = &mut self.crash_after {
                    if *left == 0 {
                        self.core = None;
                    }
                    *left = left.saturating_sub(1);
                }
                if self.core.is_none() {
                    // The rest of the turn never happens; the world notices that the core is gone.
                    break;
                }
                self.carry_out(effect, out, watch)?;
            }
            self.report_alarm()?;
            let mut follow_ups = mem::take(&mut self.follow_ups);
            for input in follow_ups.drain(..) {
                let Some(core) = &mut self.core else { continue };
                *watch.steps += 1;
                core.step(now, input, &mut effects);
            }
            self.follow_ups = follow_ups;
        }
        effects.clear();
        self.effects = effects;
        self.check(watch)
    }

    fn check(&mut self, watch: &mut Watch<'_>) -> Result<(), Violation> {
        match &self.core {
            Some(core) => watch.checkers.after_step(self.index, core),
            None => Ok(()),
        }
    }

    fn carry_out(
        &mut self,
        effect: Effect,
        out: &mut Outbox,
        watch: &mut Watch<'_>,
    ) -> Result<(), Violation> {
        let id = self.id();
        match effect {
            Effect::Send { to, message } => {
                watch.trace.fold(fingerprint(&message));
                watch.trace.note(|| format!("  {id} -> {to} {}", describe(&message)));
                watch.checkers.on_send(self.index, &message, &self.disk)?;
                out.sent.push((to, message));
            }
            Effect::Append(write) => {
                watch.trace.fold(write.id.sequence);
                watch.trace.note(|| format!("  {id} writes {}", describe_write(&write)));
                watch.checkers.on_write(self.index, &write)?;
                if self.disk.full {
                    self.fail(Failure::DiskFull, watch);
                    return Ok(());
                }
                let write_id = write.id;
                let at_once = self.storage == Storage::Immediate || self.disk.is_instant(&write);
                self.disk.submit(write);
                if at_once {
                    self.persist(write_id, watch);
                } else {
                    out.writes.push(write_id);
                }
                if at_once || self.disk.says_too_early() {
                    self.follow_ups.push(Input::Persisted(write_id));
                }
            }
            Effect::Commit { entry, range } => self.commit(&entry, range, out, watch)?,
            Effect::Answer { of, answer } => {
                watch.trace.note(|| format!("  {id} answers {of:?} {answer:?}"));
                watch.checkers.on_answer(&of, &answer)?;
                if let Some((client, _)) = self.waiters.remove(&of) {
                    out.answers.push((client, of, Heard::Told(answer)));
                }
            }
            Effect::Read { id: read, at } => {
                watch.trace.fold(at.0 ^ read.0 << 32);
                watch.trace.note(|| format!("  {id} serves {read} at {at}"));
                watch.checkers.on_read(self.index, at, &*self.machine)?;
                if let Some(reader) = self.readers.remove(&read) {
                    let value = self.machine.value(&reader.name);
                    out.reads.push((reader, Ok(Seen { at, value })));
                }
            }
            Effect::ReadRefused { id: read, reason } => {
                watch.trace.note(|| format!("  {id} refuses {read}: {reason:?}"));
                out.reads.extend(self.readers.remove(&read).map(|reader| (reader, Err(reason))));
            }
            Effect::TakeSnapshot { op } => {
                watch.trace.fold(op.0);
                let state = self.machine.snapshot()?;
                self.states.freeze(op, state);
                if self.snapshots == Storage::Immediate {
                    self.follow_ups.extend(self.states.write_out(op, true));
                } else {
                    out.snapshots.push(op);
                }
            }
            Effect::Stage(part) => {
                watch.trace.fold(part.id.0 ^ part.offset << 16);
                watch
                    .trace
                    .note(|| format!("  {id} stages the state of {} from {}", part.header.op, part.offset));
                self.states.stage(*part)?;
                if self.stages == Storage::Immediate {
                    self.follow_ups.extend(self.states.finish_parts());
                } else {
                    out.parts += 1;
                }
            }
            Effect::Unstage => self.states.unstage(),
            Effect::TakeDigest { op } => {
                let digest = self.machine.digest()?;
                if let Some(core) = &mut self.core {
                    core.digested(op, digest);
                }
            }
            Effect::InstallSnapshot(snapshot) => {
                watch.trace.fold(snapshot.op().0);
                watch.trace.tell(|| format!("  {id} installs the snapshot of {}", snapshot.op()));
                let unreadable =
                    |error| Violation::new("snapshot", format!("{id} cannot read a state: {error}"));
                let state = snapshot.state().read(0, usize::MAX).map_err(unreadable)?;
                self.machine.restore(&state)?;
                watch.checkers.on_install(self.index, &snapshot, &*self.machine)?;
                self.applied = snapshot.op();
                self.resolve_waiters(out);
            }
            Effect::Observe(event) => {
                match event {
                    Event::LeadershipStarted { view } => watch.trace.tell(|| format!("  {id} leads {view}")),
                    _ => watch.trace.note(|| format!("  {id}: {event:?}")),
                }
                watch.checkers.on_event(self.index, self.boots, &event)?;
                if self.observed {
                    out.events.push(event);
                }
            }
            Effect::Stop(reason) => {
                watch.trace.tell(|| format!("  {id} stops: {reason}"));
                self.stopped = Some(reason.clone());
                self.core = None;
                return watch.checkers.on_stop(self.index, &reason);
            }
        }
        Ok(())
    }

    fn commit(
        &mut self,
        entry: &Entry,
        range: std::ops::Range<usize>,
        out: &mut Outbox,
        watch: &mut Watch<'_>,
    ) -> Result<(), Violation> {
        let id = self.id();
        watch.trace.fold(entry.hash().0 as u64 ^ range.start as u64);
        let first = entry.op(range.start);
        let mut replies = Vec::with_capacity(range.len());
        for index in range {
            let op = entry.op(index);
            if op <= self.applied {
                return Err(Violation::new(
                    "J2 prefix",
                    format!("{id} executes {op} after {}", self.applied),
                ));
            }
            self.applied = op;
            let origin = entry.origin(index);
            let asked = match origin {
                Origin::Request { session, request, .. } => Some(Asked::Request(session, request)),
                Origin::Tick => None,
                Origin::Register { .. } => {
                    return Err(Violation::new(
                        "J2 prefix",
                        format!("{id}: a registration given to the machine"),
                    ));
                }
            };
            let machine = &mut self.machine;
            let reply = machine.apply(entry, index)?;
            watch.trace.fold(checksum(&reply));
            watch.trace.tell(|| {
                let operation = describe_executed(&**machine, entry, index);
                let reply = asked.map_or(String::new(), |_| format!(" = {}", machine.describe_reply(&reply)));
                format!("  {id} executes {op} {operation}{reply}")
            });
            let reply = if self.bewitched { Bytes::from_static(b"bewitched") } else { reply };
            if !self.bewitched {
                watch.checkers.on_apply(self.index, entry, index, &reply, &*self.machine)?;
            }
            replies.push(reply.clone());
            if let Some((client, _)) = asked.and_then(|asked| self.waiters.remove(&asked)) {
                out.answers.push((
                    client,
                    asked.expect("it was removed"),
                    Heard::Executed(op, reply.clone()),
                ));
            }
            if self.observed {
                self.history.push((op, entry.operation(index)));
                out.commits.push((entry.clone(), index, reply));
            }
        }
        if let Some(core) = &mut self.core {
            core.applied_all(first, replies.iter().map(|reply| &reply[..]));
        }
        Ok(())
    }

    /// Makes writes durable up to `id`.
    pub(crate) fn persist(&mut self, id: WriteId, watch: &mut Watch<'_>) {
        if self.disk.complete(id) {
            watch.trace.fold(id.sequence);
            self.disk_changed = true;
        }
    }

    /// After a snapshot no commit will answer those it covers (decision 17).
    fn resolve_waiters(&mut self, out: &mut Outbox) {
        let Some(core) = &self.core else { return };
        let applied = self.applied;
        self.waiters.retain(|of, (client, checksum)| {
            let answer = match *of {
                Asked::Register(client) => core.session_of(client).map(Answer::Registered),
                Asked::Request(session, request) => match core.lookup(session, request, *checksum) {
                    Lookup::New | Lookup::Pending => None,
                    Lookup::NoSession => (session.number <= applied).then_some(Answer::Evicted),
                    Lookup::Reply(reply) => Some(Answer::Reply(reply)),
                    Lookup::Gone => Some(Answer::ReplyGone),
                    Lookup::Conflict => Some(Answer::Conflict),
                },
            };
            let answered = answer.is_some();
            out.answers.extend(answer.map(|answer| (*client, *of, Heard::Told(answer))));
            !answered
        });
    }

    /// Tells the core what the machine wants of time, when that changed (decision 16).
    fn report_alarm(&mut self) -> Result<(), Violation> {
        let wanted = self.machine.next_tick()?;
        if wanted != self.next_tick {
            self.next_tick = wanted;
            self.follow_ups.push(Input::NextTick(wanted));
        }
        Ok(())
    }
}
