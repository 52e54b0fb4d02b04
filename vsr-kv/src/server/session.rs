//! What a connection remembers between commands.

use crate::resp::Protocol;
use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

static LAST_ID: AtomicU64 = AtomicU64::new(0);

#[derive(Debug)]
pub(super) struct Session {
    /// Never given twice in this process.
    pub(super) id: u64,
    pub(super) peer: SocketAddr,
    pub(super) since: Instant,
    pub(super) protocol: Protocol,
    pub(super) name: String,
    pub(super) library: String,
    pub(super) library_version: String,
    /// Nothing more is read; the connection ends when all replies are out.
    pub(super) ends: bool,
}

impl Session {
    pub(super) fn new(peer: SocketAddr) -> Self {
        Self {
            id: LAST_ID.fetch_add(1, Ordering::Relaxed) + 1,
            peer,
            since: Instant::now(),
            protocol: Protocol::default(),
            name: String::new(),
            library: String::new(),
            library_version: String::new(),
            ends: false,
        }
    }

    /// As `RESET` wants it. The library stays: it is still the one that speaks.
    pub(super) fn reset(&mut self) {
        self.protocol = Protocol::default();
        self.name.clear();
    }
}
