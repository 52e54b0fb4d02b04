//! J1: what one replica commits at an op, every replica commits there. The hash of an entry covers all before it.

use super::Violation;
use vsr_core::{Hash, OpNumber, Replica, Status};

/// What is agreed on at an op.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Agreed {
    /// Committed, but nobody was seen to hold it: it came with a snapshot, or was trimmed at once.
    Unseen,
    /// No entry ends here.
    Inside,
    /// The entry that ends here has this hash.
    End(Hash),
}

#[derive(Debug)]
pub(super) struct Agreement {
    ops: Vec<Agreed>,
    /// How far each replica was compared.
    compared: Vec<OpNumber>,
}

impl Agreement {
    pub(super) fn new(replicas: usize) -> Self {
        Self { ops: vec![Agreed::End(Hash::default())], compared: vec![OpNumber(0); replicas] }
    }

    pub(super) fn committed(&self) -> OpNumber {
        OpNumber(self.ops.len() as u64 - 1)
    }

    /// The agreed hash at `op`, if an entry is known to end there.
    pub(super) fn hash_at(&self, op: OpNumber) -> Option<Hash> {
        match self.ops.get(op.0 as usize) {
            Some(Agreed::End(hash)) => Some(*hash),
            Some(Agreed::Unseen | Agreed::Inside) | None => None,
        }
    }

    pub(super) fn on_start(&mut self, replica: usize) {
        self.compared[replica] = OpNumber(0);
    }

    pub(super) fn after_step(
        &mut self,
        replica: usize,
        core: &Replica,
        status: &Status,
    ) -> Result<(), Violation> {
        let from = self.compared[replica];
        if status.commit <= from {
            return Ok(());
        }
        let base = status.op.0 - status.log_ops;
        self.ops.resize(self.ops.len().max(status.commit.0 as usize + 1), Agreed::Unseen);
        for op in (from.0 + 1).max(base)..=status.commit.0 {
            let held = core.hash_at(OpNumber(op)).map_or(Agreed::Inside, Agreed::End);
            let agreed = &mut self.ops[op as usize];
            if *agreed == Agreed::Unseen {
                *agreed = held;
            }
            if *agreed != held {
                let what = format!("replica {replica} commits {held:?} at op {op}, agreed is {agreed:?}");
                return Err(Violation::new("J1 agreement", what));
            }
        }
        if self.ops[status.commit.0 as usize] == Agreed::Inside {
            let what = format!("replica {replica} commits {} in the middle of an entry", status.commit);
            return Err(Violation::new("J1 agreement", what));
        }
        self.compared[replica] = status.commit;
        Ok(())
    }
}
