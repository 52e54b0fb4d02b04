//! One connection: requests in, operations to the group, replies out in the order of the requests.
//!
//! Requests are submitted as they come in, without waiting for earlier replies, up to the bounds of [`Settings`](super::Settings).
//! At a bound the socket is not read any more, so that a client that does not take its replies holds up only itself.
//!
//! What only reads does not go through the log, as long as nothing of this connection that writes is under way: reads are gathered and
//! looked up together, and what writes waits for those before it. A read behind a write goes through the log in its place, so that it
//! sees that write and no later one.

mod form;
mod idle;
mod queue;
mod reads;
mod transactions;

use super::{Backend, Control, Local, Shared, error, local, session::Session, stopped, transaction::Queued};
use crate::command::{self, Command, ErrorText, Run};
use crate::resp::{Parser, ProtocolError, Writer};
use crate::store::{Operation, Store};
use bytes::{Buf, Bytes, BytesMut};
use form::Form;
use queue::{Answer, Queue};
use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    time::timeout,
};
use tracing::debug;

/// Room made for a read: small while a connection says little, since there may be many.
const READ_BYTES_MIN: usize = 4 << 10;
const READ_BYTES_MAX: usize = 64 << 10;
/// How long, and how much, an ending connection still reads: closing a socket with unread bytes would destroy the last reply.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES_MAX: usize = 4 << 20;

pub(super) struct Connection<B: Backend> {
    shared: Arc<Shared<B>>,
    session: Session,
    parser: Parser,
    input: BytesMut,
    input_ended: bool,
    pending: Queue<B::Ticket>,
    out: BytesMut,
}

impl<B: Backend> Connection<B> {
    pub(super) fn new(shared: Arc<Shared<B>>, peer: SocketAddr) -> Self {
        let admitted = shared.settings.requirepass.is_none();
        let requests = shared.settings.requests;
        Self {
            session: Session::new(peer, &shared.clients, admitted),
            parser: Parser::new(if admitted { requests } else { requests.of_strangers() }),
            input: BytesMut::new(),
            input_ended: false,
            pending: Queue::new(),
            out: BytesMut::new(),
            shared,
        }
    }

    /// Serves until the client is gone, or until all is answered after `QUIT`, a malformed request or a shutdown.
    pub(super) async fn run(mut self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let (mut read, mut write) = stream.split();
        self.serve(&mut read, &mut write).await?;
        write.shutdown().await?;
        let _ = timeout(LINGER, drain(&mut read)).await;
        Ok(())
    }

    async fn serve(&mut self, read: &mut ReadHalf<'_>, write: &mut WriteHalf<'_>) -> io::Result<()> {
        let mut stop = self.shared.stop.clone();
        // One for the whole connection: each new one would put itself into a list that all connections share.
        let mut told_to_stop = pin!(stopped(&mut stop));
        let mut room = READ_BYTES_MIN;
        let mut has_yielded = false;
        loop {
            self.dispatch(write).await?;
            self.start_reads();
            if self.session.ends && self.pending.is_empty() && self.out.is_empty() {
                return Ok(());
            }
            if !self.pending.is_empty() && !self.out.is_empty() && !has_yielded {
                // More replies of the same turn are probably on their way: one system call for all of them.
                has_yielded = true;
                tokio::task::yield_now().await;
            }
            if self.pending.is_empty() {
                idle::give_back(&mut self.input);
                idle::give_back(&mut self.out);
            }
            let reads = !self.session.ends && !self.input_ended && self.has_room();
            if reads {
                self.input.reserve(room);
            }
            let answers = !self.pending.is_empty() && self.out.len() < self.shared.settings.pending_bytes_max;
            tokio::select! {
                biased;
                answer = self.pending.next(), if answers => self.write(answer),
                written = write.write(&self.out), if !self.out.is_empty() => {
                    self.out.advance(written?);
                    has_yielded = false;
                }
                count = read.read_buf(&mut self.input), if reads => match count? {
                    0 => self.input_ended = true,
                    count => room = (2 * count).clamp(READ_BYTES_MIN, READ_BYTES_MAX),
                },
                () = &mut told_to_stop, if !self.session.ends => self.session.ends = true,
            }
        }
    }

    fn has_room(&self) -> bool {
        let settings = &self.shared.settings;
        self.pending.len() < settings.pipeline_max
            && self.pending.bytes() < settings.pending_bytes_max
            && self.out.len() < settings.pending_bytes_max
    }

    /// Takes up the complete requests of the input, as far as there is room.
    async fn dispatch(&mut self, write: &mut WriteHalf<'_>) -> io::Result<()> {
        while !self.session.ends && self.has_room() {
            match self.parser.next(&mut self.input) {
                Ok(None) => {
                    // A client without further requests may still wait for its replies.
                    self.session.ends = self.input_ended;
                    break;
                }
                Ok(Some(request)) => self.request(&request, write).await?,
                Err(error) => self.malformed(&error),
            }
        }
        Ok(())
    }

    fn malformed(&mut self, error: &ProtocolError) {
        debug!(peer = %self.session.client.peer, %error, "malformed request");
        self.session.muted = false;
        self.refuse(&error.to_string());
        self.session.ends = true;
    }

    async fn request(&mut self, request: &[Bytes], write: &mut WriteHalf<'_>) -> io::Result<()> {
        if is_http(request) {
            debug!(peer = %self.session.client.peer, "closed: it speaks HTTP");
            self.session.ends = true;
            return Ok(());
        }
        self.session.begin();
        let command = match self.look_up(request) {
            Ok(command) => command,
            Err(text) => {
                self.reject(&text);
                return Ok(());
            }
        };
        let queues = self.session.transaction.is_some() && !ends_transactions(command.run);
        match command.run {
            Run::Transaction(step) => self.transaction(step, request, write).await?,
            _ if queues => self.queue(command, request),
            Run::Local(which) => self.local(which, request, write).await?,
            Run::Store(parse) => match parse(request) {
                Err(text) => self.refuse(&text),
                Ok(operation) => self.store(operation, write).await?,
            },
            Run::Control(parse) => match parse(request) {
                Err(text) => self.refuse(&text),
                Ok(order) => self.control(order, write).await?,
            },
        }
        Ok(())
    }

    fn look_up(&self, request: &[Bytes]) -> Result<&'static Command, ErrorText> {
        let command = command::look_up(request);
        let is_open = |command: &Command| match command.run {
            Run::Local(which) => which.is_for_strangers(),
            _ => false,
        };
        if !self.session.admitted && !command.as_ref().is_ok_and(|command| is_open(command)) {
            return Err("NOAUTH Authentication required.".into());
        }
        let command = command?;
        if matches!(command.run, Run::Control(_)) && !self.shared.backend.is_dev() {
            return Err(format!("ERR {} works in dev mode only", command.name.to_uppercase()).into());
        }
        Ok(command)
    }

    /// Answers at once, at the right place in the order of replies.
    fn answer(&mut self, write: impl FnOnce(&mut Session, &Shared<B>, &mut BytesMut)) {
        let mut late = BytesMut::new();
        let at_once = self.pending.is_empty();
        let out = if at_once { &mut self.out } else { &mut late };
        let before = out.len();
        write(&mut self.session, &self.shared, out);
        if self.session.muted {
            out.truncate(before);
        } else if !at_once {
            self.pending.push_done(late.freeze());
        }
    }

    fn refuse(&mut self, text: &str) {
        self.answer(|session, _, out| Writer::new(out, session.protocol()).error(text));
    }

    /// Refuses what is no command: a transaction it was meant for will not be executed.
    fn reject(&mut self, text: &str) {
        if let Some(transaction) = &mut self.session.transaction {
            transaction.break_off();
        }
        self.refuse(text);
    }

    /// Puts a command into the transaction.
    fn queue(&mut self, command: &Command, request: &[Bytes]) {
        let queued = match command.run {
            Run::Store(parse) => parse(request).map(Queued::Store),
            Run::Local(which) if which.is_for_transactions() => Ok(Queued::Local(which, request.to_vec())),
            Run::Local(_) | Run::Control(_) | Run::Transaction(_) => {
                Err("ERR Command not allowed inside a transaction".into())
            }
        };
        let Some(transaction) = &mut self.session.transaction else { return };
        match queued.and_then(|queued| transaction.queue(queued).map_err(ErrorText::from)) {
            Ok(()) => self.answer(|session, _, out| Writer::new(out, session.protocol()).simple("QUEUED")),
            Err(text) => self.reject(&text),
        }
    }

    async fn local(&mut self, which: Local, request: &[Bytes], write: &mut WriteHalf<'_>) -> io::Result<()> {
        if matches!(which, Local::Read | Local::Reset) {
            // They speak of the reads before them, or change what those after them are.
            self.settle(write, Queue::is_empty).await?;
            self.session.read_op = self.pending.read_op().unwrap_or(self.session.read_op);
        }
        self.answer(|session, shared, out| local::answer(which, request, session, shared, out));
        if self.session.admitted {
            self.parser.set_limits(self.shared.settings.requests);
        }
        Ok(())
    }

    async fn store(&mut self, operation: Operation, write: &mut WriteHalf<'_>) -> io::Result<()> {
        let form = Form::new(self.session.protocol(), self.session.muted);
        if operation.is_read() && operation.is_walk() {
            // In the log it would keep every replica from everything else.
            self.settle(write, |pending| !pending.has_writes()).await?;
        }
        if operation.is_read() && !self.pending.has_writes() {
            self.pending.push_read(operation, form);
            return Ok(());
        }
        self.settle(write, |pending| !pending.has_reads()).await?;
        self.submit(operation, form, write).await
    }

    /// Begins the next look at the state, if there is something to read and nothing before it is under way.
    fn start_reads(&mut self) {
        let (backend, freshness) = (&self.shared.backend, self.session.freshness);
        self.pending.start_reads(|operations| {
            Box::pin(backend.look(freshness, move |store: &Store| {
                (operations.iter().map(|operation| store.read(operation)).collect(), store.op())
            }))
        });
    }

    fn write(&mut self, answer: Answer) {
        answer.write(&mut self.out, || self.shared.is_loading());
    }

    /// Takes replies until so few are pending.
    async fn settle(
        &mut self,
        write: &mut WriteHalf<'_>,
        enough: impl Fn(&Queue<B::Ticket>) -> bool,
    ) -> io::Result<()> {
        while !enough(&self.pending) {
            self.start_reads();
            let answers = self.out.len() < self.shared.settings.pending_bytes_max;
            tokio::select! {
                biased;
                answer = self.pending.next(), if answers => self.write(answer),
                written = write.write_buf(&mut self.out), if !self.out.is_empty() => {
                    written?;
                }
            }
        }
        Ok(())
    }

    async fn submit(
        &mut self,
        operation: Operation,
        form: Form,
        write: &mut WriteHalf<'_>,
    ) -> io::Result<()> {
        let (size, writes) = (operation.size(), !operation.is_read());
        let shared = self.shared.clone();
        let mut submitted = pin!(shared.backend.submit(operation));
        let result = match at_once(submitted.as_mut()).await {
            Some(result) => result,
            // There is no room in the group for now. Earlier replies need not wait for that.
            None => loop {
                tokio::select! {
                    biased;
                    result = &mut submitted => break result,
                    written = write.write_buf(&mut self.out), if !self.out.is_empty() => {
                        written?;
                    }
                    answer = self.pending.next(), if self.out.is_empty() => self.write(answer),
                }
            },
        };
        match result {
            Ok(ticket) => self.pending.push_ticket(ticket, form, size, writes),
            Err(error) => self.refuse(&error::text(&error, self.shared.is_loading())),
        }
        Ok(())
    }

    /// Does something to the group once all earlier commands of this connection are answered.
    async fn control(&mut self, order: Control, write: &mut WriteHalf<'_>) -> io::Result<()> {
        self.settle(write, Queue::is_empty).await?;
        write.write_all_buf(&mut self.out).await?;
        match self.shared.backend.control(order).await {
            Ok(()) => self.answer(|session, _, out| Writer::new(out, session.protocol()).simple("OK")),
            Err(text) => self.refuse(&format!("ERR {text}")),
        }
        Ok(())
    }
}

/// Executed at once between `MULTI` and `EXEC` too: they end the transaction, and more.
fn ends_transactions(run: Run) -> bool {
    matches!(run, Run::Local(Local::Quit | Local::Reset))
}

/// The result, if it is there without waiting.
async fn at_once<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(result) => Poll::Ready(Some(result)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// A page in a browser can be made to send these lines to a local port: they must not reach the commands after them.
fn is_http(request: &[Bytes]) -> bool {
    request
        .first()
        .is_some_and(|name| name.eq_ignore_ascii_case(b"POST") || name.eq_ignore_ascii_case(b"Host:"))
}

async fn drain(read: &mut ReadHalf<'_>) -> io::Result<()> {
    let mut scrap = vec![0; READ_BYTES_MIN];
    let mut left = LINGER_BYTES_MAX;
    while left > 0 {
        match read.read(&mut scrap).await? {
            0 => break,
            count => left = left.saturating_sub(count),
        }
    }
    Ok(())
}
