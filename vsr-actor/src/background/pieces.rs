//! Pieces of snapshots whose states are not in memory are read before they are sent: transports never wait for a disk.

use crate::machine::caught;
use std::future::pending;
use tokio::task::JoinSet;
use vsr_core::{BlobError, Message, ReplicaId};

/// The pieces that are being read: one for each replica that asks, so that slow disks are not asked ever more.
#[derive(Default)]
pub(crate) struct Pieces {
    reading: JoinSet<Loaded>,
    /// Who waits for one.
    asking: Vec<ReplicaId>,
    /// One that was waited for, and came.
    arrived: Option<Loaded>,
}

/// To whom, and the message as it can be sent.
type Loaded = (ReplicaId, Result<Message, BlobError>);

impl Pieces {
    /// Reads what is missing in `message`. One for a replica that waits for another already is dropped: it asks again.
    pub(crate) fn read(&mut self, to: ReplicaId, mut message: Message) {
        if self.asking.contains(&to) {
            return;
        }
        self.asking.push(to);
        self.reading.spawn_blocking(move || {
            let loaded = caught(|| message.load()).unwrap_or_else(|panic| Err(BlobError::new(panic)));
            (to, loaded.map(|()| message))
        });
    }

    pub(super) fn is_busy(&self) -> bool {
        !self.asking.is_empty()
    }

    pub(super) async fn done(&mut self) {
        if self.arrived.is_some() {
            return;
        }
        match self.reading.join_next().await {
            Some(Ok(loaded)) => self.arrived = Some(loaded),
            // The runtime is shut down.
            Some(Err(_)) => {}
            None => pending().await,
        }
    }

    /// One that is read.
    pub(crate) fn take(&mut self) -> Option<(ReplicaId, Result<Message, BlobError>)> {
        let (to, message) =
            self.arrived.take().or_else(|| self.reading.try_join_next().and_then(Result::ok))?;
        self.asking.retain(|asking| *asking != to);
        Some((to, message))
    }
}
