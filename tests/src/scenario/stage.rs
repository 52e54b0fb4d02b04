//! Where a scenario plays: a world, messages that lie still until they are delivered, clocks that stand still until they are moved.

pub(super) use crate::simulation::UNIX_START;

use super::{reads::Reading, select::Selector};
use crate::{
    checkers::Violation,
    client::{Client, Outcome},
    disk::{Fate, StorageMode, Switches},
    host::{Heard, Outbox, Storage},
    subject::{Numbers, Subject},
    trace::{Trace, describe, describe_operation},
    world::World,
};
use std::{
    cell::OnceCell,
    collections::{BTreeMap, BTreeSet, VecDeque},
    mem,
    rc::Rc,
    time::Duration,
};
use vsr_core::{
    Answer, Asked, ClientId, Config, Event, Input, Message, Now, OpNumber, Origin, Request, RequestNumber,
    SessionId, Time, WriteId,
};

/// Deliveries after which a group is talking to itself.
const DELIVERIES_MAX: usize = 20_000;

/// Timers of one replica that go off in one stretch of time.
const FIRINGS_MAX: usize = 10_000;

/// Turns of one replica without an input.
const IDLE_TURNS_MAX: usize = 1000;

/// The id of the first client whose name is not like `c1`.
const NAMELESS: u128 = 1 << 64;

/// What all clocks show at first.
pub(crate) const CLOCK_START: u64 = 1_000_000_000;

#[derive(Clone, Debug)]
pub(super) struct Flight {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) message: Message,
    pub(super) held: bool,
    /// The message as transcripts write it, once somebody asked.
    text: OnceCell<String>,
}

impl Flight {
    pub(super) fn is_meant(&self, by: &Selector) -> bool {
        by.links(self.from, self.to) && by.describes(self.text.get_or_init(|| describe(&self.message)))
    }
}

#[derive(Debug)]
pub(super) struct Stage {
    pub(super) world: World,
    pub(super) flights: Vec<Flight>,
    pub(super) holds: Vec<Selector>,
    pub(super) cuts: Vec<(usize, usize)>,
    pub(super) clients: BTreeMap<String, usize>,
    pub(super) people: Vec<Client>,
    /// What clients read, in the order in which they asked.
    pub(super) reads: Vec<Reading>,
    /// Sessions that were told to be no more.
    pub(super) evicted: Vec<bool>,
    /// Clients that were told of a conflict.
    pub(super) conflicts: BTreeSet<usize>,
    /// Requests that were refused, by client.
    pub(super) refused: BTreeSet<(usize, RequestNumber)>,
    /// The newest write that each replica lost in a crash.
    pub(super) lost_writes: BTreeMap<usize, WriteId>,
    pub(super) switches: Switches,
    /// Messages sent so far.
    pub(super) sent: usize,
    /// Whether only what a client would notice is written down.
    pub(super) quiet: bool,
    /// Whether votes are written down all the same.
    pub(super) votes: bool,
    /// What is for a replica waits until it is told to take a turn.
    pub(super) manual_turns: bool,
    /// Nothing is written down at all.
    muted: bool,
    /// A command that finds nothing to act on does nothing.
    pub(super) lenient: bool,
    /// The property that broke.
    pub(super) violation: Option<Violation>,
    /// What a replica's next turn takes in.
    mailboxes: Vec<Vec<Input>>,
    /// Writes that are durable, of which the replica was not told.
    untold: Vec<VecDeque<WriteId>>,
    /// Who is down without a crash that was told.
    fallen: Vec<bool>,
    clocks: Vec<u64>,
    /// What each machine adds to the time of day.
    shifts: Vec<i64>,
    transcript: Vec<String>,
}

fn world(configs: Vec<Config>, seed: u64) -> World {
    let subject: Rc<dyn Subject> = Rc::new(Numbers);
    World::new(configs, Storage::Immediate, Trace::default(), seed, &subject)
}

impl Stage {
    pub(super) fn new(switches: Switches) -> Self {
        let nobody = Config::new(vsr_core::ReplicaId(0), Vec::new());
        Self {
            world: world(vec![nobody], 0),
            flights: Vec::new(),
            holds: Vec::new(),
            cuts: Vec::new(),
            clients: BTreeMap::new(),
            people: Vec::new(),
            reads: Vec::new(),
            evicted: Vec::new(),
            conflicts: BTreeSet::new(),
            refused: BTreeSet::new(),
            lost_writes: BTreeMap::new(),
            switches,
            sent: 0,
            quiet: false,
            votes: false,
            manual_turns: false,
            muted: false,
            lenient: false,
            violation: None,
            mailboxes: Vec::new(),
            untold: Vec::new(),
            fallen: Vec::new(),
            clocks: Vec::new(),
            shifts: Vec::new(),
            transcript: Vec::new(),
        }
    }

    pub(super) fn raise(&mut self, configs: Vec<Config>, seed: u64, mode: StorageMode) {
        self.clocks = vec![CLOCK_START; configs.len()];
        self.shifts = vec![0; configs.len()];
        self.mailboxes = vec![Vec::new(); configs.len()];
        self.untold = vec![VecDeque::new(); configs.len()];
        self.fallen = vec![false; configs.len()];
        self.world = world(configs, seed);
        self.world.equip(mode, self.switches.storage);
        for host in &mut self.world.hosts {
            host.observed = true;
        }
    }

    /// From now on nobody reads.
    pub(super) fn mute(&mut self) {
        self.muted = true;
    }

    /// Adds a line to the transcript. What a command repeats is said once.
    pub(super) fn say(&mut self, line: String) {
        if !self.muted && !self.transcript.contains(&line) {
            self.transcript.push(line);
        }
    }

    pub(super) fn take_transcript(&mut self) -> Vec<String> {
        mem::take(&mut self.transcript)
    }

    pub(super) fn replicas(&self) -> usize {
        self.clocks.len()
    }

    fn now(&self, replica: usize) -> Now {
        // All machines show about the same time of day, unless told otherwise.
        let unix = UNIX_START + self.clocks[replica];
        Now { monotonic: Time(self.clocks[replica]), unix: unix.saturating_add_signed(self.shifts[replica]) }
    }

    pub(super) fn shift_clock(&mut self, replica: usize, nanos: i64) {
        self.shifts[replica] += nanos;
    }

    pub(super) fn start(&mut self, replica: usize) -> Result<(), String> {
        if self.world.hosts[replica].is_up() {
            return Err("it runs already".into());
        }
        if mem::take(&mut self.fallen[replica]) {
            self.world.crash(replica);
        }
        self.forget(replica);
        let mut out = Outbox::default();
        let result = self.world.start(replica, self.now(replica), &mut out);
        self.collect(replica, out)?;
        self.hold_to(result)?;
        if self.manual_turns { Ok(()) } else { self.finish_work(replica).map(|_| ()) }
    }

    pub(super) fn crash(&mut self, replica: usize, fate: Fate) -> Result<(), String> {
        let host = &self.world.hosts[replica];
        if !host.is_up() && host.stopped.is_none() && !self.fallen[replica] {
            return Err("it is down".into());
        }
        self.fallen[replica] = false;
        self.lost_writes.extend(self.world.hosts[replica].disk.last_pending().map(|id| (replica, id)));
        self.forget(replica);
        self.world.crash_with(replica, fate);
        Ok(())
    }

    /// It is down, in the middle of a turn or with its storage; the crash that is told says what is left of what was not flushed.
    pub(super) fn fall(&mut self, replica: usize) {
        self.forget(replica);
        self.fallen[replica] = true;
    }

    /// What waited for a replica is gone with it.
    fn forget(&mut self, replica: usize) {
        self.mailboxes[replica].clear();
        self.untold[replica].clear();
    }

    pub(super) fn hold_to<T>(&mut self, result: Result<T, Violation>) -> Result<T, String> {
        result.map_err(|violation| {
            let text = violation.to_string();
            self.violation = Some(violation);
            text
        })
    }

    /// Gives a replica something: its turn comes at once, or when it is told to take one.
    pub(super) fn put(&mut self, replica: usize, input: Input) -> Result<(), String> {
        if !self.world.hosts[replica].is_up() {
            return Err("it is down".into());
        }
        if !self.manual_turns {
            return self.act(replica, Some(input)).map(drop);
        }
        self.mailboxes[replica].push(input);
        Ok(())
    }

    /// One turn with all that waits for a replica, and nothing after it.
    pub(super) fn take_turn(&mut self, replica: usize) -> Result<(), String> {
        if !self.world.hosts[replica].is_up() {
            return Err("it is down".into());
        }
        let inputs = mem::take(&mut self.mailboxes[replica]);
        self.turn(replica, inputs).map(drop)
    }

    /// A turn, and those that the replica asks for because work is left. Returns what happened.
    pub(super) fn act(&mut self, replica: usize, input: Option<Input>) -> Result<Vec<Event>, String> {
        let mut events = self.turn(replica, Vec::from_iter(input))?;
        events.extend(self.finish_work(replica)?);
        Ok(events)
    }

    fn finish_work(&mut self, replica: usize) -> Result<Vec<Event>, String> {
        let mut events = Vec::new();
        for _ in 0..IDLE_TURNS_MAX {
            if self.world.hosts[replica].deadline() != Some(Time(0)) {
                return Ok(events);
            }
            events.extend(self.turn(replica, Vec::new())?);
        }
        Err(format!("R{replica} has always work left"))
    }

    fn turn(&mut self, replica: usize, mut inputs: Vec<Input>) -> Result<Vec<Event>, String> {
        let mut out = Outbox::default();
        let result = self.world.turn(replica, self.now(replica), &mut inputs, &mut out);
        let events = out.events.clone();
        self.collect(replica, out)?;
        self.hold_to(result)?;
        let host = &self.world.hosts[replica];
        if !host.is_up() && host.stopped.is_none() {
            self.fall(replica);
        }
        Ok(events)
    }

    fn collect(&mut self, replica: usize, out: Outbox) -> Result<(), String> {
        let spoken = !self.quiet && !self.muted;
        self.tell_events(replica, &out.events);
        if spoken {
            for (entry, index, reply) in &out.commits {
                let op = entry.first().0 + *index as u64;
                let reply = String::from_utf8_lossy(reply);
                self.say(format!(
                    "R{replica} executes op{op} {} = {reply}",
                    describe_operation(entry, *index)
                ));
            }
        }
        let mut told: Vec<(String, Vec<usize>)> = Vec::new();
        for (to, message) in out.sent {
            let to = self.world.position(to);
            self.sent += 1;
            if spoken {
                let text = describe(&message);
                match told.iter_mut().find(|(known, _)| *known == text) {
                    Some((_, all)) if all.contains(&to) => {}
                    Some((_, all)) => all.push(to),
                    None => told.push((text, vec![to])),
                }
            }
            if self.cuts.contains(&(replica, to)) {
                continue;
            }
            let held = self.holds.iter().any(|hold| hold.matches(replica, to, &message));
            self.flights.push(Flight { from: replica, to, message, held, text: OnceCell::new() });
        }
        for (text, all) in told {
            let all: Vec<_> = all.iter().map(|to| format!("R{to}")).collect();
            self.say(format!("R{replica} -> {} {text}", all.join(" ")));
        }
        for (client, of, heard) in out.answers {
            if heard == Heard::Told(Answer::Conflict) {
                self.conflicts.insert(client);
                self.say(format!("{} hears of a conflict", self.name_of(client)));
                continue;
            }
            let outcome = self.people[client].hear(of, &heard, &mut self.world.checkers);
            let outcome = self.hold_to(outcome)?;
            self.tell_outcome(client, of, &outcome);
        }
        for (reader, outcome) in out.reads {
            self.read_ends(&reader, outcome)?;
        }
        if let Some(reason) = self.world.hosts[replica].stopped.clone() {
            let kind = format!("{reason:?}");
            self.say(format!("R{replica} stops: {}", kind.split([' ', '{']).next().unwrap_or_default()));
        }
        Ok(())
    }

    fn tell_events(&mut self, replica: usize, events: &[Event]) {
        if self.muted {
            return;
        }
        for event in events {
            let line = match event {
                Event::LeadershipStarted { view } => format!("leads {view}"),
                Event::Truncated { above, until } => format!("cuts {until} down to {above}"),
                Event::Ignored { from, message, reason } if !self.quiet => {
                    format!("ignores {message:?} of {from}: {reason:?}")
                }
                Event::VoteCast { view } if self.votes || !self.quiet => format!("votes to leave {view}"),
                Event::Abdicated { view } => format!("abdicates {view}"),
                Event::ViewInstalled { view, op } => format!("installs {view} up to {op}"),
                Event::DigestsDiffer { from, after, until } => {
                    format!("has another digest than {from} after {after}, up to {until}")
                }
                Event::RecoveryTargetKnown { view, op } => format!("needs the log of {view} up to {op}"),
                Event::Recovered { view, op } => format!("has recovered in {view} up to {op}"),
                Event::MemoryLossProven { replicas } => {
                    format!("knows that {replicas} replicas are without a log")
                }
                Event::PieceReceived { op, held, bytes, .. } if !self.quiet => {
                    format!("has {held} of {bytes} bytes of the snapshot of {op}")
                }
                Event::PiecesDiscarded { from, op, reason } => {
                    format!("throws the snapshot of {op} away that came from {from}: {reason:?}")
                }
                Event::StagingFailed { op, reason } => {
                    format!("cannot keep what it has of the snapshot of {op}: {reason}")
                }
                Event::SnapshotFailed { op, reason } => {
                    format!("cannot write the snapshot of {op}: {reason}")
                }
                Event::SnapshotSkipped { op } => format!("leaves out the snapshot of {op}"),
                Event::SnapshotInstalled { op } => format!("installs the snapshot of {op}"),
                _ => continue,
            };
            self.say(format!("R{replica} {line}"));
        }
    }

    fn tell_outcome(&mut self, client: usize, of: Asked, outcome: &Outcome) {
        if let (Outcome::Refused(_), Asked::Request(_, number)) = (outcome, of) {
            self.refused.insert((client, number));
        }
        let name = self.name_of(client);
        let line = match (outcome, of) {
            (Outcome::Replied(number, reply), _) => {
                format!("{name} {number} = {}", String::from_utf8_lossy(reply))
            }
            (Outcome::Registered, _) => format!("{name} has a session"),
            (Outcome::Executed(number), _) => format!("{name} {number} was executed"),
            (Outcome::Refused(reason), Asked::Request(_, number)) => {
                format!("{name} {number} is refused: {reason:?}")
            }
            (Outcome::Refused(reason), Asked::Register(_)) => format!("{name} is refused: {reason:?}"),
            (Outcome::Evicted, _) => {
                let line = format!("{name} has no session any more");
                self.evicted[client] = true;
                line
            }
            (Outcome::Stale, _) => return,
        };
        self.say(line);
    }

    fn name_of(&self, client: usize) -> &str {
        self.clients.iter().find(|(_, it)| **it == client).map_or("?", |(name, _)| name)
    }

    pub(super) fn client(&mut self, name: &str) -> usize {
        if let Some(known) = self.clients.get(name) {
            return *known;
        }
        let client = self.people.len();
        let id = name.strip_prefix('c').and_then(|number| number.parse().ok());
        self.people.push(Client::remembering(ClientId(id.unwrap_or(NAMELESS + client as u128))));
        self.evicted.push(false);
        self.clients.insert(name.into(), client);
        client
    }

    pub(super) fn session_of(&self, name: &str) -> Option<SessionId> {
        self.clients.get(name).and_then(|client| self.people[*client].session())
    }

    pub(super) fn call(&mut self, replica: usize, client: usize, request: Request) -> Result<(), String> {
        let (of, checksum) = match request.origin {
            Origin::Register { client } => (Asked::Register(client), 0),
            Origin::Request { session, request, checksum, .. } => {
                (Asked::Request(session, request), checksum)
            }
            Origin::Tick => return Err("clients do not tick".into()),
        };
        self.world.hosts[replica].wait(of, client, checksum);
        self.put(replica, Input::Request(request))
    }

    pub(super) fn deliver(&mut self, flight: Flight) -> Result<(), String> {
        if self.world.hosts[flight.to].is_up() {
            self.put(flight.to, Input::Message(flight.message))?;
        }
        Ok(())
    }

    /// What is frozen is written out, or finds no room.
    pub(super) fn write_snapshots(
        &mut self,
        replica: usize,
        through: OpNumber,
        room: bool,
    ) -> Result<(), String> {
        let written: Vec<Input> = self.world.hosts[replica].states.write_out(through, room).collect();
        written.into_iter().try_for_each(|input| self.put(replica, input))
    }

    /// All parts of a state that are on their way to where it is kept arrive there.
    pub(super) fn finish_parts(&mut self, replica: usize) -> Result<(), String> {
        let staged = self.world.hosts[replica].states.finish_parts();
        staged.into_iter().try_for_each(|input| self.put(replica, input))
    }

    /// The oldest such part arrives there, or finds no room.
    pub(super) fn finish_part(&mut self, replica: usize, room: bool) -> Result<(), String> {
        let staged = self.world.hosts[replica].states.finish_part(room).ok_or("nothing is being staged")?;
        self.put(replica, staged)
    }

    /// Delivers all that is not held, until nothing is left.
    pub(super) fn settle(&mut self) -> Result<(), String> {
        for _ in 0..DELIVERIES_MAX {
            let Some(next) = self.flights.iter().position(|flight| !flight.held) else { return Ok(()) };
            let flight = self.flights.remove(next);
            self.deliver(flight)?;
        }
        Err("messages without end".into())
    }

    /// Makes what was written so far durable.
    pub(super) fn persist(&mut self, replica: usize) -> Result<(), String> {
        while self.world.hosts[replica].disk.pending() > 0 {
            self.write(replica)?;
        }
        let newest = self.untold[replica].drain(..).next_back();
        match newest {
            Some(id) if self.world.hosts[replica].is_up() => self.put(replica, Input::Persisted(id)),
            _ => Ok(()),
        }
    }

    /// Makes the oldest write durable; the replica does not know yet.
    pub(super) fn write(&mut self, replica: usize) -> Result<(), String> {
        let id = self.world.hosts[replica].disk.first_pending().ok_or("there is nothing to write")?;
        let result = self.world.persist(replica, id);
        self.untold[replica].push_back(id);
        self.hold_to(result)
    }

    /// Tells a replica of the oldest write that is durable and that it does not know of.
    pub(super) fn tell(&mut self, replica: usize) -> Result<(), String> {
        let id = self.untold[replica].pop_front().ok_or("there is nothing to tell")?;
        self.put(replica, Input::Persisted(id))
    }

    pub(super) fn move_clock(&mut self, replica: usize, time: Duration) {
        self.clocks[replica] += time.as_nanos() as u64;
    }

    /// Moves a clock to its replica's next timer; the replica hears of it with its next turn.
    pub(super) fn due(&mut self, replica: usize) -> Result<(), String> {
        let Some(deadline) = self.world.hosts[replica].deadline() else { return Err("it is down".into()) };
        self.clocks[replica] = self.clocks[replica].max(deadline.0);
        self.put(replica, Input::Timer)
    }

    /// Moves a clock to its replica's next timer, and lets it go off.
    pub(super) fn fire(&mut self, replica: usize) -> Result<Vec<Event>, String> {
        let Some(deadline) = self.world.hosts[replica].deadline() else { return Err("it is down".into()) };
        self.clocks[replica] = self.clocks[replica].max(deadline.0);
        self.act(replica, Some(Input::Timer))
    }

    /// Lets time pass for one replica.
    pub(super) fn pass(&mut self, replica: usize, time: Duration) -> Result<(), String> {
        let end = self.clocks[replica] + time.as_nanos() as u64;
        for _ in 0..FIRINGS_MAX {
            if self.world.hosts[replica].deadline().is_none_or(|deadline| deadline.0 > end) {
                self.clocks[replica] = end;
                return Ok(());
            }
            self.fire(replica)?;
        }
        Err(format!("the timers of R{replica} never rest"))
    }

    /// Lets time pass for all, and everything happen that is not held.
    pub(super) fn run(&mut self, time: Duration) -> Result<(), String> {
        const STEP: Duration = Duration::from_millis(10);
        self.settle()?;
        for _ in 0..time.as_millis() / STEP.as_millis() {
            for replica in 0..self.replicas() {
                if self.world.hosts[replica].is_up() {
                    self.pass(replica, STEP)?;
                }
            }
            self.settle()?;
        }
        Ok(())
    }
}
