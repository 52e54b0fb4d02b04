//! Snapshots are written out on a thread of their own: heartbeats and commits go on meanwhile.

use crate::{Frozen, ReplicaError, Stage, machine::called};
use std::future::pending;
use tokio::{
    sync::oneshot::{self, error::TryRecvError},
    task::spawn_blocking,
};
use vsr_core::{Input, OpNumber, State};

/// The snapshot that is being written, if one is. When this is dropped, what the thread still writes goes nowhere.
#[derive(Default)]
pub(crate) struct Snapshots {
    writing: Option<Writing>,
}

struct Writing {
    op: OpNumber,
    result: oneshot::Receiver<Written>,
    /// It was waited for, and came.
    arrived: Option<Written>,
}

type Written = Result<State, ReplicaError>;

impl Snapshots {
    /// Writes `frozen` out. If the one before is not done, the protocol does not want it any more.
    pub(crate) fn write(&mut self, op: OpNumber, frozen: Frozen, stage: Box<dyn Stage>) {
        let (tell, result) = oneshot::channel();
        // Nobody is told if the replica is gone, or has a newer snapshot.
        spawn_blocking(move || drop(tell.send(write_out(frozen, stage))));
        self.writing = Some(Writing { op, result, arrived: None });
    }

    pub(crate) fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    /// Waits until [`take`](Self::take) has something. Cancel-safe.
    pub(crate) async fn done(&mut self) {
        match &mut self.writing {
            Some(Writing { arrived: Some(_), .. }) => {}
            Some(Writing { result, arrived, .. }) => {
                *arrived = Some(result.await.unwrap_or_else(|_| Err(abandoned())));
            }
            None => pending().await,
        }
    }

    /// The snapshot, once it is written.
    pub(crate) fn take(&mut self) -> Result<Option<Input>, ReplicaError> {
        let Some(Writing { op, result, arrived }) = &mut self.writing else { return Ok(None) };
        let written = match arrived.take() {
            Some(written) => written,
            None => match result.try_recv() {
                Ok(written) => written,
                Err(TryRecvError::Empty) => return Ok(None),
                Err(TryRecvError::Closed) => Err(abandoned()),
            },
        };
        let op = *op;
        self.writing = None;
        Ok(Some(Input::SnapshotTaken { op, state: written? }))
    }
}

/// The state goes into the stage as it is written: it is nowhere whole, unless the stage keeps it so.
fn write_out(frozen: Frozen, mut stage: Box<dyn Stage>) -> Written {
    let failed =
        |error: std::io::Error| ReplicaError::Callback { callback: "snapshot", reason: error.to_string() };
    called("snapshot", || frozen.write(&mut stage))?.map_err(failed)?;
    called("stage", || stage.finish())?.map_err(failed)
}

fn abandoned() -> ReplicaError {
    ReplicaError::Callback { callback: "snapshot", reason: "the runtime was shut down".into() }
}
