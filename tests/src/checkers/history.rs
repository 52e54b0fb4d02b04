//! J2: at each op every replica executes the same operation, at the same replicated time, with the same reply, on the same
//! state. One model of the machine executes every operation once, when the first replica does.

use super::Violation;
use crate::{subject::Hosted, trace::describe_executed};
use bytes::Bytes;
use std::fmt;
use vsr_core::{Entry, OpNumber, Origin};

#[derive(Clone, Debug)]
struct Executed {
    origin: Origin,
    timestamp: u64,
    reply: Bytes,
    digest: Option<u128>,
}

#[derive(Debug)]
pub(super) struct Histories {
    model: Box<dyn Hosted>,
    /// The digest of the state before the first operation.
    initial: Option<u128>,
    last: OpNumber,
    last_timestamp: u64,
    count: u64,
    /// By op; registrations and duplicates are not for the machine.
    ops: Vec<Option<Executed>>,
}

impl Histories {
    pub(super) fn new(model: Box<dyn Hosted>) -> Self {
        let initial = model.digest().ok().flatten();
        Self { model, initial, last: OpNumber(0), last_timestamp: 0, count: 0, ops: Vec::new() }
    }

    pub(super) fn executed(&self) -> u64 {
        self.count
    }

    pub(super) fn reply(&self, op: OpNumber) -> Option<&Bytes> {
        self.ops.get(op.0 as usize)?.as_ref().map(|executed| &executed.reply)
    }

    /// Counts an operation once, and looks no further.
    pub(super) fn count(&mut self, op: OpNumber) {
        if op > self.last {
            self.last = op;
            self.count += 1;
        }
    }

    pub(super) fn on_apply(
        &mut self,
        replica: usize,
        entry: &Entry,
        index: usize,
        reply: &Bytes,
        machine: &dyn Hosted,
    ) -> Result<(), Violation> {
        let op = OpNumber(entry.first().0 + index as u64);
        let (origin, timestamp) = (entry.origin(index), entry.timestamp(index));
        if op > self.last {
            self.execute(op, entry, index)?;
        }
        let digest = machine.digest()?;
        let model = self.ops.get(op.0 as usize).and_then(Option::as_ref);
        let Some(model) = model.filter(|model| model.origin == origin && model.timestamp == timestamp) else {
            let what = format!(
                "replica {replica} at {op}: {origin:?} at {timestamp}; first executed was {model:x?}"
            );
            return Err(Violation::new("J2 prefix", what));
        };
        if model.reply == reply && model.digest == digest {
            return Ok(());
        }
        let who = if machine.is_restored() { ", restored from a snapshot since it started," } else { "" };
        let what = format!(
            "{op} {}: R{replica}{who} comes to {}{}, another that executed the same operations to {}{}",
            describe_executed(machine, entry, index),
            machine.describe_reply(reply),
            Digest(digest),
            machine.describe_reply(&model.reply),
            Digest(model.digest),
        );
        Err(Violation::new("determinism", what))
    }

    pub(super) fn on_install(
        &mut self,
        replica: usize,
        op: OpNumber,
        machine: &dyn Hosted,
    ) -> Result<(), Violation> {
        if self.digest_at(op) == machine.digest()? {
            return Ok(());
        }
        let what = format!("replica {replica} installs a snapshot of {op} that is not the state at {op}");
        // The machine of the protocol's own tests restores what it is given; others may not.
        Err(Violation::new(if machine.is_restored() { "snapshot" } else { "J2 prefix" }, what))
    }

    /// A read at `op` sees what every replica has there.
    pub(super) fn on_read(
        &self,
        replica: usize,
        op: OpNumber,
        machine: &dyn Hosted,
    ) -> Result<(), Violation> {
        if self.digest_at(op) == machine.digest()? {
            return Ok(());
        }
        let what = format!("replica {replica} lets a client read at {op} what is not the state at {op}");
        Err(Violation::new("J10 linearizable", what))
    }

    /// The op may be a registration: the digest is that of the last op up to it that was executed.
    fn digest_at(&self, op: OpNumber) -> Option<u128> {
        let up_to = (op.0 as usize + 1).min(self.ops.len());
        let model = self.ops[..up_to].iter().rev().flatten().next();
        model.map_or(self.initial, |executed| executed.digest)
    }

    fn execute(&mut self, op: OpNumber, entry: &Entry, index: usize) -> Result<(), Violation> {
        let (origin, timestamp) = (entry.origin(index), entry.timestamp(index));
        assert!(timestamp > self.last_timestamp, "replicated time moves on with every op (rule B8)");
        let reply = self.model.apply(entry, index)?;
        self.ops.resize(op.0 as usize + 1, None);
        self.ops[op.0 as usize] = Some(Executed { origin, timestamp, reply, digest: self.model.digest()? });
        (self.last, self.last_timestamp) = (op, timestamp);
        self.count += 1;
        Ok(())
    }
}

struct Digest(Option<u128>);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |digest| write!(f, " (digest {digest:x})"))
    }
}
