//! What a connection remembers between commands.

use super::{
    Freshness,
    clients::{Client, Clients, Registered},
    transaction::Transaction,
};
use crate::resp::Protocol;
use crate::store::Version;
use bytes::Bytes;
use std::net::SocketAddr;

#[derive(Debug)]
pub(super) struct Session {
    /// What others may know of it.
    pub(super) client: Client,
    /// Whether it may be served: it knows the password, or there is none.
    pub(super) admitted: bool,
    /// What its reads are.
    pub(super) freshness: Freshness,
    /// The op that its last read beside the log reflected.
    pub(super) read_op: u64,
    /// `CLIENT REPLY`: whether later commands are answered.
    pub(super) replies: Replies,
    /// The command that is just executed is not answered.
    pub(super) muted: bool,
    /// Between `MULTI` and `EXEC`.
    pub(super) transaction: Option<Transaction>,
    /// What must not change before the next transaction.
    pub(super) watched: Vec<(Bytes, Version)>,
    /// A key could not be watched: whoever goes on all the same must not believe that it was.
    pub(super) watch_failed: bool,
    /// Nothing more is read; the connection ends when all replies are out.
    pub(super) ends: bool,
    _place: Registered,
}

/// Which commands are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replies {
    On,
    Off,
    /// All but the next.
    SkipNext,
}

impl Session {
    pub(super) fn new(peer: SocketAddr, clients: &Clients, admitted: bool) -> Self {
        let (place, client) = clients.register(peer);
        Self {
            client,
            admitted,
            freshness: Freshness::Linearizable,
            read_op: 0,
            replies: Replies::On,
            muted: false,
            transaction: None,
            watched: Vec::new(),
            watch_failed: false,
            ends: false,
            _place: place,
        }
    }

    pub(super) fn protocol(&self) -> Protocol {
        self.client.protocol
    }

    /// As `RESET` wants it. The library stays: it is still the one that speaks.
    pub(super) fn reset(&mut self, admitted: bool) {
        self.client.protocol = Protocol::default();
        self.client.name.clear();
        self.admitted = admitted;
        self.freshness = Freshness::Linearizable;
        (self.replies, self.muted) = (Replies::On, false);
        self.transaction = None;
        self.unwatch();
    }

    pub(super) fn unwatch(&mut self) {
        self.watched.clear();
        self.watch_failed = false;
    }

    /// A command begins: whether it is answered.
    pub(super) fn begin(&mut self) {
        self.muted = self.replies != Replies::On;
        if self.replies == Replies::SkipNext {
            self.replies = Replies::On;
        }
    }
}
