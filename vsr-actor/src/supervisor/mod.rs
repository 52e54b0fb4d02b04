//! Replicas that are started again when they fail: one for one, with growing waits, and not for ever.

mod child;
mod config;
mod error;
mod runner;
mod task;
mod tell;

pub use child::{Child, Handles};
pub use config::{Restart, SupervisorConfig};
pub use error::SupervisorError;

use crate::{ConfigError, Handle, ReplicaError, StateMachine};
use runner::{History, Runner};
use std::{fmt, future::Future, panic::resume_unwind, sync::Arc};
use task::{Admission, Task};
use tokio::{
    sync::mpsc,
    task::{AbortHandle, JoinHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;

/// Keeps replicas alive, of whatever state machines.
///
/// A child is a name and a factory: what starts the replica, the first time and again. A factory that opens the same storage each time
/// lets the replica come back to what it had. A child that ends is started again as its [`Restart`] says, after a wait that grows; the
/// others are left alone. One that ends too often within a period is given up, because a supervisor that tries for ever hides a fault:
/// then the supervisor shuts the others down and ends with [`SupervisorError::GivenUp`], for whoever supervises it.
///
/// An end is a failure when [`Handle::join`] says so, or when the factory fails: returns an error, or panics. A replica that was
/// poisoned meets the same operation again after its restart, so it comes to the limit quickly, and the error names the operation.
///
/// It ends when it is told to, when its [`CancellationToken`] is cancelled, or when it gives a child up, and always in this order: no
/// start any more; then one child after the other, the last one that was started first, each handing its view over if it is primary;
/// a child that takes longer than [`shutdown_timeout`](SupervisorConfig::shutdown_timeout) is aborted.
///
/// Dropping it aborts its children and its own task: replicas end as by a crash.
///
/// ```
/// use std::sync::Arc;
/// use vsr_actor::{Restart, Supervisor, prelude::*};
/// # #[derive(Default, Serialize, Deserialize)]
/// # struct Counter { total: i64 }
/// # impl StateMachine for Counter {
/// #     type Operation = i64;
/// #     type Reply = i64;
/// #     fn handle_commit(&mut self, _commit: &Commit, add: i64) -> i64 { self.total += add; self.total }
/// # }
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cluster = Arc::new(Cluster::in_process(3, Counter::default).await?);
/// let supervisor = Supervisor::builder().start()?;
/// for id in cluster.ids().to_vec() {
///     let cluster = cluster.clone();
///     let start = move || {
///         let cluster = cluster.clone();
///         async move { cluster.running(id).await }
///     };
///     supervisor.start(id.to_string(), Restart::Permanent, start).await?;
/// }
/// cluster.crash(cluster.primary().await?).await?; // it comes back by itself
/// assert_eq!(cluster.client().request(5).await?, 5);
/// supervisor.shutdown().await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping it aborts its children"]
pub struct Supervisor {
    config: SupervisorConfig,
    admissions: mpsc::Sender<Admission>,
    end: CancellationToken,
    task: Aborting,
}

/// A task that is aborted with its owner.
struct Aborting(JoinHandle<Result<(), SupervisorError>>);

impl Drop for Aborting {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Settings of a supervisor.
#[derive(Debug, Default)]
#[must_use = "nothing runs before `start`"]
pub struct SupervisorBuilder {
    config: SupervisorConfig,
    until: CancellationToken,
}

impl SupervisorBuilder {
    /// Everything that has a number. Default: [`SupervisorConfig::default`].
    pub fn config(mut self, config: SupervisorConfig) -> Self {
        self.config = config;
        self
    }

    /// The token of the program's own shutdown: cancelled, it shuts the supervisor down in order.
    pub fn until(mut self, token: CancellationToken) -> Self {
        self.until = token;
        self
    }

    /// Starts the supervisor's task on the runtime of the caller, without children.
    ///
    /// # Errors
    /// A configuration that breaks a rule.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start(self) -> Result<Supervisor, ConfigError> {
        let Self { config, until } = self;
        config.validate()?;
        // A child of the caller's token: shutting this supervisor down is nobody else's end.
        let end = until.child_token();
        let (admissions, waiting) = mpsc::channel(ADMISSIONS_MAX);
        let task = Task::new(config, waiting, end.clone());
        let task = Aborting(tokio::spawn(task.run()));
        Ok(Supervisor { config, admissions, end, task })
    }
}

/// Children that wait to be admitted.
const ADMISSIONS_MAX: usize = 16;

impl Supervisor {
    /// A supervisor with settings.
    pub fn builder() -> SupervisorBuilder {
        SupervisorBuilder::default()
    }

    /// Adds a child, and begins to start it: [`Child::await_running`] waits until it runs. The name is for people: errors and events
    /// carry it. The factory is called for each start, on a task of the supervisor; it is waited for as long as it takes, so bound what
    /// may hang in it. Cancel-safe: dropped before it is ready, there is no such child.
    ///
    /// # Errors
    /// [`Ended`](SupervisorError::Ended): the supervisor is shutting down, or has ended. [`join`](Self::join) says why.
    pub async fn start<M, F, S, E>(
        &self,
        name: impl Into<String>,
        restart: Restart,
        factory: F,
    ) -> Result<Child<M>, SupervisorError>
    where
        M: StateMachine,
        F: FnMut() -> S + Send + 'static,
        S: Future<Output = Result<Handle<M>, E>> + Send + 'static,
        E: Into<ReplicaError> + Send + 'static,
    {
        let (name, stop): (Arc<str>, _) = (name.into().into(), CancellationToken::new());
        let (child, shown) = Child::new(name.clone());
        let history = History::new(self.config, &name);
        let runner = Runner { name: name.clone(), restart, factory, shown, stop: stop.clone(), history };
        let admission = Admission { name, stop, life: Box::pin(runner.run()) };
        self.admissions.send(admission).await.map_err(|_| SupervisorError::Ended)?;
        Ok(child)
    }

    /// Waits until it has ended by itself: its token was cancelled, or it gave a child up. Dropped before it is ready, it aborts all, as
    /// dropping the supervisor does.
    ///
    /// ```
    /// use tokio_stream::StreamExt; // or the one of `futures`
    /// use vsr_actor::{Builder, Child, Handles, ReplicaId, Restart, Supervisor, SupervisorBuilder, SupervisorConfig, SupervisorError};
    /// # use vsr_actor::prelude::*;
    /// # #[derive(Default, Serialize, Deserialize)]
    /// # struct Counter { total: i64 }
    /// # impl StateMachine for Counter {
    /// #     type Operation = i64;
    /// #     type Reply = i64;
    /// #     fn handle_commit(&mut self, _commit: &Commit, add: i64) -> i64 { self.total += add; self.total }
    /// # }
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut config = SupervisorConfig::default();
    /// config.restarts_max = 2;
    /// let builder: SupervisorBuilder = Supervisor::builder().config(config);
    /// let supervisor = builder.start()?;
    ///
    /// // A replica that is no member of its own group cannot start.
    /// let hopeless = || Builder::new(ReplicaId(0), [ReplicaId(1)], Counter::default()).start();
    /// let child: Child<Counter> = supervisor.start("hopeless", Restart::Permanent, hopeless).await?;
    /// child.await_end().await;
    /// println!("{} was started {} times: {:?}", child.name(), child.restarts(), child.last_error());
    /// assert!(child.handle().is_none());
    /// let mut lives: Handles<Counter> = child.handles();
    /// assert!(lives.next().await.is_none(), "there was none");
    /// assert!(matches!(supervisor.join().await, Err(SupervisorError::GivenUp { .. })));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`GivenUp`](SupervisorError::GivenUp); [`ShutdownTimedOut`](SupervisorError::ShutdownTimedOut), the first one of them.
    pub async fn join(mut self) -> Result<(), SupervisorError> {
        match (&mut self.task.0).await {
            Ok(ended) => ended,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // Its runtime is gone, and everything with it.
                Err(_aborted) => Err(SupervisorError::Ended),
            },
        }
    }

    /// Shuts everything down in order, and waits for it: see [`Supervisor`]. Dropped before it is ready, it aborts what is left.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    pub async fn shutdown(self) -> Result<(), SupervisorError> {
        self.end.cancel();
        self.join().await
    }

    /// Hands the supervisor to a set of the caller's tasks: its task there is [`join`](Self::join). Aborting it, or dropping the set,
    /// aborts all children.
    ///
    /// ```
    /// # use tokio::task::JoinSet;
    /// # use tokio_util::sync::CancellationToken;
    /// # use vsr_actor::Supervisor;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (mut tasks, quit) = (JoinSet::new(), CancellationToken::new());
    /// let supervisor = Supervisor::builder().until(quit.clone()).start()?;
    /// supervisor.spawn_into(&mut tasks); // beside the program's other tasks
    /// quit.cancel();
    /// while let Some(ended) = tasks.join_next().await {
    ///     ended??;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn spawn_into(self, tasks: &mut JoinSet<Result<(), SupervisorError>>) -> AbortHandle {
        tasks.spawn(self.join())
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervisor").field("config", &self.config).finish_non_exhaustive()
    }
}
