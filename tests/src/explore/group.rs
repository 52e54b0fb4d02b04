//! What can happen in a state of the group, what comes of it, and what must hold across replicas.

use super::{
    Bounds, REPLICAS,
    local::{Happening, Local, Told},
    pool::{Logs, Messages},
    states::State,
    store::Store,
};
use crate::checkers::Violation;
use bytes::Bytes;
use std::{
    array,
    collections::{HashMap, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
};
use vsr_core::{
    Body, ClientId, Config, Message, OpNumber, Origin, ReplicaId, Request, RequestNumber, Timer, ViewNumber,
    checksum,
};

/// One thing that happens to one replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) replica: usize,
    pub(super) action: Action,
}

/// A message, by whom it concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct MessageId {
    owner: usize,
    number: u32,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Deliver(MessageId),
    Request(u32),
    Persist,
    Timer(Timer),
    Crash { done: usize },
}

/// What a step makes of a replica.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    /// Nothing changes, nothing is sent; or it cannot happen.
    Nothing,
    /// It enters a view that is not explored.
    Beyond,
    Next {
        local: u32,
        sent: [u32; REPLICAS],
    },
}

type Acted = Box<[(Action, Outcome)]>;

/// All states of one replica.
#[derive(Debug)]
struct Locals {
    config: Config,
    numbers: HashMap<u128, u32>,
    states: Vec<Local>,
    summaries: Vec<Summary>,
    /// For each state what came of a message, in the order of the messages.
    heard: Vec<Vec<(MessageId, Outcome)>>,
    /// For each state what came of everything else.
    acted: Vec<Option<Acted>>,
}

/// What others, and the properties, need to know of a state.
#[derive(Clone, Copy, Debug)]
struct Summary {
    log: u32,
    log_view: ViewNumber,
    committed: u32,
    durable: u32,
    durable_log_view: ViewNumber,
    ears: u32,
    boots: u32,
}

#[derive(Debug)]
pub(super) struct Group {
    bounds: Bounds,
    locals: [Locals; REPLICAS],
    inboxes: [Messages; REPLICAS],
    logs: Logs,
    requests: Vec<Request>,
    /// Steps that led out of the views that are explored.
    pub(super) beyond: u64,
    /// Steps that the core took.
    pub(super) core_steps: u64,
}

type Broken = (Step, Violation);

impl Group {
    pub(super) fn new(bounds: Bounds) -> Self {
        let members: Vec<_> = (0..REPLICAS as u32).map(ReplicaId).collect();
        let locals = |replica: usize| {
            let mut config = Config::new(members[replica], members.clone());
            config.mutations = bounds.mutations;
            Locals {
                config,
                numbers: HashMap::new(),
                states: Vec::new(),
                summaries: Vec::new(),
                heard: Vec::new(),
                acted: Vec::new(),
            }
        };
        Self {
            bounds,
            locals: array::from_fn(locals),
            inboxes: array::from_fn(|_| Messages::new()),
            logs: Logs::new(),
            requests: Vec::new(),
            beyond: 0,
            core_steps: 0,
        }
    }

    pub(super) fn replica_states(&self) -> usize {
        self.locals.iter().map(|locals| locals.states.len()).sum()
    }

    pub(super) fn messages(&self) -> usize {
        self.inboxes.iter().map(Messages::len).sum()
    }

    pub(super) fn message(&self, id: MessageId) -> &Message {
        self.inboxes[id.owner].get(id.number)
    }

    pub(super) fn includes(&self, replica: usize, large: u32, small: u32) -> bool {
        self.inboxes[replica].includes(large, small)
    }

    pub(super) fn local(&self, replica: usize, number: u32) -> &Local {
        &self.locals[replica].states[number as usize]
    }

    /// The group is formed, in view 0, and every operation has a session of its own; nothing is under way.
    pub(super) fn first(&mut self) -> State {
        let clients: Vec<_> = (1..=self.bounds.operations).map(|client| ClientId(client.into())).collect();
        let mut group = Prelude::formed(self.locals.each_ref().map(|locals| locals.config.clone()));
        for client in &clients {
            let request = Request::new(Origin::Register { client: *client }, Bytes::new());
            group.happens(0, &Happening::Request(&request));
        }
        group.happens(0, &Happening::Timer(Timer::Repeat));
        for entry in &group.entries {
            self.logs.add(entry);
        }
        for client in clients {
            let session = group.locals[0].session_of(client).expect("the registrations are committed");
            let operation = Bytes::from(format!("put x {}", client.0));
            let (request, checksum) = (RequestNumber(1), checksum(&operation));
            let origin = Origin::Request { session, request, acked_below: request, checksum };
            self.requests.push(Request::new(origin, operation));
        }
        let mut locals = group.locals.into_iter();
        let locals = array::from_fn(|replica| {
            let local = locals.next().expect("one for each replica").exploring(self.bounds.writes_at_once);
            self.number(replica, local)
        });
        let committed = self.summary(0, locals[0]).committed;
        State { locals, inboxes: [Messages::NONE; REPLICAS], committed, invoked: 0 }
    }

    /// Every step from a state that changes something, and the state after it.
    pub(super) fn steps(&mut self, from: &State, next: &mut Vec<(Step, State)>) -> Result<(), Broken> {
        let boots: u32 = (0..REPLICAS).map(|replica| self.summary(replica, from.locals[replica]).boots).sum();
        for replica in 0..REPLICAS {
            let local = from.locals[replica];
            self.deliver(from, replica, next)?;
            self.act(replica, local)?;
            let acted = self.locals[replica].acted[local as usize].take().unwrap_or_default();
            for (action, outcome) in &acted {
                let allowed = match action {
                    // Operations are alike: the second is asked for after the first.
                    Action::Request(request) => *request <= from.invoked,
                    Action::Crash { .. } => boots < self.bounds.crashes,
                    _ => true,
                };
                if allowed {
                    self.take(from, Step { replica, action: *action }, *outcome, next)?;
                }
            }
            self.locals[replica].acted[local as usize] = Some(acted);
        }
        Ok(())
    }

    /// Delivers each message that concerns a replica.
    fn deliver(&mut self, from: &State, owner: usize, next: &mut Vec<(Step, State)>) -> Result<(), Broken> {
        let set = from.inboxes[owner];
        for index in 0..self.inboxes[owner].of_set(set).len() {
            let number = self.inboxes[owner].of_set(set)[index];
            let replica = self.inboxes[owner].to(number);
            let message = MessageId { owner, number };
            let step = Step { replica, action: Action::Deliver(message) };
            let outcome = self.heard(replica, from.locals[replica], message);
            self.take(from, step, outcome.map_err(|violation| (step, violation))?, next)?;
        }
        Ok(())
    }

    /// The state after a step with this outcome.
    fn take(
        &mut self,
        from: &State,
        step: Step,
        outcome: Outcome,
        next: &mut Vec<(Step, State)>,
    ) -> Result<(), Broken> {
        let Outcome::Next { local, sent } = outcome else {
            self.beyond += u64::from(matches!(outcome, Outcome::Beyond));
            return Ok(());
        };
        let broken = |violation| (step, violation);
        let mut state = *from;
        state.locals[step.replica] = local;
        for (replica, more) in sent.into_iter().enumerate() {
            let ears = self.summary(replica, state.locals[replica]).ears;
            if more != Messages::NONE || ears != self.summary(replica, from.locals[replica]).ears {
                let inbox = &mut state.inboxes[replica];
                *inbox = self.inboxes[replica].union(*inbox, more, ears).map_err(broken)?;
            }
        }
        if let Action::Request(request) = step.action {
            state.invoked = state.invoked.max(request + 1);
        }
        state.committed =
            self.agree(from.committed, self.summary(step.replica, local).committed).map_err(broken)?;
        next.push((step, state));
        Ok(())
    }

    /// What a message makes of a replica.
    fn heard(&mut self, replica: usize, local: u32, message: MessageId) -> Result<Outcome, Violation> {
        let heard = &self.locals[replica].heard[local as usize];
        match heard.binary_search_by_key(&message, |(known, _)| *known) {
            Ok(index) => Ok(heard[index].1),
            Err(index) => {
                let outcome = self.find_out(replica, local, Action::Deliver(message))?;
                self.locals[replica].heard[local as usize].insert(index, (message, outcome));
                Ok(outcome)
            }
        }
    }

    /// Finds out what everything but messages makes of a replica.
    fn act(&mut self, replica: usize, local: u32) -> Result<(), Broken> {
        if self.locals[replica].acted[local as usize].is_some() {
            return Ok(());
        }
        let known = self.local(replica, local);
        let (pending, view, primary) =
            (known.store.pending(), known.status().view, known.status().is_primary);
        let mut actions: Vec<_> = (0..self.requests.len() as u32).map(Action::Request).collect();
        actions.push(Action::Persist);
        if primary || self.bounds.repeats {
            actions.push(Action::Timer(Timer::Repeat));
        }
        // Nobody gives up on the last view.
        if view < self.bounds.last_view() {
            actions.push(Action::Timer(Timer::Failure));
        }
        if self.summary(replica, local).boots < self.bounds.crashes {
            actions.extend((0..=pending).map(|done| Action::Crash { done }));
        }
        let mut acted = Vec::new();
        for action in actions {
            let outcome = self.find_out(replica, local, action);
            let outcome = outcome.map_err(|violation| (Step { replica, action }, violation))?;
            if !matches!(outcome, Outcome::Nothing) {
                acted.push((action, outcome));
            }
        }
        self.locals[replica].acted[local as usize] = Some(acted.into());
        Ok(())
    }

    /// Lets the core take a step.
    fn find_out(&mut self, replica: usize, local: u32, action: Action) -> Result<Outcome, Violation> {
        self.core_steps += 1;
        let (before, happening, config) =
            (self.local(replica, local), self.happening(action), self.config(replica));
        let after = catch_unwind(AssertUnwindSafe(|| before.after(&happening, config)));
        let Some((next, told)) =
            after.unwrap_or_else(|panic| Err(Violation::new("panic", crate::user::message(&*panic))))?
        else {
            return Ok(Outcome::Nothing);
        };
        if next.status().view > self.bounds.last_view() {
            return Ok(Outcome::Beyond);
        }
        for entry in &told.entries {
            self.logs.add(entry);
        }
        let sent = self.send(told);
        let next = self.number(replica, next);
        let nothing = next == local && sent == [Messages::NONE; REPLICAS];
        Ok(if nothing { Outcome::Nothing } else { Outcome::Next { local: next, sent } })
    }

    pub(super) fn happening(&self, action: Action) -> Happening<'_> {
        match action {
            Action::Deliver(message) => Happening::Message(self.message(message)),
            Action::Request(request) => Happening::Request(&self.requests[request as usize]),
            Action::Persist => Happening::Persisted,
            Action::Timer(timer) => Happening::Timer(timer),
            Action::Crash { done } => Happening::Crash { done },
        }
    }

    pub(super) fn config(&self, replica: usize) -> &Config {
        &self.locals[replica].config
    }

    fn send(&mut self, told: Told) -> [u32; REPLICAS] {
        let mut sent: [Vec<(usize, Message)>; REPLICAS] = Default::default();
        for (to, message) in told.messages {
            let concerns = if matches!(message.body, Body::GetState { .. }) { message.from } else { to };
            sent[concerns.0 as usize].push((to.0 as usize, message));
        }
        let mut sent = sent.into_iter();
        array::from_fn(|replica| self.inboxes[replica].set_of(sent.next().into_iter().flatten()))
    }

    fn number(&mut self, replica: usize, local: Local) -> u32 {
        let fingerprint = local.fingerprint();
        let next = self.locals[replica].states.len() as u32;
        let number = *self.locals[replica].numbers.entry(fingerprint).or_insert(next);
        if number == next {
            let summary = self.summarise(replica, &local);
            let locals = &mut self.locals[replica];
            locals.states.push(local);
            locals.summaries.push(summary);
            locals.heard.push(Vec::new());
            locals.acted.push(None);
        }
        number
    }

    fn summarise(&mut self, replica: usize, local: &Local) -> Summary {
        let ears = self.inboxes[replica].ears(local.ears());
        let status = local.status();
        let log = |op: OpNumber| local.hash_at(op).map_or(Logs::EMPTY, |hash| self.logs.ending_in(hash));
        let durable = local.store.hash_at(local.store.op());
        Summary {
            log: log(status.op),
            log_view: status.log_view,
            committed: log(status.commit),
            durable: durable.map_or(Logs::EMPTY, |hash| self.logs.ending_in(hash)),
            durable_log_view: local.store.log_view(),
            ears,
            boots: local.boots.into(),
        }
    }

    fn summary(&self, replica: usize, local: u32) -> &Summary {
        &self.locals[replica].summaries[local as usize]
    }

    /// J1 and J2: what is committed is one log, for ever.
    fn agree(&self, agreed: u32, committed: u32) -> Result<u32, Violation> {
        if self.logs.has(agreed, committed) {
            return Ok(agreed);
        }
        if self.logs.has(committed, agreed) {
            return Ok(committed);
        }
        let ops = (self.logs.op(committed), self.logs.op(agreed));
        let what =
            format!("a log is committed up to {}, which is not the one committed up to {}", ops.0, ops.1);
        Err(Violation::new("J1 agreement", what))
    }

    /// What must hold across replicas.
    pub(super) fn check(&self, state: &State) -> Result<(), Violation> {
        let all: [&Summary; REPLICAS] =
            array::from_fn(|replica| self.summary(replica, state.locals[replica]));
        self.comparable(all)?;
        self.durable(all, state.committed)
    }

    /// J7: logs of one log view are prefixes of each other.
    fn comparable(&self, all: [&Summary; REPLICAS]) -> Result<(), Violation> {
        for (index, one) in all.iter().enumerate() {
            for other in &all[..index] {
                let comparable = one.log_view != other.log_view
                    || self.logs.has(one.log, other.log)
                    || self.logs.has(other.log, one.log);
                if !comparable {
                    return Err(Violation::new(
                        "J7 comparable",
                        format!("two logs of {} differ", one.log_view),
                    ));
                }
            }
        }
        Ok(())
    }

    /// J3: whatever quorum starts the next view, the log it chooses holds everything that was committed.
    fn durable(&self, all: [&Summary; REPLICAS], committed: u32) -> Result<(), Violation> {
        let key = |of: &Summary| (of.durable_log_view, self.logs.op(of.durable));
        for one in all {
            let not_better = all.iter().filter(|other| key(other) <= key(one)).count();
            if not_better > REPLICAS / 2 && !self.logs.has(one.durable, committed) {
                let op = self.logs.op(committed);
                let what = format!("{op} is committed, and a view change may choose a log that lacks it");
                return Err(Violation::new("J3 durability", what));
            }
        }
        Ok(())
    }
}

/// How the group came to be: everything arrives at once and in order.
struct Prelude {
    configs: [Config; REPLICAS],
    locals: Vec<Local>,
    under_way: VecDeque<(ReplicaId, Message)>,
    entries: Vec<vsr_core::Entry>,
}

impl Prelude {
    fn formed(configs: [Config; REPLICAS]) -> Self {
        let mut group = Self { locals: Vec::new(), under_way: VecDeque::new(), entries: Vec::new(), configs };
        for replica in 0..REPLICAS {
            let started = Local::start(&group.configs[replica], Store::default(), true, 0);
            let (local, told) = started.expect("an empty storage is fine");
            group.locals.push(local);
            group.take(told);
        }
        group.settle();
        group
    }

    fn happens(&mut self, replica: usize, happening: &Happening<'_>) {
        self.turn(replica, happening);
        self.settle();
    }

    fn settle(&mut self) {
        while let Some((to, message)) = self.under_way.pop_front() {
            self.turn(to.0 as usize, &Happening::Message(&message));
        }
    }

    fn turn(&mut self, replica: usize, happening: &Happening<'_>) {
        let after = self.locals[replica].after(happening, &self.configs[replica]);
        if let Some((local, told)) = after.expect("nothing goes wrong while nothing is wrong") {
            self.locals[replica] = local;
            self.take(told);
        }
    }

    fn take(&mut self, told: Told) {
        self.under_way.extend(told.messages);
        self.entries.extend(told.entries);
    }
}
