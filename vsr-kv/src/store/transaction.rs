//! Several commands as one operation of the log: nobody sees the state between two of them, and either all are executed or none is.

use super::{Operation, PART_BYTES, REPLY_BYTES_MAX, Reply, Store, Version};
use bytes::Bytes;

impl Store {
    /// As in Redis, a command that fails does not keep the others from being executed: its error is its reply.
    pub(super) fn transaction(&mut self, watched: &[(Bytes, Version)], commands: &[Operation]) -> Reply {
        if watched.iter().any(|(key, version)| self.keys.version(key) != *version) {
            return Reply::Aborted;
        }
        // Each reply takes from what is left for the next; each is sure of a place for a number or an error.
        let mut room = REPLY_BYTES_MAX.saturating_sub(commands.len() * PLACE_BYTES);
        let replies = commands.iter().map(|command| {
            let reply = self.execute(command, room);
            room = room.saturating_sub(reply.size() + reply.parts() * PART_BYTES);
            reply
        });
        Reply::Many(replies.collect())
    }
}

/// What a number takes.
const PLACE_BYTES: usize = 11;
/// More commands than this have no room for their replies.
pub(crate) const COMMANDS_MAX: usize = 64 << 10;

const _: () = assert!(COMMANDS_MAX * PLACE_BYTES <= REPLY_BYTES_MAX / 2);
