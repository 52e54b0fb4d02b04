//! J9 and J10: a request is executed at one op and no other, requests of a session in order; its reply is that op's; and the
//! order of the log respects real time: what was asked after an answer comes after it in the log.

use super::{Violation, history::Histories};
use bytes::Bytes;
use std::collections::HashMap;
use vsr_core::{Entry, OpNumber, Origin, RequestNumber, SessionId};

#[derive(Debug, Default)]
pub(super) struct ExactlyOnce {
    /// For each session the ops of its requests 1, 2, 3, …
    ops: HashMap<SessionId, Vec<OpNumber>>,
    /// The highest op a client was answered for.
    answered: OpNumber,
}

impl ExactlyOnce {
    pub(super) fn answered(&self) -> OpNumber {
        self.answered
    }

    /// A client saw the state at this op.
    pub(super) fn saw(&mut self, op: OpNumber) {
        self.answered = self.answered.max(op);
    }

    pub(super) fn on_apply(&mut self, entry: &Entry, index: usize) -> Result<(), Violation> {
        let Origin::Request { session, request, .. } = entry.origin(index) else { return Ok(()) };
        let op = OpNumber(entry.first().0 + index as u64);
        let ops = self.ops.entry(session).or_default();
        let place = request.0 as usize - 1;
        if place == ops.len() {
            ops.push(op);
        }
        match ops.get(place) {
            Some(known) if *known == op => Ok(()),
            Some(known) => {
                let what = format!("{session} {request} is executed at {known} and at {op}");
                Err(Violation::new("J9 exactly once", what))
            }
            None => {
                let what = format!("{session} {request} is executed at {op}, before those in front of it");
                Err(Violation::new("J9 exactly once", what))
            }
        }
    }

    pub(super) fn on_reply(
        &mut self,
        session: SessionId,
        request: RequestNumber,
        floor: OpNumber,
        reply: Option<&Bytes>,
        history: &Histories,
    ) -> Result<OpNumber, Violation> {
        let op = self.ops.get(&session).and_then(|ops| ops.get(request.0 as usize - 1)).copied();
        let Some(op) = op else {
            let what = format!("{session} {request} is answered, and was never executed");
            return Err(Violation::new("J9 exactly once", what));
        };
        if reply.is_some() && reply != history.reply(op) {
            let what =
                format!("{session} {request} is answered {reply:?}, {op} gave {:?}", history.reply(op));
            return Err(Violation::new("J9 exactly once", what));
        }
        if op <= floor {
            let what = format!(
                "{session} {request} took effect at {op}, but {floor} was answered before it was asked"
            );
            return Err(Violation::new("J10 linearizable", what));
        }
        self.saw(op);
        Ok(op)
    }
}
