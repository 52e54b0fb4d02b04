//! Three replicas without a runtime: their network is a queue, and their storage is done at once.

use bytes::Bytes;
use std::collections::VecDeque;
use vsr_core::{
    Answer, ClientId, Config, Effect, Input, Message, MessageName, Now, OpNumber, Origin, Replica, ReplicaId,
    Request, RequestNumber, Restored, SessionId, Time, checksum,
};

/// The primary of the first view, and the replica that the client asks.
const PRIMARY: usize = 0;

pub(super) fn run(batch: u64, operations: u64) -> Result<(), String> {
    let mut group = Group::form()?;
    for _ in 0..operations / batch {
        group.execute(batch)?;
    }
    Ok(())
}

pub(super) struct Group {
    replicas: Vec<Replica>,
    inbox: VecDeque<(usize, Input)>,
    effects: Vec<Effect>,
    now: Now,
    session: Option<SessionId>,
    /// Asked by the client.
    asked: u64,
    /// Executed by each replica.
    executed: [u64; 3],
    /// Whether the last Prepare is kept.
    pub(super) keeps_prepare: bool,
    pub(super) prepare: Option<Message>,
}

impl Group {
    /// With one session open.
    pub(super) fn form() -> Result<Self, String> {
        let ids = [0, 1, 2].map(ReplicaId);
        let now = Now { monotonic: Time(0), unix: 0 };
        let mut group = Self {
            replicas: Vec::new(),
            inbox: VecDeque::new(),
            effects: Vec::new(),
            now,
            session: None,
            asked: 0,
            executed: [0; 3],
            prepare: None,
            keeps_prepare: false,
        };
        for (index, id) in ids.into_iter().enumerate() {
            let mut config = Config::new(id, ids.to_vec());
            config.seed = u64::from(id.0) + 1;
            let mut effects = Vec::new();
            let replica = Replica::start(now, config, Restored::default(), &mut effects);
            group.replicas.push(replica.map_err(|error| error.to_string())?);
            group.effects = effects;
            group.end_turn(index)?;
        }
        // Until then the group has not formed, and the client is refused.
        for _ in 0..1000 {
            if group.session.is_some() {
                return Ok(group);
            }
            let register = Request::new(Origin::Register { client: ClientId(7) }, Bytes::new());
            group.step(PRIMARY, Input::Request(register))?;
            group.end_turn(PRIMARY)?;
            group.settle()?;
            group.pass_time()?;
        }
        Err("no session was opened".to_owned())
    }

    /// So many operations of the client at once, until nobody has anything to do.
    pub(super) fn execute(&mut self, count: u64) -> Result<(), String> {
        let session = self.session.ok_or("there is no session")?;
        let acked_below = RequestNumber(self.asked + 1);
        for _ in 0..count {
            self.asked += 1;
            let operation = Bytes::from(vec![self.asked as u8; 80]);
            let (request, checksum) = (RequestNumber(self.asked), checksum(&operation));
            let origin = Origin::Request { session, request, acked_below, checksum };
            self.step(PRIMARY, Input::Request(Request::new(origin, operation)))?;
        }
        self.end_turn(PRIMARY)?;
        self.settle()?;
        if self.executed[PRIMARY] == self.asked {
            Ok(())
        } else {
            Err(format!("{} were asked for, {} executed", self.asked, self.executed[PRIMARY]))
        }
    }

    fn step(&mut self, index: usize, input: Input) -> Result<(), String> {
        let mut effects = std::mem::take(&mut self.effects);
        self.replicas[index].step(self.now, input, &mut effects);
        self.carry_out(index, effects)
    }

    fn end_turn(&mut self, index: usize) -> Result<(), String> {
        loop {
            let mut effects = std::mem::take(&mut self.effects);
            self.replicas[index].end_turn(self.now, &mut effects);
            let ended = effects.is_empty();
            self.carry_out(index, effects)?;
            if ended {
                return Ok(());
            }
        }
    }

    /// Delivers messages until there are none.
    fn settle(&mut self) -> Result<(), String> {
        while let Some((index, input)) = self.inbox.pop_front() {
            self.step(index, input)?;
            self.end_turn(index)?;
        }
        Ok(())
    }

    fn pass_time(&mut self) -> Result<(), String> {
        let next = self.replicas.iter().map(Replica::deadline).min().ok_or("there are no replicas")?;
        self.now.monotonic = self.now.monotonic.max(next);
        self.now.unix = self.now.monotonic.0;
        for index in 0..self.replicas.len() {
            self.step(index, Input::Timer)?;
            self.end_turn(index)?;
        }
        self.settle()
    }

    fn carry_out(&mut self, index: usize, mut effects: Vec<Effect>) -> Result<(), String> {
        for effect in effects.drain(..) {
            match effect {
                Effect::Send { to, message } => {
                    if self.keeps_prepare && message.body.name() == MessageName::Prepare {
                        self.prepare = Some(message.clone());
                    }
                    self.inbox.push_back((to.0 as usize, Input::Message(message)));
                }
                Effect::Append(write) => self.inbox.push_back((index, Input::Persisted(write.id))),
                Effect::Commit { entry, range } => {
                    for place in range {
                        self.executed[index] += 1;
                        let op = OpNumber(entry.first().0 + place as u64);
                        self.replicas[index].applied(op, &self.executed[index].to_le_bytes());
                    }
                }
                Effect::Answer { answer: Answer::Registered(session), .. } => self.session = Some(session),
                Effect::TakeDigest { op } => self.replicas[index].digested(op, None),
                Effect::Stop(reason) => return Err(format!("replica {index} stopped: {reason}")),
                // Refused before the group has formed. No reads, and no snapshot before the log is long.
                _ => {}
            }
        }
        self.effects = effects;
        Ok(())
    }
}
