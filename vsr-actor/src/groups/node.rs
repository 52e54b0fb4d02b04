//! A node: replicas of many groups, one transport.

use super::{NodeError, hosted::Hosted};
use crate::{Builder, Handle, StateMachine, Transport};
use std::{
    collections::HashMap,
    fmt,
    path::PathBuf,
    sync::{
        Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::mpsc::{self, error::TrySendError},
    task::JoinSet,
};
use vsr_core::{GroupId, Message, ReplicaId};

/// Hosts replicas of many groups, one of each, over one transport. Clones are the same node.
///
/// What is sent carries its group, and [`deliver`](Self::deliver) hands what arrives to the replica of that group. All replicas of a node
/// have the node's id. Groups on the same nodes share nothing else: each has its own task, mailboxes, storage and view, and the failure of
/// one is not noticed by the others.
///
/// A node keeps its replicas alive. They end by [`stop`](Self::stop), by [`shutdown`](Self::shutdown), by themselves, or, as in a crash,
/// when the last clone of the node and the last handle are dropped.
///
/// ```
/// use vsr_actor::{Builder, NodeNetwork, ReplicaId, prelude::*, vsr_core::GroupId};
///
/// # #[derive(Default, Serialize, Deserialize)]
/// # struct Counter(i64);
/// # impl StateMachine for Counter {
/// #     type Operation = i64;
/// #     type Reply = i64;
/// #     fn handle_commit(&mut self, _commit: &Commit, add: i64) -> i64 { self.0 += add; self.0 }
/// # }
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let network = NodeNetwork::default();
/// let ids = [0, 1, 2].map(ReplicaId);
/// let nodes = ids.map(|id| network.node(id));
/// let mut accounts = Vec::new();
/// for node in &nodes {
///     accounts.push(node.start(GroupId(1), Builder::new(node.id(), ids, Counter::default())).await?);
///     node.start(GroupId(2), Builder::new(node.id(), ids, Counter::default())).await?;
/// }
/// assert_eq!(accounts[0].client().request(5).await?, 5);
/// nodes[2].stop(GroupId(2)).await?; // the other two go on
/// for node in &nodes {
///     node.shutdown().await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Node {
    inner: Arc<Inner>,
}

pub(super) struct Inner {
    id: ReplicaId,
    /// Makes a clone of the shared transport.
    transport: Box<dyn Fn() -> Box<dyn Transport> + Send + Sync>,
    /// Where replicas keep their logs that have no other place for them.
    data_dir: OnceLock<PathBuf>,
    routes: RwLock<HashMap<GroupId, Route>>,
    /// Tells one start from another of the same group.
    starts: AtomicU64,
    strays: AtomicU64,
    closed: AtomicBool,
}

/// Where messages of a group go. Closed when its replica has ended.
struct Route {
    start: u64,
    lane: mpsc::Sender<Message>,
    /// Nothing while it starts.
    replica: Option<Arc<dyn Hosted>>,
}

impl Route {
    fn is_open(&self) -> bool {
        !self.lane.is_closed() && self.replica.as_ref().is_none_or(|replica| !replica.has_ended())
    }
}

/// What became of a message that was handed to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Routed {
    /// It is in the mailbox of its group's replica.
    Delivered,
    /// The mailbox is full: it is lost, and the protocol repairs that.
    Full,
    /// No replica of its group runs here: it is lost, and [counted](Node::strays).
    NoSuchGroup,
}

/// How often an idle group of a node speaks, unless its configuration says otherwise.
const IDLE_HEARTBEAT_INTERVAL: Duration = Duration::from_secs(5);

impl Node {
    /// The node `id`. Its replicas send over clones of `transport`: a clone is to be cheap and to use the same connections.
    pub fn new(id: ReplicaId, transport: impl Transport + Clone) -> Self {
        let transport = Mutex::new(transport);
        // A clone that panics leaves the original as it was.
        let clone = move || transport.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let inner = Inner {
            id,
            transport: Box::new(move || Box::new(clone())),
            data_dir: OnceLock::new(),
            routes: RwLock::default(),
            starts: AtomicU64::new(0),
            strays: AtomicU64::new(0),
            closed: AtomicBool::new(false),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Replicas that are given no storage keep their logs in this directory, each in one of its own: `group-1` and so on. To be said
    /// before the first group starts; the first word counts.
    ///
    /// ```
    /// use vsr_actor::{Builder, NodeNetwork, ReplicaId, prelude::*, vsr_core::GroupId};
    ///
    /// # #[derive(Default, Serialize, Deserialize)]
    /// # struct Counter { total: i64 }
    /// # impl StateMachine for Counter {
    /// #     type Operation = i64;
    /// #     type Reply = i64;
    /// #     fn handle_commit(&mut self, _commit: &Commit, add: i64) -> i64 { self.total += add; self.total }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = std::env::temp_dir().join(format!("vsr-doc-node-{}", std::process::id()));
    /// let id = ReplicaId(0);
    /// let node = NodeNetwork::default().node(id).data_dir(&directory);
    /// let replica = node.start(GroupId(7), Builder::new(id, [id], Counter::default())).await?;
    /// assert_eq!(replica.client().request(5).await?, 5);
    /// node.shutdown().await?;
    /// assert!(directory.join("group-7").is_dir());
    /// # Ok(std::fs::remove_dir_all(&directory)?)
    /// # }
    /// ```
    #[must_use]
    pub fn data_dir(self, directory: impl Into<PathBuf>) -> Self {
        let _ = self.inner.data_dir.set(directory.into());
        self
    }

    /// Which node this is: the id of all its replicas.
    #[must_use]
    pub fn id(&self) -> ReplicaId {
        self.inner.id
    }

    /// The groups that have a replica here, in order.
    #[must_use]
    pub fn groups(&self) -> Vec<GroupId> {
        let routes = self.inner.routes();
        let mut groups: Vec<_> =
            routes.iter().filter(|(_, route)| route.is_open()).map(|(group, _)| *group).collect();
        groups.sort_unstable();
        groups
    }

    /// Messages that arrived for groups that have no replica here, since the node was made. A few are usual while groups start and stop
    /// on different nodes.
    #[must_use]
    pub fn strays(&self) -> u64 {
        self.inner.strays.load(Ordering::Relaxed)
    }

    /// Starts the replica of `group` that `builder` describes. The node decides the group of its configuration and, if the builder was
    /// given none, its transport; an idle group becomes quiet unless the configuration says
    /// [how often](crate::Config::idle_heartbeat_interval) it is to speak: every 5 s, within the bounds of that setting.
    ///
    /// Cancel-safe: dropped before it is ready, nothing runs and the group can be started again.
    ///
    /// # Errors
    /// [`AlreadyHosted`](NodeError::AlreadyHosted), [`OtherId`](NodeError::OtherId), [`ShuttingDown`](NodeError::ShuttingDown), and
    /// [`Replica`](NodeError::Replica) with the reasons of [`Builder::start`].
    pub async fn start<M: StateMachine>(
        &self,
        group: GroupId,
        builder: Builder<M>,
    ) -> Result<Handle<M>, NodeError> {
        let node = self.inner.id;
        if builder.id() != node {
            return Err(NodeError::OtherId { node, group, replica: builder.id() });
        }
        let (lane, arriving) = mpsc::channel(builder.peers_capacity());
        let seat = self.reserve(group, lane.clone())?;
        let data_dir = self.inner.data_dir.get().map(PathBuf::as_path);
        let lanes = (lane, arriving);
        let builder = builder.on_node(group, IDLE_HEARTBEAT_INTERVAL, &self.inner.transport, lanes, data_dir);
        let handle = builder.start().await.map_err(|error| NodeError::Replica { group, error })?;
        seat.take(Arc::new(handle.clone()));
        // Whoever shuts the node down did not see this replica if it was not there yet.
        if self.inner.closed.load(Ordering::SeqCst) {
            return match self.stop(group).await {
                Ok(()) | Err(NodeError::NotHosted { .. }) => Err(NodeError::ShuttingDown { node }),
                Err(error) => Err(error),
            };
        }
        Ok(handle)
    }

    fn reserve(&self, group: GroupId, lane: mpsc::Sender<Message>) -> Result<Seat, NodeError> {
        let node = self.inner.id;
        let mut routes = self.inner.change();
        if self.inner.closed.load(Ordering::SeqCst) {
            return Err(NodeError::ShuttingDown { node });
        }
        if routes.get(&group).is_some_and(Route::is_open) {
            return Err(NodeError::AlreadyHosted { node, group });
        }
        let start = self.inner.starts.fetch_add(1, Ordering::Relaxed);
        let former = routes.insert(group, Route { start, lane, replica: None });
        drop(routes);
        // It may be the last handle of a replica: nothing of the user's runs under the lock.
        drop(former);
        Ok(Seat { node: self.inner.clone(), group, start, taken: false })
    }

    /// Hands a message that arrived at this node to the replica of its group. Never waits.
    ///
    /// ```
    /// # use vsr_actor::{Message, Node, Routed};
    /// /// What the receiving end of a transport does.
    /// fn arrived(node: &Node, message: Message) {
    ///     if node.deliver(message) == Routed::NoSuchGroup {
    ///         eprintln!("{:?} has {} strays, and hosts {:?}", node.id(), node.strays(), node.groups());
    ///     }
    /// }
    /// ```
    pub fn deliver(&self, message: Message) -> Routed {
        self.inner.deliver(message)
    }

    /// Stops the replica of `group` as [`Handle::shutdown`] does. Cancel-safe: once begun, the shutdown goes on.
    ///
    /// # Errors
    /// [`NotHosted`](NodeError::NotHosted), or why the replica had stopped by itself.
    pub async fn stop(&self, group: GroupId) -> Result<(), NodeError> {
        let node = self.inner.id;
        let replica = self.inner.routes().get(&group).and_then(|route| route.replica.clone());
        let replica = replica.ok_or(NodeError::NotHosted { node, group })?;
        let ended = replica.shutdown().await;
        let mut routes = self.inner.change();
        let gone = if routes.get(&group).is_some_and(|route| !route.is_open()) {
            routes.remove(&group)
        } else {
            None
        };
        drop(routes);
        drop(gone);
        ended.map_err(|error| NodeError::Replica { group, error })
    }

    /// Ends the node in order: it takes no more groups, all replicas hand their views over and end, at the same time, and returns when the
    /// last of them is gone. Messages that arrive then are strays. Cancel-safe: called again, it goes on.
    ///
    /// # Errors
    /// Why a replica had stopped by itself, the one of the lowest group if there are several. All others have ended all the same.
    pub async fn shutdown(&self) -> Result<(), NodeError> {
        let hosted: Vec<_> = {
            let routes = self.inner.change();
            self.inner.closed.store(true, Ordering::SeqCst);
            routes.iter().filter(|(_, route)| route.replica.is_some()).map(|(group, _)| *group).collect()
        };
        let mut stopping = JoinSet::new();
        for group in hosted {
            let node = self.clone();
            stopping.spawn(async move { (group, node.stop(group).await) });
        }
        let ended = stopping.join_all().await;
        let failed = ended.into_iter().filter_map(|(group, ended)| Some((group, ended.err()?)));
        let failed = failed.filter(|(_, error)| !matches!(error, NodeError::NotHosted { .. }));
        failed.min_by_key(|(group, _)| *group).map_or(Ok(()), |(_, error)| Err(error))
    }

    /// [`deliver`](Self::deliver), as long as the node is there.
    pub(crate) fn way_in(&self) -> impl Fn(Message) + Send + Sync + 'static {
        let node = self.downgrade();
        move |message| {
            if let Some(node) = node.upgrade() {
                let _ = node.deliver(message);
            }
        }
    }

    pub(super) fn downgrade(&self) -> std::sync::Weak<Inner> {
        Arc::downgrade(&self.inner)
    }
}

impl Inner {
    pub(super) fn deliver(&self, message: Message) -> Routed {
        let group = message.group;
        let routes = self.routes();
        match routes.get(&group).map(|route| route.lane.try_reserve()) {
            Some(Ok(place)) => {
                place.send(message);
                Routed::Delivered
            }
            Some(Err(TrySendError::Full(()))) => Routed::Full,
            Some(Err(TrySendError::Closed(()))) | None => {
                self.strays.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(target: "vsr", node = self.id.0, group = group.0, "a message for a group that is not here");
                Routed::NoSuchGroup
            }
        }
    }

    // Changes of the table are single calls into standard collections: after a panic elsewhere it is whole.
    fn routes(&self) -> RwLockReadGuard<'_, HashMap<GroupId, Route>> {
        self.routes.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self) -> RwLockWriteGuard<'_, HashMap<GroupId, Route>> {
        self.routes.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the table that is given back if the replica does not start.
struct Seat {
    node: Arc<Inner>,
    group: GroupId,
    start: u64,
    taken: bool,
}

impl Seat {
    fn take(mut self, replica: Arc<dyn Hosted>) {
        self.taken = true;
        if let Some(route) = self.node.change().get_mut(&self.group).filter(|route| route.start == self.start)
        {
            route.replica = Some(replica);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if !self.taken {
            let mut routes = self.node.change();
            if routes.get(&self.group).is_some_and(|route| route.start == self.start) {
                routes.remove(&self.group);
            }
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("id", &self.id())
            .field("groups", &self.groups().len())
            .finish_non_exhaustive()
    }
}
