//! One child: start it, wait for its end, start it again.

use super::{Restart, SupervisorConfig, child::Shown, tell};
use crate::{Handle, ReplicaError, StateMachine, Stop, backoff::Backoff, machine};
use std::{collections::VecDeque, future::Future, sync::Arc};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

pub(super) struct Runner<M: StateMachine, F> {
    pub(super) name: Arc<str>,
    pub(super) restart: Restart,
    pub(super) factory: F,
    pub(super) shown: Shown<M>,
    /// Cancelled when the child is to be shut down.
    pub(super) stop: CancellationToken,
    pub(super) history: History,
}

/// How a child came to its last end.
pub(super) enum End {
    /// It was not to be started again.
    Over,
    /// It was told to.
    ShutDown { in_time: bool },
    /// It ended too often.
    GivenUp { restarts: u32, error: Option<ReplicaError> },
}

/// One life.
enum Lived {
    /// The error is for its owner.
    Ended(Option<ReplicaError>),
    ShutDown {
        in_time: bool,
    },
}

impl<M, F, S, E> Runner<M, F>
where
    M: StateMachine,
    F: FnMut() -> S,
    S: Future<Output = Result<Handle<M>, E>>,
    E: Into<ReplicaError>,
{
    pub(super) async fn run(mut self) -> End {
        loop {
            let error = match self.live().await {
                Lived::Ended(error) => error,
                Lived::ShutDown { in_time } => return End::ShutDown { in_time },
            };
            self.shown.ended(error.clone());
            if !self.restart.follows(error.is_some()) {
                tell::over(&self.name, error.as_ref());
                return End::Over;
            }
            if !self.history.allows(Instant::now()) {
                return End::GivenUp { restarts: self.history.config.restarts_max, error };
            }
            let wait = self.history.backoff.wait();
            let restarts = self.shown.again();
            tell::restart(&self.name, restarts, wait, error.as_ref());
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return End::ShutDown { in_time: true },
                () = sleep(wait) => {}
            }
        }
    }

    async fn live(&mut self) -> Lived {
        let handle = tokio::select! {
            biased;
            () = self.stop.cancelled() => return Lived::ShutDown { in_time: true },
            started = started(&mut self.factory) => match started {
                Ok(handle) => handle,
                Err(error) => return Lived::Ended(failure(error)),
            },
        };
        self.shown.runs(handle.clone());
        tokio::select! {
            biased;
            () = self.stop.cancelled() => {}
            ended = handle.join() => return Lived::Ended(ended.err()),
        }
        let bound = self.history.config.shutdown_timeout;
        // What ended at the same moment by itself has ended.
        let in_time = timeout(bound, handle.shutdown()).await.is_ok();
        if !in_time {
            handle.abort();
            // Code that blocks cannot be aborted: nobody waits for that for ever.
            let _ = timeout(bound, handle.join()).await;
        }
        self.shown.ended(None);
        Lived::ShutDown { in_time }
    }
}

/// A factory that panics has failed.
async fn started<M, S, E>(factory: &mut impl FnMut() -> S) -> Result<Handle<M>, ReplicaError>
where
    M: StateMachine,
    S: Future<Output = Result<Handle<M>, E>>,
    E: Into<ReplicaError>,
{
    let panicked = |reason| ReplicaError::Callback { callback: "factory", reason };
    let start = machine::caught(factory).map_err(panicked)?;
    machine::caught_future(start).await.map_err(panicked)?.map_err(Into::into)
}

/// An actor whose `init` found nothing to do has come to a good end.
fn failure(error: ReplicaError) -> Option<ReplicaError> {
    match error {
        ReplicaError::Init { stop: Stop::Normal } => None,
        error => Some(error),
    }
}

/// The restarts of a child in the last period.
pub(super) struct History {
    config: SupervisorConfig,
    backoff: Backoff,
    restarts: VecDeque<Instant>,
}

impl History {
    pub(super) fn new(config: SupervisorConfig, child: &str) -> Self {
        Self { config, backoff: config.backoff(child), restarts: VecDeque::new() }
    }

    /// Whether the limits allow one more, which is noted then; the back-off has its wait.
    fn allows(&mut self, now: Instant) -> bool {
        let period = self.config.period;
        self.restarts.retain(|then| now.duration_since(*then) < period);
        if self.restarts.len() >= self.config.restarts_max as usize {
            return false;
        }
        if self.restarts.is_empty() {
            self.backoff.reset();
        } else {
            self.backoff.grow();
        }
        self.restarts.push_back(now);
        true
    }
}
