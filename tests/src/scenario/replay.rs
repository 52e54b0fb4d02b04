//! Lines for search, not for reading: what fails is left out, and the first broken property ends it.

use super::{commands, guarded, stage::Stage};
use crate::checkers::Violation;
use crate::disk::Switches;

/// What came of some lines.
#[derive(Clone, Debug)]
pub struct Replay {
    /// Positions of the lines that did something, up to the one that broke a property.
    pub done: Vec<usize>,
    /// The property that broke.
    pub violation: Option<Violation>,
}

/// Runs lines without a transcript; those that find nothing to act on are left out.
pub fn replay<L: AsRef<str>>(lines: &[L], switches: impl Into<Switches>) -> Replay {
    let mut stage = Stage::new(switches.into());
    stage.mute();
    let mut done = Vec::new();
    for (position, line) in lines.iter().enumerate() {
        let result = guarded(&mut stage, |stage| commands::execute(stage, line.as_ref()));
        if result.is_ok() || stage.violation.is_some() {
            done.push(position);
        }
        // Without a group there is nothing to be said about it.
        let no_group = position == 0 && result.is_err();
        if stage.violation.is_some() || no_group {
            break;
        }
    }
    Replay { done, violation: stage.violation }
}
