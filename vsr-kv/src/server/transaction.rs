//! Commands between `MULTI` and `EXEC`.

use crate::store::Operation;
use bytes::Bytes;

/// Which step of a transaction a command is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Multi,
    Exec,
    Discard,
    Watch,
    Unwatch,
}

/// What is queued is one operation of the log, so it must fit one.
pub(super) const TRANSACTION_BYTES_MAX: usize = 3 << 20;
/// What looks at many keys counts as if it were so long: all replicas stand still meanwhile.
const WALK_BYTES: usize = 64 << 10;
/// So many keys a connection may watch at a time, of so many bytes together.
pub(super) const WATCHED_MAX: usize = 1024;
pub(super) const WATCHED_BYTES_MAX: usize = 256 << 10;

/// Part of a transaction.
#[derive(Debug)]
pub(super) enum Queued {
    /// For the store.
    Store(Operation),
    /// For the connection: the words of the command.
    Local(super::Local, Vec<Bytes>),
}

/// What was queued so far.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    commands: Vec<Queued>,
    bytes: usize,
    /// A command was refused: the whole will be.
    broken: bool,
}

impl Transaction {
    /// Takes a command up, if there is room.
    pub(super) fn queue(&mut self, command: Queued) -> Result<(), &'static str> {
        if self.broken {
            return Ok(());
        }
        self.bytes += match &command {
            Queued::Store(operation) if operation.is_walk() => WALK_BYTES,
            Queued::Store(operation) => operation.size(),
            Queued::Local(_, words) => words.iter().map(|word| word.len() + 32).sum(),
        };
        if self.bytes > TRANSACTION_BYTES_MAX || self.commands.len() >= crate::store::COMMANDS_MAX {
            return Err("ERR the transaction is too large: use several, or fewer and smaller commands");
        }
        self.commands.push(command);
        Ok(())
    }

    /// Nothing of it will be executed.
    pub(super) fn break_off(&mut self) {
        *self = Self { broken: true, ..Self::default() };
    }

    /// The commands, unless one was refused.
    pub(super) fn into_commands(self) -> Option<Vec<Queued>> {
        (!self.broken).then_some(self.commands)
    }
}
