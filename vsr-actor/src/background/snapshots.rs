//! The own state is written out. It goes into its stage as it is written: it is nowhere whole, unless the stage keeps it so.

use super::job::Job;
use crate::{Frozen, ReplicaError, Stage, machine::called};
use std::{
    future::pending,
    io::{self, Write},
};
use vsr_core::{BlobError, Input, OpNumber, State};

/// The snapshot that is being written, if one is.
#[derive(Default)]
pub(crate) struct Snapshots {
    writing: Option<(OpNumber, Job<Written>)>,
}

/// The outer error is that of the user's code, which must not fail; the inner one is the storage's, which may have no room today.
type Written = Result<Result<State, BlobError>, ReplicaError>;

impl Snapshots {
    /// Writes `frozen` out. If the one before is not done, the protocol does not want it any more.
    pub(crate) fn write(&mut self, op: OpNumber, frozen: Frozen, stage: Box<dyn Stage>) {
        self.writing = Some((op, Job::start(move || write_out(frozen, stage))));
    }

    pub(crate) fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    pub(crate) async fn done(&mut self) {
        match &mut self.writing {
            Some((_, job)) => job.done().await,
            None => pending().await,
        }
    }

    /// The snapshot, once it is written.
    pub(crate) fn take(&mut self) -> Result<Option<Input>, ReplicaError> {
        let Some((op, job)) = &mut self.writing else { return Ok(None) };
        let (op, Some(written)) = (*op, job.take()) else { return Ok(None) };
        self.writing = None;
        let state = written.unwrap_or_else(|| Err(abandoned()))?;
        Ok(Some(Input::SnapshotTaken { op, state }))
    }
}

fn write_out(frozen: Frozen, stage: Box<dyn Stage>) -> Written {
    let mut stage = Watched { stage, failed: None };
    let written = called("snapshot", || frozen.write(&mut stage))?;
    // It may be that the user's code fails because the stage did; or that it looks away.
    if let Some(reason) = stage.failed {
        return Ok(Err(reason));
    }
    written.map_err(|error| ReplicaError::Callback { callback: "snapshot", reason: error.to_string() })?;
    let finished = called("stage", || stage.stage.finish())?;
    Ok(finished.map_err(|error| BlobError::new(error.to_string())))
}

/// Remembers whether it was the stage that failed.
struct Watched {
    stage: Box<dyn Stage>,
    failed: Option<BlobError>,
}

impl Watched {
    fn watch<T>(&mut self, act: impl FnOnce(&mut dyn Stage) -> io::Result<T>) -> io::Result<T> {
        act(&mut *self.stage).inspect_err(|error| {
            if error.kind() != io::ErrorKind::Interrupted {
                self.failed.get_or_insert_with(|| BlobError::new(error.to_string()));
            }
        })
    }
}

impl Write for Watched {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.watch(|stage| stage.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.watch(|stage| stage.flush())
    }
}

fn abandoned() -> ReplicaError {
    ReplicaError::Callback { callback: "snapshot", reason: "the runtime was shut down".into() }
}
