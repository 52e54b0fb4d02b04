//! A whole group in one process: to embed it, and to see how a state machine behaves when replicas die and networks break.

mod faults;
mod kept;

use crate::{
    Builder, Client, ClusterError, Config, Handle, Observer, PrimaryChanges, StateMachine, Status, Transport,
    VsrServer,
    builder::Place,
    client::Preference,
    clock::Clock,
    door::{Doors, doors},
    machine::called,
    observe::Listeners,
    server::{Hooks, hooks_of},
    transport::in_process::{InProcess, Network},
};
use kept::Kept;
use std::{
    fmt,
    future::{Future, poll_fn},
    path::PathBuf,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::Duration,
};
use tokio::{runtime::Handle as Runtime, sync::mpsc, time::timeout};
use vsr_core::{Message, ReplicaId, StatusName};

/// The replicas of a group, all in this process, with ids 0 to N − 1. Each keeps its log in memory that survives the crash of its
/// task, not that of the process; or in a [directory](ClusterBuilder::data_dir).
///
/// Dropping the cluster crashes all replicas.
///
/// ```
/// use vsr_actor::prelude::*;
///
/// #[derive(Default, Serialize, Deserialize)]
/// struct Counter { total: i64 }
///
/// impl StateMachine for Counter {
///     type Operation = i64;
///     type Reply = i64;
///     fn handle_commit(&mut self, _commit: &Commit, add: i64) -> i64 { self.total += add; self.total }
/// }
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cluster = Cluster::in_process(3, Counter::default).await?;
/// let counter = cluster.client();
/// assert_eq!(counter.request(5).await?, 5);
/// cluster.crash(cluster.primary().await?).await?; // the others take over
/// assert_eq!(counter.request(7).await?, 12); // exactly once, without a line of retry code
/// # Ok(cluster.shutdown().await?)
/// # }
/// ```
pub struct Cluster<M: StateMachine> {
    config: Config,
    factory: Arc<dyn Fn() -> M + Send + Sync>,
    hooks: Option<&'static dyn Hooks<M>>,
    wrap: Option<Wrap>,
    listeners: Listeners,
    members: Vec<ReplicaId>,
    slots: Vec<Slot<M>>,
    network: Arc<Network>,
    doors: Doors<M>,
    clock: Clock,
    runtime: Runtime,
}

type Wrap = Box<dyn Fn(ReplicaId, Box<dyn Transport>) -> Box<dyn Transport> + Send + Sync>;

type PeersLane = (mpsc::Sender<Message>, mpsc::Receiver<Message>);

/// One replica's place: what stays when its task goes.
struct Slot<M: StateMachine> {
    storage: Kept,
    state: Mutex<SlotState<M>>,
    /// Held while the replica is going down or coming up: its storage must never serve two tasks.
    changing: tokio::sync::Mutex<()>,
}

struct SlotState<M: StateMachine> {
    handle: Option<Handle<M>>,
    /// What was known of it when it crashed.
    last: Option<Status>,
    starts: u64,
}

/// How long [`Cluster::primary`] and [`Cluster::await_convergence`] wait.
const PATIENCE: Duration = Duration::from_secs(30);

impl<M: StateMachine> Cluster<M> {
    /// Starts `n` replicas with the default configuration. `factory` makes the state before the first operation; it is called for
    /// each start of each replica, and a panic of it is an error of that start. Returns when the group has formed, or after a heartbeat time-out: requests wait for it, too.
    ///
    /// # Errors
    /// A number of replicas that is not between 1 and 63; a factory that panics.
    pub async fn in_process(
        n: usize,
        factory: impl Fn() -> M + Send + Sync + 'static,
    ) -> Result<Self, ClusterError> {
        Self::builder(n, factory).start().await
    }

    /// The same with settings.
    pub fn builder(n: usize, factory: impl Fn() -> M + Send + Sync + 'static) -> ClusterBuilder<M> {
        ClusterBuilder {
            n,
            factory: Arc::new(factory),
            hooks: None,
            config: Config::default(),
            wrap: None,
            listeners: Listeners::default(),
            data_dir: None,
        }
    }

    /// [`in_process`](Self::in_process) for actors with callbacks: each replica runs those of its own [`VsrServer`].
    ///
    /// # Errors
    /// A number of replicas that is not between 1 and 63; an `init` that fails.
    pub async fn servers(
        n: usize,
        factory: impl Fn() -> M + Send + Sync + 'static,
    ) -> Result<Self, ClusterError>
    where
        M: VsrServer,
    {
        Self::server_builder(n, factory).start().await
    }

    /// The same with settings.
    pub fn server_builder(n: usize, factory: impl Fn() -> M + Send + Sync + 'static) -> ClusterBuilder<M>
    where
        M: VsrServer,
    {
        ClusterBuilder { hooks: Some(hooks_of::<M>()), ..Self::builder(n, factory) }
    }

    /// A new client of the group. It talks to the primary, finds another replica when that one does not answer, and goes back to the
    /// primary as a client of [`client_at`](Self::client_at) does to its replica.
    #[must_use]
    pub fn client(&self) -> Client<M> {
        Client::start(&self.config, self.doors.subscribe(), Preference::Primary, &self.runtime, None)
    }

    /// A new client that talks to one replica as long as that one answers, and to others meanwhile. It goes back as soon as the replica
    /// joins a view, after a restart or with the others; short of that it tries again every ten
    /// [`retry_max`](crate::ClientConfig::retry_max).
    ///
    /// # Errors
    /// There is no such replica.
    pub fn client_at(&self, id: ReplicaId) -> Result<Client<M>, ClusterError> {
        let preference = Preference::Replica(self.index_of(id)?);
        Ok(Client::start(&self.config, self.doors.subscribe(), preference, &self.runtime, None))
    }

    /// The ids of all replicas.
    #[must_use]
    pub fn ids(&self) -> &[ReplicaId] {
        &self.members
    }

    /// The handle of a running replica.
    ///
    /// # Errors
    /// There is no such replica, or it was crashed.
    pub fn handle(&self, id: ReplicaId) -> Result<Handle<M>, ClusterError> {
        self.slots[self.index_of(id)?].state().handle.clone().ok_or(ClusterError::NotRunning { id })
    }

    /// What each replica knows of itself, or knew when it crashed, in the order of their ids.
    #[must_use]
    pub fn statuses(&self) -> Vec<Status> {
        let status = |slot: &Slot<M>| {
            let state = slot.state();
            state.handle.as_ref().map(Handle::status).or_else(|| state.last.clone())
        };
        self.slots.iter().filter_map(status).collect()
    }

    /// The primary of the latest view that a quorum is in; waits for one for at most 30 s. Cancel-safe.
    ///
    /// # Errors
    /// There is no primary, and none came up in that time.
    pub async fn primary(&self) -> Result<ReplicaId, ClusterError> {
        let quorum = self.members.len() / 2 + 1;
        let primary = |statuses: &[Status]| {
            let normal =
                |status: &&Status| status.health.is_running() && status.protocol.status == StatusName::Normal;
            let primaries = statuses.iter().filter(normal).filter(|status| status.protocol.is_primary);
            let latest = primaries.max_by_key(|status| status.protocol.view)?.protocol;
            let followers =
                statuses.iter().filter(normal).filter(|status| status.protocol.view == latest.view);
            (followers.count() >= quorum).then_some(latest.replica)
        };
        self.until(primary)
            .await
            .ok_or_else(|| ClusterError::NoPrimary { waited: PATIENCE, replicas: self.describe() })
    }

    /// The primaries of the views that start, from the latest one on: see [`Client::primary_changes`].
    #[must_use]
    pub fn primary_changes(&self) -> PrimaryChanges {
        PrimaryChanges::new(self.doors.subscribe(), None)
    }

    /// Waits until all running replicas are in one view, with everything in their logs committed and applied; at most 30 s. Only
    /// useful while no requests are under way, and with all running replicas connected. Cancel-safe.
    ///
    /// # Errors
    /// It did not come to that.
    pub async fn await_convergence(&self) -> Result<(), ClusterError> {
        let converged = |statuses: &[Status]| {
            let mut running =
                statuses.iter().filter(|status| status.health.is_running()).map(|status| status.protocol);
            let first = running.next()?;
            let settled = |status: &vsr_core::Status| {
                status.status == StatusName::Normal
                    && status.op == status.commit
                    && status.op == status.applied
            };
            let same =
                running.all(|other| settled(&other) && (other.view, other.op) == (first.view, first.op));
            (settled(&first) && same).then_some(())
        };
        self.until(converged)
            .await
            .ok_or_else(|| ClusterError::NotConverged { waited: PATIENCE, replicas: self.describe() })
    }

    /// Starts a replica again on what its storage holds: after a crash, or after it stopped by itself.
    ///
    /// # Errors
    /// There is no such replica, it runs, or it cannot start: it is down then, and may be tried again.
    pub async fn restart(&self, id: ReplicaId) -> Result<(), ClusterError> {
        let index = self.index_of(id)?;
        let _changing = self.slots[index].changing.lock().await;
        let start = {
            let mut state = self.slots[index].state();
            if state.handle.as_ref().is_some_and(|handle| handle.status().health.is_running()) {
                return Err(ClusterError::Running { id });
            }
            // One that stopped by itself is let go.
            state.handle = None;
            state.starts += 1;
            state.starts
        };
        let peers = self.connect(id);
        let launched = self.launch(index, start, peers).await;
        if launched.is_err() {
            self.network.disconnect(id);
        }
        launched
    }

    /// The handle of a replica that runs; one that does not is [restarted](Self::restart). What a
    /// [`Supervisor`](crate::Supervisor) needs to keep it alive.
    ///
    /// # Errors
    /// There is no such replica, or it cannot start.
    pub async fn running(&self, id: ReplicaId) -> Result<Handle<M>, ClusterError> {
        match self.restart(id).await {
            Ok(()) | Err(ClusterError::Running { .. }) => self.handle(id),
            Err(error) => Err(error),
        }
    }

    fn connect(&self, id: ReplicaId) -> PeersLane {
        let (peers, lane) = mpsc::channel(self.config.mailboxes.peers);
        self.network.connect(id, peers.clone());
        (peers, lane)
    }

    async fn launch(&self, index: usize, start: u64, peers: PeersLane) -> Result<(), ClusterError> {
        let (id, slot) = (self.members[index], &self.slots[index]);
        let transport: Box<dyn Transport> = Box::new(InProcess::new(id, self.network.clone()));
        let transport = match &self.wrap {
            Some(wrap) => wrap(id, transport),
            None => transport,
        };
        let replica = |error| ClusterError::Replica { id, error };
        let machine = called("factory", || (self.factory)()).map_err(replica)?;
        let mut builder = Builder::new(id, self.members.iter().copied(), machine)
            .config(self.config.clone())
            .transport(transport)
            .listeners(self.listeners.clone());
        builder = slot.storage.give(builder);
        builder.hooks = self.hooks;
        builder.place = Some(Place { doors: self.doors.clone(), index, clock: self.clock, peers, start });
        let handle = builder.start().await.map_err(replica)?;
        slot.state().handle = Some(handle);
        Ok(())
    }

    /// Stops all replicas, without handing over. Requests under way may or may not be executed.
    ///
    /// # Errors
    /// The first replica that had stopped by itself, and why. All are stopped nevertheless.
    pub async fn shutdown(self) -> Result<(), ClusterError> {
        let handles: Vec<_> = self.slots.iter().filter_map(|slot| slot.state().handle.take()).collect();
        let mut result = Ok(());
        for handle in handles {
            let ended = handle.end(false).await;
            result = result.and(ended.map_err(|error| ClusterError::Replica { id: handle.id(), error }));
        }
        result
    }

    fn index_of(&self, id: ReplicaId) -> Result<usize, ClusterError> {
        self.members.iter().position(|member| *member == id).ok_or(ClusterError::NoSuchReplica { id })
    }

    fn describe(&self) -> String {
        self.statuses().iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }

    /// Waits until `holds` finds what it looks for in the statuses.
    async fn until<T>(&self, holds: impl Fn(&[Status]) -> Option<T>) -> Option<T> {
        let search = async {
            loop {
                // Followed before they are looked at: a change in between is not missed.
                let changes = self.changes();
                if let Some(found) = holds(&self.statuses()) {
                    return found;
                }
                any(changes).await;
            }
        };
        timeout(PATIENCE, search).await.ok()
    }

    /// A future for each running replica, ready when its status changes; and one for replicas coming and going.
    fn changes(&self) -> Vec<Pin<Box<dyn Future<Output = ()> + Send>>> {
        let mut doors = self.doors.subscribe();
        let door = async move { drop(doors.changed().await) };
        let mut changes: Vec<Pin<Box<dyn Future<Output = ()> + Send>>> = vec![Box::pin(door)];
        for slot in &self.slots {
            let Some(mut status) = slot.state().handle.as_ref().map(Handle::watch_status) else { continue };
            let _ = status.latest();
            changes.push(Box::pin(async move {
                if status.next().await.is_none() {
                    // It has ended: no news from here.
                    std::future::pending::<()>().await;
                }
            }));
        }
        changes
    }
}

/// Ready when one of the futures is.
async fn any(mut futures: Vec<Pin<Box<dyn Future<Output = ()> + Send>>>) {
    poll_fn(|context| {
        let ready = futures.iter_mut().any(|future| future.as_mut().poll(context).is_ready());
        if ready { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

impl<M: StateMachine> Slot<M> {
    fn state(&self) -> MutexGuard<'_, SlotState<M>> {
        // Only single assignments happen under it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Settings of an in-process cluster.
///
/// ```
/// use vsr_actor::{ClusterBuilder, Config, observe::Record, prelude::*};
///
/// # #[derive(Default, Serialize, Deserialize)]
/// # struct Counter { total: i64 }
/// # impl StateMachine for Counter {
/// #     type Operation = i64;
/// #     type Reply = i64;
/// #     fn handle_commit(&mut self, _commit: &Commit, add: i64) -> i64 { self.total += add; self.total }
/// # }
/// # impl VsrServer for Counter {}
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let builder: ClusterBuilder<Counter> = Cluster::server_builder(3, Counter::default); // `builder`, for a plain state machine
/// let cluster = builder
///     .config(Config::default())
///     .seed(7)
///     .transport(|_id, network| network) // what it returns is used in place of the network
///     .observer(|record: &Record<'_>| println!("{}", record.name()))
///     .start()
///     .await?;
/// assert_eq!(cluster.client().request(5).await?, 5);
/// # Ok(cluster.shutdown().await?)
/// # }
/// ```
#[must_use = "nothing runs before `start`"]
pub struct ClusterBuilder<M: StateMachine> {
    n: usize,
    factory: Arc<dyn Fn() -> M + Send + Sync>,
    hooks: Option<&'static dyn Hooks<M>>,
    config: Config,
    wrap: Option<Wrap>,
    listeners: Listeners,
    data_dir: Option<PathBuf>,
}

impl<M: StateMachine> ClusterBuilder<M> {
    /// Everything that has a number. Default: [`Config::default`].
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// The seed of identities and timers. Default: a fresh one.
    pub fn seed(mut self, seed: u64) -> Self {
        self.config.seed = Some(seed);
        self
    }

    /// Puts something between each replica and the network; called at each start with the replica's id and its way to the others.
    pub fn transport(
        mut self,
        wrap: impl Fn(ReplicaId, Box<dyn Transport>) -> Box<dyn Transport> + Send + Sync + 'static,
    ) -> Self {
        self.wrap = Some(Box::new(wrap));
        self
    }

    /// Keeps the logs in this directory rather than in memory, each in one of its own: `replica-0` and so on. Then they outlive the
    /// process; and a cluster that is started on them again is the same group.
    ///
    /// ```
    /// # use vsr_actor::prelude::*;
    /// # #[derive(Default, Serialize, Deserialize)]
    /// # struct Counter { total: i64 }
    /// # impl StateMachine for Counter {
    /// #     type Operation = i64;
    /// #     type Reply = i64;
    /// #     fn handle_commit(&mut self, _commit: &Commit, add: i64) -> i64 { self.total += add; self.total }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = std::env::temp_dir().join(format!("vsr-doc-cluster-{}", std::process::id()));
    /// for total in [5, 10] {
    ///     let cluster = Cluster::builder(3, Counter::default).data_dir(&directory).start().await?;
    ///     assert_eq!(cluster.client().request(5).await?, total);
    ///     cluster.shutdown().await?;
    /// }
    /// # Ok(std::fs::remove_dir_all(&directory)?)
    /// # }
    /// ```
    pub fn data_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(directory.into());
        self
    }

    /// Adds a handler of what happens in all replicas. Several are called in the order in which they were added.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.listeners.observers.push(Arc::new(observer));
        self
    }

    /// Tells nothing, not even tracing and metrics: to measure what telemetry costs.
    #[doc(hidden)]
    pub fn without_telemetry(mut self) -> Self {
        self.listeners.off = true;
        self
    }

    /// Starts all replicas.
    ///
    /// # Errors
    /// A configuration that breaks a rule, a number of replicas that is not between 1 and 63, a factory that panics. Replicas that
    /// were started before that end.
    pub async fn start(self) -> Result<Cluster<M>, ClusterError> {
        let Self { n, factory, hooks, config, wrap, listeners, data_dir } = self;
        config.validate()?;
        let members: Vec<_> = (0..u32::try_from(n).unwrap_or(u32::MAX).min(64)).map(ReplicaId).collect();
        config.core(ReplicaId(0), members.clone(), 0).validate().map_err(crate::ConfigError::Protocol)?;
        let slot = |id: &ReplicaId| Slot {
            storage: Kept::new(data_dir.as_deref(), *id),
            state: Mutex::new(SlotState { handle: None, last: None, starts: 0 }),
            changing: tokio::sync::Mutex::new(()),
        };
        let cluster = Cluster {
            slots: members.iter().map(slot).collect(),
            doors: doors(members.iter().copied()),
            members,
            config,
            factory,
            hooks,
            wrap,
            listeners,
            network: Arc::new(Network::default()),
            clock: Clock::new(),
            runtime: Runtime::current(),
        };
        // All lanes are there before the first replica speaks: nothing it says is lost.
        let lanes: Vec<_> = cluster.members.iter().map(|id| cluster.connect(*id)).collect();
        for (index, lane) in lanes.into_iter().enumerate() {
            cluster.launch(index, 0, lane).await?;
        }
        // Usually a matter of microseconds, after which the first request need not wait for anything. If it takes longer, somebody's
        // transport is to blame, and requests find out.
        let formed = |statuses: &[Status]| {
            let forming = |status: &Status| status.protocol.status == StatusName::Bootstrapping;
            (!statuses.iter().any(forming)).then_some(())
        };
        let _ = timeout(cluster.config.heartbeat_timeout, cluster.until(formed)).await;
        Ok(cluster)
    }
}

impl<M: StateMachine> fmt::Debug for Cluster<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("replicas", &self.statuses()).finish_non_exhaustive()
    }
}

impl<M: StateMachine> fmt::Debug for ClusterBuilder<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterBuilder")
            .field("n", &self.n)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
