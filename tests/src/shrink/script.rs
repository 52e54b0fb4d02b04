//! From a recording to the lines of a scenario that do the same.

use crate::{
    disk::{Fate, Rot},
    host::Storage,
    record::{Deed, Recording, Step},
    scenario::{
        config::{options, render},
        select::{Selector, words_of},
        stage::CLOCK_START,
    },
    simulation::UNIX_START,
    trace::describe,
    world::World,
};
use bytes::Bytes;
use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};
use vsr_core::{ClientId, Input, Message, Now, Origin, ReadKind, Request, SessionId, WriteId};

/// The lines that do again what was done to `world`.
///
/// # Errors
/// What of it scenarios have no words for.
pub(super) fn lines(world: &World, recording: &Recording) -> Result<Vec<String>, String> {
    let config = &world.hosts[0].config;
    let replicas = world.hosts.len();
    let mut cluster = format!("cluster {replicas} unformed manual-turns");
    if world.hosts.iter().any(|host| host.storage == Storage::Delayed) {
        cluster += " manual-storage";
    }
    if world.hosts.iter().any(|host| host.snapshots == Storage::Delayed) {
        cluster += " manual-snapshots";
    }
    if world.hosts.iter().any(|host| host.stages == Storage::Delayed) {
        cluster += " manual-stages";
    }
    if world.hosts.iter().any(|host| host.disk.forgets()) {
        cluster += " view-durable";
    }
    cluster += &format!(" seed={}", world.seed());
    for option in options(config) {
        cluster += &format!(" {option}");
    }
    let mut script = Script::new(world, recording);
    script.lines.push(cluster);
    recording.steps.iter().try_for_each(|step| script.step(step))?;
    Ok(script.lines)
}

/// A message that was sent and not delivered for the last time.
struct Flight {
    from: usize,
    to: usize,
    message: Message,
    text: String,
}

/// What the stage will know when it comes to the next line.
struct Site {
    /// By how much its recorded clock is ahead of the stage's.
    offset: Option<u64>,
    clock: u64,
    wall: i64,
    untold: VecDeque<WriteId>,
}

struct Person {
    name: String,
    invoked: u64,
    acked_below: u64,
}

struct Script<'a> {
    world: &'a World,
    lines: Vec<String>,
    flights: Vec<Flight>,
    /// How often each message will still be delivered, by what it says and to whom.
    deliveries: HashMap<(usize, u64), usize>,
    sites: Vec<Site>,
    people: HashMap<ClientId, Person>,
    clients: HashMap<SessionId, ClientId>,
    /// The session that each client uses, of those it was told of.
    used: HashMap<ClientId, SessionId>,
    operations: HashMap<(SessionId, u64), Bytes>,
}

impl<'a> Script<'a> {
    fn new(world: &'a World, recording: &Recording) -> Self {
        let mut deliveries = HashMap::new();
        let mut operations = HashMap::new();
        let told = recording.steps.iter().flat_map(|step| &step.sessions);
        let clients: HashMap<SessionId, ClientId> = told.copied().collect();
        let mut used = HashMap::new();
        for (replica, input) in recording.steps.iter().flat_map(inputs) {
            match input {
                Input::Message(message) => *deliveries.entry(key(replica, message)).or_default() += 1,
                Input::Request(request) => {
                    if let Origin::Request { session, request: number, .. } = request.origin {
                        operations.insert((session, number.0), request.operation.clone());
                        used.extend(clients.get(&session).map(|client| (*client, session)));
                    }
                }
                _ => {}
            }
        }
        let site = || Site { offset: None, clock: CLOCK_START, wall: 0, untold: VecDeque::new() };
        Self {
            world,
            lines: Vec::new(),
            flights: Vec::new(),
            deliveries,
            sites: world.hosts.iter().map(|_| site()).collect(),
            people: HashMap::new(),
            clients,
            used,
            operations,
        }
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        let replica = step.replica;
        match &step.deed {
            Deed::Start { now } => {
                self.clocks(replica, *now);
                self.sites[replica].untold.clear();
                self.lines.push(format!("restart R{replica}"));
            }
            Deed::Turn { now, inputs, crash_after } => {
                self.clocks(replica, *now);
                inputs.iter().try_for_each(|input| self.input(replica, input))?;
                if let Some(effects) = crash_after {
                    self.lines.push(format!("crash R{replica} after {effects} effects"));
                }
                self.lines.push(format!("turn R{replica}"));
            }
            Deed::Persist { id, writes } => {
                if *writes > 0 {
                    self.sites[replica].untold.push_back(*id);
                }
                (0..*writes).for_each(|_| self.lines.push(format!("write R{replica}")));
            }
            Deed::Crash { fate } => self.lines.push(format!("crash R{replica}{}", name_fate(*fate))),
            Deed::Rot { rot } => self.lines.push(name_rot(replica, *rot)),
            Deed::FailFlush => self.lines.push(format!("flush-error R{replica}")),
            Deed::Fill { full } => {
                self.lines.push(format!("{} R{replica}", if *full { "full" } else { "room" }));
            }
            Deed::Wipe => self.lines.push(format!("wipe R{replica}")),
        }
        for (session, client) in &step.sessions {
            if self.used.get(client).is_some_and(|used| used != session) {
                let name = &self.person(*client).name;
                let line = format!("unheard {name}");
                self.lines.push(line);
            }
        }
        for (to, message) in &step.sent {
            let to = self.world.position(*to);
            let text = describe(message);
            self.flights.push(Flight { from: replica, to, message: message.clone(), text });
        }
        Ok(())
    }

    /// Moves the stage's clocks to where the recorded ones were.
    fn clocks(&mut self, replica: usize, now: Now) {
        let site = &mut self.sites[replica];
        let offset = *site.offset.get_or_insert(now.monotonic.0.saturating_sub(CLOCK_START));
        let clock = now.monotonic.0.saturating_sub(offset);
        if clock > site.clock {
            let time = render(Duration::from_nanos(clock - site.clock));
            self.lines.push(format!("pass R{replica} {time}"));
            site.clock = clock;
        }
        let wall = now.unix as i64 - (UNIX_START + site.clock) as i64;
        let ahead = wall - site.wall;
        if ahead != 0 {
            let sign = if ahead < 0 { "-" } else { "" };
            let time = render(Duration::from_nanos(ahead.unsigned_abs()));
            self.lines.push(format!("clock R{replica} {sign}{time}"));
            site.wall = wall;
        }
    }

    fn input(&mut self, replica: usize, input: &Input) -> Result<(), String> {
        match input {
            Input::Message(message) => self.message(replica, message)?,
            Input::Request(request) => self.request(replica, request)?,
            Input::Persisted(id) => {
                let untold = &mut self.sites[replica].untold;
                // An answer that is meant for an earlier boot says nothing.
                while untold.contains(id) {
                    untold.pop_front();
                    self.lines.push(format!("told R{replica}"));
                }
            }
            Input::Timer => self.lines.push(format!("timer R{replica}")),
            Input::Leave => self.lines.push(format!("leave R{replica}")),
            Input::SnapshotTaken { op, state } => {
                self.lines.push(format!("snapshot R{replica} {}{}", op.0, name_outcome(state)));
            }
            Input::Staged { result, .. } => {
                self.lines.push(format!("staged R{replica}{}", name_outcome(result)));
            }
            Input::Read { kind: ReadKind::Linearizable, .. } => {
                self.lines.push(format!("read R{replica} reader x0"));
            }
            Input::Read { kind: ReadKind::After(op), .. } => {
                self.lines.push(format!("read R{replica} reader x0 after {}", op.0));
            }
            other => return Err(format!("scenarios have no words for {other:?}")),
        }
        Ok(())
    }

    fn message(&mut self, to: usize, message: &Message) -> Result<(), String> {
        let from = self.world.position(message.from);
        let same = |flight: &Flight| (flight.from, flight.to) == (from, to) && flight.message == *message;
        let Some(position) = self.flights.iter().position(same) else {
            return Err(format!("nobody sent {}", describe(message)));
        };
        let which = self.selector(position);
        let left = self.deliveries.entry(key(to, message)).or_default();
        *left = left.saturating_sub(1);
        if *left > 0 && self.flights.iter().filter(|flight| same(flight)).count() == 1 {
            self.lines.push(format!("duplicate R{from}->R{to} {which}"));
        } else {
            self.flights.remove(position);
            self.lines.push(format!("deliver R{from}->R{to} {which}"));
        }
        Ok(())
    }

    /// Says which of the messages under way is meant, in as few words as possible.
    fn selector(&self, position: usize) -> String {
        let wanted = &self.flights[position];
        let words: Vec<&str> = words_of(&wanted.text).collect();
        let link = format!("R{}->R{}", wanted.from, wanted.to);
        let before = |words: &[&str]| {
            let all: Vec<&str> = [&[&link[..]], words].concat();
            let selector = Selector::parse(&all).expect("it is built to be parsed");
            let older = self.flights[..position].iter();
            older
                .filter(|older| selector.links(older.from, older.to) && selector.describes(&older.text))
                .count()
        };
        for count in [1, 2, 3, words.len()] {
            let words = &words[..count.min(words.len())];
            if before(words) == 0 {
                return words.join(" ");
            }
        }
        format!("{} #{}", words.join(" "), before(&words) + 1)
    }

    fn request(&mut self, replica: usize, request: &Request) -> Result<(), String> {
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        let (session, number, acked_below) = match request.origin {
            Origin::Register { client } => {
                let name = &self.person(client).name;
                let line = format!("register R{replica} {name}");
                self.lines.push(line);
                return Ok(());
            }
            Origin::Request { session, request, acked_below, .. } => (session, request.0, acked_below.0),
            Origin::Tick => return Err("clients do not tick".into()),
        };
        let client = *self.clients.get(&session).ok_or_else(|| format!("nobody was told of {session}"))?;
        let lost: Vec<_> = (1..number).map(|n| self.operations.get(&(session, n)).cloned()).collect();
        let person = self.person(client);
        let mut lines = Vec::new();
        while person.invoked + 1 < number {
            let operation = lost[person.invoked as usize].as_ref().map_or_else(|| "get x".into(), text);
            lines.push(format!("invoke {} {operation}", person.name));
            person.invoked += 1;
        }
        if person.acked_below != acked_below {
            person.acked_below = acked_below;
            lines.push(format!("acked {} {acked_below}", person.name));
        }
        if person.invoked < number {
            person.invoked = number;
            lines.push(format!("request R{replica} {} {}", person.name, text(&request.operation)));
        } else {
            lines.push(format!("resend R{replica} {} {number}", person.name));
        }
        self.lines.extend(lines);
        Ok(())
    }

    fn person(&mut self, client: ClientId) -> &mut Person {
        let person = || Person { name: client.to_string(), invoked: 0, acked_below: 1 };
        self.people.entry(client).or_insert_with(person)
    }
}

fn inputs(step: &Step) -> impl Iterator<Item = (usize, &Input)> {
    let inputs = match &step.deed {
        Deed::Turn { inputs, .. } => &inputs[..],
        _ => &[],
    };
    inputs.iter().map(|input| (step.replica, input))
}

fn name_outcome<T, E>(outcome: &Result<T, E>) -> &'static str {
    if outcome.is_ok() { "" } else { " failed" }
}

fn name_fate(fate: Fate) -> String {
    match fate {
        Fate::Lost => String::new(),
        Fate::Kept => " kept".into(),
        Fate::Torn => " torn".into(),
        Fate::Mangled => " mangled".into(),
        Fate::Reordered => " reordered".into(),
        Fate::Drawn { seed, may_mangle } => {
            format!(" {} {seed}", if may_mangle { "mangling" } else { "drawn" })
        }
    }
}

fn name_rot(replica: usize, rot: Rot) -> String {
    match rot {
        Rot::Frame { index, zeroed } => {
            format!("{} R{replica} frame-at {index}", if zeroed { "zero" } else { "rot" })
        }
        Rot::Slot(copy) => format!("rot R{replica} copy {copy}"),
        Rot::Snapshot => format!("rot R{replica} snapshot"),
    }
}

/// Equal messages to one replica have equal keys.
fn key(to: usize, message: &Message) -> (usize, u64) {
    (to, crate::trace::fingerprint(message))
}
