//! J6: what a replica promised never shrinks: not in a step, not over a crash. The exception is a log that is lost with all it
//! held; the views of its record stay.

use super::Violation;
use crate::{disk::Disk, host::Host};
use vsr_core::{OpNumber, Status, StatusName, ViewNumber};

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    view: ViewNumber,
    log_view: ViewNumber,
    commit: OpNumber,
    applied: OpNumber,
    snapshot: OpNumber,
}

#[derive(Debug)]
pub(super) struct Monotone {
    running: Vec<Seen>,
    durable: Vec<Seen>,
}

impl Monotone {
    pub(super) fn new(replicas: usize) -> Self {
        Self { running: vec![Seen::default(); replicas], durable: vec![Seen::default(); replicas] }
    }

    pub(super) fn on_start(&mut self, replica: usize, disk: &Disk) {
        // Only what was durable binds it now.
        self.running[replica] = Seen::of_disk(disk);
        self.running[replica].applied = OpNumber(0);
    }

    pub(super) fn on_wipe(&mut self, replica: usize) {
        self.running[replica] = Seen::default();
        self.durable[replica] = Seen::default();
    }

    /// With its log a replica forgets how far it was; the view is not part of the log.
    pub(super) fn on_loss(&mut self, replica: usize, disk: &Disk) {
        let view = self.durable[replica].view;
        self.durable[replica] = Seen { view, ..Seen::of_disk(disk) };
    }

    pub(super) fn after_step(&mut self, replica: usize, status: &Status) -> Result<(), Violation> {
        let now = Seen {
            view: status.view,
            log_view: status.log_view,
            commit: status.commit,
            applied: status.applied,
            snapshot: status.snapshot,
        };
        now.not_before(&self.running[replica], replica)?;
        self.running[replica] = now;
        let ordered = status.log_view <= status.view
            && status.applied <= status.commit
            && status.commit <= status.op
            && status.snapshot <= status.applied;
        let settled = status.status != StatusName::Normal || status.log_view == status.view;
        if ordered && settled { Ok(()) } else { Err(Violation::new("J6 monotone", format!("{status:?}"))) }
    }

    pub(super) fn on_durable(&mut self, hosts: &[Host]) -> Result<(), Violation> {
        for (replica, host) in hosts.iter().enumerate() {
            if host.disk.is_unreadable() {
                continue;
            }
            let now = Seen::of_disk(&host.disk);
            now.not_before(&self.durable[replica], replica)?;
            // A crash may leave more than was promised. It is promised when an engine has found it, and kept it safe.
            if host.disk.is_open() {
                self.durable[replica] = now;
            }
        }
        Ok(())
    }
}

impl Seen {
    fn of_disk(disk: &Disk) -> Self {
        Self {
            view: disk.view(),
            log_view: disk.log_view(),
            commit: disk.commit().max(disk.snapshot_op()),
            applied: OpNumber(0),
            snapshot: disk.snapshot_op(),
        }
    }

    fn not_before(&self, old: &Self, replica: usize) -> Result<(), Violation> {
        let grows = self.view >= old.view
            && self.log_view >= old.log_view
            && self.commit >= old.commit
            && self.applied >= old.applied
            && self.snapshot >= old.snapshot;
        if grows {
            return Ok(());
        }
        Err(Violation::new("J6 monotone", format!("replica {replica} goes from {old:?} back to {self:?}")))
    }
}
