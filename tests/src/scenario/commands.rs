//! What can be told to happen, one command a line.

use super::config::{self, duration};
use super::{
    claims, precise,
    select::{Selector, replica},
    stage::{Flight, Stage},
};
use crate::{
    client::trace_of,
    disk::{Fate, StorageMode},
    host::Storage,
    trace::damage_piece,
};
use bytes::Bytes;
use std::{sync::Arc, time::Duration};
use vsr_core::{
    Body, ClusterId, Config, EpochNumber, Event, GroupId, Hash, Incarnation, Input, Message, OpNumber,
    Origin, ReadKind, ReplicaId, Request, RequestNumber, StatusName, ViewNumber, checksum,
};

/// Firings of a timer within which what is waited for must happen.
const FIRINGS_MAX: usize = 100;

pub(super) fn execute(stage: &mut Stage, line: &str) -> Result<(), String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        ["cluster", count, ref options @ ..] => cluster(stage, count, options),
        ["clients", ref names @ ..] => clients(stage, names),
        ["register", at, name] => {
            let (at, client) = (replica(at)?, stage.client(name));
            let request = stage.people[client].registration();
            stage.call(at, client, request)
        }
        ["request", at, name, ref operation @ ..] => request(stage, replica(at)?, name, &operation.join(" ")),
        ["retry", at, name] => {
            let (at, client) = (replica(at)?, stage.client(name));
            let open = stage.people[client].unanswered();
            open.into_iter().try_for_each(|request| stage.call(at, client, request))
        }
        ["resend", at, name, number] => {
            let (at, client) = (replica(at)?, stage.client(name));
            let request = number.parse().ok().and_then(|number| stage.people[client].request(number));
            stage.call(at, client, request.ok_or("no such request")?)
        }
        ["collide", at, name, number, ref operation @ ..] => {
            let number = number.parse().map_err(|_| "which number?")?;
            collide(stage, replica(at)?, name, number, &operation.join(" "))
        }
        ["read", at, name, value] => stage.read(replica(at)?, name, value, ReadKind::Linearizable),
        ["read", at, name, value, "after", op] => {
            let op = op.parse().map_err(|_| format!("{op} is no op"))?;
            stage.read(replica(at)?, name, value, ReadKind::After(OpNumber(op)))
        }
        ["stale", at, name, value] => stage.read_stale(replica(at)?, name, value),
        ["deliver", "all", ref which @ ..] => {
            for flight in take(stage, which, true)? {
                stage.deliver(flight)?;
            }
            Ok(())
        }
        ["deliver", ref which @ ..] => {
            let flight = take(stage, which, false)?.remove(0);
            stage.deliver(flight)
        }
        ["duplicate", ref which @ ..] => {
            let selector = Selector::parse(which)?;
            let mut matching = stage.flights.iter().filter(|flight| flight.is_meant(&selector));
            let found = matching.nth(selector.skip).ok_or("no such message")?;
            let copy = found.clone();
            stage.deliver(copy)
        }
        ["forge", ref rest @ ..] => {
            let split = rest.iter().position(|word| *word == "with").ok_or("forge … with view=7")?;
            let (which, changes) = (Selector::parse(&rest[..split])?, &rest[split + 1..]);
            let found = stage.flights.iter().find(|flight| flight.is_meant(&which));
            let mut copy = found.ok_or("no such message")?.clone();
            changes.iter().try_for_each(|change| forge(stage, &mut copy.message, change))?;
            stage.deliver(copy)
        }
        ["misroute", ref which @ .., "to", at] => {
            let mut flight = take(stage, which, false)?.remove(0);
            flight.to = replica(at)?;
            stage.deliver(flight)
        }
        ["drop", "all", ref which @ ..] => take(stage, which, true).map(drop),
        ["drop", ref which @ ..] => take(stage, which, false).map(drop),
        ["hold", ref which @ ..] => {
            let selector = Selector::parse(which)?;
            for flight in &mut stage.flights {
                flight.held |= flight.is_meant(&selector);
            }
            stage.holds.push(selector);
            Ok(())
        }
        ["release"] => {
            stage.holds.clear();
            stage.flights.iter_mut().for_each(|flight| flight.held = false);
            Ok(())
        }
        ["storage", at, "manual"] => {
            stage.world.hosts[replica(at)?].storage = Storage::Delayed;
            Ok(())
        }
        ["storage", at, "automatic"] => {
            stage.world.hosts[replica(at)?].storage = Storage::Immediate;
            stage.persist(replica(at)?)
        }
        ["persist", at] => stage.persist(replica(at)?),
        ["late", at] => {
            let at = replica(at)?;
            let id = stage.lost_writes.get(&at).ok_or("it has lost no write")?;
            stage.act(at, Some(Input::Persisted(*id))).map(drop)
        }
        ["configure", at, ref options @ ..] => {
            // Replicas may refuse to work with one that is configured differently.
            stage.world.checkers.stops_allowed = true;
            let config = &mut stage.world.hosts[replica(at)?].config;
            options.iter().try_for_each(|option| set_option(config, option))
        }
        ["clock", at, shift] => {
            let (sign, time) = shift.strip_prefix('-').map_or((1, shift), |time| (-1, time));
            let nanos = duration(time)?.as_nanos() as i64;
            stage.shift_clock(replica(at)?, sign * nanos);
            Ok(())
        }
        ["snapshots", at, "manual"] => {
            stage.world.hosts[replica(at)?].snapshots = Storage::Delayed;
            Ok(())
        }
        ["snapshots", at, "automatic"] => {
            stage.world.hosts[replica(at)?].snapshots = Storage::Immediate;
            stage.write_snapshots(replica(at)?, OpNumber(u64::MAX - 1), true)
        }
        ["stages", at, "manual"] => {
            stage.world.hosts[replica(at)?].stages = Storage::Delayed;
            Ok(())
        }
        ["stages", at, "automatic"] => {
            stage.world.hosts[replica(at)?].stages = Storage::Immediate;
            stage.finish_parts(replica(at)?)
        }
        ["damage", ref which @ ..] => damage(stage, which),
        ["timeout", ref all @ ..] => quietly(stage, |stage| {
            let gave_up =
                |event: &Event| matches!(event, Event::PrimaryTimedOut { .. } | Event::Abdicated { .. });
            stage.votes = true;
            let result = all.iter().try_for_each(|at| fire_until(stage, replica(at)?, gave_up));
            stage.votes = false;
            result
        }),
        ["heartbeat", at] => {
            fire_until(stage, replica(at)?, |event| matches!(event, Event::CommitSent { .. }))
        }
        ["tick", at, time] => stage.pass(replica(at)?, duration(time)?),
        ["crash", at] => stage.crash(replica(at)?, Fate::Lost),
        ["lose", at] => {
            stage.world.lose(replica(at)?);
            Ok(())
        }
        ["restart", at] => stage.start(replica(at)?),
        ["wipe", at] => {
            stage.world.wipe(replica(at)?);
            stage.world.checkers.stops_allowed = true;
            Ok(())
        }
        ["bewitch", at] => {
            stage.world.bewitch(replica(at)?);
            Ok(())
        }
        ["leave", at] => stage.act(replica(at)?, Some(Input::Leave)).map(drop),
        ["partition", ref sides @ ..] => partition(stage, sides),
        ["cut", link] => {
            let (from, to) = link.split_once("->").ok_or("cut R0->R1")?;
            cut(stage, replica(from)?, replica(to)?);
            Ok(())
        }
        ["heal"] => {
            stage.cuts.clear();
            Ok(())
        }
        ["settle"] => quietly(stage, Stage::settle),
        ["run", time] => {
            let time = duration(time)?;
            quietly(stage, |stage| stage.run(time))
        }
        ["expect", ref claim @ ..] => claims::check(stage, claim),
        _ => precise::execute(stage, &words),
    }
}

fn quietly(stage: &mut Stage, act: impl FnOnce(&mut Stage) -> Result<(), String>) -> Result<(), String> {
    stage.quiet = true;
    let result = act(stage);
    stage.quiet = false;
    result
}

fn cluster(stage: &mut Stage, count: &str, options: &[&str]) -> Result<(), String> {
    let count: u32 = count.parse().map_err(|_| "how many?".to_string())?;
    let members: Vec<_> = (0..count).map(ReplicaId).collect();
    let mut configs: Vec<_> = members.iter().map(|id| Config::new(*id, members.clone())).collect();
    let (limits, modes): (Vec<&str>, Vec<&str>) = options.iter().partition(|option| option.contains('='));
    let mut seed = 1;
    for (name, value) in limits.iter().filter_map(|option| option.split_once('=')) {
        if name == "seed" {
            seed = value.parse().map_err(|_| format!("{value} is not a number"))?;
        } else {
            configs.iter_mut().try_for_each(|config| config::set(config, name, value))?;
        }
    }
    for config in &mut configs {
        config.mutations = stage.switches.core;
    }
    stage.raise(
        configs,
        seed,
        if modes.contains(&"view-durable") { StorageMode::ViewDurable } else { StorageMode::Durable },
    );
    if let Some(unknown) = modes.iter().find(|mode| !MODES.contains(mode)) {
        return Err(format!("{unknown} is not like limit=5"));
    }
    if !modes.contains(&"unformed") {
        form(stage)?;
    }
    // Whoever is by hand from here on may have formed the group by itself.
    stage.manual_turns = modes.contains(&"manual-turns");
    stage.lenient = modes.contains(&"lenient");
    if modes.contains(&"manual-storage") {
        stage.world.hosts.iter_mut().for_each(|host| host.storage = Storage::Delayed);
    }
    if modes.contains(&"manual-snapshots") {
        stage.world.hosts.iter_mut().for_each(|host| host.snapshots = Storage::Delayed);
    }
    if modes.contains(&"manual-stages") {
        stage.world.hosts.iter_mut().for_each(|host| host.stages = Storage::Delayed);
    }
    Ok(())
}

const MODES: [&str; 7] = [
    "unformed",
    "view-durable",
    "manual-turns",
    "manual-storage",
    "manual-snapshots",
    "manual-stages",
    "lenient",
];

fn form(stage: &mut Stage) -> Result<(), String> {
    quietly(stage, |stage| {
        for replica in 0..stage.replicas() {
            stage.start(replica)?;
        }
        let formed = |stage: &Stage| {
            let normal = |status: vsr_core::Status| status.status == StatusName::Normal;
            stage.world.hosts.iter().all(|host| host.status().is_some_and(normal))
        };
        for _ in 0..FIRINGS_MAX {
            stage.settle()?;
            if formed(stage) {
                break;
            }
            stage.run(Duration::from_millis(10))?;
        }
        stage.flights.clear();
        stage.take_transcript();
        if formed(stage) { Ok(()) } else { Err("the group does not form".into()) }
    })
}

fn set_option(config: &mut Config, option: &str) -> Result<(), String> {
    let (name, value) = option.split_once('=').ok_or_else(|| format!("{option} is not like limit=5"))?;
    config::set(config, name, value)
}

/// Opens sessions through R0, and lets everybody know that they are committed.
fn clients(stage: &mut Stage, names: &[&str]) -> Result<(), String> {
    quietly(stage, |stage| {
        for name in names {
            let client = stage.client(name);
            let request = stage.people[client].registration();
            stage.call(0, client, request)?;
            stage.settle()?;
            stage.session_of(name).ok_or_else(|| format!("{name} has no session"))?;
        }
        fire_until(stage, 0, |event| matches!(event, Event::CommitSent { .. }))?;
        stage.settle()?;
        stage.take_transcript();
        Ok(())
    })
}

fn request(stage: &mut Stage, at: usize, name: &str, operation: &str) -> Result<(), String> {
    let client = stage.client(name);
    let floor = stage.world.checkers.answered();
    let request = stage.people[client].invoke(Bytes::from(operation.to_string()), floor);
    stage.call(at, client, request.ok_or("it has no session")?)
}

/// Changes one field of a message: what a stranger, a liar or a broken network could send.
fn forge(stage: &Stage, message: &mut Message, change: &str) -> Result<(), String> {
    let (field, value) = change.split_once('=').ok_or_else(|| format!("{change} is not like view=7"))?;
    if field == "from" {
        let from = replica(value)?;
        message.from = ReplicaId(from as u32);
        if let Some(record) = stage.world.hosts.get(from).and_then(|host| host.disk().record()) {
            message.incarnation = record.incarnation;
        }
        return Ok(());
    }
    let value: u64 = value.parse().map_err(|_| format!("{value} is not a number"))?;
    match (field, &mut message.body) {
        ("cluster", _) => message.cluster = ClusterId(value),
        ("group", _) => message.group = GroupId(value),
        ("epoch", _) => message.epoch = EpochNumber(value),
        ("incarnation", _) => message.incarnation = Incarnation(value),
        ("view", _) => message.view = ViewNumber(value),
        ("pace", Body::Commit { pace, .. }) => *pace = value as u8,
        ("hash", Body::PrepareOk { hash, .. } | Body::GetState { hash, .. }) => *hash = Hash(value.into()),
        _ => return Err(format!("{field} cannot be forged")),
    }
    Ok(())
}

/// The operation of an earlier life under a number of this one.
fn collide(stage: &mut Stage, at: usize, name: &str, number: u64, operation: &str) -> Result<(), String> {
    let client = stage.client(name);
    let session = stage.session_of(name).ok_or("it has no session")?;
    let operation = Bytes::from(operation.to_string());
    let (request, checksum) = (RequestNumber(number), checksum(&operation));
    let origin = Origin::Request { session, request, acked_below: RequestNumber(1), checksum };
    stage.world.checkers.conflicts_allowed = true;
    stage.call(
        at,
        client,
        Request { origin, operation, trace: trace_of(session, request, checksum).map(Arc::new) },
    )
}

/// Takes messages that were sent out of the network: the oldest, or all.
fn take(stage: &mut Stage, which: &[&str], all: bool) -> Result<Vec<Flight>, String> {
    let selector = Selector::parse(which)?;
    let mut passed_over = 0;
    let mut taken = Vec::new();
    let mut index = 0;
    while let Some(flight) = stage.flights.get(index) {
        if !flight.is_meant(&selector) {
            index += 1;
        } else if passed_over < selector.skip {
            passed_over += 1;
            index += 1;
        } else {
            taken.push(stage.flights.remove(index));
            if !all {
                break;
            }
        }
    }
    if taken.is_empty() { Err("no such message".into()) } else { Ok(taken) }
}

/// The oldest such message brings other bytes than it was sent with.
fn damage(stage: &mut Stage, which: &[&str]) -> Result<(), String> {
    let selector = Selector::parse(which)?;
    let matching = |f: &&mut Flight| selector.matches(f.from, f.to, &f.message);
    let flight = stage.flights.iter_mut().find(matching).ok_or("no such message")?;
    if damage_piece(&mut flight.message) { Ok(()) } else { Err("it has no piece of a snapshot".into()) }
}

/// Lets timers go off until something happens; a mutant may never get there, which the claims that follow will notice.
fn fire_until(stage: &mut Stage, replica: usize, done: impl Fn(&Event) -> bool) -> Result<(), String> {
    for _ in 0..FIRINGS_MAX {
        if stage.fire(replica)?.iter().any(&done) {
            break;
        }
    }
    Ok(())
}

fn partition(stage: &mut Stage, sides: &[&str]) -> Result<(), String> {
    let mut side_of = vec![usize::MAX; stage.replicas()];
    let mut side = 0;
    for word in sides {
        if *word == "|" {
            side += 1;
        } else {
            side_of[replica(word)?] = side;
        }
    }
    stage.cuts.clear();
    for from in 0..side_of.len() {
        for to in (0..side_of.len()).filter(|to| side_of[*to] != side_of[from]) {
            cut(stage, from, to);
        }
    }
    Ok(())
}

/// Nothing new gets through; what is under way is late, and only an explicit delivery brings it.
fn cut(stage: &mut Stage, from: usize, to: usize) {
    stage.cuts.push((from, to));
    for flight in &mut stage.flights {
        flight.held |= (flight.from, flight.to) == (from, to);
    }
}
