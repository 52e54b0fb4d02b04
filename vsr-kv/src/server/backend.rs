//! What a front-end asks of the group of replicas behind it.

use crate::store::{Operation, Reply, Store};
use vsr_actor::RequestError;

/// One replica's door to the group.
pub trait Backend: Clone + Send + Sync + 'static {
    /// Becomes the reply.
    type Ticket: Future<Output = Result<Reply, RequestError>> + Send + Unpin;

    /// Puts an operation behind those submitted before, waiting for room if there is none. Operations of one caller are executed
    /// in the order of these calls, without waiting for each other's replies.
    fn submit(&self, operation: Operation)
    -> impl Future<Output = Result<Self::Ticket, RequestError>> + Send;

    /// Looks at the state beside the log. `read` may be run more than once, at several replicas; it changes nothing.
    fn look<T: Send + 'static>(
        &self,
        freshness: Freshness,
        read: impl Fn(&Store) -> T + Send + Sync + 'static,
    ) -> impl Future<Output = Result<T, RequestError>> + Send + 'static;

    /// The replica behind this front-end.
    fn replica(&self) -> u64;

    /// What each replica says of itself.
    fn replicas(&self) -> Vec<ReplicaLine>;

    /// Whether clients may crash and cut off replicas.
    fn is_dev(&self) -> bool;

    /// Does something to the group. The text of an error is for the person who asked.
    fn control(&self, order: Control) -> impl Future<Output = Result<(), String>> + Send;
}

/// What a read beside the log reflects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// All that was answered before the read began, to whatever client.
    Linearizable,
    /// What the replica behind this door has executed: it may be long outdated.
    Stale,
}

/// A line of `VSR.STATUS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaLine {
    /// Its number.
    pub id: u64,
    /// Whether it runs, and what it does.
    pub state: String,
    /// The view it is in; of another process, the view that the own replica is in.
    pub view: u64,
    /// Whether it is the primary of that view.
    pub is_primary: bool,
    /// How far it is, if that is known here.
    pub progress: Option<Progress>,
}

/// How far a replica is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The last operation in its log.
    pub op: u64,
    /// The last operation it knows to be committed.
    pub commit: u64,
    /// The last operation it executed.
    pub applied: u64,
}

impl ReplicaLine {
    /// Whether it cannot answer yet, but will.
    pub(super) fn is_loading(&self) -> bool {
        matches!(self.state.as_str(), "forming" | "recovering")
    }
}

/// What a person can do to the group in dev mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// Ends a replica without a word; its memory is lost.
    Crash(u64),
    /// Starts a crashed replica again.
    Restart(u64),
    /// Lets replicas talk only within these groups; those not named form one more.
    Partition(Vec<Vec<u64>>),
    /// Cuts the primary off from all others.
    IsolatePrimary,
    /// Lets everybody talk to everybody.
    Heal,
}
