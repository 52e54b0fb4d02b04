//! What is replicated: a table of 64-byte values under 16-byte keys.

use serde::{Deserialize, Serialize};
use std::{collections::HashMap, future::Future};

/// Keys that operations go to.
const KEYS: u64 = 16_384;

/// The only operation. The value is in two halves for serde, which knows arrays up to 32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Put {
    pub(crate) key: [u8; 16],
    pub(crate) value: ([u8; 32], [u8; 32]),
}

/// The state of each replica: a map with the standard library's hash function, for everyone.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Table {
    rows: HashMap<[u8; 16], ([u8; 32], [u8; 32])>,
    puts: u64,
}

impl Table {
    /// Executes an operation; the reply is the number of those that were executed.
    pub(crate) fn put(&mut self, put: &Put) -> u64 {
        self.rows.insert(put.key, put.value);
        self.puts += 1;
        self.puts
    }
}

/// The operations of one client: spread over the keys, the same in every run.
#[derive(Debug)]
pub(crate) struct Puts {
    state: u64,
}

impl Puts {
    #[must_use]
    pub(crate) fn of(client: u64) -> Self {
        Self { state: client.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 }
    }
}

impl Iterator for Puts {
    type Item = Put;

    fn next(&mut self) -> Option<Put> {
        // Xorshift.
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        let mut key = [0; 16];
        key[..8].copy_from_slice(&(self.state % KEYS).to_le_bytes());
        let byte = self.state as u8;
        Some(Put { key, value: ([byte; 32], [byte; 32]) })
    }
}

/// One closed-loop client of a system.
pub(crate) trait Client: Send + 'static {
    /// Has an operation executed, and returns the reply that was made when it was committed and applied.
    fn put(&mut self, put: Put) -> impl Future<Output = Result<u64, String>> + Send;
}
