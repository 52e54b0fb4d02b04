//! The orderly end of a replica: first another one takes over, or the time for that is up.

use crate::{StateMachine, replica_task::ReplicaTask};
use std::time::Duration;
use vsr_core::{Input, Now, StatusName, Time, ViewNumber};

/// A replica on its way out.
pub(crate) struct Leaving {
    from: ViewNumber,
    pub(crate) until: Time,
}

impl<M: StateMachine> ReplicaTask<M> {
    /// Begins to end. A primary hands over first, if that is asked for, and waits at most two heartbeat time-outs for it.
    pub(crate) fn leave(&mut self, now: Now, hand_over: bool) {
        let status = self.core.status();
        if let Some(leaving) = &mut self.lanes.leaving {
            // It is on its way out; only somebody in a hurry changes that.
            if !hand_over {
                leaving.until = now.monotonic;
            }
            return;
        }
        let others = status.replicas > 1;
        let wait = if hand_over && others && status.is_primary && status.status == StatusName::Normal {
            self.core.step(now, Input::Leave, &mut self.effects);
            self.config.heartbeat_timeout * 2
        } else {
            Duration::ZERO
        };
        self.lanes.leaving = Some(Leaving { from: status.view, until: now.monotonic.after(wait) });
    }

    pub(crate) fn has_left(&self, now: Now) -> bool {
        let Some(leaving) = &self.lanes.leaving else { return false };
        let status = self.core.status();
        let taken_over =
            status.status == StatusName::Normal && status.view > leaving.from && !status.is_primary;
        taken_over || leaving.until <= now.monotonic
    }
}
