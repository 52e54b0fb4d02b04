//! The supervisor's own task: hears of ends, and stops what is left when its time has come.

use super::{SupervisorConfig, SupervisorError, runner::End, tell};
use std::{future::Future, panic::resume_unwind, pin::Pin, sync::Arc};
use tokio::{
    sync::mpsc,
    task::{JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;

/// A child that is to run.
pub(super) struct Admission {
    pub(super) name: Arc<str>,
    pub(super) stop: CancellationToken,
    pub(super) life: Pin<Box<dyn Future<Output = End> + Send>>,
}

/// Dropped, it aborts all children: each one's life is a task of the set.
pub(super) struct Task {
    config: SupervisorConfig,
    admissions: mpsc::Receiver<Admission>,
    /// Cancelled when everything is to be shut down.
    end: CancellationToken,
    lives: JoinSet<(u64, End)>,
    /// In the order in which they were started.
    children: Vec<Known>,
    started: u64,
}

struct Known {
    number: u64,
    name: Arc<str>,
    stop: CancellationToken,
}

impl Task {
    pub(super) fn new(
        config: SupervisorConfig,
        admissions: mpsc::Receiver<Admission>,
        end: CancellationToken,
    ) -> Self {
        Self { config, admissions, end, lives: JoinSet::new(), children: Vec::new(), started: 0 }
    }

    pub(super) async fn run(mut self) -> Result<(), SupervisorError> {
        let reason = self.watch().await;
        self.admissions.close();
        reason.and(self.stop_all().await)
    }

    /// Returns when it is to end: with an error, if a child is the reason.
    async fn watch(&mut self) -> Result<(), SupervisorError> {
        loop {
            tokio::select! {
                biased;
                () = self.end.cancelled() => return Ok(()),
                Some(ended) = self.lives.join_next() => {
                    let (child, end) = self.forget(ended);
                    if let End::GivenUp { restarts, error } = end {
                        tell::given_up(&child, restarts, error.as_ref());
                        let period = self.config.period;
                        return Err(SupervisorError::GivenUp { child, restarts, period, error });
                    }
                }
                // When nobody can start any more the supervisor is about to be aborted.
                Some(admission) = self.admissions.recv() => self.admit(admission),
            }
        }
    }

    fn admit(&mut self, Admission { name, stop, life }: Admission) {
        let number = self.started;
        self.started += 1;
        self.children.push(Known { number, name, stop });
        self.lives.spawn(async move { (number, life.await) });
    }

    /// Shuts down one child after the other, the last one that was started first.
    async fn stop_all(&mut self) -> Result<(), SupervisorError> {
        let mut result = Ok(());
        while let Some(last) = self.children.last() {
            last.stop.cancel();
            let Some(ended) = self.lives.join_next().await else { break };
            let (child, end) = self.forget(ended);
            if let End::ShutDown { in_time: false } = end {
                let timeout = self.config.shutdown_timeout;
                tell::aborted(&child, timeout);
                result = result.and(Err(SupervisorError::ShutdownTimedOut { child, timeout }));
            }
        }
        result
    }

    /// One child is no more.
    fn forget(&mut self, ended: Result<(u64, End), JoinError>) -> (Arc<str>, End) {
        // Code of the user is caught in there, and nobody else aborts it: a panic is this library's own.
        let (number, end) = ended.unwrap_or_else(|error| resume_unwind(error.into_panic()));
        let index = self.children.binary_search_by_key(&number, |child| child.number);
        let child = self.children.remove(index.expect("each task of the set is a child's, and ends once"));
        (child.name, end)
    }
}
