//! One replica of an explored group, its storage, and what only it can do wrong. Everything is carried out at once, but for writes.

use super::{pool::Ears, store::Store};
use crate::{checkers::Violation, trace::describe};
use bytes::Bytes;
use std::hash::{Hash, Hasher};
use vsr_core::{
    Answer, Asked, Body, Config, Effect, Entry, Event, Input, Message, Now, OpNumber, Origin, Replica,
    ReplicaId, Request, Status, Time, Timer, ViewNumber,
};
use xxhash_rust::xxh3::Xxh3;

/// Time stands still here: later than any time-out after its beginning.
const NOW: Now = Now { monotonic: Time(1 << 40), unix: 1 << 60 };

/// What happens to a replica.
#[derive(Clone, Debug)]
pub(super) enum Happening<'a> {
    Message(&'a Message),
    Request(&'a Request),
    /// The oldest write is done.
    Persisted,
    Timer(Timer),
    /// A crash after so many of the pending writes were done, and a start from what is durable.
    Crash {
        done: usize,
    },
}

/// What a turn gives to the outside.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) messages: Vec<(ReplicaId, Message)>,
    /// Entries new to this replica's log.
    pub(super) entries: Vec<Entry>,
}

/// A replica, whose clone is a state of a search.
#[derive(Clone, Debug)]
pub(super) struct Local {
    replica: Replica,
    pub(super) store: Store,
    /// Whether writes are done when they are asked for.
    writes_at_once: bool,
    pub(super) boots: u8,
    /// The views it has led, as bits: each is led once (J5).
    led: u64,
    /// The view and the commit-number that its heartbeats told last.
    told: Option<(ViewNumber, OpNumber)>,
    /// The requests it executed since its start.
    executed: Vec<(OpNumber, Asked)>,
}

impl Local {
    /// A replica that starts from a storage.
    pub(super) fn start(
        config: &Config,
        store: Store,
        writes_at_once: bool,
        boots: u8,
    ) -> Result<(Self, Told), Violation> {
        let mut config = config.clone();
        config.seed = seed(&(config.replica, boots));
        let mut effects = Vec::new();
        let replica = Replica::start(NOW, config, store.restored(), &mut effects)
            .map_err(|error| Violation::new("start", error.to_string()))?;
        let mut local =
            Self { replica, store, writes_at_once, boots, led: 0, told: None, executed: Vec::new() };
        let mut told = Told::default();
        local.finish_turn(effects, &mut told)?;
        Ok((local, told))
    }

    /// The state after something happened; nothing, if it cannot happen here.
    pub(super) fn after(
        &self,
        happening: &Happening<'_>,
        config: &Config,
    ) -> Result<Option<(Self, Told)>, Violation> {
        if let Happening::Crash { done } = happening {
            let mut store = self.store.clone();
            store.crash(*done);
            let (mut next, told) = Self::start(config, store, self.writes_at_once, self.boots + 1)?;
            next.keeps_what_was_durable(self)?;
            next.led |= self.led;
            return Ok(Some((next, told)));
        }
        let mut next = self.clone();
        let status = next.replica.status();
        next.replica.draw_from(seed(&(next.boots, status.view, status.log_view, status.op, status.commit)));
        let input = match happening {
            Happening::Message(message) => Input::Message((*message).clone()),
            Happening::Request(_) if !status.is_primary => return Ok(None),
            Happening::Request(request) => Input::Request((*request).clone()),
            Happening::Persisted => match next.store.complete_one() {
                Some(id) => Input::Persisted(id),
                None => return Ok(None),
            },
            // A heartbeat that says nothing new gets nobody anywhere.
            Happening::Timer(Timer::Repeat)
                if status.is_primary && self.told == Some((status.view, status.commit)) =>
            {
                return Ok(None);
            }
            Happening::Timer(timer) if next.replica.make_due(*timer) => Input::Timer,
            Happening::Timer(_) | Happening::Crash { .. } => return Ok(None),
        };
        let mut effects = Vec::new();
        next.replica.step(NOW, input, &mut effects);
        let mut told = Told::default();
        next.finish_turn(effects, &mut told)?;
        next.goes_on_from(self, &status)?;
        Ok(Some((next, told)))
    }

    /// The same replica, from here on with these writes.
    pub(super) fn exploring(self, writes_at_once: bool) -> Self {
        Self { writes_at_once, ..self }
    }

    pub(super) fn status(&self) -> Status {
        self.replica.status()
    }

    pub(super) fn hash_at(&self, op: OpNumber) -> Option<vsr_core::Hash> {
        self.replica.hash_at(op)
    }

    pub(super) fn session_of(&self, client: vsr_core::ClientId) -> Option<vsr_core::SessionId> {
        self.replica.session_of(client)
    }

    /// What may still mean something to it.
    pub(super) fn ears(&self) -> Ears {
        Ears {
            durable_view: self.store.view(),
            durable_log_view: self.store.log_view(),
            question: self.replica.question(),
            acknowledged: self.replica.acknowledged(),
        }
    }

    pub(super) fn fingerprint(&self) -> u128 {
        let Self { replica, store, writes_at_once: _, boots, led, told, executed } = self;
        let mut hasher = Xxh3::new();
        replica.fingerprint(&mut hasher);
        (store, boots, led, told, executed).hash(&mut hasher);
        hasher.digest128()
    }

    fn finish_turn(&mut self, mut effects: Vec<Effect>, told: &mut Told) -> Result<(), Violation> {
        loop {
            self.replica.end_turn(NOW, &mut effects);
            if effects.is_empty() {
                break;
            }
            let mut done = None;
            for effect in std::mem::take(&mut effects) {
                if let Effect::Append(write) = effect {
                    told.entries.extend(write.entries.iter().cloned());
                    self.store.submit(write);
                    if self.writes_at_once {
                        done = self.store.complete_one();
                    }
                } else {
                    self.carry_out(effect, told)?;
                }
            }
            if let Some(id) = done {
                self.replica.step(NOW, Input::Persisted(id), &mut effects);
            }
        }
        self.replica.check_invariants();
        Ok(())
    }

    fn carry_out(&mut self, effect: Effect, told: &mut Told) -> Result<(), Violation> {
        match effect {
            Effect::Send { to, mut message } => {
                // Who is heard is for people: nothing is decided by it here.
                if let Body::Commit { heard, .. } = &mut message.body {
                    *heard = 0;
                }
                self.keeps_promises(&message)?;
                if let Body::Prepare { commit, .. } | Body::Commit { commit, .. } = &message.body {
                    self.told = Some((message.view, *commit));
                }
                told.messages.push((to, message));
                Ok(())
            }
            Effect::Commit { entry, range } => {
                range.into_iter().try_for_each(|index| self.execute(&entry, index))
            }
            Effect::Answer { of, answer: Answer::Reply(reply) } => self.answers(of, &reply),
            Effect::Observe(Event::LeadershipStarted { view }) => self.leads(view),
            Effect::Stop(reason) => Err(Violation::new("stop", reason.to_string())),
            _ => Ok(()),
        }
    }

    /// J9: a request is executed once; its reply, and every later copy of it, names the op at which that was.
    fn execute(&mut self, entry: &Entry, index: usize) -> Result<(), Violation> {
        let op = OpNumber(entry.first().0 + index as u64);
        let Origin::Request { session, request, .. } = entry.origin(index) else {
            return Err(Violation::new("J2 prefix", format!("{op} is not for the state machine")));
        };
        let of = Asked::Request(session, request);
        if let Some((before, _)) = self.executed.iter().find(|(at, other)| *other == of || *at >= op) {
            let what = format!("{of:?} is executed at {op}, and {before} was executed before");
            return Err(Violation::new("J9 exactly once", what));
        }
        self.executed.push((op, of));
        self.replica.applied(op, &reply(op));
        Ok(())
    }

    fn answers(&self, of: Asked, told: &Bytes) -> Result<(), Violation> {
        let executed = self.executed.iter().find(|(_, other)| *other == of).map(|(op, _)| *op);
        if executed.is_some_and(|op| told[..] == reply(op)) {
            return Ok(());
        }
        Err(Violation::new(
            "J9 exactly once",
            format!("{of:?} is answered {told:?}, and was executed at {executed:?}"),
        ))
    }

    fn leads(&mut self, view: ViewNumber) -> Result<(), Violation> {
        let bit = 1 << view.0;
        if self.led & bit != 0 || self.replica.status().primary != self.replica.status().replica {
            return Err(Violation::new(
                "J5 one primary",
                format!("{view} is started a second time, or by another"),
            ));
        }
        self.led |= bit;
        Ok(())
    }

    /// J8: no message says what a crash could make untrue (rule F1).
    fn keeps_promises(&self, message: &Message) -> Result<(), Violation> {
        let store = &self.store;
        let own_log = |op| store.log_view() == message.view && store.op() >= op;
        let durable = message.view <= store.view()
            && match &message.body {
                Body::PrepareOk { op, hash } => own_log(*op) && store.hash_at(*op) == Some(*hash),
                Body::DoViewChange(body) => {
                    let end = (body.suffix.op(), Some(body.suffix.hash()));
                    (store.op(), store.hash_at(store.op())) == end && store.log_view() == body.log_view
                }
                Body::StartView(body) => own_log(body.start_op),
                _ => true,
            };
        let what = || Violation::new("J8 promises", format!("not durable: {}", describe(message)));
        if durable { Ok(()) } else { Err(what()) }
    }

    /// J6: what a replica knows never shrinks.
    fn goes_on_from(&self, before: &Self, status: &Status) -> Result<(), Violation> {
        let now = self.replica.status();
        let grows = now.view >= status.view && now.log_view >= status.log_view && now.commit >= status.commit;
        if grows { self.keeps_what_was_durable(before) } else { Err(shrinks(status, &now)) }
    }

    fn keeps_what_was_durable(&self, before: &Self) -> Result<(), Violation> {
        let key = |store: &Store| (store.view(), store.log_view(), store.commit());
        let (old, new, now) = (key(&before.store), key(&self.store), self.replica.status());
        let restored = now.view >= old.0 && now.log_view >= old.1 && now.commit >= old.2;
        let grows = new.0 >= old.0 && new.1 >= old.1 && new.2 >= old.2;
        if grows && restored { Ok(()) } else { Err(shrinks(&before.replica.status(), &now)) }
    }
}

fn shrinks(before: &Status, now: &Status) -> Violation {
    Violation::new("J6 monotone", format!("from {before:?} back to {now:?}"))
}

/// The state machine answers with the op: enough to tell any two executions apart.
fn reply(op: OpNumber) -> [u8; 8] {
    op.0.to_le_bytes()
}

/// What looks random is made of the state, so that equal states draw equal numbers: nonces, above all.
fn seed(of: &impl Hash) -> u64 {
    let mut hasher = Xxh3::new();
    of.hash(&mut hasher);
    hasher.finish()
}
