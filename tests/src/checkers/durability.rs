//! J3: whatever quorum starts the next view, the log it chooses holds everything that was committed. Fires long before a
//! loss can be seen.

use super::{Violation, agreement::Agreement};
use crate::host::Host;
use vsr_core::OpNumber;

#[derive(Debug)]
pub(super) struct Durability {
    quorum: usize,
    checked: OpNumber,
}

impl Durability {
    pub(super) fn new(replicas: usize) -> Self {
        Self { quorum: replicas / 2 + 1, checked: OpNumber(0) }
    }

    pub(super) fn check(
        &mut self,
        hosts: &[Host],
        agreement: &Agreement,
        disk_changed: bool,
    ) -> Result<(), Violation> {
        let committed = agreement.committed();
        if !disk_changed && committed == self.checked {
            return Ok(());
        }
        self.checked = committed;
        let Some(hash) = agreement.hash_at(committed) else { return Ok(()) };
        let key = |host: &Host| (host.disk.log_view(), host.disk.op());
        // Who is not formed has no vote (decision 12), nor has who lost its log (rule F8).
        let formed = |host: &&Host| host.disk.record().is_some_and(|record| record.formed);
        let voters = || hosts.iter().filter(formed).filter(|host| !host.disk.is_lost());
        for host in voters() {
            if host.disk.snapshot_op() >= committed || host.disk.hash_at(committed) == Some(hash) {
                continue;
            }
            // This log lacks it; it is chosen by a quorum of logs that are not better.
            let not_better = voters().filter(|other| key(other) <= key(host)).count();
            if not_better >= self.quorum {
                let logs: Vec<_> = hosts.iter().map(key).collect();
                let what = format!(
                    "{committed} is committed, and a view change may choose the log of {}, which lacks it; (log view, op) of all: {logs:?}",
                    host.id()
                );
                return Err(Violation::new("J3 durability", what));
            }
        }
        Ok(())
    }
}
