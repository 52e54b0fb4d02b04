//! J7: logs of one log view are prefixes of each other.

use super::Violation;
use crate::host::Host;
use vsr_core::{OpNumber, ViewNumber};

type Key = (ViewNumber, OpNumber);

#[derive(Debug)]
pub(super) struct Comparable {
    /// (log view, op) of each replica's log in memory, as of the last check: nothing to do while it stands still.
    seen: Vec<Key>,
}

impl Comparable {
    pub(super) fn new(replicas: usize) -> Self {
        Self { seen: vec![Key::default(); replicas] }
    }

    pub(super) fn on_start(&mut self, replica: usize) {
        self.seen[replica] = Key::default();
    }

    pub(super) fn check(&mut self, hosts: &[Host]) -> Result<(), Violation> {
        for (i, host) in hosts.iter().enumerate() {
            let Some(core) = &host.core else { continue };
            let status = core.status();
            let key = (status.log_view, status.op);
            if key == self.seen[i] {
                continue;
            }
            self.seen[i] = key;
            for other in hosts.iter().filter(|other| other.index != i) {
                let Some(other_core) = &other.core else { continue };
                let other_status = other_core.status();
                if other_status.log_view != status.log_view {
                    continue;
                }
                let end = status.op.min(other_status.op);
                // What was trimmed is committed, and agreed on elsewhere.
                let (Some(a), Some(b)) = (core.hash_at(end), other_core.hash_at(end)) else { continue };
                if a != b {
                    let what = format!("{} and {} have {} and differ at {end}", host.id(), other.id(), key.0);
                    return Err(Violation::new("J7 comparable", what));
                }
            }
        }
        Ok(())
    }
}
