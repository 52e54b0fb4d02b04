//! The way to a replica that is a task with a channel, for every system that leaves this to its user.

use crate::memory::workload::{Client, Put};
use tokio::sync::{mpsc, oneshot};

/// An operation, and where its reply goes.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) put: Put,
    pub(super) reply: oneshot::Sender<u64>,
}

/// A client that puts requests into the inbox of the primary, as messages of whatever kind that takes.
#[derive(Debug)]
pub(super) struct Submit<M>(pub(super) mpsc::UnboundedSender<M>);

impl<M: From<Request> + Send + 'static> Client for Submit<M> {
    async fn put(&mut self, put: Put) -> Result<u64, String> {
        let (reply, replied) = oneshot::channel();
        let gone = || "the primary is gone".to_owned();
        self.0.send(Request { put, reply }.into()).map_err(|_| gone())?;
        replied.await.map_err(|_| gone())
    }
}
