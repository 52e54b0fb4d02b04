//! One seed decides everything: speeds, faults, clients. First anything may break, and nothing may be wrong; then most
//! is healed, and clients must be served; then everything, and all replicas must become equal (J14).

mod clients;
mod clock;
mod faults;
mod network;
mod phases;
mod queue;
mod reads;
mod storage;
mod swarm;

pub use phases::{Report, messages, run};
pub(crate) use phases::{record, run_subject};

use crate::{
    checkers::{Coverage, Violation},
    disk::{StorageMode, StorageMutations},
    faults::Faults,
    host::Outbox,
    prng::{Prng, mix},
    subject::Subject,
    trace::{Trace, describe},
    world::World,
};
use clients::Workload;
use clock::Clock;
pub(crate) use clock::UNIX_START;
use network::Network;
use queue::{Event, Queue};
use std::{mem, rc::Rc};
use swarm::Swarm;
use vsr_core::{Asked, Input, Message, Mutations, Request};

/// No run needs as many for each operation that it must execute.
const EVENTS_PER_OPERATION_MAX: u64 = 30_000;

/// What is the same for all seeds of a run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many replicas; the seed decides if nobody else does.
    pub replicas: Option<usize>,
    /// Every crash takes the log (VIEW-DURABLE), in every seed; else a seed decides for itself.
    pub view_durable: bool,
    /// Any number of replicas may lose their logs at once. Then no progress is owed, and a run ends when its faults do.
    pub too_many_losses: bool,
    /// How many clients; the seed decides if nobody else does.
    pub clients: Option<usize>,
    /// How many operations a run executes at least.
    pub operations: u64,
    /// Bytes of an operation, at most.
    pub operation_bytes_max: usize,
    /// After how many operations a snapshot is taken; the seed decides if nobody else does.
    pub snapshot_interval_ops: Option<u64>,
    /// What may break.
    pub faults: Faults,
    /// Rules that are switched off.
    pub mutations: Mutations,
    /// Rules of the storage that are switched off.
    pub storage: StorageMutations,
    /// Nobody looks: no property is checked. How fast the simulation itself is.
    pub unchecked: bool,
    /// What is kept of the trace.
    pub telling: Telling,
}

/// How much of a trace is kept to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Telling {
    /// Only its hash.
    #[default]
    Nothing,
    /// What matters to somebody who does not know the protocol.
    Story,
    /// Everything.
    Details,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            replicas: None,
            view_durable: false,
            too_many_losses: false,
            clients: None,
            operations: 100,
            operation_bytes_max: 256,
            snapshot_interval_ops: None,
            faults: Faults::default(),
            mutations: Mutations::default(),
            storage: StorageMutations::default(),
            unchecked: false,
            telling: Telling::Nothing,
        }
    }
}

/// What a run, or many, did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Runs.
    pub seeds: u64,
    /// Inputs to replicas.
    pub steps: u64,
    /// Operations executed by the group.
    pub requests: u64,
    /// Reads beside the log that were served.
    pub reads: u64,
    /// Crashes.
    pub crashes: u64,
    /// Partitions, of one direction or both.
    pub partitions: u64,
    /// Views that started after the first.
    pub view_changes: u64,
    /// Requests whose outcome no client ever learned.
    pub unknown: u64,
    /// Paths taken.
    pub coverage: Coverage,
}

impl Totals {
    /// Adds another run.
    pub fn merge(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.steps += other.steps;
        self.requests += other.requests;
        self.reads += other.reads;
        self.crashes += other.crashes;
        self.partitions += other.partitions;
        self.view_changes += other.view_changes;
        self.unknown += other.unknown;
        self.coverage.merge(&other.coverage);
    }
}

/// A machine around a replica, as the simulation sees it.
#[derive(Debug, Default)]
struct Site {
    /// Started, and not crashed since.
    running: bool,
    /// Stays down, or deaf, until everything is healed.
    banned: bool,
    inbox: Vec<Input>,
    mailbox: Vec<(usize, Request)>,
    turn_scheduled: bool,
    /// The time of the earliest timer event under way.
    timer_at: Option<u64>,
    paused_until: u64,
    write_done_at: u64,
    clock: Clock,
}

/// One run.
#[derive(Debug)]
pub struct Course {
    subject: Rc<dyn Subject>,
    world: World,
    sites: Vec<Site>,
    network: Network,
    workload: Workload,
    queue: Queue,
    swarm: Swarm,
    prng: Prng,
    /// Decides about parts of states: what else a seed draws does not depend on how many there are.
    states: Prng,
    now: u64,
    faults: bool,
    /// Events so far: a world that spins without getting anywhere is found by it.
    events: u64,
    totals: Totals,
    out: Outbox,
    inputs: Vec<Input>,
    /// Messages sent, if somebody collects them.
    collected: Option<Vec<Message>>,
}

impl Course {
    /// The run of a seed, about to begin.
    #[must_use]
    pub fn new(seed: u64, options: Options, subject: Rc<dyn Subject>) -> Self {
        let mut prng = Prng::new(seed);
        let swarm = Swarm::draw(&mut prng, &options);
        let trace = match options.telling {
            Telling::Nothing => Trace::default(),
            Telling::Story => Trace::story(),
            Telling::Details => Trace::verbose(),
        };
        let configs = swarm.configs(options.mutations);
        let mut world = World::new(configs, swarm.storage, trace, prng.bits(), &subject);
        world.checkers.unchecked = options.unchecked;
        let mode = if swarm.forgets { StorageMode::ViewDurable } else { StorageMode::Durable };
        world.equip(mode, options.storage);
        let site = |prng: &mut Prng| Site {
            clock: Clock::new(
                prng.below(1 << 40),
                prng.below(swarm.heartbeat_timeout),
                prng.below(swarm.drift_ppm + 1),
            ),
            ..Site::default()
        };
        Self {
            sites: (0..swarm.replicas).map(|_| site(&mut prng)).collect(),
            network: Network::new(swarm.replicas),
            workload: Workload::new(&swarm, &mut prng),
            queue: Queue::default(),
            subject,
            world,
            swarm,
            prng,
            states: Prng::new(mix(seed)),
            now: 0,
            faults: true,
            events: 0,
            totals: Totals { seeds: 1, ..Totals::default() },
            out: Outbox::default(),
            inputs: Vec::new(),
            collected: None,
        }
    }

    /// What it did so far.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let coverage = self.world.checkers.coverage().clone();
        Totals {
            steps: self.world.steps,
            requests: self.world.checkers.executed(),
            view_changes: coverage.of("LeadershipStarted").saturating_sub(1),
            unknown: self.workload.unknown(),
            coverage,
            ..self.totals.clone()
        }
    }

    /// The trace so far.
    #[must_use]
    pub fn trace(&self) -> &Trace {
        &self.world.trace
    }

    /// The world as it is now.
    #[must_use]
    pub fn world(&self) -> &World {
        &self.world
    }

    /// The next thing that happens.
    fn advance(&mut self) -> Result<(), Violation> {
        let (at, event) = self.queue.pop().expect("replicas always have a timer, clients always wake");
        self.now = self.now.max(at);
        self.events += 1;
        if self.events > self.swarm.operations.saturating_mul(EVENTS_PER_OPERATION_MAX) {
            return Err(Violation::new("J14 progress", format!("{} events, and no end", self.events)));
        }
        if let Some(replica) = event.replica() {
            let paused_until = self.sites[replica].paused_until;
            if paused_until > self.now {
                self.queue.at(paused_until, event);
                return Ok(());
            }
        }
        match event {
            Event::Deliver { replica, message } => {
                if self.world.hosts[replica].is_up() {
                    let now = self.now;
                    self.world.trace.note(|| {
                        format!("{now}: R{replica} hears of {} {}", message.from, describe(&message))
                    });
                    self.sites[replica].inbox.push(Input::Message(message));
                    self.schedule_turn(replica);
                }
                Ok(())
            }
            Event::Persisted { replica, id } => {
                if self.flush_fails(replica, id) {
                    return self.after_turn(replica);
                }
                self.world.persist(replica, id)?;
                if self.world.hosts[replica].is_up() {
                    // An answer of an earlier boot may still come; the core knows its own writes (decision 11).
                    self.sites[replica].inbox.push(Input::Persisted(id));
                    self.schedule_turn(replica);
                }
                Ok(())
            }
            Event::SnapshotWritten { replica, op, boot } => {
                if self.runs(replica, boot) {
                    let room = self.finds_room();
                    self.world.trace.fold(op.0 << 1 | u64::from(room));
                    let written = self.world.hosts[replica].states.write_out(op, room);
                    self.sites[replica].inbox.extend(written);
                    self.schedule_turn(replica);
                }
                Ok(())
            }
            Event::Staged { replica, boot } => {
                if self.runs(replica, boot) {
                    let room = self.finds_room();
                    self.world.trace.fold(u64::from(room));
                    let staged = self.world.hosts[replica].states.finish_part(room);
                    self.sites[replica].inbox.extend(staged);
                    self.schedule_turn(replica);
                }
                Ok(())
            }
            Event::Requests { replica, client, requests } => {
                self.arrive(replica, client, requests);
                Ok(())
            }
            Event::Read { replica, client, number } => self.read_arrives(replica, client, number),
            Event::Turn { replica } => {
                self.sites[replica].turn_scheduled = false;
                self.turn(replica)
            }
            Event::Timer { replica } => {
                self.sites[replica].timer_at = None;
                let now = self.sites[replica].clock.now(self.now).monotonic;
                match self.world.hosts[replica].deadline() {
                    Some(deadline) if deadline <= now => self.turn(replica),
                    Some(_) => {
                        self.schedule_timer(replica);
                        Ok(())
                    }
                    None => Ok(()),
                }
            }
            Event::Restart { replica } => self.restart(replica),
            Event::Client { client } => {
                self.wake_client(client);
                Ok(())
            }
            Event::Fault => self.fault(),
            Event::DiskFault => {
                self.disk_fault();
                Ok(())
            }
            Event::DiskHasRoom { replica } => {
                self.world.fill(replica, false);
                Ok(())
            }
            Event::Heal { generation } => {
                self.heal(generation);
                Ok(())
            }
        }
    }

    fn arrive(&mut self, replica: usize, client: usize, requests: Vec<Request>) {
        if !self.world.hosts[replica].is_up() {
            return;
        }
        let mailbox = &mut self.sites[replica].mailbox;
        // A mailbox has an end; the client will ask again.
        if mailbox.len() + requests.len() <= 256 {
            mailbox.extend(requests.into_iter().map(|request| (client, request)));
            self.schedule_turn(replica);
        }
    }

    /// One turn: everything that arrived since the last.
    fn turn(&mut self, replica: usize) -> Result<(), Violation> {
        let site = &mut self.sites[replica];
        let host = &mut self.world.hosts[replica];
        let Some(core) = &host.core else { return Ok(()) };
        let now = site.clock.now(self.now);
        let room = room_of(core, &self.swarm);
        let timer = core.deadline() <= now.monotonic;
        let mut inputs = mem::take(&mut self.inputs);
        inputs.append(&mut site.inbox);
        for (client, request) in site.mailbox.drain(..site.mailbox.len().min(room)) {
            host.wait(asked(&request), client, checksum_of(&request));
            inputs.push(Input::Request(request));
        }
        if timer {
            inputs.push(Input::Timer);
        }
        self.world.trace.fold(self.now ^ (replica as u64) << 56 ^ inputs.len() as u64);
        let at = self.now;
        self.world.trace.note(|| format!("{at}: R{replica} takes a turn of {} inputs", inputs.len()));
        let mut out = mem::take(&mut self.out);
        let result = self.world.turn(replica, now, &mut inputs, &mut out);
        inputs.clear();
        self.inputs = inputs;
        self.dispatch(replica, &mut out)?;
        self.out = out;
        result?;
        self.after_turn(replica)
    }

    /// How many requests a replica's host hands in at most.
    fn room(&self, replica: usize) -> usize {
        self.world.hosts[replica].core.as_ref().map_or(0, |core| room_of(core, &self.swarm))
    }

    fn after_turn(&mut self, replica: usize) -> Result<(), Violation> {
        if !self.world.hosts[replica].is_up() {
            // The turn ended in a crash.
            self.crash(replica);
            return Ok(());
        }
        // Where there is no room, what makes room is an input or a timer: a turn of its own.
        if !self.sites[replica].mailbox.is_empty() && self.room(replica) > 0 {
            self.schedule_turn(replica);
        }
        self.schedule_timer(replica);
        Ok(())
    }

    /// Gives what a turn produced to network, storage and clients.
    fn dispatch(&mut self, replica: usize, out: &mut Outbox) -> Result<(), Violation> {
        for (to, message) in out.sent.drain(..) {
            let to = self.world.position(to);
            let message = if self.swarm.wire { over_the_wire(&message)? } else { message };
            if let Some(collected) = &mut self.collected {
                collected.push(message.clone());
            }
            self.transmit(replica, to, message);
        }
        for id in out.writes.drain(..) {
            let site = &mut self.sites[replica];
            let stall = if self.faults && self.prng.chance(self.swarm.disk.stall) {
                self.swarm.disk.stall_max
            } else {
                0
            };
            let delay = self.prng.delay(self.swarm.storage_mean) + self.prng.below(stall + 1);
            site.write_done_at = site.write_done_at.max(self.now + delay);
            self.queue.at(site.write_done_at, Event::Persisted { replica, id });
        }
        let boot = self.world.hosts[replica].boots;
        // Where all is healed nothing is that slow; a log that is full at each snapshot would outlast all patience.
        let longest = if self.faults { u64::MAX } else { self.swarm.heartbeat_interval };
        let mean = self.swarm.snapshot_mean.min(longest);
        for op in out.snapshots.drain(..) {
            let at = self.now + self.prng.delay(mean);
            self.queue.at(at, Event::SnapshotWritten { replica, op, boot });
        }
        for _ in 0..mem::take(&mut out.parts) {
            let at = self.now + self.states.delay(mean);
            self.queue.at(at, Event::Staged { replica, boot });
        }
        for (client, of, heard) in out.answers.drain(..) {
            if self.faults && self.prng.chance(self.swarm.lose_answer) {
                continue;
            }
            self.answer(client, of, &heard)?;
        }
        for (reader, outcome) in out.reads.drain(..) {
            if self.faults && self.prng.chance(self.swarm.lose_answer) {
                continue;
            }
            self.read_ends(reader.client, reader.number, outcome.map(|seen| seen.at))?;
        }
        Ok(())
    }

    /// Whether there is room for a state, or a part of it.
    fn finds_room(&mut self) -> bool {
        !(self.faults && self.states.chance(self.swarm.no_room))
    }

    fn runs(&self, replica: usize, boot: u64) -> bool {
        let host = &self.world.hosts[replica];
        host.is_up() && host.boots == boot
    }

    fn schedule_turn(&mut self, replica: usize) {
        let site = &mut self.sites[replica];
        if !site.turn_scheduled {
            site.turn_scheduled = true;
            let delay = self.prng.below(self.swarm.turn_delay + 1);
            self.queue.at(self.now + delay, Event::Turn { replica });
        }
    }

    fn schedule_timer(&mut self, replica: usize) {
        let Some(deadline) = self.world.hosts[replica].deadline() else { return };
        let site = &mut self.sites[replica];
        let at = site.clock.when(deadline).max(self.now + 1);
        if site.timer_at.is_none_or(|earlier| at < earlier) {
            site.timer_at = Some(at);
            self.queue.at(at, Event::Timer { replica });
        }
    }
}

fn room_of(core: &vsr_core::Replica, swarm: &Swarm) -> usize {
    if swarm.ignore_room { usize::MAX } else { core.room() }
}

/// What the other side of a transport that carries bytes gets.
fn over_the_wire(message: &Message) -> Result<Message, Violation> {
    match Message::decode(message.encode()) {
        Ok(decoded) if decoded == *message => Ok(decoded),
        other => Err(Violation::new("codec", format!("{message:?} becomes {other:?}"))),
    }
}

fn asked(request: &Request) -> Asked {
    match request.origin {
        vsr_core::Origin::Register { client } => Asked::Register(client),
        vsr_core::Origin::Request { session, request, .. } => Asked::Request(session, request),
        vsr_core::Origin::Tick => unreachable!("clients do not tick"),
    }
}

fn checksum_of(request: &Request) -> u64 {
    match request.origin {
        vsr_core::Origin::Request { checksum, .. } => checksum,
        vsr_core::Origin::Register { .. } | vsr_core::Origin::Tick => 0,
    }
}
