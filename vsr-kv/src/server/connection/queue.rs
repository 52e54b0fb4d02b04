//! The replies of a connection that are not out yet, in the order of the requests.

use super::super::error;
use crate::resp::{Protocol, Writer};
use crate::store::Reply;
use bytes::{Bytes, BytesMut};
use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::Pin,
    task::{Poll, ready},
};
use vsr_actor::RequestError;

/// A reply that has its place.
enum Pending<T> {
    /// The store will answer. `size`: bytes of the operation, and of the reply as far as one can tell.
    Ticket { ticket: T, protocol: Protocol, size: usize },
    /// Answered already, but behind others.
    Done(Bytes),
}

impl<T> Pending<T> {
    fn size(&self) -> usize {
        match self {
            Self::Ticket { size, .. } => *size,
            Self::Done(bytes) => bytes.len(),
        }
    }
}

/// The first reply, taken off the queue.
pub(super) enum Answer {
    /// From the store, for a client that spoke this version when it asked.
    Store(Result<Reply, RequestError>, Protocol),
    /// As bytes.
    Done(Bytes),
}

pub(super) struct Queue<T> {
    pending: VecDeque<Pending<T>>,
    bytes: usize,
    /// The largest reply so far: those under way are taken to be as large.
    reply_bytes: usize,
}

/// What a reply is taken for before there was a larger one.
const REPLY_BYTES: usize = 4 << 10;

impl<T: Future<Output = Result<Reply, RequestError>> + Unpin> Queue<T> {
    pub(super) fn new() -> Self {
        Self { pending: VecDeque::new(), bytes: 0, reply_bytes: REPLY_BYTES }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.pending.len()
    }

    /// Bytes of the operations under way, of the replies that wait behind them, and of those to come as far as one can tell.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn push_ticket(&mut self, ticket: T, protocol: Protocol, size: usize) {
        self.push(Pending::Ticket { ticket, protocol, size: size + self.reply_bytes });
    }

    pub(super) fn push_done(&mut self, bytes: Bytes) {
        self.push(Pending::Done(bytes));
    }

    fn push(&mut self, pending: Pending<T>) {
        self.bytes += pending.size();
        self.pending.push_back(pending);
    }

    /// Waits for the first reply; for ever, if the queue is empty. Cancel-safe.
    pub(super) async fn next(&mut self) -> Answer {
        poll_fn(|context| {
            let Some(first) = self.pending.front_mut() else { return Poll::Pending };
            let size = first.size();
            let answer = match first {
                Pending::Done(bytes) => Answer::Done(std::mem::take(bytes)),
                Pending::Ticket { ticket, protocol, .. } => {
                    let reply = ready!(Pin::new(ticket).poll(context));
                    self.reply_bytes = self.reply_bytes.max(reply.as_ref().map_or(0, Reply::size));
                    Answer::Store(reply, *protocol)
                }
            };
            self.pending.pop_front();
            self.bytes -= size;
            Poll::Ready(answer)
        })
        .await
    }
}

impl Answer {
    pub(super) fn write(self, out: &mut BytesMut) {
        match self {
            Self::Done(bytes) => out.extend_from_slice(&bytes),
            Self::Store(Ok(reply), protocol) => write(&reply, &mut Writer::new(out, protocol)),
            Self::Store(Err(error), protocol) => Writer::new(out, protocol).error(&error::text(&error)),
        }
    }
}

fn write(reply: &Reply, writer: &mut Writer<'_>) {
    match reply {
        Reply::Ok => writer.simple("OK"),
        Reply::Nil => writer.null(),
        Reply::Int(number) => writer.int(*number),
        Reply::Bulk(bytes) => writer.bulk(bytes),
        Reply::Array(values) => {
            writer.array(values.len());
            for value in values {
                match value {
                    None => writer.null(),
                    Some(bytes) => writer.bulk(bytes),
                }
            }
        }
        Reply::Type(kind) => writer.simple(kind.name()),
        Reply::Error(error) => writer.error(&error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{Ready, ready};

    type Instant = Ready<Result<Reply, RequestError>>;

    /// How many requests of ten bytes fit under a bound; takes their replies, too.
    async fn room(queue: &mut Queue<Instant>, bytes_max: usize) -> usize {
        while queue.bytes() < bytes_max {
            queue.push_ticket(ready(Ok(Reply::Nil)), Protocol::Resp2, 10);
        }
        let count = queue.len();
        while !queue.is_empty() {
            queue.next().await;
        }
        assert_eq!(queue.bytes(), 0);
        count
    }

    #[tokio::test]
    async fn after_a_large_reply_fewer_requests_are_under_way() {
        let (reply_bytes, bytes_max) = (1 << 20, 4 << 20);
        let mut queue = Queue::new();
        assert_eq!(room(&mut queue, bytes_max).await, bytes_max.div_ceil(REPLY_BYTES + 10));
        let reply = Reply::Bulk(vec![b'v'; reply_bytes].into());
        queue.push_ticket(ready(Ok(reply)), Protocol::Resp2, 10);
        queue.next().await;
        assert_eq!(room(&mut queue, bytes_max).await, bytes_max.div_ceil(reply_bytes + 10));
    }
}
