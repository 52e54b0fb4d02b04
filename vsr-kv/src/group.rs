//! A group of replicas, as the front-ends see it.

mod in_process;
mod member;

pub use in_process::InProcess;
pub use member::Member;

use crate::server::{Backend, Control, Freshness, Progress, ReplicaLine};
use crate::store::{Operation, Reply, Store};
use std::{
    fmt::Debug,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinHandle,
    time::{Instant, timeout},
};
use vsr_actor::{Client, Health, Outcome, ReplicaError, ReplicaId, RequestError, Status, StatusName, Ticket};

/// An operation of more bytes than this counts against [`LARGE_BYTES_MAX`]; smaller ones are bounded by their number, the window of
/// the session.
const LARGE_BYTES: usize = 512;
/// Bytes of large operations that one door has under way. What is more waits here: the replicas would refuse it, and it would have
/// to be sent again.
const LARGE_BYTES_MAX: usize = 4 << 20;

/// What can be known and done of a group at one of its doors.
pub trait Group: Clone + Debug + Send + Sync + 'static {
    /// What is known of each replica.
    fn replicas(&self) -> Vec<ReplicaLine>;

    /// Whether clients may crash and cut off replicas.
    fn is_dev(&self) -> bool;

    /// Does something to the group. The text of an error is for the person who asked.
    fn control(&self, order: Control) -> impl Future<Output = Result<(), String>> + Send;
}

/// The door of one replica: operations enter the group there.
#[derive(Clone, Debug)]
pub struct Front<G> {
    group: G,
    client: Client<Store>,
    replica: ReplicaId,
    deadline: Duration,
    large: Arc<Semaphore>,
}

impl<G: Group> Front<G> {
    /// The door of `replica`, to which `client` belongs. Its connections share one session of the group, and wait for a reply until
    /// `deadline`.
    #[must_use]
    pub fn new(group: G, replica: ReplicaId, client: &Client<Store>, deadline: Duration) -> Self {
        let client = client.with_deadline(deadline);
        Self { group, client, replica, deadline, large: Arc::new(Semaphore::new(LARGE_BYTES_MAX)) }
    }

    /// Room for a large operation.
    async fn room(&self, size: usize) -> Result<OwnedSemaphorePermit, RequestError> {
        let bytes = u32::try_from(size.min(LARGE_BYTES_MAX)).unwrap_or(u32::MAX);
        match timeout(self.deadline, self.large.clone().acquire_many_owned(bytes)).await {
            Ok(Ok(permit)) => Ok(permit),
            // Nobody closes it: the only way here is time.
            Ok(Err(_)) | Err(_) => Err(RequestError::Overloaded { waited: self.deadline }),
        }
    }
}

/// Becomes the reply.
#[derive(Debug)]
pub struct FrontTicket(Waiting);

#[derive(Debug)]
enum Waiting {
    Small(Ticket<Reply>),
    /// Its room must be free again when the reply is there, not when a slow client has taken it.
    Large(JoinHandle<Result<Reply, RequestError>>),
}

impl Future for FrontTicket {
    type Output = Result<Reply, RequestError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Waiting::Small(ticket) => Pin::new(ticket).poll(context),
            Waiting::Large(task) => Pin::new(task).poll(context).map(|ended| {
                // The task ends early only together with the runtime.
                ended.unwrap_or(Err(RequestError::Stopped { outcome: Outcome::Unknown }))
            }),
        }
    }
}

impl<G: Group> Backend for Front<G> {
    type Ticket = FrontTicket;

    async fn submit(&self, operation: Operation) -> Result<Self::Ticket, RequestError> {
        let size = operation.size();
        if size <= LARGE_BYTES {
            return Ok(FrontTicket(Waiting::Small(self.client.submit(operation).await?)));
        }
        let began = Instant::now();
        let room = self.room(size).await?;
        // One deadline for all: what is left of it.
        let waited = began.elapsed();
        let client = self.client.with_deadline(self.deadline.saturating_sub(waited));
        let ticket = client.submit(operation).await.map_err(|error| after(waited, error))?;
        Ok(FrontTicket(Waiting::Large(tokio::spawn(async move {
            let _room = room;
            ticket.await.map_err(|error| after(waited, error))
        }))))
    }

    fn look<T: Send + 'static>(
        &self,
        freshness: Freshness,
        read: impl Fn(&Store) -> T + Send + Sync + 'static,
    ) -> impl Future<Output = Result<T, RequestError>> + Send + 'static {
        let client = self.client.clone();
        async move {
            match freshness {
                Freshness::Linearizable => client.read_linearizable(read).await,
                Freshness::Stale => client.read_stale(read).await.map(|seen| seen.value),
            }
        }
    }

    fn replica(&self) -> u64 {
        self.replica.0.into()
    }

    fn replicas(&self) -> Vec<ReplicaLine> {
        self.group.replicas()
    }

    fn is_dev(&self) -> bool {
        self.group.is_dev()
    }

    async fn control(&self, order: Control) -> Result<(), String> {
        self.group.control(order).await
    }
}

/// The error of a request that had waited here before the client got it.
fn after(before: Duration, mut error: RequestError) -> RequestError {
    if let RequestError::NoPrimary { waited, .. }
    | RequestError::Overloaded { waited }
    | RequestError::Deadline { waited, .. } = &mut error
    {
        *waited = waited.saturating_add(before);
    }
    error
}

fn line(status: &Status) -> ReplicaLine {
    let protocol = &status.protocol;
    ReplicaLine {
        id: protocol.replica.0.into(),
        state: state(status),
        view: protocol.view.0,
        is_primary: status.health.is_running() && protocol.is_primary,
        progress: Some(Progress {
            op: protocol.op.0,
            commit: protocol.commit.0,
            applied: protocol.applied.0,
        }),
    }
}

fn state(status: &Status) -> String {
    match (&status.health, status.protocol.status) {
        (Health::Failed(ReplicaError::Aborted), _) => "crashed".to_owned(),
        (Health::Running, StatusName::Bootstrapping) => "forming".to_owned(),
        (Health::Running, StatusName::Normal) => "normal".to_owned(),
        (Health::Running, StatusName::ViewChange) => "view-change".to_owned(),
        (Health::Running, StatusName::Recovering) => "recovering".to_owned(),
        (Health::Running, StatusName::Stopped) => "stopping".to_owned(),
        (other, _) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Condition, Expiry};
    use vsr_actor::Cluster;

    #[tokio::test(start_paused = true)]
    async fn the_deadline_of_a_large_operation_counts_from_its_beginning() {
        let deadline = Duration::from_secs(10);
        let cluster = Cluster::builder(3, Store::default).start().await.expect("a valid configuration");
        let cluster = Arc::new(cluster);
        cluster.primary().await.expect("a primary");
        let client = cluster.client_at(ReplicaId(0)).expect("it is there");
        let front = Front::new(InProcess(cluster.clone()), ReplicaId(0), &client, deadline);
        let value = vec![b'v'; 2 * LARGE_BYTES].into();
        let set = Operation::Set {
            key: "k".into(),
            value,
            condition: Condition::Always,
            get: false,
            expiry: Expiry::Clear,
        };
        let reply = front.submit(set.clone()).await.expect("room").await;
        assert_eq!(reply, Ok(Reply::Ok));
        for id in cluster.ids() {
            cluster.crash(*id).await.expect("it runs");
        }
        let all = front.large.clone().acquire_many_owned(LARGE_BYTES_MAX as u32).await.expect("never closed");
        let began = Instant::now();
        let mut waiting = Box::pin(front.submit(set));
        assert!(timeout(deadline * 3 / 4, &mut waiting).await.is_err(), "there was no room");
        drop(all);
        let error = waiting.await.expect("room at last").await.expect_err("there is no replica");
        assert_eq!(error, RequestError::NoPrimary { waited: deadline, hint: None });
        assert!(began.elapsed() < deadline * 5 / 4, "{:?}", began.elapsed());
    }
}
