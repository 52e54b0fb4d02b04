//! The one connection to a peer: making it, keeping it, replacing it.
//!
//! Whoever has something to say and no connection dials, so that a pair meets as soon as either side can reach the other. That two
//! connections never stay is decided by the replica with the lower id alone, its *arbiter*: it goes with a connection that it dialled when
//! it is ready and has no other; and it goes with one that was dialled to it in the place of any other, unless that other is one it
//! dialled itself and the peer had not seen yet: then both dialled at once, and the other is on its way. The peer follows.

use super::{
    ConnectionError, HandshakeError, connection,
    dial::{Dialled, dial},
    handshake::{Heard, Hello, confirm},
    shared::Shared,
    status::{Peer, Side},
};
use crate::{
    backoff::Backoff,
    config::{entropy, mix},
};
use std::{net::SocketAddr, pin::pin, sync::Arc};
use tokio::{
    net::TcpStream,
    select,
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};

/// A peer that dialled, said who it is, and is ready.
pub(super) struct Accepted {
    pub(super) stream: TcpStream,
    pub(super) address: SocketAddr,
    pub(super) heard: Heard,
}

/// A connection that this side goes with.
struct Link {
    stream: TcpStream,
    address: SocketAddr,
    hello: Hello,
    /// Its number, if this side dialled it.
    dialled: Option<u64>,
}

/// The connection that another would replace.
#[derive(Clone, Copy, Debug)]
pub(super) struct Current {
    /// The peer's life.
    pub(super) boot: u64,
    /// Its number, if this side dialled it.
    pub(super) dialled: Option<u64>,
}

/// Whether a side goes with a connection that was dialled to it, by a peer of this life that has seen so many of this side's.
pub(super) fn goes_with(arbiter: bool, boot: u64, seen: u64, current: Option<Current>) -> bool {
    let on_its_way = |current: Current| current.boot == boot && current.dialled.is_some_and(|own| own > seen);
    !arbiter || !current.is_some_and(on_its_way)
}

pub(super) struct Keeper {
    peer: Arc<Peer>,
    shared: Arc<Shared>,
    accepted: mpsc::Receiver<Accepted>,
    backoff: Backoff,
    /// No attempt before then.
    pub(super) not_before: Instant,
    /// Connections dialled to this peer.
    dials: u64,
    /// The last connection of the peer's own that this side went with: its boot and its number.
    seen: (u64, u64),
}

enum Attempt {
    Accepted(Accepted),
    Dialled(Result<Dialled, ConnectionError>),
}

impl Keeper {
    pub(super) fn new(peer: Arc<Peer>, shared: Arc<Shared>, accepted: mpsc::Receiver<Accepted>) -> Self {
        let config = &shared.config;
        let seed = mix(config.seed.unwrap_or_else(entropy) ^ u64::from(peer.id.0));
        let backoff = Backoff::new(config.retry_min, config.retry_max, seed);
        Self { peer, shared, accepted, backoff, not_before: Instant::now(), dials: 0, seen: (0, 0) }
    }

    /// Until the transport is shut down, and what is queued is written.
    pub(super) async fn run(mut self) {
        let stop = self.shared.stop.clone();
        let mut next = None;
        loop {
            let link = match next.take() {
                Some(link) => link,
                None => select! {
                    biased;
                    () = stop.cancelled() => return,
                    link = self.connect() => link,
                },
            };
            next = self.serve(link).await;
            if next.is_none() && stop.is_cancelled() {
                return;
            }
        }
    }

    /// Dials when there is something to say, and takes who dials.
    async fn connect(&mut self) -> Link {
        loop {
            self.dials += 1;
            let (peer, shared, number) = (&*self.peer, &*self.shared, self.dials);
            let attempt = async {
                sleep_until(self.not_before).await;
                peer.queue.filled().await;
                dial(peer, shared, number).await
            };
            let attempt = select! {
                biased;
                Some(accepted) = self.accepted.recv() => Attempt::Accepted(accepted),
                dialled = attempt => Attempt::Dialled(dialled),
            };
            match attempt {
                Attempt::Accepted(accepted) => {
                    if let Some(link) = self.admit(accepted, None) {
                        return link;
                    }
                }
                Attempt::Dialled(dialled) => match self.go_with(dialled).await {
                    Ok(link) => return link,
                    Err(error) => self.failed(error),
                },
            }
        }
    }

    /// Tells the other side that this is the connection. From here on nothing else is looked at: it may have heard.
    async fn go_with(&self, dialled: Result<Dialled, ConnectionError>) -> Result<Link, ConnectionError> {
        let Dialled { mut stream, address, hello } = dialled?;
        let seen = if self.seen.0 == hello.boot { self.seen.1 } else { 0 };
        let patience = self.shared.config.handshake_timeout;
        let confirmed = timeout(patience, confirm(&mut stream, seen)).await;
        confirmed
            .unwrap_or(Err(HandshakeError::TimedOut(patience)))
            .map_err(|error| ConnectionError::Handshake { address, error })?;
        Ok(Link { stream, address, hello, dialled: Some(self.dials) })
    }

    pub(super) fn failed(&mut self, error: ConnectionError) {
        let refused = matches!(
            error,
            ConnectionError::Handshake {
                error: HandshakeError::Refused { .. } | HandshakeError::Foreign { .. },
                ..
            }
        );
        if refused {
            // A person has to do something about it.
            self.backoff.exhaust();
        }
        self.not_before = Instant::now() + self.backoff.wait();
        self.backoff.grow();
        self.peer.failed(error);
        // It would be old by the next attempt, and holds memory until then.
        self.peer.queue.clear();
    }

    /// The connection to go with, if it is this one.
    fn admit(&mut self, accepted: Accepted, current: Option<Current>) -> Option<Link> {
        let Accepted { stream, address, heard: Heard { hello, seen } } = accepted;
        let arbiter = self.shared.identity.id < self.peer.id;
        if !goes_with(arbiter, hello.boot, seen, current) {
            return None;
        }
        if !arbiter {
            self.seen = (hello.boot, hello.dial);
        }
        Some(Link { stream, address, hello, dialled: None })
    }

    /// Carries messages until the connection ends, or another takes its place.
    async fn serve(&mut self, link: Link) -> Option<Link> {
        let Link { mut stream, address, hello, dialled } = link;
        let (peer, shared) = (self.peer.clone(), self.shared.clone());
        let begun = Instant::now();
        peer.connected(address, if dialled.is_some() { Side::Here } else { Side::There }, &hello);
        let (reader, writer) = stream.split();
        let mut running = pin!(connection::run(reader, writer, &peer, &shared));
        let (ended, next) = loop {
            select! {
                biased;
                ended = &mut running => break (ended, None),
                Some(accepted) = self.accepted.recv() => {
                    if let Some(link) = self.admit(accepted, Some(Current { boot: hello.boot, dialled })) {
                        break (ConnectionError::Replaced, Some(link));
                    }
                }
            }
        };
        peer.lost(ended);
        self.not_before = Instant::now() + self.backoff.wait();
        // One that breaks at once is no better than none.
        if begun.elapsed() >= shared.config.retry_max {
            self.backoff.reset();
        } else {
            self.backoff.grow();
        }
        next
    }
}
