//! One piece of work that may block, on a thread of its own.

use tokio::{
    sync::oneshot::{self, error::TryRecvError},
    task::spawn_blocking,
};

/// The work's result, once there is one. When this is dropped the work goes on to its end, and its result is dropped there.
pub(crate) struct Job<T> {
    result: oneshot::Receiver<T>,
    /// It was waited for, and came.
    arrived: Option<Option<T>>,
}

impl<T: Send + 'static> Job<T> {
    pub(crate) fn start(work: impl FnOnce() -> T + Send + 'static) -> Self {
        let (tell, result) = oneshot::channel();
        spawn_blocking(move || drop(tell.send(work())));
        Self { result, arrived: None }
    }

    /// Waits until [`take`](Self::take) has something. Cancel-safe.
    pub(crate) async fn done(&mut self) {
        if self.arrived.is_none() {
            self.arrived = Some((&mut self.result).await.ok());
        }
    }

    /// What came of it: nothing while it is under way, and nothing within if it was given up, with its runtime.
    pub(crate) fn take(&mut self) -> Option<Option<T>> {
        self.arrived.take().or_else(|| match self.result.try_recv() {
            Ok(result) => Some(Some(result)),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Closed) => Some(None),
        })
    }
}
