//! J15: nothing grows without bound.

use super::Violation;
use vsr_core::{Limits, Replica, Status};

#[derive(Debug)]
pub(super) struct Bounds {
    log_ops_max: u64,
    pipeline_max: u64,
    room_max: usize,
}

impl Bounds {
    pub(super) fn new(limits: &Limits) -> Self {
        // When the log is full nothing is added, but a view's log is installed whole: twice what another may hold, and what is on its
        // way between the limit and a snapshot that frees something.
        let beyond = limits.pipeline_ops_max + limits.turn_ops_max + 2 * limits.entry_ops_max as u64;
        Self {
            log_ops_max: 2 * (limits.log_ops_max + limits.snapshot_interval_ops + beyond),
            pipeline_max: limits.pipeline_ops_max,
            room_max: limits.queue_ops_max.max(limits.forward_ops_max),
        }
    }

    pub(super) fn after_step(
        &self,
        replica: usize,
        status: &Status,
        core: &Replica,
    ) -> Result<(), Violation> {
        let grows =
            |what: &str| Err(Violation::new("J15 bounded", format!("replica {replica}, {what}: {status:?}")));
        if status.log_ops > self.log_ops_max {
            return grows("log");
        }
        if status.op.0 - status.commit.0 > self.pipeline_max {
            return grows("pipeline");
        }
        if core.room() > self.room_max {
            return grows("room");
        }
        Ok(())
    }
}
