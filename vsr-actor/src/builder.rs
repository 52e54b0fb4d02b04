//! Starting one replica.

use crate::{
    Config, Handle, InProcessReplies, LogStorage, MemoryStorage, Persisted, ReplicaError, Replies,
    StateMachine, Transport,
    clock::Clock,
    control::Pause,
    door::{DoorKeeper, Doors, doors},
    handle::Inner,
    machine::Machine,
    observe::Observer,
    read::Readers,
    replica_task::{Lanes, Mailbox, ReplicaTask, Run, run},
    snapshots::Snapshots,
    status::Publisher,
    waiters::Waiters,
};
use std::{
    fmt,
    sync::{Arc, OnceLock},
};
use tokio::{runtime::Handle as Runtime, sync::mpsc};
use vsr_core::{Message, Replica, ReplicaId};

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
#[must_use = "nothing runs before `start`"]
pub struct Builder<M: StateMachine> {
    id: ReplicaId,
    members: Vec<ReplicaId>,
    machine: M,
    config: Config,
    transport: Option<Box<dyn Transport>>,
    replies: Box<dyn Replies<M::Reply>>,
    storage: Box<dyn LogStorage>,
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
    pub fn new(id: ReplicaId, members: impl IntoIterator<Item = ReplicaId>, machine: M) -> Self {
        Self {
            id,
            members: members.into_iter().collect(),
            machine,
            config: Config::default(),
            transport: None,
            replies: Box::new(InProcessReplies),
            storage: Box::new(MemoryStorage::default()),
            place: None,
        }
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

    /// Where the log is kept. Default: an empty [`MemoryStorage`], which makes this a new replica.
    pub fn storage(mut self, storage: impl LogStorage) -> Self {
        self.storage = Box::new(storage);
        self
    }

    /// Opens the storage and starts the replica's task on the runtime of the caller. Returns before the group has formed. Dropped
    /// before it is ready, nothing runs.
    ///
    /// # Errors
    /// A configuration that breaks a rule, a storage that cannot be read, or one that belongs to another replica.
    pub async fn start(self) -> Result<Handle<M>, ReplicaError> {
        let Self { id, members, machine, config, transport, replies, mut storage, place } = self;
        config.validate()?;
        let place = place.unwrap_or_else(|| Place {
            doors: doors([id]),
            index: 0,
            clock: Clock::new(),
            peers: mpsc::channel(config.mailboxes.peers),
            start: 0,
        });
        let persisted = Persisted::default();
        let restored = storage.open(persisted.clone()).await?;
        let mut effects = Vec::new();
        let core_config = config.core(id, members, config.seed_of(id, place.start));
        let core = Replica::start(place.clock.now(), core_config, restored, &mut effects)?;

        let (control, control_lane) = mpsc::channel(config.mailboxes.control);
        let (clients, clients_lane) = mpsc::channel(config.mailboxes.clients);
        let (reads, reads_lane) = mpsc::channel(config.mailboxes.reads);
        let (peers, peers_lane) = place.peers;
        let doors_view = place.doors.subscribe();
        let (publisher, status) = Publisher::new(core.status());
        let pause = Arc::new(Pause::default());
        let task = ReplicaTask {
            core,
            machine: Machine::new(machine),
            snapshots: Snapshots::default(),
            transport: transport.unwrap_or_else(|| Box::new(Nowhere)),
            replies,
            storage,
            persisted,
            mailbox: Mailbox {
                control: control_lane,
                peers: peers_lane,
                clients: clients_lane,
                reads: reads_lane,
            },
            waiters: Waiters::new(config.replicated.sessions_max),
            readers: Readers::default(),
            door: DoorKeeper::open(place.doors, place.index, clients, reads),
            observer: Observer::new(config.group, id),
            clock: place.clock,
            pause: pause.clone(),
            hand_over_max: config.heartbeat_timeout * 2,
            operation_bytes_max: config.limits.operation_bytes_max,
            lanes: Lanes::default(),
            effects,
            follow_ups: Vec::new(),
        };
        let runtime = Runtime::current();
        let task = runtime.spawn(run(Run { task, publisher })).abort_handle();
        Ok(Handle::new(Inner {
            id,
            config,
            control,
            peers,
            doors: doors_view,
            index: place.index,
            status,
            pause,
            task,
            runtime,
            own_client: OnceLock::new(),
        }))
    }
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
