//! J5: one replica starts a view, once, and it is the one whose turn it is.

use super::Violation;
use std::collections::HashMap;
use vsr_core::{Event, ViewNumber};

#[derive(Debug)]
pub(super) struct Leadership {
    replicas: usize,
    started: HashMap<ViewNumber, (usize, u64)>,
}

impl Leadership {
    pub(super) fn new(replicas: usize) -> Self {
        Self { replicas, started: HashMap::new() }
    }

    pub(super) fn on_event(&mut self, replica: usize, boot: u64, event: &Event) -> Result<(), Violation> {
        let Event::LeadershipStarted { view } = *event else { return Ok(()) };
        if view.0 as usize % self.replicas != replica {
            let what = format!("replica {replica} leads {view}, which is not its own");
            return Err(Violation::new("J5 one primary", what));
        }
        match self.started.insert(view, (replica, boot)) {
            None => Ok(()),
            Some((_, before)) => {
                let what =
                    format!("replica {replica} starts {view} in boot {boot}, and did in boot {before}");
                Err(Violation::new("J5 one primary", what))
            }
        }
    }
}
