//! The network between the replicas of one process, and what tests may do to it.

use super::Transport;
use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{runtime::Handle as Runtime, sync::mpsc, task::JoinSet};
use vsr_core::{Message, ReplicaId};

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It arrives, unless another rule objects.
    Deliver,
    /// It is lost.
    Drop,
    /// It arrives later; messages sent after it may overtake it.
    Delay(Duration),
    /// It arrives twice.
    Duplicate,
}

type RuleFn = Arc<dyn Fn(ReplicaId, ReplicaId, &Message) -> Verdict + Send + Sync>;

/// The routing table. Transports keep a copy each and look at the table only when its version changed: sending takes no lock.
#[derive(Default)]
pub(crate) struct Network {
    version: AtomicU64,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    lanes: BTreeMap<ReplicaId, mpsc::Sender<Message>>,
    /// Which side of the partition a replica is on; those that are not listed share one side.
    sides: BTreeMap<ReplicaId, usize>,
    rules: BTreeMap<u64, RuleFn>,
    next_rule: u64,
    delayed: JoinSet<()>,
}

impl Network {
    /// Messages for `id` go here from now on.
    pub(crate) fn connect(&self, id: ReplicaId, lane: mpsc::Sender<Message>) {
        self.change(|table| table.lanes.insert(id, lane));
    }

    /// Messages for `id` are lost from now on.
    pub(crate) fn disconnect(&self, id: ReplicaId) {
        self.change(|table| table.lanes.remove(&id));
    }

    /// Replicas on different sides cannot reach each other; those on no side are together on one more.
    pub(crate) fn partition(&self, sides: &[&[ReplicaId]]) {
        let sides = sides
            .iter()
            .enumerate()
            .flat_map(|(side, ids)| ids.iter().map(move |id| (*id, side + 1)))
            .collect();
        self.change(|table| table.sides = sides);
    }

    /// Puts one replica on a side of its own; the others stay where they are.
    pub(crate) fn isolate(&self, id: ReplicaId) {
        // Far above the sides of any partition, and different for each replica.
        self.change(|table| table.sides.insert(id, usize::MAX - id.0 as usize));
    }

    pub(crate) fn heal(&self) {
        self.change(|table| table.sides.clear());
    }

    pub(crate) fn add_rule(&self, rule: RuleFn) -> u64 {
        self.change(|table| {
            table.next_rule += 1;
            table.rules.insert(table.next_rule, rule);
            table.next_rule
        })
    }

    fn remove_rule(&self, id: u64) {
        let rule = self.change(|table| table.rules.remove(&id));
        // The user's closure is dropped without the lock.
        drop(rule);
    }

    fn change<T>(&self, change: impl FnOnce(&mut Table) -> T) -> T {
        let mut table = self.table();
        let result = change(&mut table);
        self.version.fetch_add(1, Ordering::Release);
        result
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Changes are single calls into standard collections: after a panic elsewhere the table is whole.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn routes_of(&self, from: ReplicaId) -> (Vec<Route>, Vec<RuleFn>) {
        let table = self.table();
        let side = |id: &ReplicaId| table.sides.get(id).copied();
        let own = side(&from);
        let route = |(id, lane): (&ReplicaId, &mpsc::Sender<Message>)| Route { to: *id, lane: lane.clone() };
        let routes = table.lanes.iter().filter(|(id, _)| side(id) == own).map(route).collect();
        (routes, table.rules.values().cloned().collect())
    }

    /// Delivers later, over the routes of then.
    fn delay(self: &Arc<Self>, from: ReplicaId, to: ReplicaId, message: Message, delay: Duration) {
        let network = Arc::downgrade(self);
        let Ok(runtime) = Runtime::try_current() else { return };
        let mut table = self.table();
        while table.delayed.try_join_next().is_some() {}
        let deliver = async move {
            tokio::time::sleep(delay).await;
            if let Some(network) = network.upgrade() {
                let (routes, _) = network.routes_of(from);
                if let Some(route) = routes.iter().find(|route| route.to == to) {
                    let _ = route.lane.try_send(message);
                }
            }
        };
        table.delayed.spawn_on(deliver, &runtime);
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = self.table();
        f.debug_struct("Network").field("sides", &table.sides).field("rules", &table.rules.len()).finish()
    }
}

struct Route {
    to: ReplicaId,
    lane: mpsc::Sender<Message>,
}

/// One replica's end of the network. Never encodes: messages are shared, not copied.
pub(crate) struct InProcess {
    from: ReplicaId,
    network: Arc<Network>,
    version: u64,
    routes: Vec<Route>,
    rules: Vec<RuleFn>,
}

impl InProcess {
    pub(crate) fn new(from: ReplicaId, network: Arc<Network>) -> Self {
        Self { from, network, version: u64::MAX, routes: Vec::new(), rules: Vec::new() }
    }

    /// The strictest of all rules' verdicts counts: lost before delayed before doubled.
    fn verdict(&self, to: ReplicaId, message: &Message) -> Verdict {
        let strictness = |verdict: &Verdict| match verdict {
            Verdict::Deliver => (0, Duration::ZERO),
            Verdict::Duplicate => (1, Duration::ZERO),
            Verdict::Delay(delay) => (2, *delay),
            Verdict::Drop => (3, Duration::ZERO),
        };
        let verdicts = self.rules.iter().map(|rule| rule(self.from, to, message));
        verdicts.max_by_key(strictness).unwrap_or(Verdict::Deliver)
    }
}

impl Transport for InProcess {
    fn send_vsr(&mut self, to: ReplicaId, message: Message) {
        let version = self.network.version.load(Ordering::Acquire);
        if version != self.version {
            self.version = version;
            (self.routes, self.rules) = self.network.routes_of(self.from);
        }
        let verdict = if self.rules.is_empty() { Verdict::Deliver } else { self.verdict(to, &message) };
        let Some(route) = self.routes.iter().find(|route| route.to == to) else { return };
        // A full mailbox loses messages, like any network.
        match verdict {
            Verdict::Drop => {}
            Verdict::Delay(delay) => self.network.delay(self.from, to, message, delay),
            Verdict::Duplicate => {
                let _ = route.lane.try_send(message.clone());
                let _ = route.lane.try_send(message);
            }
            Verdict::Deliver => {
                let _ = route.lane.try_send(message);
            }
        }
    }
}

/// A rule for messages, in force until this is dropped.
///
/// ```
/// # use vsr_actor::{ReplicaId, Rule, Verdict, prelude::*};
/// # #[derive(Default, Serialize, Deserialize)]
/// # struct Counter { total: i64 }
/// # impl StateMachine for Counter {
/// #     type Operation = i64;
/// #     type Reply = i64;
/// #     fn handle_commit(&mut self, _commit: &Commit, add: i64) -> i64 { self.total += add; self.total }
/// # }
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let cluster = Cluster::in_process(3, Counter::default).await?;
/// let doubled: Rule = cluster.rule(|_from, to, _message| match to {
///     ReplicaId(1) => Verdict::Duplicate,
///     _ => Verdict::Deliver,
/// });
/// assert_eq!(cluster.client().request(5).await?, 5);
/// drop(doubled);
/// # Ok(cluster.shutdown().await?)
/// # }
/// ```
#[must_use = "the rule ends when this is dropped"]
#[derive(Debug)]
pub struct Rule {
    network: Arc<Network>,
    id: u64,
}

impl Rule {
    pub(crate) fn add(
        network: &Arc<Network>,
        rule: impl Fn(ReplicaId, ReplicaId, &Message) -> Verdict + Send + Sync + 'static,
    ) -> Self {
        Self { network: network.clone(), id: network.add_rule(Arc::new(rule)) }
    }
}

impl Drop for Rule {
    fn drop(&mut self) {
        self.network.remove_rule(self.id);
    }
}

/// A network for replicas of one process that are started one by one; [`Cluster`](crate::Cluster) has one of its own. Clones are the
/// same network.
///
/// ```
/// use vsr_actor::{Builder, InProcessNetwork, ReplicaId, prelude::*};
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
/// let network = InProcessNetwork::default();
/// let ids = [0, 1, 2].map(ReplicaId);
/// let mut replicas = Vec::new();
/// let mut pumps = tokio::task::JoinSet::new(); // they end with it
/// for id in ids {
///     let (transport, mut arrived) = network.connect(id, 1024);
///     let replica = Builder::new(id, ids, Counter::default()).transport(transport).start().await?;
///     replicas.push(replica.clone());
///     pumps.spawn(async move {
///         while let Some(message) = arrived.recv().await {
///             replica.deliver(message);
///         }
///     });
/// }
/// assert_eq!(replicas[2].client().request(5).await?, 5);
/// network.disconnect(ids[0]);
/// assert_eq!(replicas[2].client().request(7).await?, 12); // the others take over
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct InProcessNetwork(Arc<Network>);

impl InProcessNetwork {
    /// Connects replica `id`: its way to the others, and what they say to it, to be given to
    /// [`Handle::deliver`](crate::Handle::deliver). At most `capacity` messages wait; what comes on top is lost. An id that is
    /// connected already is connected anew, as after a restart: nothing more arrives at its former end.
    ///
    /// # Panics
    /// When `capacity` is zero.
    pub fn connect(&self, id: ReplicaId, capacity: usize) -> (Box<dyn Transport>, mpsc::Receiver<Message>) {
        let (lane, arrived) = mpsc::channel(capacity);
        self.0.connect(id, lane);
        (Box::new(InProcess::new(id, self.0.clone())), arrived)
    }

    /// Disconnects replica `id`: what others send to it is lost.
    pub fn disconnect(&self, id: ReplicaId) {
        self.0.disconnect(id);
    }
}
