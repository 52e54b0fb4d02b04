//! The replies of a connection that are not out yet, in the order of the requests.

use super::form::Form;
use super::reads::{Look, Reads};
use crate::store::{Operation, Reply};
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
    /// The store will answer through the log. `size`: bytes of the operation, and of the reply as far as one can tell.
    Ticket { ticket: T, form: Form, size: usize, writes: bool },
    /// The store will answer beside the log: the next reply of the reads.
    Read { form: Form, size: usize },
    /// Answered already, but behind others.
    Done(Bytes),
}

impl<T> Pending<T> {
    fn size(&self) -> usize {
        match self {
            Self::Ticket { size, .. } | Self::Read { size, .. } => *size,
            Self::Done(bytes) => bytes.len(),
        }
    }
}

/// The first reply, taken off the queue.
pub(super) enum Answer {
    /// From the store, and how it is written.
    Store(Result<Reply, RequestError>, Form),
    /// As bytes.
    Done(Bytes),
}

pub(super) struct Queue<T> {
    pending: VecDeque<Pending<T>>,
    reads: Reads,
    bytes: usize,
    /// How many of the pending go through the log, and how many of those change something.
    tickets: usize,
    writes: usize,
    /// The largest reply so far: those under way are taken to be as large.
    reply_bytes: usize,
}

/// What a reply is taken for before there was a larger one.
const REPLY_BYTES: usize = 4 << 10;

impl<T: Future<Output = Result<Reply, RequestError>> + Unpin> Queue<T> {
    pub(super) fn new() -> Self {
        Self {
            pending: VecDeque::new(),
            reads: Reads::default(),
            bytes: 0,
            tickets: 0,
            writes: 0,
            reply_bytes: REPLY_BYTES,
        }
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

    /// Whether something that changes the store is under way.
    pub(super) fn has_writes(&self) -> bool {
        self.writes > 0
    }

    /// Whether a read beside the log is not answered yet.
    pub(super) fn has_reads(&self) -> bool {
        !self.reads.is_empty()
    }

    /// The op that the last read beside the log reflected.
    pub(super) fn read_op(&self) -> Option<u64> {
        self.reads.op()
    }

    pub(super) fn push_ticket(&mut self, ticket: T, form: Form, size: usize, writes: bool) {
        self.tickets += 1;
        self.writes += usize::from(writes);
        self.push(Pending::Ticket { ticket, form, size: size + self.reply_bytes, writes });
    }

    /// A read beside the log, behind everything that is under way.
    pub(super) fn push_read(&mut self, operation: Operation, form: Form) {
        let size = operation.size() + self.reply_bytes;
        self.reads.gather(operation);
        self.push(Pending::Read { form, size });
    }

    /// Begins to read what was gathered, unless something before it is still under way.
    pub(super) fn start_reads(&mut self, look: impl FnOnce(Vec<Operation>) -> Look) {
        if self.tickets == 0 {
            self.reads.start(look);
        }
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
                Pending::Ticket { ticket, form, writes, .. } => {
                    let reply = ready!(Pin::new(ticket).poll(context));
                    self.tickets -= 1;
                    self.writes -= usize::from(*writes);
                    Answer::Store(reply, std::mem::take(form))
                }
                Pending::Read { form, .. } => {
                    let reply = ready!(self.reads.poll_next(context));
                    Answer::Store(reply, std::mem::take(form))
                }
            };
            if let Answer::Store(Ok(reply), _) = &answer {
                self.reply_bytes = self.reply_bytes.max(reply.size());
            }
            self.pending.pop_front();
            self.bytes -= size;
            Poll::Ready(answer)
        })
        .await
    }
}

impl Answer {
    /// `loading`: whether the replica of this door is not ready yet.
    pub(super) fn write(self, out: &mut BytesMut, loading: impl FnOnce() -> bool) {
        match self {
            Self::Done(bytes) => out.extend_from_slice(&bytes),
            Self::Store(reply, form) => form.write(reply, out, loading),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::Protocol;
    use std::future::{Ready, ready};

    type Instant = Ready<Result<Reply, RequestError>>;

    /// How many requests of ten bytes fit under a bound; takes their replies, too.
    async fn room(queue: &mut Queue<Instant>, bytes_max: usize) -> usize {
        while queue.bytes() < bytes_max {
            queue.push_ticket(ready(Ok(Reply::Nil)), Form::new(Protocol::Resp2, false), 10, true);
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
        queue.push_ticket(ready(Ok(reply)), Form::new(Protocol::Resp2, false), 10, true);
        queue.next().await;
        assert_eq!(room(&mut queue, bytes_max).await, bytes_max.div_ceil(reply_bytes + 10));
    }

    #[tokio::test]
    async fn reads_begin_when_nothing_is_under_way_one_look_at_a_time_and_answer_in_their_places() {
        let looks = std::cell::Cell::new(0);
        let look = |operations: Vec<Operation>| -> Look {
            looks.set(looks.get() + 1);
            let replies = operations.iter().map(|_| Reply::Int(operations.len() as i64)).collect();
            Box::pin(async move { Ok((replies, 7)) })
        };
        let form = || Form::new(Protocol::Resp2, false);
        let mut queue = Queue::new();
        queue.push_ticket(ready(Ok(Reply::Ok)), form(), 10, false);
        queue.push_read(Operation::Size, form());
        queue.push_done(Bytes::from_static(b"+PONG"));
        queue.push_read(Operation::Size, form());
        queue.start_reads(look);
        assert_eq!(looks.get(), 0, "before what was under way");
        assert!(matches!(queue.next().await, Answer::Store(Ok(Reply::Ok), _)));
        assert!(!queue.has_writes() && queue.has_reads() && queue.read_op().is_none());
        queue.start_reads(look);
        queue.push_read(Operation::Size, form());
        queue.start_reads(look);
        assert_eq!(looks.get(), 1, "one after the other");
        assert!(matches!(queue.next().await, Answer::Store(Ok(Reply::Int(2)), _)));
        assert!(matches!(queue.next().await, Answer::Done(_)));
        assert!(matches!(queue.next().await, Answer::Store(Ok(Reply::Int(2)), _)));
        queue.start_reads(look);
        assert!(matches!(queue.next().await, Answer::Store(Ok(Reply::Int(1)), _)));
        assert_eq!((queue.bytes(), queue.has_reads(), queue.read_op()), (0, false, Some(7)));
    }
}
