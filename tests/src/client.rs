//! A simulated client: one session at a time, a window of requests, all unanswered ones sent again in order (decisions 6, 7, 8).

use crate::{
    checkers::{Checkers, Violation},
    host::Heard,
};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};
use vsr_core::{
    Answer, Asked, ClientId, OpNumber, Origin, Refusal, Request, RequestNumber, SessionId, TraceContext,
    checksum,
};

#[derive(Clone, Debug)]
struct Pending {
    operation: Bytes,
    /// Ops up to here had been answered, to anybody, when this was asked.
    floor: OpNumber,
    answered: bool,
}

/// The trace that a request belongs to: every other one has its own.
#[must_use]
pub fn trace_of(session: SessionId, request: RequestNumber, checksum: u64) -> Option<TraceContext> {
    let trace_id = u128::from(checksum) << 64 | u128::from(session.number.0) << 32 | u128::from(request.0);
    let traced = !request.0.is_multiple_of(2);
    TraceContext::new(trace_id, request.0, TraceContext::SAMPLED).filter(|_| traced)
}

/// What an answer meant to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has a session.
    Registered,
    /// A request has its reply.
    Replied(RequestNumber, Bytes),
    /// A request was executed; its reply is lost.
    Executed(RequestNumber),
    /// Try again later, perhaps elsewhere.
    Refused(Refusal),
    /// The session is gone, and what was sent in it is unknown.
    Evicted,
    /// Nothing new.
    Stale,
}

/// One client.
#[derive(Clone, Debug)]
pub struct Client {
    id: ClientId,
    session: Option<SessionId>,
    /// The number of the request at the front of `pending`.
    first: u64,
    pending: VecDeque<Pending>,
    replies: BTreeMap<u64, Bytes>,
    keep_replies: bool,
    /// The highest op that it knows of: what it was answered for, and what it read.
    pub seen: OpNumber,
    /// What it says instead of its oldest number without an answer, if it is told to.
    acked_below: Option<u64>,
    /// Requests that have an answer.
    pub answered: u64,
    /// Requests of which nobody knows whether they were executed.
    pub unknown: u64,
}

impl Client {
    /// A client that has no session yet.
    #[must_use]
    pub fn new(id: ClientId) -> Self {
        Self {
            id,
            session: None,
            first: 1,
            pending: VecDeque::new(),
            replies: BTreeMap::new(),
            keep_replies: false,
            seen: OpNumber(0),
            acked_below: None,
            answered: 0,
            unknown: 0,
        }
    }

    /// A client that remembers all replies, for scenarios.
    #[must_use]
    pub fn remembering(id: ClientId) -> Self {
        Self { keep_replies: true, ..Self::new(id) }
    }

    /// Its session, if it has one.
    #[must_use]
    pub fn session(&self) -> Option<SessionId> {
        self.session
    }

    /// From the oldest request without an answer to the newest.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.pending.len()
    }

    /// Whether a request has an answer, or is none of this session's.
    #[must_use]
    pub fn reply(&self, number: u64) -> Option<&Bytes> {
        self.replies.get(&number)
    }

    /// Asks for a session.
    #[must_use]
    pub fn registration(&self) -> Request {
        Request::new(Origin::Register { client: self.id }, Bytes::new())
    }

    /// Asks for something new. `floor` is the highest op answered to anybody so far.
    pub fn invoke(&mut self, operation: Bytes, floor: OpNumber) -> Option<Request> {
        self.session?;
        self.pending.push_back(Pending { operation, floor, answered: false });
        self.request(self.first + self.pending.len() as u64 - 1)
    }

    /// All that is not answered, in order.
    #[must_use]
    pub fn unanswered(&self) -> Vec<Request> {
        let open = self.pending.iter().enumerate().filter(|(_, pending)| !pending.answered);
        open.filter_map(|(i, _)| self.request(self.first + i as u64)).collect()
    }

    /// A request that was made in this session and is still held.
    #[must_use]
    pub fn request(&self, number: u64) -> Option<Request> {
        let pending = self.pending.get(number.checked_sub(self.first)? as usize)?;
        let (session, request) = (self.session?, RequestNumber(number));
        let checksum = checksum(&pending.operation);
        let acked_below = RequestNumber(self.acked_below.unwrap_or(self.first));
        let origin = Origin::Request { session, request, acked_below, checksum };
        let trace = trace_of(session, request, checksum).map(Arc::new);
        Some(Request { origin, operation: pending.operation.clone(), trace })
    }

    /// It never heard of its session.
    ///
    /// # Errors
    /// When it has none, or used it.
    pub fn unhear(&mut self) -> Result<(), String> {
        let unused = self.first == 1 && self.pending.is_empty();
        let heard = self.session.take_if(|_| unused);
        heard.map(drop).ok_or_else(|| "it has no session, or used it".into())
    }

    /// From now on it says that everything below a number is answered.
    pub fn acknowledge(&mut self, below: u64) {
        self.acked_below = Some(below);
    }

    /// Gives up: a new id, as if the process had been started again. What was open is unknown.
    pub fn reincarnate(&mut self, id: ClientId) {
        self.unknown += self.pending.iter().filter(|pending| !pending.answered).count() as u64;
        self.id = id;
        self.session = None;
        self.first = 1;
        self.pending.clear();
        self.replies.clear();
    }

    /// Takes an answer.
    pub(crate) fn hear(
        &mut self,
        of: Asked,
        heard: &Heard,
        checkers: &mut Checkers,
    ) -> Result<Outcome, Violation> {
        let number = match of {
            Asked::Register(id) => {
                return Ok(match heard {
                    Heard::Told(Answer::Registered(session)) if id == self.id && self.session.is_none() => {
                        self.session = Some(*session);
                        Outcome::Registered
                    }
                    Heard::Told(Answer::Refused(reason)) => Outcome::Refused(*reason),
                    _ => Outcome::Stale,
                });
            }
            Asked::Request(session, number) if Some(session) == self.session => number,
            Asked::Request(..) => return Ok(Outcome::Stale),
        };
        let reply = match heard {
            Heard::Executed(_, reply) | Heard::Told(Answer::Reply(reply)) => Some(reply),
            Heard::Told(Answer::ReplyGone) => None,
            Heard::Told(Answer::Refused(reason)) => return Ok(Outcome::Refused(*reason)),
            Heard::Told(Answer::Evicted) => return Ok(Outcome::Evicted),
            Heard::Told(Answer::Registered(_) | Answer::Conflict) => {
                return Err(Violation::new("client", format!("{of:?} hears {heard:?}")));
            }
        };
        let index = number.0.checked_sub(self.first).map(|index| index as usize);
        let Some(pending) = index.and_then(|index| self.pending.get_mut(index)) else {
            return Ok(Outcome::Stale);
        };
        if pending.answered {
            return Ok(Outcome::Stale);
        }
        let session = self.session.expect("the answer is for this session");
        let op = checkers.on_reply(session, number, pending.floor, reply)?;
        self.seen = self.seen.max(op);
        pending.answered = true;
        self.answered += 1;
        while !self.keep_replies && self.pending.front().is_some_and(|pending| pending.answered) {
            self.pending.pop_front();
            self.first += 1;
        }
        match reply {
            None => Ok(Outcome::Executed(number)),
            Some(reply) => {
                if self.keep_replies {
                    self.replies.insert(number.0, reply.clone());
                }
                Ok(Outcome::Replied(number, reply.clone()))
            }
        }
    }
}
