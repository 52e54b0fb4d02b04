//! One connection: requests in, operations to the group, replies out in the order of the requests.
//!
//! Requests are submitted as they come in, without waiting for earlier replies, up to the bounds of [`Settings`](super::Settings).
//! At a bound the socket is not read any more, so that a client that does not take its replies holds up only itself.

mod idle;
mod queue;

use super::{Backend, Control, Shared, error, local, session::Session, stopped};
use crate::command::{self, ErrorText, Run};
use crate::resp::{Parser, ProtocolError, Writer};
use crate::store::Operation;
use bytes::{Bytes, BytesMut};
use queue::Queue;
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
        Self {
            session: Session::new(peer),
            parser: Parser::new(shared.settings.requests),
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
        let mut room = READ_BYTES_MIN;
        let mut has_yielded = false;
        loop {
            self.dispatch(write).await?;
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
                answer = self.pending.next(), if answers => answer.write(&mut self.out),
                written = write.write_buf(&mut self.out), if !self.out.is_empty() => {
                    written?;
                    has_yielded = false;
                }
                count = read.read_buf(&mut self.input), if reads => match count? {
                    0 => self.input_ended = true,
                    count => room = (2 * count).clamp(READ_BYTES_MIN, READ_BYTES_MAX),
                },
                () = stopped(&mut stop), if !self.session.ends => self.session.ends = true,
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
        debug!(peer = %self.session.peer, %error, "malformed request");
        self.refuse(&error.to_string());
        self.session.ends = true;
    }

    async fn request(&mut self, request: &[Bytes], write: &mut WriteHalf<'_>) -> io::Result<()> {
        if is_http(request) {
            debug!(peer = %self.session.peer, "closed: it speaks HTTP");
            self.session.ends = true;
            return Ok(());
        }
        match self.look_up(request) {
            Err(text) => self.refuse(&text),
            Ok(Run::Local(which)) => {
                self.answer(|session, shared, out| local::answer(which, request, session, shared, out))
            }
            Ok(Run::Store(parse)) => match parse(request) {
                Err(text) => self.refuse(&text),
                Ok(operation) => self.submit(operation, write).await?,
            },
            Ok(Run::Control(parse)) => match parse(request) {
                Err(text) => self.refuse(&text),
                Ok(order) => self.control(order, write).await?,
            },
        }
        Ok(())
    }

    fn look_up(&self, request: &[Bytes]) -> Result<Run, ErrorText> {
        let command = command::look_up(request)?;
        if matches!(command.run, Run::Control(_)) && !self.shared.backend.is_dev() {
            return Err(format!("ERR {} works in dev mode only", command.name.to_uppercase()).into());
        }
        Ok(command.run)
    }

    /// Answers at once, at the right place in the order of replies.
    fn answer(&mut self, write: impl FnOnce(&mut Session, &Shared<B>, &mut BytesMut)) {
        if self.pending.is_empty() {
            write(&mut self.session, &self.shared, &mut self.out);
        } else {
            let mut out = BytesMut::new();
            write(&mut self.session, &self.shared, &mut out);
            self.pending.push_done(out.freeze());
        }
    }

    fn refuse(&mut self, text: &str) {
        self.answer(|session, _, out| Writer::new(out, session.protocol).error(text));
    }

    async fn submit(&mut self, operation: Operation, write: &mut WriteHalf<'_>) -> io::Result<()> {
        let (size, protocol) = (operation.size(), self.session.protocol);
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
                    answer = self.pending.next(), if self.out.is_empty() => answer.write(&mut self.out),
                }
            },
        };
        match result {
            Ok(ticket) => self.pending.push_ticket(ticket, protocol, size),
            Err(error) => self.refuse(&error::text(&error)),
        }
        Ok(())
    }

    /// Does something to the group once all earlier commands of this connection are answered.
    async fn control(&mut self, order: Control, write: &mut WriteHalf<'_>) -> io::Result<()> {
        while !self.pending.is_empty() {
            self.pending.next().await.write(&mut self.out);
            write.write_all_buf(&mut self.out).await?;
        }
        match self.shared.backend.control(order).await {
            Ok(()) => self.answer(|session, _, out| Writer::new(out, session.protocol).simple("OK")),
            Err(text) => self.refuse(&format!("ERR {text}")),
        }
        Ok(())
    }
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
