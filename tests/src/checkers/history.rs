//! J2: at each op every replica executes the same operation, at the same replicated time, with the same reply, on the same
//! state. One model of the machine executes every operation once, when the first replica does.

use super::Violation;
use crate::machine::Machine;
use bytes::Bytes;
use vsr_core::{Entry, OpNumber, Origin};

#[derive(Clone, Debug)]
struct Executed {
    origin: Origin,
    timestamp: u64,
    reply: Bytes,
    digest: u64,
}

#[derive(Debug, Default)]
pub(super) struct Histories {
    model: Machine,
    last: OpNumber,
    last_timestamp: u64,
    count: u64,
    /// By op; registrations and duplicates are not for the machine.
    ops: Vec<Option<Executed>>,
}

impl Histories {
    pub(super) fn executed(&self) -> u64 {
        self.count
    }

    pub(super) fn reply(&self, op: OpNumber) -> Option<&Bytes> {
        self.ops.get(op.0 as usize)?.as_ref().map(|executed| &executed.reply)
    }

    pub(super) fn on_apply(
        &mut self,
        replica: usize,
        entry: &Entry,
        index: usize,
        reply: &Bytes,
        digest: u64,
    ) -> Result<(), Violation> {
        let op = OpNumber(entry.first().0 + index as u64);
        let (origin, timestamp) = (entry.origin(index), entry.timestamp(index));
        if op > self.last {
            self.execute(op, entry, index);
        }
        let same = match self.ops.get(op.0 as usize).and_then(Option::as_ref) {
            None => false,
            Some(model) => {
                model.origin == origin
                    && model.timestamp == timestamp
                    && model.reply == reply
                    && model.digest == digest
            }
        };
        if same {
            return Ok(());
        }
        let model = self.ops.get(op.0 as usize).cloned().flatten();
        let what = format!(
            "replica {replica} at {op}: {origin:?} at {timestamp} -> {reply:?} digest {digest:x}; the model: {model:x?}"
        );
        Err(Violation::new("J2 prefix", what))
    }

    pub(super) fn on_install(&mut self, replica: usize, op: OpNumber, digest: u64) -> Result<(), Violation> {
        // The snapshot's op may be a registration: the digest is that of the last op before it that was executed.
        let up_to = (op.0 as usize + 1).min(self.ops.len());
        let model = self.ops[..up_to].iter().rev().flatten().next().map_or(0, |executed| executed.digest);
        if model == digest {
            return Ok(());
        }
        let what = format!("replica {replica} installs a snapshot of {op} that is not the state at {op}");
        Err(Violation::new("J2 prefix", what))
    }

    fn execute(&mut self, op: OpNumber, entry: &Entry, index: usize) {
        let (origin, timestamp) = (entry.origin(index), entry.timestamp(index));
        let operation = entry.operation(index);
        let is_tick = matches!(origin, Origin::Tick);
        assert!(timestamp > self.last_timestamp, "replicated time moves on with every op (rule B8)");
        let reply = self.model.apply(op, timestamp, (!is_tick).then_some(&operation[..]));
        self.ops.resize(op.0 as usize + 1, None);
        self.ops[op.0 as usize] = Some(Executed { origin, timestamp, reply, digest: self.model.digest() });
        (self.last, self.last_timestamp) = (op, timestamp);
        self.count += 1;
    }
}
