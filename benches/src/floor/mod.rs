//! The durable floor: a primary and two backups that do what every replicated, durable store must do, and nothing else.
//!
//! A batch of writes goes to both backups and to three logs, is flushed, and is acknowledged when two of the three have flushed it;
//! then it is applied to a map and its clients are answered. There is no view, no number checked, no session, no checksum, no recovery:
//! what the floor forgets here, a store needs. It is one thread for the sockets and one for the log in the primary, one thread in a backup.

mod backup;
mod log;
mod primary;

use log::Log;
use std::{collections::HashMap, net::SocketAddr, path::PathBuf};

/// One process of the floor.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Where it listens: the primary for clients, a backup for the primary.
    #[arg(long)]
    listen: SocketAddr,
    /// Where the backups listen: makes this the primary.
    #[arg(long)]
    backup: Vec<SocketAddr>,
    #[arg(long)]
    log: PathBuf,
    /// The log is written over a file of zeros, again and again, instead of growing.
    #[arg(long)]
    zero_filled: bool,
}

pub(crate) fn run(options: &Options) -> Result<(), String> {
    let log = Log::create(&options.log, options.zero_filled);
    let log = log.map_err(|error| format!("the log {}: {error}", options.log.display()))?;
    let ended = match options.backup.as_slice() {
        [] => backup::run(options.listen, log),
        backups => primary::run(options.listen, backups, log),
    };
    ended.map_err(|error| format!("{}: {error}", options.listen))
}

/// What the writes of a batch come to: a map, at all three.
#[derive(Debug, Default)]
struct Map(HashMap<Vec<u8>, Vec<u8>>);

impl Map {
    fn apply(&mut self, mut entries: &[u8]) {
        while let Some((lengths, rest)) = entries.split_first_chunk::<4>() {
            let [key_low, key_high, value_low, value_high] = *lengths;
            let key_length = usize::from(u16::from_le_bytes([key_low, key_high]));
            let value_length = usize::from(u16::from_le_bytes([value_low, value_high]));
            let (key, rest) = rest.split_at(key_length);
            let (value, rest) = rest.split_at(value_length);
            self.0.insert(key.to_vec(), value.to_vec());
            entries = rest;
        }
    }
}

/// One write, as it stands in a batch, in a log and on the wire.
fn push_entry(batch: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    batch.extend_from_slice(&(key.len() as u16).to_le_bytes());
    batch.extend_from_slice(&(value.len() as u16).to_le_bytes());
    batch.extend_from_slice(key);
    batch.extend_from_slice(value);
}
