//! One copy of a request on its way: what a replica holds of the client that sent it.

use super::session::{Session, Told};
use crate::ReplyTo;
use std::sync::Arc;
use vsr_core::{OpNumber, Refusal, SessionId};

/// The claim of one copy of a request, or of a registration, to an answer. A waiter that is dropped says that its copy is lost.
pub(crate) struct Waiter<R> {
    session: Option<Arc<Session<R>>>,
    generation: u32,
    /// The request's number; 0 is the registration.
    number: u64,
    /// Whether the protocol has seen the copy: from then on it may be proposed.
    taken: bool,
}

impl<R> Waiter<R> {
    pub(super) fn new(session: &Arc<Session<R>>, generation: u32, number: u64) -> Self {
        Self { session: Some(session.clone()), generation, number, taken: false }
    }

    /// Whether the client is still there.
    pub(crate) fn is_wanted(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.is_open())
    }

    /// The copy is handed to the protocol.
    pub(crate) fn take(&mut self) {
        self.taken = true;
    }

    /// The request is executed, at `op` or before. Whom to tell; nobody, if another copy brought the reply or the caller was told something else.
    pub(crate) fn complete(mut self, op: OpNumber) -> Option<ReplyTo<R>> {
        self.session.take()?.complete(self.generation, self.number, op)
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
            session.lost(self.generation, self.number, self.taken);
        }
    }
}
