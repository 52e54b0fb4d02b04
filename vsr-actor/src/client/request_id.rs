//! What a request is called by the one who sent it.

use std::fmt;

/// Names one request of one [`Client`](crate::Client) and its clones, for [`Client::resolve`](crate::Client::resolve). It means
/// nothing to any other client, nor after the end of this process. The default one names nobody's request: it is for tests that make
/// up errors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RequestId {
    /// Drawn by the client when it was made.
    client: u64,
    /// Counts the client's requests from 1, whatever numbers they get in which session of the group.
    serial: u64,
}

impl RequestId {
    pub(super) fn new(client: u64, serial: u64) -> Self {
        Self { client, serial }
    }

    /// The serial number, if it is one of this client's.
    pub(super) fn serial_at(self, client: u64) -> Option<u64> {
        (self.client == client).then_some(self.serial)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "request {} of client {:016x}", self.serial, self.client)
    }
}
