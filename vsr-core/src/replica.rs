//! The replica: the only thing that changes, and the four calls that change it.

mod bootstrap;
mod commits;
mod digests;
#[cfg(test)]
mod divergence;
mod durability;
#[cfg(feature = "inject")]
mod exploration;
mod invariants;
mod memory_loss;
mod normal;
mod observing;
mod pace;
mod peers;
mod proposal;
mod reads;
mod recovery;
mod requests;
mod restored;
mod snapshot_arrival;
mod snapshot_transfer;
mod state_transfer;
mod status;
mod timers;
mod view_change;

use crate::{
    config::Config,
    configuration::{Membership, Record},
    effect::{Answer, Asked, Effect},
    event::{Event, Ignored},
    id::{
        ClientId, Hash, Incarnation, Now, OpNumber, ReplicaId, RequestNumber, SessionId, StageId, Time,
        ViewNumber,
    },
    input::{Input, LogState, Restored},
    log::{Log, Point},
    message::{Body, Message},
    mutation::Mutation,
    quorum::quorum,
    rng::Rng,
    session::{Lookup, Sessions},
    snapshot::{Arrived, Snapshot},
    stop::{StartError, StopReason},
};
use alloc::{boxed::Box, sync::Arc, vec::Vec};
use bootstrap::Bootstrapping;
use commits::Commits;
use digests::Digests;
use durability::{Durability, Stage};
#[cfg(feature = "inject")]
pub use exploration::Timer;
use normal::{Backup, Primary, Word};
use peers::Peers;
use reads::Reads;
use recovery::Recovering;
use requests::Credits;
use restored::{check_record, restore_log, restore_replicated};
use snapshot_arrival::Incoming;
use snapshot_transfer::Served;
use state_transfer::Transfer;
pub use status::Status;
use timers::Timers;
use view_change::{ViewChange, Votes};

/// One replica of a group.
///
/// The host calls [`step`](Self::step) for everything that happens, [`end_turn`](Self::end_turn) when its mailbox is empty or it has
/// had enough, carries the effects out in their order, and hands the replies of committed operations to
/// [`applied`](Self::applied) before the next input. The same calls with the same arguments give the same effects, to the byte.
#[derive(Clone, Debug)]
pub struct Replica {
    config: Config,
    /// This replica's position among the members.
    me: usize,
    incarnation: Incarnation,
    membership: Option<Membership>,
    mode: Mode,
    view: ViewNumber,
    /// The latest view whose log was installed: the paper's v'.
    log_view: ViewNumber,
    /// The op at which `log_view` started.
    start_op: OpNumber,
    log: Log,
    /// Known to be committed; `commits.applied ≤ commit ≤ log.op()`.
    commit: OpNumber,
    commits: Commits,
    digests: Digests,
    sessions: Sessions,
    /// The latest durable snapshot.
    snapshot: Option<Arc<Snapshot>>,
    /// Who wants to leave `view`.
    votes: Votes,
    peers: Peers,
    transfer: Option<Transfer>,
    /// A snapshot that arrives in pieces: it is committed, so it outlives the transfer it was asked for in.
    incoming: Option<Incoming>,
    /// The last part of it that was handed to the host.
    staged: StageId,
    /// One that is whole, and waits for what follows it.
    arrived: Option<Arrived>,
    served: Served,
    durability: Durability,
    credits: Credits,
    reads: Reads,
    timers: Timers,
    /// When replicated time should move on (decision 16).
    next_tick: Option<u64>,
    leaving: bool,
    /// Somebody hears of every step.
    observed: bool,
    rng: Rng,
    now: Now,
    /// The host's buffer, for the length of a call.
    out: Vec<Effect>,
    /// What the log once held, for the mutation that remembers it.
    #[cfg(feature = "inject")]
    appended: alloc::collections::BTreeMap<SessionId, RequestNumber>,
}

/// Status and role, with what each needs.
#[derive(Clone, Debug, Hash)]
enum Mode {
    Bootstrapping(Bootstrapping),
    Primary(Box<Primary>),
    Backup(Backup),
    ViewChange(Box<ViewChange>),
    Recovering(Box<Recovering>),
    Stopped,
}

impl Replica {
    /// Starts a replica from what its storage holds (rule F3). The effects are those of its first moment; end the turn after them.
    ///
    /// # Errors
    /// When configuration and storage do not fit each other, or the storage does not fit itself. Nothing was sent or written.
    pub fn start(
        now: Now,
        config: Config,
        restored: Restored,
        effects: &mut Vec<Effect>,
    ) -> Result<Self, StartError> {
        config.validate()?;
        #[cfg(feature = "inject")]
        let restored = config.mutations.forget(restored);
        let me = config.members.iter().position(|id| *id == config.replica).unwrap_or_default();
        let mut rng = Rng::new(config.seed);
        let boot = rng.next();
        // What is left of a log that was lost is no log.
        let lost = restored.log == LogState::Lost;
        let restored =
            if lost { Restored { record: restored.record, ..Restored::default() } } else { restored };
        let record = match restored.record {
            Some(record) => check_record(&config, record)?,
            None => Record {
                cluster: config.cluster,
                group: config.group,
                replica: config.replica,
                incarnation: Incarnation(rng.next()),
                membership: None,
                formed: false,
                view: ViewNumber(0),
                log_view: ViewNumber(0),
                start_op: OpNumber(0),
            },
        };
        let base = restored.snapshot.as_ref().map_or(Point::default(), |snapshot| snapshot.point());
        let log = restore_log(base, restored.entries)?;
        let commit = restored.commit.max(base.op);
        if commit > log.op() {
            return Err(StartError::Broken { at: commit, what: "the commit-number is above the log" });
        }
        if log.point_at(commit).is_none() {
            return Err(StartError::Broken { at: commit, what: "the commit-number is inside an entry" });
        }
        if !record.formed && (commit > OpNumber(0) || log.op() > OpNumber(0)) {
            return Err(StartError::Broken {
                at: log.op(),
                what: "there is a log, but no record of a formed group",
            });
        }
        let (sessions, replies) = match &restored.snapshot {
            Some(snapshot) => restore_replicated(snapshot, record.membership.as_ref())?,
            None => (Sessions::new(config.replicated), 0),
        };
        let replayed_from = if config_mutated(&config, Mutation::SuppressReplay) { commit } else { base.op };
        let stage = match (&record.membership, record.formed) {
            (None, _) => Stage::Known,
            (Some(_), false) => Stage::Bound,
            (Some(_), true) => Stage::Formed,
        };
        // Before the group is formed there is no log to lose.
        let recovers = lost && stage == Stage::Formed;
        let log_view = (!recovers).then_some(record.log_view);
        let mut replica = Self {
            me,
            incarnation: record.incarnation,
            membership: record.membership,
            mode: Mode::Stopped,
            view: record.view,
            log_view: if lost { ViewNumber(0) } else { record.log_view },
            start_op: if lost { OpNumber(0) } else { record.start_op },
            commit,
            commits: Commits::after(replayed_from),
            digests: Digests::new(config.members.len(), replies),
            sessions,
            snapshot: restored.snapshot,
            votes: Votes::new(config.members.len()),
            peers: Peers::default(),
            transfer: None,
            incoming: None,
            staged: StageId(0),
            arrived: None,
            served: Served::new(config.members.len()),
            durability: Durability::new(boot, stage, record.view, log_view, log.op()),
            credits: Credits::default(),
            reads: Reads::default(),
            timers: Timers::starting(now.monotonic),
            next_tick: None,
            leaving: false,
            observed: true,
            rng,
            now,
            log,
            config,
            out: Vec::new(),
            #[cfg(feature = "inject")]
            appended: alloc::collections::BTreeMap::new(),
        };
        core::mem::swap(&mut replica.out, effects);
        if let Some(snapshot) = replica.snapshot.clone() {
            replica.out.push(Effect::InstallSnapshot(snapshot));
        }
        if recovers {
            replica.recover();
        } else if stage == Stage::Formed {
            replica.rejoin()
        } else {
            replica.start_bootstrap()
        }
        core::mem::swap(&mut replica.out, effects);
        Ok(replica)
    }

    /// Takes in one thing that happened.
    ///
    /// # Panics
    /// When an invariant of the protocol is broken, or a reply is missing: see [`applied`](Self::applied).
    pub fn step(&mut self, now: Now, input: Input, effects: &mut Vec<Effect>) {
        self.within(now, effects, |replica| replica.on_input(input));
    }

    /// [`step`](Self::step) for each of `inputs`, in their order: cheaper where there are many at a time.
    ///
    /// # Panics
    /// As [`step`](Self::step).
    pub fn step_all(&mut self, now: Now, inputs: impl IntoIterator<Item = Input>, effects: &mut Vec<Effect>) {
        self.within(now, effects, |replica| {
            for input in inputs {
                replica.rest_if_idle();
                replica.on_input(input);
                if matches!(replica.mode, Mode::Stopped) {
                    return;
                }
            }
        });
    }

    /// Ends a turn: all requests of the turn become one entry, all acknowledgements one message, all writes one write, and what is
    /// committed goes to the state machine.
    ///
    /// # Panics
    /// As [`step`](Self::step).
    pub fn end_turn(&mut self, now: Now, effects: &mut Vec<Effect>) {
        self.within(now, effects, |replica| {
            replica.mind_the_pace();
            replica.advance_commit();
            replica.propose();
            replica.acknowledge();
            replica.answer_probe();
            if !replica.reads.is_empty() {
                replica.ask_for_reads();
            }
            replica.forward();
            replica.tell_commit();
            replica.flush();
            replica.commit_operations();
            if !replica.reads.is_empty() {
                replica.serve_reads();
            }
        });
    }

    /// When to say [`Input::Timer`] next. A time that is past means: there is work left, end another turn.
    #[must_use]
    pub fn deadline(&self) -> Time {
        if matches!(self.mode, Mode::Stopped) {
            Time(u64::MAX)
        } else if self.commits.emitted() < self.commit || self.reads.has_ready(self.commits.emitted()) {
            Time(0)
        } else {
            self.next_timer().min(self.tick_at())
        }
    }

    /// How many client requests it has room for now. The rest is best left in the mailbox.
    #[must_use]
    pub fn room(&self) -> usize {
        match &self.mode {
            Mode::Primary(primary) => primary.room(&self.config.limits),
            Mode::Backup(_) => self.credits.room(&self.config.limits),
            // They are refused at once.
            Mode::Bootstrapping(_) | Mode::ViewChange(_) | Mode::Recovering(_) | Mode::Stopped => {
                self.config.limits.forward_ops_max
            }
        }
    }

    /// What the session table knows of a request; `checksum` is that of its operation.
    #[must_use]
    pub fn lookup(&self, session: SessionId, request: RequestNumber, checksum: u64) -> Lookup {
        self.sessions.lookup(session, request, checksum)
    }

    /// The live session of a client.
    #[must_use]
    pub fn session_of(&self, client: ClientId) -> Option<SessionId> {
        self.sessions.of_client(client)
    }

    /// The session table.
    #[must_use]
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Hash of the log up to `op`, if an entry that is still held ends there.
    #[must_use]
    pub fn hash_at(&self, op: OpNumber) -> Option<Hash> {
        self.log.hash_at(op)
    }

    fn within(&mut self, now: Now, effects: &mut Vec<Effect>, act: impl FnOnce(&mut Self)) {
        assert!(!self.commits.owes_replies(), "all replies of a turn are handed in before the next input");
        assert!(!self.digests.are_owed(), "all digests of a turn are handed in before the next input");
        self.now = Now { monotonic: now.monotonic.max(self.now.monotonic), unix: now.unix };
        core::mem::swap(&mut self.out, effects);
        if !matches!(self.mode, Mode::Stopped) {
            if self.commits.awaits_sessions() {
                self.capture_sessions();
            }
            self.rest_if_idle();
            act(self);
        }
        core::mem::swap(&mut self.out, effects);
    }

    fn on_input(&mut self, input: Input) {
        match input {
            Input::Message(message) => self.on_message(message),
            Input::Request(request) => self.on_request(&request),
            Input::Read { id, kind } => self.on_read(id, kind),
            Input::Persisted(write) => self.on_persisted(write),
            Input::Timer => self.on_timer(),
            Input::SnapshotTaken { op, state } => self.on_snapshot_taken(op, state),
            Input::Staged { id, result } => self.on_staged(id, result),
            Input::NextTick(at) => self.next_tick = at,
            Input::Leave => self.on_leave(),
        }
    }

    fn on_message(&mut self, message: Message) {
        let (from, name) = (message.from, message.body.name());
        let result = self.admit(&message).and_then(|sender| {
            self.note_heard(sender);
            self.dispatch(sender, message)
        });
        if let Err(reason) = result
            && !matches!(self.mode, Mode::Stopped)
        {
            self.observe(Event::Ignored { from, message: name, reason });
        }
    }

    /// Rules A1 and A5 and decision 12: who may speak here at all.
    fn admit(&self, message: &Message) -> Result<usize, Ignored> {
        let anybody = self.mutated(Mutation::AcceptStrangers);
        if message.cluster != self.config.cluster && !anybody {
            return Err(Ignored::OtherCluster);
        }
        if message.group != self.config.group && !anybody {
            return Err(Ignored::OtherGroup);
        }
        if message.epoch != self.epoch() && !anybody {
            return Err(Ignored::OtherEpoch(message.epoch));
        }
        let sender = self.config.members.iter().position(|id| *id == message.from);
        let sender = sender.filter(|sender| *sender != self.me).ok_or(Ignored::NotAMember)?;
        if message.view >= ViewNumber::MAX && !self.mutated(Mutation::AcceptAnyView) {
            return Err(Ignored::ViewTooHigh);
        }
        if matches!(message.body, Body::Bootstrap(_)) || self.mutated(Mutation::SkipBootstrap) {
            return Ok(sender);
        }
        match &self.membership {
            Some(membership) if membership.members[sender].incarnation != message.incarnation => {
                Err(Ignored::OtherIncarnation)
            }
            _ if matches!(self.mode, Mode::Bootstrapping(_)) => Err(Ignored::Bootstrapping),
            _ => Ok(sender),
        }
    }

    fn dispatch(&mut self, sender: usize, message: Message) -> Result<(), Ignored> {
        let view = message.view;
        if matches!(self.mode, Mode::Recovering(_)) && !recovery::concerns(&message.body) {
            if matches!(message.body, Body::StartViewChange) && self.mutated(Mutation::VoteWhileRecovering) {
                self.cast_vote();
            }
            return Err(Ignored::Recovering);
        }
        match message.body {
            Body::Bootstrap(body) => self.on_bootstrap(sender, message.incarnation, *body),
            Body::Request(run) => self.on_forwarded(sender, view, &run),
            Body::Prepare { entry, commit, beat } => self.on_prepare(sender, view, entry, commit, beat),
            Body::PrepareOk { op, hash } => self.on_prepare_ok(sender, view, op, hash),
            Body::Commit { commit, beat, pace, heard } => {
                self.on_commit(sender, view, commit, beat, Word { pace, heard: Some(heard) })
            }
            Body::StartViewChange => self.on_start_view_change(sender, view),
            Body::DoViewChange(body) => self.on_do_view_change(sender, view, *body),
            Body::StartView(body) => self.on_start_view(sender, view, *body),
            Body::GetState { view: wanted, after, hash, nonce, held } => {
                self.on_get_state(sender, wanted, after, hash, nonce, held.as_deref())
            }
            Body::NewState(body) => self.on_new_state(sender, view, *body),
            Body::Digests(told) => self.on_digests(sender, told),
            Body::Recovery { nonce, boot } => self.on_recovery(sender, view, nonce, boot),
            Body::RecoveryResponse(body) => self.on_recovery_response(sender, view, *body),
            Body::Probe { id } => self.on_probe(sender, view, id),
            Body::ProbeOk { id } => self.on_probe_ok(sender, view, id),
            Body::ReadIndex { nonce, id } => self.on_read_index(sender, view, nonce, id),
            Body::ReadIndexOk { nonce, id, index } => self.on_read_index_ok(sender, view, nonce, id, index),
            Body::Wake => self.on_wake(view),
        }
    }

    /// Continues where the record says (rule F3). A primary never resumes its view (rule C10).
    fn rejoin(&mut self) {
        let primary = self.primary_of(self.view);
        if self.view > self.log_view {
            self.mode = Mode::ViewChange(Box::new(ViewChange::new(self.replicas())));
            self.restart_failure_timer();
            self.send_do_view_change();
        } else if primary != self.me {
            self.mode = Mode::Backup(Backup::default());
            self.restart_failure_timer();
            self.wake_after_start();
        } else if self.mutated(Mutation::PrimaryResumes) {
            self.become_primary(0, self.committed_point());
            self.announce_if_durable();
        } else {
            self.mode = Mode::Backup(Backup::default());
            self.enter_view(self.view.next());
        }
    }

    fn stop(&mut self, reason: StopReason) {
        self.set_mode(Mode::Stopped);
        self.transfer = None;
        self.out.push(Effect::Stop(reason));
    }

    fn set_mode(&mut self, mode: Mode) {
        let (from, to) = (self.mode.name(), mode.name());
        self.mode = mode;
        if from != to {
            self.observe(Event::StatusChanged { from, to });
        }
    }

    fn send(&mut self, to: usize, body: Body) {
        assert!(
            self.durability.view() >= self.view || self.mutated(Mutation::DoViewChangeBeforePersisted),
            "no message names a view that is not durable (rule F1)"
        );
        let message = Message {
            cluster: self.config.cluster,
            group: self.config.group,
            epoch: self.epoch(),
            view: self.view,
            from: self.config.replica,
            incarnation: self.incarnation,
            body,
        };
        self.out.push(Effect::Send { to: self.id_of(to), message });
    }

    fn broadcast(&mut self, body: &Body) {
        for to in self.others() {
            self.send(to, body.clone());
        }
    }

    fn answer(&mut self, of: Asked, answer: Answer) {
        self.out.push(Effect::Answer { of, answer });
    }

    fn replicas(&self) -> usize {
        self.config.members.len()
    }

    fn quorum(&self) -> usize {
        quorum(self.replicas())
    }

    fn others(&self) -> impl Iterator<Item = usize> + use<> {
        let me = self.me;
        (0..self.replicas()).filter(move |index| *index != me)
    }

    fn id_of(&self, index: usize) -> ReplicaId {
        self.config.members[index]
    }

    fn primary_of(&self, view: ViewNumber) -> usize {
        (view.0 % self.replicas() as u64) as usize
    }

    fn epoch(&self) -> crate::id::EpochNumber {
        self.membership.as_ref().map_or(crate::id::EpochNumber(0), |membership| membership.epoch)
    }

    /// Whether a rule is switched off; without the feature `inject` none ever is.
    fn mutated(&self, mutation: Mutation) -> bool {
        config_mutated(&self.config, mutation)
    }
}

#[cfg(feature = "inject")]
fn config_mutated(config: &Config, mutation: Mutation) -> bool {
    config.mutations.contains(mutation)
}

#[cfg(not(feature = "inject"))]
fn config_mutated(_: &Config, _: Mutation) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Origin, Request};
    use alloc::{format, string::String, vec};

    /// What a group of one does when clients register at once.
    fn effects(take_in: impl FnOnce(&mut Replica, Now, Vec<Input>, &mut Vec<Effect>)) -> Vec<String> {
        let (now, mut effects) = (Now::default(), Vec::new());
        let config = Config::new(ReplicaId(0), vec![ReplicaId(0)]);
        let mut replica = Replica::start(now, config, Restored::default(), &mut effects).expect("it is new");
        for _ in 0..10 {
            for effect in core::mem::take(&mut effects) {
                if let Effect::Append(write) = effect {
                    replica.step(now, Input::Persisted(write.id), &mut effects);
                }
            }
            replica.end_turn(now, &mut effects);
        }
        assert!(replica.status().is_primary);
        let register = |client| Request::new(Origin::Register { client }, bytes::Bytes::new());
        let requests = (0..3).map(|client| Input::Request(register(ClientId(client)))).collect();
        take_in(&mut replica, now, requests, &mut effects);
        replica.end_turn(now, &mut effects);
        effects.iter().map(|effect| format!("{effect:?}")).collect()
    }

    #[test]
    fn many_inputs_at_a_time_are_many_steps() {
        let one_by_one = effects(|replica, now, inputs, effects| {
            inputs.into_iter().for_each(|input| replica.step(now, input, effects));
        });
        assert!(one_by_one.iter().any(|effect| effect.contains("PrepareSent")));
        let together = effects(|replica, now, inputs, effects| replica.step_all(now, inputs, effects));
        assert_eq!(together, one_by_one);
    }
}
