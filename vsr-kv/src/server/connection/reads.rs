//! Reads beside the log: all that a connection has asked for by the time the one before them is answered is one look at the state.
//! One look at a time, so that a later read never shows less than an earlier one.

use crate::store::{Operation, Reply};
use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll, ready},
};
use vsr_actor::RequestError;

/// Becomes the replies, in the order of the operations, and the op that the state reflected.
pub(super) type Look = Pin<Box<dyn Future<Output = Result<(Vec<Reply>, u64), RequestError>> + Send>>;

/// A look keeps the replica from everything else: it ends with the read that has so many bytes of keys behind it.
const LOOK_BYTES_MAX: usize = 64 << 10;

#[derive(Default)]
pub(super) struct Reads {
    gathered: VecDeque<Operation>,
    /// With the number of its operations.
    running: Option<(Look, usize)>,
    ready: VecDeque<Result<Reply, RequestError>>,
    op: Option<u64>,
}

impl Reads {
    pub(super) fn is_empty(&self) -> bool {
        self.gathered.is_empty() && self.running.is_none() && self.ready.is_empty()
    }

    pub(super) fn op(&self) -> Option<u64> {
        self.op
    }

    pub(super) fn gather(&mut self, operation: Operation) {
        self.gathered.push_back(operation);
    }

    pub(super) fn start(&mut self, look: impl FnOnce(Vec<Operation>) -> Look) {
        if self.running.is_none() && !self.gathered.is_empty() {
            let operations: Vec<Operation> = self.gathered.drain(..self.next_look()).collect();
            let count = operations.len();
            self.running = Some((look(operations), count));
        }
    }

    /// How many of the gathered operations go together. One that walks over many keys goes alone.
    fn next_look(&self) -> usize {
        let mut bytes = 0;
        let short = self.gathered.iter().take_while(|operation| {
            let fits = bytes < LOOK_BYTES_MAX && !operation.is_walk();
            bytes += operation.size();
            fits
        });
        short.count().max(1)
    }

    /// The next reply. Pending for ever, if nothing was started.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Reply, RequestError>> {
        if self.ready.is_empty()
            && let Some((look, count)) = &mut self.running
        {
            let count = *count;
            let seen = ready!(look.as_mut().poll(context));
            self.running = None;
            match seen {
                Ok((replies, op)) => {
                    self.op = Some(op);
                    self.ready.extend(replies.into_iter().map(Ok));
                }
                Err(error) => self.ready.extend((0..count).map(|_| Err(error.clone()))),
            }
        }
        self.ready.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}
