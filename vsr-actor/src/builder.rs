//! Starting one replica.

use crate::{
    Config, FileLog, Handle, Health, InProcessReplies, LogStorage, MemoryStorage, ReplicaError, Replies,
    ServerRef, StateMachine, Transport, VsrServer,
    clock::Clock,
    config::LANE_MAX,
    control::Pause,
    door::{Doors, doors},
    entrance::Entrance,
    handle::Inner,
    lanes::Mailbox,
    machine::Machine,
    observe::{Listeners, Observer},
    replica_task::{Run, run},
    seat::Seat,
    server::{Context, Hooks, Host, Joining, Parts, hooks_of, init},
    status::Publisher,
};
use std::{
    fmt,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    time::Duration,
};
use tokio::sync::mpsc;
use vsr_core::{GroupId, Message, ReplicaId, Status};

/// Puts one replica together: who it is, what it replicates, how it reaches the others, where it keeps its log.
///
/// A whole group in one process is easier with [`Cluster`](crate::Cluster).
///
/// ```
/// use vsr_actor::{Builder, Message, ReplicaId, Transport, prelude::*};
///
/// #[derive(Default, Serialize, Deserialize)]
/// struct Counter(i64);
///
/// impl StateMachine for Counter {
///     type Operation = i64;
///     type Reply = i64;
///     fn handle_commit(&mut self, _commit: &Commit, add: i64) -> i64 {
///         self.0 += add;
///         self.0
///     }
/// }
///
/// struct Nowhere;
/// impl Transport for Nowhere {
///     fn send_vsr(&mut self, _to: ReplicaId, _message: Message) {}
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), vsr_actor::ReplicaError> {
/// let id = ReplicaId(0);
/// let replica = Builder::new(id, [id, ReplicaId(1), ReplicaId(2)], Counter::default()).transport(Nowhere).start().await?;
/// assert!(replica.status().health.is_running());
/// # Ok(())
/// # }
/// ```
///
/// ```
/// # use vsr_actor::{Builder, Config, InProcessReplies, MemoryStorage, ReplicaId, observe::Record, prelude::*};
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
/// let mut config = Config::default();
/// config.seed = Some(7);
/// let id = ReplicaId(0);
/// let replica = Builder::server(id, [id], Counter::default()) // with the callbacks of a `VsrServer`
///     .config(config)
///     .storage(MemoryStorage::default())
///     .replies(InProcessReplies)
///     .observer(|record: &Record<'_>| println!("{}", record.name()))
///     .start()
///     .await?;
/// assert_eq!(replica.client().request(5).await?, 5);
/// # Ok(replica.shutdown().await?)
/// # }
/// ```
#[must_use = "nothing runs before `start`"]
pub struct Builder<M: StateMachine> {
    id: ReplicaId,
    members: Vec<ReplicaId>,
    machine: M,
    config: Config,
    transport: Option<Box<dyn Transport>>,
    replies: Box<dyn Replies<M::Reply>>,
    storage: Option<Box<dyn LogStorage>>,
    pub(crate) hooks: Option<&'static dyn Hooks<M>>,
    listeners: Listeners,
    pub(crate) place: Option<Place<M>>,
}

/// What a cluster decides for its replicas.
pub(crate) struct Place<M: StateMachine> {
    pub(crate) doors: Doors<M>,
    pub(crate) index: usize,
    pub(crate) clock: Clock,
    pub(crate) peers: (mpsc::Sender<Message>, mpsc::Receiver<Message>),
    pub(crate) start: u64,
}

impl<M: StateMachine> Builder<M> {
    /// The replica `id` of the group of `members`, in the order all of them agree on: the primary of view v is number v mod N.
    /// `machine` is the state before the first operation; what the storage holds replaces it.
    ///
    /// Without members the replica waits, once started, until [`Handle::set_cluster`] tells it who it is and with whom; `id` is provisional
    /// then.
    pub fn new(id: ReplicaId, members: impl IntoIterator<Item = ReplicaId>, machine: M) -> Self {
        Self {
            id,
            members: members.into_iter().collect(),
            machine,
            config: Config::default(),
            transport: None,
            replies: Box::new(InProcessReplies),
            storage: None,
            hooks: None,
            listeners: Listeners::default(),
            place: None,
        }
    }

    /// The same with the callbacks of a [`VsrServer`].
    pub fn server(id: ReplicaId, members: impl IntoIterator<Item = ReplicaId>, server: M) -> Self
    where
        M: VsrServer,
    {
        Self { hooks: Some(hooks_of::<M>()), ..Self::new(id, members, server) }
    }

    /// Everything that has a number. Default: [`Config::default`].
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// The way to the other replicas. Default: none; a group of one needs none.
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Box::new(transport));
        self
    }

    /// The way back to clients. Default: [`InProcessReplies`].
    pub fn replies(mut self, replies: impl Replies<M::Reply>) -> Self {
        self.replies = Box::new(replies);
        self
    }

    /// Where the log is kept. Default: in the [data directory of its node](crate::Node::data_dir), or else in an empty [`MemoryStorage`],
    /// which makes this a new replica.
    pub fn storage(mut self, storage: impl LogStorage) -> Self {
        self.storage = Some(Box::new(storage));
        self
    }

    /// Keeps the log in this directory: the same as [`storage`](Self::storage) with a [`FileLog`] of it.
    ///
    /// ```
    /// # use vsr_actor::{Builder, ReplicaId, prelude::*};
    /// # #[derive(Default, Serialize, Deserialize)]
    /// # struct Counter { total: i64 }
    /// # impl StateMachine for Counter {
    /// #     type Operation = i64;
    /// #     type Reply = i64;
    /// #     fn handle_commit(&mut self, _commit: &Commit, add: i64) -> i64 { self.total += add; self.total }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = std::env::temp_dir().join(format!("vsr-doc-data-dir-{}", std::process::id()));
    /// let id = ReplicaId(0);
    /// let replica = Builder::new(id, [id], Counter::default()).data_dir(&directory).start().await?;
    /// assert_eq!(replica.client().request(5).await?, 5); // it is on the disk now
    /// # replica.shutdown().await?;
    /// # Ok(std::fs::remove_dir_all(&directory)?)
    /// # }
    /// ```
    pub fn data_dir(self, directory: impl Into<PathBuf>) -> Self {
        self.storage(FileLog::new(directory))
    }

    /// Adds a handler of what happens in the replica. Several are called in the order in which they were added.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.listeners.observers.push(Arc::new(observer));
        self
    }

    pub(crate) fn id(&self) -> ReplicaId {
        self.id
    }

    /// How many messages of other replicas may wait.
    pub(crate) fn peers_capacity(&self) -> usize {
        // Zero is an error of the configuration, which the start will tell.
        self.config.mailboxes.peers.clamp(1, LANE_MAX)
    }

    /// What a node decides for its replicas.
    pub(crate) fn on_node(
        mut self,
        group: GroupId,
        idle_heartbeat_interval: Duration,
        transport: impl FnOnce() -> Box<dyn Transport>,
        peers: (mpsc::Sender<Message>, mpsc::Receiver<Message>),
        data_dir: Option<&Path>,
    ) -> Self {
        if let Some(directory) = data_dir {
            let own = || Box::new(FileLog::new(directory.join(format!("group-{}", group.0)))) as _;
            self.storage.get_or_insert_with(own);
        }
        self.config.group = group;
        self.config.quiet_by_default(idle_heartbeat_interval);
        self.transport.get_or_insert_with(transport);
        self.place = Some(Place { doors: doors([self.id]), index: 0, clock: Clock::new(), peers, start: 0 });
        self
    }

    pub(crate) fn listeners(mut self, listeners: Listeners) -> Self {
        self.listeners = listeners;
        self
    }

    /// Runs the actor's `init`, opens the storage and starts the replica's task on the runtime of the caller. Returns before the group
    /// has formed. Dropped before it is ready, nothing runs.
    ///
    /// # Errors
    /// A configuration that breaks a rule, an `init` that fails or takes too long, a storage that cannot be read, or one that belongs to
    /// another replica.
    pub async fn start(self) -> Result<Handle<M>, ReplicaError> {
        let Self { mut id, mut members, machine, config, transport, replies, storage, .. } = self;
        let Self { hooks, listeners, place, .. } = self;
        config.validate()?;
        let mut storage = storage.unwrap_or_else(|| Box::new(MemoryStorage::default()));
        let place = place.unwrap_or_else(|| Place {
            doors: doors([id]),
            index: 0,
            clock: Clock::new(),
            peers: mpsc::channel(config.mailboxes.peers),
            start: 0,
        });
        let (control, control_lane) = mpsc::channel(config.mailboxes.control);
        let (clients, clients_lane) = mpsc::channel(config.mailboxes.clients);
        let (reads, reads_lane) = mpsc::channel(config.mailboxes.reads);
        let (peers, peers_lane) = place.peers;
        let entrance = Arc::new(Entrance::new(config.clone(), place.doors.subscribe(), place.index, control));
        let (machine, host, server) = match hooks {
            None => (machine, None, ServerRef::new(None, config.client.deadline)),
            Some(hooks) => {
                let (machine, host, server, joining) =
                    host(hooks, machine, id, place.clock, &entrance).await?;
                let Joining { log, cluster } = joining;
                storage = log.unwrap_or(storage);
                (id, members) = cluster.unwrap_or((id, members));
                (machine, Some(host), server)
            }
        };
        let pause = Arc::new(Pause::default());
        let seat = Seat {
            config,
            machine: Machine::new(machine),
            host,
            transport: transport.unwrap_or_else(|| Box::new(Nowhere)),
            replies,
            storage,
            mailbox: Mailbox {
                control: control_lane,
                peers: peers_lane,
                clients: clients_lane,
                reads: reads_lane,
            },
            doors: place.doors,
            index: place.index,
            clients,
            reads,
            listeners,
            clock: place.clock,
            pause: pause.clone(),
            start: place.start,
        };
        // Behind a pointer: what tokio needs for a task is compiled once, and not again for each state machine.
        let (status, task): (_, Pin<Box<dyn Future<Output = ()> + Send>>) = if members.is_empty() {
            let (publisher, status) = Publisher::new(Health::NotJoined, Status::not_joined(id));
            (status, Box::pin(seat.wait_and_run(id, publisher)))
        } else {
            let task = seat.join(id, members).await?;
            let (publisher, status) = Publisher::new(Health::Running, task.core.status());
            (status, Box::pin(run(Run { task, publisher })))
        };
        let task = entrance.runtime.spawn(task).abort_handle();
        Ok(Handle::new(Inner { peers, entrance, server, status, pause, task }))
    }
}

/// Makes the actor's mailbox, and runs its `init`.
async fn host<M: StateMachine>(
    hooks: &'static dyn Hooks<M>,
    machine: M,
    id: ReplicaId,
    clock: Clock,
    entrance: &Arc<Entrance<M>>,
) -> Result<(M, Host<M>, ServerRef<M>, Joining), ReplicaError> {
    let config = &entrance.config;
    let (lane, mailbox) = mpsc::channel(config.mailboxes.calls);
    let server = ServerRef::new(Some(lane), config.client.deadline);
    let context = Context::new(Status::not_joined(id), clock, server.clone(), entrance.clone());
    let parts = Parts {
        hooks,
        mailbox,
        context,
        slow: config.slow_callback,
        terminate_timeout: config.terminate_timeout,
    };
    let (machine, host, joining) = init(machine, parts, config.init_timeout).await?;
    Ok((machine, host, server, joining))
}

/// The transport of a replica that was given none.
struct Nowhere;

impl Transport for Nowhere {
    fn send_vsr(&mut self, _to: ReplicaId, _message: Message) {}
}

impl<M: StateMachine> fmt::Debug for Builder<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("id", &self.id)
            .field("members", &self.members)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
