//! One replica: wait, step, carry out. Nothing else happens here, and nothing here waits for a peer, a client or a disk.

use crate::{
    AlreadyRunning, Config, LogStorage, Persisted, ReplicaError, Replies, RequestError, StateMachine,
    Transport,
    answers::Due,
    background::Background,
    client::{Claim, Taken},
    clock::Clock,
    control::{Control, Pause},
    door::DoorKeeper,
    lanes::{CLIENTS_MAX, Lanes, Mailbox},
    machine::{Machine, called, caught, caught_future},
    observe::{Telemetry, commit_span},
    read::Readers,
    server::{Host, PeerState},
    status::{Health, Publisher},
    storage::Appended,
    waiters::{Opened, Waiters, Waiting},
};
use std::{any::type_name, iter::from_fn, ops::Range, sync::Arc, time::Duration, vec::Drain};
use vsr_core::{
    Effect, Entry, Event, Input, Message, Now, Origin, Refusal, Replica, ReplicaId, Request, Snapshot,
    StatusName, WriteId,
};

pub(crate) struct ReplicaTask<M: StateMachine> {
    pub(crate) core: Replica,
    pub(crate) machine: Machine<M>,
    /// The callbacks of an actor; a plain state machine has none.
    pub(crate) host: Option<Host<M>>,
    pub(crate) background: Background,
    pub(crate) transport: Box<dyn Transport>,
    pub(crate) replies: Box<dyn Replies<M::Reply>>,
    pub(crate) storage: Box<dyn LogStorage>,
    pub(crate) persisted: Persisted,
    pub(crate) mailbox: Mailbox<M>,
    pub(crate) waiters: Waiters<M::Reply>,
    pub(crate) readers: Readers<M>,
    pub(crate) door: DoorKeeper<M>,
    pub(crate) telemetry: Telemetry,
    pub(crate) clock: Clock,
    pub(crate) pause: Arc<Pause>,
    pub(crate) config: Config,
    pub(crate) members: Vec<ReplicaId>,
    pub(crate) lanes: Lanes<M>,
    /// Reused from turn to turn. Those of the start are in it when the task begins.
    pub(crate) effects: Vec<Effect>,
    /// What carrying out effects led to.
    pub(crate) follow_ups: Vec<Input>,
    /// A state to be taken over before the effects that are left.
    pub(crate) restoring: Option<(M, Arc<Snapshot>)>,
}

/// A replica about to run. Its fields are dropped in this order, also if it never gets to run.
pub(crate) struct Run<M: StateMachine> {
    pub(crate) task: ReplicaTask<M>,
    pub(crate) publisher: Publisher,
}

/// Runs a replica to its end. The publisher is dropped last, whatever ends the task: who sees it closed knows that all else is gone.
pub(crate) async fn run<M: StateMachine>(run: Run<M>) {
    // Variables are dropped in the reverse order.
    let Run { publisher, mut task } = run;
    let ended = task.work(&publisher).await;
    if let Some(host) = &mut task.host {
        host.terminate(task.machine.state_mut(), ended.as_ref().err(), &mut task.telemetry).await;
    }
    if ended.is_ok() {
        // It may be the last thing that the process waits for. A panic of it has nothing to do with how the replica ended.
        drop(caught_future(task.storage.close()).await);
    }
    task.telemetry.ended(ended.as_ref().err());
    // It holds values of the user, whose `Drop` may panic: that must not hide why the replica ended.
    let dropped = called("drop", || drop(task));
    publisher.end(match ended.and(dropped) {
        Ok(()) => Health::Stopped,
        Err(error) => Health::Failed(error),
    });
}

impl<M: StateMachine> ReplicaTask<M> {
    async fn work(&mut self, publisher: &Publisher) -> Result<(), ReplicaError> {
        self.telemetry.started(&self.core);
        // The effects of the start.
        let mut go_on = self.guarded(Self::carry_on)?;
        loop {
            while let Some(large) = self.restoring.take() {
                self.restore(large).await?;
                go_on = self.guarded(Self::carry_on)?;
            }
            self.show(publisher);
            self.telemetry.check()?;
            if !go_on {
                return Ok(());
            }
            self.wait().await;
            if self.pause.passed().await {
                self.top_up();
            }
            go_on = self.guarded(Self::turn)?;
        }
    }

    /// A broken assertion ends the replica with its message, like everything else that ends it.
    pub(crate) fn guarded<T>(
        &mut self,
        code: impl FnOnce(&mut Self) -> Result<T, ReplicaError>,
    ) -> Result<T, ReplicaError> {
        caught(|| code(self)).unwrap_or_else(|reason| Err(ReplicaError::Bug { reason }))
    }

    /// Takes what is in the lanes, in the order of their importance, and does what follows from it. False: the replica has ended.
    fn turn(&mut self) -> Result<bool, ReplicaError> {
        let now = self.clock.now();
        self.lanes.now = now.monotonic;
        self.core.set_observed(self.telemetry.is_heard());
        self.obey(now)?;
        self.hear_storage(now)?;
        self.hear_background(now)?;
        let messages = self.take_messages(now);
        if self.core.deadline() <= now.monotonic {
            self.core.step(now, Input::Timer, &mut self.effects);
        }
        let requests = self.take_requests(now)?;
        if requests > 0 {
            self.lanes.taken_at = now.monotonic;
            self.lanes.crowded = requests > 1;
        }
        if messages > 0 {
            self.lanes.behind = messages > 1 && !self.core.is_primary();
        }
        let reads = self.take_reads(now);
        let waiting = || self.mailbox.clients.len();
        self.telemetry.mailbox_taken(&self.core, messages, requests, reads, waiting);
        self.end_turn(now)
    }

    /// False: the replica has ended.
    pub(crate) fn end_turn(&mut self, now: Now) -> Result<bool, ReplicaError> {
        let go_on = self.settle(now)?;
        if self.restoring.is_none() {
            self.serve_stale();
            self.call_back(now)?;
        }
        Ok(go_on)
    }

    fn obey(&mut self, now: Now) -> Result<(), ReplicaError> {
        if self.lanes.control.is_empty() {
            return Ok(());
        }
        for control in std::mem::take(&mut self.lanes.control) {
            match control {
                Control::Shutdown { hand_over } => self.leave(now, hand_over),
                Control::Reply(to, reply) => self.reply([(to, reply)])?,
                Control::SetLog(_, done) => drop(done.send(Err(AlreadyRunning { what: "the log" }.into()))),
                Control::SetCluster(_, _, done) => {
                    drop(done.send(Err(AlreadyRunning { what: "the cluster" }.into())));
                }
                Control::Dump(tell) => drop(tell.send(self.dump())),
            }
        }
        Ok(())
    }

    /// Runs the actor's callbacks that are due: behind everything else, when the state is that of the op that the protocol calls applied.
    fn call_back(&mut self, now: Now) -> Result<(), ReplicaError> {
        let Some(host) = &mut self.host else { return Ok(()) };
        host.run(self.machine.state_mut(), now.monotonic, self.core.status(), &mut self.telemetry)?;
        if host.wants_to_stop() && self.lanes.leaving.is_none() {
            self.leave(now, true);
        }
        Ok(())
    }

    /// Effects and what follows from them, until nothing does, or until a state is to be restored first.
    fn settle(&mut self, now: Now) -> Result<bool, ReplicaError> {
        loop {
            self.core.end_turn(now, &mut self.effects);
            if !self.effects.is_empty() {
                self.carry_out()?;
            }
            if self.follow_ups.is_empty() || self.restoring.is_some() {
                return Ok(!self.has_left(now));
            }
            let mut follow_ups = std::mem::take(&mut self.follow_ups);
            for input in follow_ups.drain(..) {
                self.core.step(now, input, &mut self.effects);
            }
            self.follow_ups = follow_ups;
        }
    }

    fn hear_storage(&mut self, now: Now) -> Result<(), ReplicaError> {
        if let Some(news) = self.persisted.take_news() {
            self.telemetry.storage(&self.core, &news);
        }
        if let Some(error) = self.persisted.error() {
            return Err(error.clone().into());
        }
        let sequence = self.persisted.sequence();
        if sequence > self.lanes.durable {
            self.lanes.durable = sequence;
            let id = WriteId { boot: self.lanes.written.boot, sequence };
            self.core.step(now, Input::Persisted(id), &mut self.effects);
        }
        Ok(())
    }

    fn hear_background(&mut self, now: Now) -> Result<(), ReplicaError> {
        if !self.background.is_busy() {
            return Ok(());
        }
        for input in self.background.inputs()? {
            self.core.step(now, input, &mut self.effects);
        }
        while let Some((to, message)) = self.background.pieces.take() {
            match message {
                Ok(message) => self.timed("send_vsr", "Message", |task| task.send([(to, message)]))?,
                Err(reason) => self.telemetry.piece_unreadable(&self.core, to, &reason),
            }
        }
        Ok(())
    }

    /// Hands what peers say to the protocol. How many messages there were.
    fn take_messages(&mut self, now: Now) -> usize {
        if self.lanes.peers.is_empty() {
            return 0;
        }
        for message in &self.lanes.peers {
            self.telemetry.message(&self.core, message);
        }
        let count = self.lanes.peers.len();
        let messages = self.lanes.peers.drain(..).map(Input::Message);
        self.core.step_all(now, messages, &mut self.effects);
        count
    }

    /// Takes requests from the clients that knock, as many as the protocol has room for. How many there were.
    fn take_requests(&mut self, now: Now) -> Result<usize, ReplicaError> {
        if self.lanes.clients.is_empty() {
            return Ok(0);
        }
        let mut knocks = std::mem::take(&mut self.lanes.clients);
        let most = if self.held_back_until().is_some() { 0 } else { self.core.room().min(CLIENTS_MAX) };
        let (mut room, mut result) = (most, Ok(()));
        knocks.retain_mut(|knock| {
            if room == 0 || result.is_err() {
                return true;
            }
            let mut requests = std::mem::take(&mut self.lanes.requests);
            let Some(Taken { claim, more }) = knock.take(room, &mut requests) else { return false };
            room -= requests.len();
            result = self.hand_in(now, claim, &mut requests);
            requests.clear();
            self.lanes.requests = requests;
            more
        });
        // Whoever could not be served whole is not the first next time.
        if knocks.len() > 1 {
            knocks.rotate_left(1);
        }
        self.lanes.clients = knocks;
        result.map(|()| most - room)
    }

    /// Hands requests of one client to the protocol.
    fn hand_in(
        &mut self,
        now: Now,
        claim: Claim<M::Reply>,
        requests: &mut Vec<Request>,
    ) -> Result<(), ReplicaError> {
        match requests.first().map(|request| request.origin) {
            Some(Origin::Register { client }) => {
                let waiter = claim.waiter(0);
                if !self.waiters.has_room(client) {
                    waiter.refuse(Refusal::Overloaded);
                    return Ok(());
                }
                self.waiters.insert_registration(client, waiter);
            }
            Some(Origin::Request { session, .. }) => {
                let mut claim = Some(claim);
                match self.waiters.open(session, &mut claim) {
                    Opened::Ready => {}
                    Opened::Evicted(before, outdated, waiting) => {
                        for waiting in waiting {
                            let what = (before, waiting.request, waiting.since);
                            self.telemetry.request_answered(&self.core, what, Some("Evicted"));
                        }
                        self.tell(outdated.evict())?;
                    }
                    Opened::Outdated => {
                        let told = claim.map(|claim| claim.evict()).unwrap_or_default();
                        return self.tell(told);
                    }
                    Opened::Unknown => {
                        let numbers = requests.iter().filter_map(number);
                        claim.iter().for_each(|claim| claim.lose(numbers.clone()));
                        return Ok(());
                    }
                }
            }
            Some(Origin::Tick) | None => return Ok(()),
        }
        let watched = self.telemetry.is_watched();
        let mut count = 0;
        for request in requests.iter() {
            let Origin::Request { session, request: number, checksum, .. } = request.origin else { continue };
            self.waiters.insert(session, Waiting { request: number, checksum, since: now.monotonic });
            count += 1;
            if watched {
                self.telemetry.request_started(&self.core, session, number);
            }
            if let Some(trace) = &request.trace {
                self.telemetry.traced_request(&self.core, session, number, trace);
            }
        }
        if !watched {
            self.telemetry.requests_started(count);
        }
        self.core.step_all(now, requests.drain(..).map(Input::Request), &mut self.effects);
        Ok(())
    }

    /// Hands reads to the protocol, behind the requests of the turn. How many there were.
    fn take_reads(&mut self, now: Now) -> usize {
        if self.lanes.reads.is_empty() {
            return 0;
        }
        let mut reads = std::mem::take(&mut self.lanes.reads);
        let count = reads.len();
        for job in reads.drain(..) {
            let Some(kind) = job.kind else {
                self.lanes.stale.push(job);
                continue;
            };
            let id = self.readers.insert(job);
            self.core.step(now, Input::Read { id, kind }, &mut self.effects);
        }
        self.lanes.reads = reads;
        count
    }

    /// After all effects of the turn: only then is the state that of the op that the protocol calls applied.
    fn serve_stale(&mut self) {
        if self.lanes.stale.is_empty() {
            return;
        }
        let status = self.core.status();
        for job in self.lanes.stale.drain(..) {
            if status.status == StatusName::Recovering {
                job.refuse(Refusal::NoPrimary);
            } else {
                job.run(self.machine.state(), status.applied);
            }
        }
    }

    /// Carries the effects out, in order.
    pub(crate) fn carry_out(&mut self) -> Result<(), ReplicaError> {
        let mut effects = std::mem::take(&mut self.effects);
        let mut left = effects.drain(..);
        loop {
            if left.as_slice().first().is_some_and(is_ready_to_send) {
                // To look at the clock costs as much as to send: once for all that is sent in a row.
                self.timed("send_vsr", "Message", |task| task.send(from_fn(|| next_to_send(&mut left))))?;
            }
            let Some(effect) = left.next() else { break };
            match effect {
                // A piece of a state, which is still to be read.
                Effect::Send { to, message } => self.background.pieces.read(to, message),
                Effect::Append(write) => {
                    let id = write.id;
                    self.lanes.written = id;
                    let appended = called("append", || self.storage.append(write))??;
                    self.lanes.writes_at_once = appended == Appended::Done;
                    if self.lanes.writes_at_once {
                        self.lanes.durable = id.sequence;
                        self.follow_ups.push(Input::Persisted(id));
                    }
                }
                Effect::Commit { entry, range } => {
                    let operation = type_name::<M::Operation>();
                    self.timed("handle_commit", operation, |task| task.commit(&entry, range))?;
                }
                Effect::Answer { of, answer } => self.answer(of, answer)?,
                Effect::Read { id, at } => {
                    if let Some(job) = self.readers.take(id) {
                        job.run(self.machine.state(), at);
                    }
                }
                Effect::ReadRefused { id, reason } => {
                    if let Some(job) = self.readers.take(id) {
                        job.refuse(reason);
                    }
                }
                Effect::TakeSnapshot { op } => {
                    let frozen = self.timed("snapshot", type_name::<M>(), |task| task.machine.freeze())?;
                    self.telemetry.snapshot_begun(&self.core, op);
                    let stage = called("stage", || self.storage.stage())?;
                    self.background.snapshots.write(op, frozen, stage);
                }
                Effect::Stage(part) => {
                    let fresh = || called("stage", || self.storage.stage());
                    self.background.staging.add(*part, fresh)?;
                }
                Effect::Unstage => self.background.staging.give_up(),
                Effect::TakeDigest { op } => self.core.digested(op, self.machine.digest()?),
                Effect::InstallSnapshot(snapshot) => {
                    self.install(snapshot)?;
                    if self.restoring.is_some() {
                        self.effects = left.collect();
                        return Ok(());
                    }
                }
                Effect::Observe(event) => {
                    self.telemetry.event(&self.core, &event);
                    self.monitor(&event);
                }
                Effect::Stop(reason) => return Err(reason.into()),
            }
        }
        drop(left);
        self.effects = effects;
        if let Some(next) = self.machine.next_tick_changed()? {
            self.follow_ups.push(Input::NextTick(next));
        }
        Ok(())
    }

    /// Runs code of the user, and reports it if it took too long: it kept the replica from its heartbeats.
    pub(crate) fn timed<T>(
        &mut self,
        callback: &'static str,
        of: &'static str,
        code: impl FnOnce(&mut Self) -> Result<T, ReplicaError>,
    ) -> Result<T, ReplicaError> {
        let began = std::time::Instant::now();
        let result = code(self);
        self.tell_if_slow(callback, of, began.elapsed());
        result
    }

    pub(crate) fn tell_if_slow(&mut self, callback: &'static str, of: &'static str, took: Duration) {
        if took > self.config.slow_callback {
            self.telemetry.callback_slow(callback, of, took);
        }
    }

    /// Applies committed operations; each reply goes to the protocol and to whoever waits for it here.
    fn commit(&mut self, entry: &Entry, range: Range<usize>) -> Result<(), ReplicaError> {
        let last = entry.op(range.end - 1);
        let applied = if self.telemetry.is_watched() || !entry.run().traces().is_empty() {
            range.into_iter().try_for_each(|index| self.apply_watched(entry, index))
        } else {
            self.apply_run(entry, range)
        };
        let delivered = if self.lanes.due.is_empty() { Ok(()) } else { self.deliver(last) };
        applied.and(delivered)
    }

    /// Applies operations side by side. Those before one that fails are handed in all the same.
    fn apply_run(&mut self, entry: &Entry, mut range: Range<usize>) -> Result<(), ReplicaError> {
        while !range.is_empty() {
            let begun = self.telemetry.operations_started();
            let applied = self.apply(entry, range.clone());
            let done = self.machine.applied().replies.len();
            self.telemetry.operations_stopped(begun, done + usize::from(applied.is_err()), done);
            self.hand_in_replies(entry, range.start);
            applied?;
            range.start += done;
        }
        Ok(())
    }

    /// Applies one operation where somebody looks at each.
    fn apply_watched(&mut self, entry: &Entry, index: usize) -> Result<(), ReplicaError> {
        let op = entry.op(index);
        let begun = self.telemetry.operation_started(&self.core, op);
        let trace = entry.trace(index);
        match trace {
            None => self.apply(entry, index..index + 1),
            Some(trace) => {
                commit_span(trace, op, entry.view()).in_scope(|| self.apply(entry, index..index + 1))
            }
        }?;
        self.telemetry.operation_stopped(&self.core, op, begun);
        if let Some(trace) = trace {
            self.telemetry.traced_commit(&self.core, trace, op, entry.view());
        }
        self.hand_in_replies(entry, index);
        Ok(())
    }

    fn apply(&mut self, entry: &Entry, range: Range<usize>) -> Result<(), ReplicaError> {
        let start = range.start;
        self.machine.apply(entry, range).inspect_err(|error| {
            let op = entry.op(start + self.machine.applied().replies.len());
            self.telemetry.operation_failed(&self.core, op, error);
        })
    }

    /// What the operations from `start` on came to goes to the protocol, and becomes due to those who wait here.
    fn hand_in_replies(&mut self, entry: &Entry, start: usize) {
        let Self { core, machine, waiters, telemetry, lanes, .. } = self;
        let applied = machine.applied();
        core.applied_all(entry.op(start), applied.encoded());
        if waiters.are_unused() {
            // A backup without clients need not look for each of them.
            applied.replies.clear();
            return;
        }
        let watched = telemetry.is_watched();
        for (head, reply) in entry.run().heads()[start..].iter().zip(applied.replies.drain(..)) {
            let (Some(reply), Origin::Request { session, request, checksum, .. }) = (reply, head.origin)
            else {
                continue;
            };
            let Some(waiting) = waiters.take(session, request) else { continue };
            let same = waiting.checksum == checksum;
            if watched || !same {
                let what = (session, request, waiting.since);
                telemetry.request_answered(core, what, (!same).then_some("Conflict"));
            } else {
                telemetry.request_stopped(waiting.since);
            }
            let reply = if same { Ok(reply) } else { Err(RequestError::Conflict) };
            lanes.due.push(Due { session, request, reply });
        }
        telemetry.count_answered();
    }

    /// An actor hears of its peers.
    fn monitor(&mut self, event: &Event) {
        let (peer, state) = match event {
            Event::PeerUp { peer } => (*peer, PeerState::Up),
            Event::PeerDown { peer } => (*peer, PeerState::Down),
            _ => return,
        };
        if let Some(host) = &mut self.host {
            host.monitor(peer, state);
        }
    }

    fn send(&mut self, messages: impl IntoIterator<Item = (ReplicaId, Message)>) -> Result<(), ReplicaError> {
        let Self { host, machine, transport, .. } = self;
        called("send_vsr", || {
            for (to, message) in messages {
                match host {
                    None => transport.send_vsr(to, message),
                    Some(host) => {
                        host.hooks().send_vsr(machine.state_mut(), to, message, &mut **transport);
                    }
                }
            }
        })
    }

    /// Shows the turn's result to those who watch, and a view that started to the clients.
    fn show(&mut self, publisher: &Publisher) {
        let status = self.core.status();
        if publisher.publish(&status) {
            self.telemetry.status(&status);
        }
        if status.status == StatusName::Normal {
            self.door.announce(status.view, status.primary);
        }
    }
}

fn is_ready_to_send(effect: &Effect) -> bool {
    matches!(effect, Effect::Send { message, .. } if message.is_loaded())
}

fn next_to_send(left: &mut Drain<'_, Effect>) -> Option<(ReplicaId, Message)> {
    left.as_slice().first().filter(|effect| is_ready_to_send(effect))?;
    match left.next() {
        Some(Effect::Send { to, message }) => Some((to, message)),
        _ => None,
    }
}

/// The number of a session's request.
fn number(request: &Request) -> Option<u64> {
    match request.origin {
        Origin::Request { request, .. } => Some(request.0),
        Origin::Register { .. } | Origin::Tick => None,
    }
}
