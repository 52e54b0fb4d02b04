//! What was done to a world, step by step: enough to do it again.

use crate::{
    disk::{Fate, Rot},
    host::{Heard, Outbox},
};
use vsr_core::{Answer, Asked, ClientId, Input, Message, Now, ReplicaId, SessionId, WriteId};

/// One thing that was done to a replica.
#[derive(Clone, Debug)]
pub struct Step {
    /// Which replica.
    pub replica: usize,
    /// What was done.
    pub deed: Deed,
    /// What it sent then.
    pub sent: Vec<(ReplicaId, Message)>,
    /// Whom it told then of which session, heard or not.
    pub sessions: Vec<(SessionId, ClientId)>,
}

/// What can be done to a replica.
#[derive(Clone, Debug)]
pub enum Deed {
    /// It is started.
    Start {
        /// By its clocks.
        now: Now,
    },
    /// It takes a turn.
    Turn {
        /// By its clocks.
        now: Now,
        /// What it takes in, in order.
        inputs: Vec<Input>,
        /// Effects after which it crashed in the middle of the turn, if it did.
        crash_after: Option<u64>,
    },
    /// Writes become durable, this one and those before it.
    Persist {
        /// The last of them.
        id: WriteId,
        /// How many.
        writes: usize,
    },
    /// It crashes, or is found to have crashed in its last turn.
    Crash {
        /// What becomes of what was not flushed.
        fate: Fate,
    },
    /// Bits of its disk turn.
    Rot {
        /// Which.
        rot: Rot,
    },
    /// A flush of its storage fails.
    FailFlush,
    /// Its disk has no room, or has it again.
    Fill {
        /// Which of both.
        full: bool,
    },
    /// It loses its whole disk.
    Wipe,
}

/// All that was done to a world.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    /// In order.
    pub steps: Vec<Step>,
}

impl Recording {
    pub(crate) fn begin(&mut self, replica: usize, deed: Deed) {
        self.steps.push(Step { replica, deed, sent: Vec::new(), sessions: Vec::new() });
    }

    /// What came of the step that began last.
    pub(crate) fn finish(&mut self, out: &Outbox, crashed_after: Option<u64>) {
        let Some(step) = self.steps.last_mut() else { return };
        step.sent.clone_from(&out.sent);
        if let Deed::Turn { crash_after, .. } = &mut step.deed {
            *crash_after = crashed_after;
        }
        for (_, of, heard) in &out.answers {
            if let (Asked::Register(client), Heard::Told(Answer::Registered(session))) = (of, heard) {
                step.sessions.push((*session, *client));
            }
        }
    }
}
