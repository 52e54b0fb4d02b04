//! What a replica does beside its task, on threads that may wait for a disk: states are written out, received, and read to be sent.
//! Heartbeats and commits go on meanwhile.

mod job;
mod pieces;
mod snapshots;
mod staging;

use crate::ReplicaError;
pub(crate) use job::Job;
use pieces::Pieces;
use snapshots::Snapshots;
use staging::Staging;
use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};
use vsr_core::Input;

/// All of it. When this is dropped, what the threads still do comes to nothing.
#[derive(Default)]
pub(crate) struct Background {
    /// The own state, being written out.
    pub(crate) snapshots: Snapshots,
    /// The state of a snapshot that arrives.
    pub(crate) staging: Staging,
    /// Pieces that others asked for.
    pub(crate) pieces: Pieces,
}

impl Background {
    /// Whether anything is under way.
    pub(crate) fn is_busy(&self) -> bool {
        self.snapshots.is_writing() || self.staging.is_busy() || self.pieces.is_busy()
    }

    /// Waits until one of them has got something done. Cancel-safe.
    pub(crate) async fn done(&mut self) {
        let Self { snapshots, staging, pieces } = self;
        let (mut snapshots, mut staging, mut pieces) =
            (pin!(snapshots.done()), pin!(staging.done()), pin!(pieces.done()));
        poll_fn(|context| {
            let done = snapshots.as_mut().poll(context).is_ready()
                | staging.as_mut().poll(context).is_ready()
                | pieces.as_mut().poll(context).is_ready();
            if done { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// What the protocol wants to hear of it.
    ///
    /// # Errors
    /// When the user's code failed.
    pub(crate) fn inputs(&mut self) -> Result<impl Iterator<Item = Input> + use<>, ReplicaError> {
        Ok(self.snapshots.take()?.into_iter().chain(self.staging.take()))
    }
}
