//! What waits for one peer: bounded in messages and in bytes, and never waited for.
//!
//! The oldest make room for the newest. A message says what its sender is now, and what matters in an old one is said again by a later
//! one: a heartbeat, a resent entry, a higher view. So the newest are worth more to a peer that was away than the first ones it missed.

use super::status::Count;
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;
use vsr_core::{Incarnation, Message};

pub(super) struct Queue {
    messages_max: usize,
    bytes_max: usize,
    waiting: Mutex<Waiting>,
    /// Told when the queue is not empty any more, or closed. Only one task waits.
    filled: Notify,
    dropped: Count,
}

#[derive(Debug, Default)]
struct Waiting {
    messages: VecDeque<(Message, usize)>,
    bytes: usize,
    closed: bool,
    /// Of the last message.
    incarnation: Option<Incarnation>,
}

/// How much waits, and how much was dropped so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Depth {
    pub(super) messages: usize,
    pub(super) bytes: usize,
    pub(super) dropped: u64,
}

impl Queue {
    pub(super) fn new(messages_max: usize, bytes_max: usize, dropped: Count) -> Self {
        Self { messages_max, bytes_max, waiting: Mutex::default(), filled: Notify::new(), dropped }
    }

    /// Never waits, but for another thread that moves some messages.
    pub(super) fn push(&self, message: Message) {
        let bytes = message.size_hint();
        let mut out = Vec::new();
        let mut waiting = self.waiting();
        if waiting.closed || bytes > self.bytes_max {
            self.dropped.add(1);
            return;
        }
        while waiting.messages.len() >= self.messages_max || waiting.bytes + bytes > self.bytes_max {
            let Some((oldest, bytes)) = waiting.messages.pop_front() else { break };
            waiting.bytes -= bytes;
            out.push(oldest);
        }
        let was_empty = waiting.messages.is_empty();
        waiting.incarnation = Some(message.incarnation);
        waiting.bytes += bytes;
        waiting.messages.push_back((message, bytes));
        drop(waiting);
        if was_empty {
            self.filled.notify_one();
        }
        if !out.is_empty() {
            self.dropped.add(out.len());
        }
    }

    /// Takes the oldest, of about so many bytes together but at least one, or nothing once the queue is closed and empty. Cancel-safe.
    pub(super) async fn pop(&self, bytes_max: usize, batch: &mut Vec<Message>) -> bool {
        loop {
            {
                let mut waiting = self.waiting();
                let mut bytes_taken = 0;
                while bytes_taken < bytes_max
                    && let Some((message, bytes)) = waiting.messages.pop_front()
                {
                    waiting.bytes -= bytes;
                    bytes_taken += bytes;
                    batch.push(message);
                }
                if !batch.is_empty() {
                    return true;
                }
                if waiting.closed {
                    return false;
                }
            }
            self.filled.notified().await;
        }
    }

    /// Waits until there is something to be sent. Never, once the queue is closed. Cancel-safe.
    pub(super) async fn filled(&self) {
        while self.waiting().messages.is_empty() {
            self.filled.notified().await;
        }
        // Whoever pops finds it by itself.
    }

    /// Drops what waits: it is too old to be of use.
    pub(super) fn clear(&self) {
        let mut waiting = self.waiting();
        let old = std::mem::take(&mut waiting.messages);
        waiting.bytes = 0;
        // Payloads are freed without the lock.
        drop(waiting);
        self.dropped.add(old.len());
    }

    /// Takes nothing more; what waits can still be popped.
    pub(super) fn close(&self) {
        self.waiting().closed = true;
        self.filled.notify_one();
    }

    /// One more that could not be sent.
    pub(super) fn count_dropped(&self) {
        self.dropped.add(1);
    }

    pub(super) fn incarnation(&self) -> Option<Incarnation> {
        self.waiting().incarnation
    }

    pub(super) fn depth(&self) -> Depth {
        let waiting = self.waiting();
        Depth { messages: waiting.messages.len(), bytes: waiting.bytes, dropped: self.dropped.get() }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Nothing of the user's runs under the lock.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
