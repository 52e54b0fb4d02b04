//! The state of a snapshot that arrives goes into its stage, part by part.

use super::job::Job;
use crate::{ReplicaError, Stage, machine::caught};
use std::{future::pending, io};
use vsr_core::{BlobError, Input, StageId, StagePart, Staged};

/// The state that arrives, if one does: at rest in its stage, or a part of it under way there.
#[derive(Default)]
pub(crate) enum Staging {
    #[default]
    Nothing,
    Resting(Box<dyn Stage>),
    Working(StageId, Job<Outcome>),
}

/// What came of a part, and the stage if more is to come.
type Outcome = Result<(Staged, Option<Box<dyn Stage>>), BlobError>;

impl Staging {
    /// Adds a part; the first one goes to a `fresh` stage.
    pub(crate) fn add(
        &mut self,
        part: StagePart,
        fresh: impl FnOnce() -> Result<Box<dyn Stage>, ReplicaError>,
    ) -> Result<(), ReplicaError> {
        let fresh = if part.offset == 0 { Some(fresh()?) } else { None };
        let id = part.id;
        let before = std::mem::take(self);
        let job = Job::start(move || {
            let stage = match before {
                Self::Resting(stage) if fresh.is_none() => Some(stage),
                // Dropped here: to give up what was begun may take as long as a disk takes.
                Self::Nothing | Self::Resting(_) | Self::Working(..) => fresh,
            };
            caught(|| keep(part, stage)).unwrap_or_else(|panic| Err(BlobError::new(panic)))
        });
        *self = Self::Working(id, job);
        Ok(())
    }

    /// Gives up what was begun, on another thread: it may take as long as a disk takes.
    pub(crate) fn give_up(&mut self) {
        let before = std::mem::take(self);
        drop(Job::start(move || drop(before)));
    }

    pub(super) fn is_busy(&self) -> bool {
        matches!(self, Self::Working(..))
    }

    pub(super) async fn done(&mut self) {
        match self {
            Self::Working(_, job) => job.done().await,
            Self::Nothing | Self::Resting(_) => pending().await,
        }
    }

    /// What the protocol is to hear of the part that was under way.
    pub(super) fn take(&mut self) -> Option<Input> {
        let Self::Working(id, job) = self else { return None };
        let (id, outcome) = (*id, job.take()?);
        let outcome = outcome.unwrap_or_else(|| Err(BlobError::new("the runtime was shut down")));
        let (result, stage) = match outcome {
            Ok((staged, stage)) => (Ok(staged), stage),
            Err(error) => (Err(error), None),
        };
        *self = stage.map_or(Self::Nothing, Self::Resting);
        Some(Input::Staged { id, result })
    }
}

fn keep(part: StagePart, stage: Option<Box<dyn Stage>>) -> Outcome {
    let failed = |error: io::Error| BlobError::new(error.to_string());
    let mut stage = stage.ok_or_else(|| BlobError::new("what came before this part is gone"))?;
    stage.write_all(&part.bytes.read()?).map_err(failed)?;
    if part.is_last() {
        stage.finish().map(|state| (Staged::Whole(state), None)).map_err(failed)
    } else {
        Ok((Staged::Part, Some(stage)))
    }
}
