//! What a replica holds of the clients that want something of it.

use super::session::{Session, Told};
use crate::ReplyTo;
use std::sync::Arc;
use vsr_core::{OpNumber, Refusal, Request, SessionId};

/// A client at the door: it has requests that were not sent yet. The replica takes them from the session itself, as many as it has room
/// for, so a session waits in a lane once, however many requests it has. One that is dropped says that nobody came.
pub(crate) struct Knock<R> {
    /// Nothing once all is taken.
    session: Option<Arc<Session<R>>>,
    number: u32,
}

/// What came of asking a client in.
pub(crate) struct Taken<R> {
    /// On whose behalf the requests were taken.
    pub(crate) claim: Claim<R>,
    /// There are more, for another time.
    pub(crate) more: bool,
}

impl<R> Knock<R> {
    pub(super) fn new(session: &Arc<Session<R>>, number: u32) -> Self {
        Self { session: Some(session.clone()), number }
    }

    /// Takes up to `max` requests. Each is a copy that the replica answers for from now on.
    pub(crate) fn take(&mut self, max: usize, into: &mut Vec<Request>) -> Option<Taken<R>> {
        let session = self.session.as_ref()?;
        let (generation, more) = session.hand_out(self.number, max, into);
        let claim = Claim { session: session.clone(), generation };
        if !more {
            self.session = None;
        }
        Some(Taken { claim, more })
    }
}

impl<R> Drop for Knock<R> {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            session.unheard(self.number);
        }
    }
}

/// In whose name requests are at a replica: a client, in one of its sessions.
pub(crate) struct Claim<R> {
    session: Arc<Session<R>>,
    generation: u32,
}

impl<R> Claim<R> {
    /// The claim of a single copy.
    pub(crate) fn waiter(&self, number: u64) -> Waiter<R> {
        Waiter { session: Some(self.session.clone()), generation: self.generation, number }
    }

    /// Requests are executed, at `op` or before. Whom to tell of each; nobody, if another copy brought the reply or the caller was told
    /// something else.
    pub(crate) fn complete(
        &self,
        numbers: impl Iterator<Item = u64>,
        op: OpNumber,
        callers: &mut Vec<Option<ReplyTo<R>>>,
    ) {
        self.session.complete(self.generation, numbers, op, callers);
    }

    /// Copies are gone that may have been proposed.
    pub(crate) fn lose(&self, numbers: impl Iterator<Item = u64>) {
        self.session.lost(self.generation, numbers);
    }

    /// The session is no more.
    pub(crate) fn evict(&self) -> Vec<Told<R>> {
        self.session.evict(self.generation)
    }
}

/// The claim of one copy of a request, or of a registration, to an answer. A waiter that is dropped says that its copy is lost.
pub(crate) struct Waiter<R> {
    session: Option<Arc<Session<R>>>,
    generation: u32,
    /// The request's number; 0 is the registration.
    number: u64,
}

impl<R> Waiter<R> {
    /// Whether the client is still there.
    pub(crate) fn is_wanted(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.is_open())
    }

    /// The request is executed, at `op` or before. Whom to tell; nobody, if another copy brought the reply or the caller was told something else.
    pub(crate) fn complete(mut self, op: OpNumber) -> Option<ReplyTo<R>> {
        let mut callers = Vec::with_capacity(1);
        self.session.take()?.complete(self.generation, [self.number].into_iter(), op, &mut callers);
        callers.pop().flatten()
    }

    /// The replica did not take the copy, and might take another one later.
    pub(crate) fn refuse(mut self, refusal: Refusal) {
        if let Some(session) = self.session.take() {
            session.refuse(self.generation, self.number, refusal);
        }
    }

    /// The replica will never take the request: it takes `bytes_max` at most.
    pub(crate) fn too_large(mut self, bytes_max: usize) -> Vec<Told<R>> {
        let session = self.session.take();
        session.map(|session| session.too_large(self.generation, self.number, bytes_max)).unwrap_or_default()
    }

    /// The session is no more.
    pub(crate) fn evict(mut self) -> Vec<Told<R>> {
        self.session.take().map(|session| session.evict(self.generation)).unwrap_or_default()
    }

    /// The session is open.
    pub(crate) fn registered(mut self, id: SessionId) {
        if let Some(session) = self.session.take() {
            session.registered(self.generation, id);
        }
    }
}

impl<R> Drop for Waiter<R> {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            session.lost(self.generation, [self.number].into_iter());
        }
    }
}
