//! How those who wait at this replica get their answers, when no commit brings them here.

use crate::{
    ReplicaError, ReplyTo, RequestError, StateMachine,
    client::{Told, Waiter},
    machine::called,
    replica_task::ReplicaTask,
    waiters::Waiting,
};
use std::mem::take;
use vsr_core::{Answer, Asked, Lookup, OpNumber, Refusal, RequestNumber, SessionId};

/// A reply on its way to whoever waits for it here.
pub(crate) struct Due<R> {
    pub(crate) session: SessionId,
    pub(crate) request: RequestNumber,
    pub(crate) reply: Result<R, RequestError>,
}

impl<M: StateMachine> ReplicaTask<M> {
    /// The protocol answers without the state machine.
    pub(crate) fn answer(&mut self, of: Asked, answer: Answer) -> Result<(), ReplicaError> {
        match of {
            Asked::Register(client) => {
                let Some(waiter) = self.waiters.take_registration(client) else { return Ok(()) };
                match answer {
                    Answer::Registered(session) => waiter.registered(session),
                    Answer::Refused(refusal) => waiter.refuse(refusal),
                    // Dropped: the client tries again.
                    Answer::Reply(_) | Answer::ReplyGone | Answer::Evicted | Answer::Conflict => {}
                }
                Ok(())
            }
            Asked::Request(session, request) => {
                let Some(Waiting { since, .. }) = self.waiters.take(session, request) else { return Ok(()) };
                let Some(claim) = self.waiters.claim(session) else { return Ok(()) };
                let waiter = claim.waiter(request.0);
                let failed = match &answer {
                    Answer::Reply(_) => None,
                    Answer::Refused(refusal) => Some(refusal.name()),
                    answer => Some(answer.name()),
                };
                self.telemetry.request_answered(&self.core, (session, request, since), failed);
                let reply = match answer {
                    Answer::Reply(bytes) => decode::<M>(bytes)?,
                    Answer::ReplyGone => Err(RequestError::ReplyGone),
                    Answer::Conflict => Err(RequestError::Conflict),
                    Answer::Refused(Refusal::TooLarge) => {
                        return self.tell(waiter.too_large(self.config.limits.operation_bytes_max));
                    }
                    Answer::Refused(refusal) => {
                        waiter.refuse(refusal);
                        return Ok(());
                    }
                    Answer::Evicted => return self.evicted(session, waiter),
                    // Nonsense for a request; dropped, so that the client tries again.
                    Answer::Registered(_) => return Ok(()),
                };
                match waiter.complete(self.core.status().applied) {
                    Some(to) => self.reply([(to, reply)]),
                    None => Ok(()),
                }
            }
        }
    }

    /// The state machine's state was replaced; whatever that covers will not be seen as a commit here.
    pub(crate) fn installed(&mut self) -> Result<(), ReplicaError> {
        for client in self.waiters.registrations() {
            if let Some(session) = self.core.session_of(client)
                && let Some(waiter) = self.waiters.take_registration(client)
            {
                waiter.registered(session);
            }
        }
        let applied = self.core.status().applied;
        for (session, request, checksum) in self.waiters.requests() {
            let answer = match self.core.lookup(session, request, checksum) {
                Lookup::New | Lookup::Pending => continue,
                Lookup::NoSession if session.number > applied => continue,
                Lookup::NoSession => Answer::Evicted,
                Lookup::Reply(bytes) => Answer::Reply(bytes),
                Lookup::Gone => Answer::ReplyGone,
                Lookup::Conflict => Answer::Conflict,
            };
            self.answer(Asked::Request(session, request), answer)?;
        }
        Ok(())
    }

    fn evicted(&mut self, session: SessionId, waiter: Waiter<M::Reply>) -> Result<(), ReplicaError> {
        let told = waiter.evict();
        self.waiters.forget(session);
        self.tell(told)
    }

    /// Answers those whose requests were executed, the last of them at `op`: each client once, however many replies it gets.
    pub(crate) fn deliver(&mut self, op: OpNumber) -> Result<(), ReplicaError> {
        let (mut due, mut callers) = (take(&mut self.lanes.due), take(&mut self.lanes.callers));
        for of_one in due.chunk_by(|one, next| one.session == next.session) {
            let numbers = of_one.iter().map(|due| due.request.0);
            match self.waiters.claim(of_one[0].session) {
                Some(claim) => claim.complete(numbers, op, &mut callers),
                None => callers.extend(numbers.map(|_| None)),
            }
        }
        let replies = due.drain(..).zip(callers.drain(..));
        let answered = self.reply(replies.filter_map(|(due, caller)| Some((caller?, due.reply))));
        (self.lanes.due, self.lanes.callers) = (due, callers);
        answered
    }

    pub(crate) fn tell(&mut self, told: Vec<Told<M::Reply>>) -> Result<(), ReplicaError> {
        self.reply(told.into_iter().map(|(to, error)| (to, Err(error))))
    }

    /// Gives replies to whoever sends them. None is sent after a panic: the replica has come to its end.
    pub(crate) fn reply(
        &mut self,
        replies: impl IntoIterator<Item = (ReplyTo<M::Reply>, Result<M::Reply, RequestError>)>,
    ) -> Result<(), ReplicaError> {
        let Self { host, machine, replies: answering, .. } = self;
        let mut replies = replies.into_iter();
        // By reference: values of the user that are left after a panic are not dropped while it unwinds.
        called("send_reply", || {
            for (to, reply) in replies.by_ref() {
                match host {
                    None => answering.send_reply(to, reply),
                    Some(host) => {
                        host.hooks().send_reply(machine.state_mut(), to, reply, &mut **answering);
                    }
                }
            }
        })
    }
}

/// A stored reply as a value. A reply that cannot be read is the client's error; a panic is this replica's end.
fn decode<M: StateMachine>(bytes: bytes::Bytes) -> Result<Result<M::Reply, RequestError>, ReplicaError> {
    let decoded = called("decode", || <M::Reply as crate::Payload>::decode(bytes))?;
    Ok(decoded.map_err(RequestError::Reply))
}
