//! A group of replicas in this process, as the front-ends see it.

use crate::server::{Backend, Control, ReplicaLine};
use crate::store::{Operation, Reply, Store};
use std::{
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
use vsr_actor::{
    Client, Cluster, ClusterError, Health, Outcome, ReplicaError, ReplicaId, RequestError, Status,
    StatusName, Ticket,
};

/// An operation of more bytes than this counts against [`LARGE_BYTES_MAX`]; smaller ones are bounded by their number, the window of
/// the session.
const LARGE_BYTES: usize = 4 << 10;
/// Bytes of large operations that one door has under way. What is more waits here: the replicas would refuse it, and it would have
/// to be sent again.
const LARGE_BYTES_MAX: usize = 4 << 20;

/// The door of one replica: operations enter the group there, and elsewhere while that replica does not answer.
#[derive(Clone, Debug)]
pub struct Front {
    cluster: Arc<Cluster<Store>>,
    client: Client<Store>,
    replica: ReplicaId,
    deadline: Duration,
    large: Arc<Semaphore>,
}

impl Front {
    /// The door of `replica`. Its connections share one session of the group, and wait for a reply until `deadline`.
    ///
    /// # Errors
    /// There is no such replica.
    pub fn new(
        cluster: Arc<Cluster<Store>>,
        replica: ReplicaId,
        deadline: Duration,
    ) -> Result<Self, ClusterError> {
        let client = cluster.client_at(replica)?.with_deadline(deadline);
        Ok(Self { client, cluster, replica, deadline, large: Arc::new(Semaphore::new(LARGE_BYTES_MAX)) })
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

impl Backend for Front {
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

    fn replica(&self) -> u64 {
        self.replica.0.into()
    }

    fn replicas(&self) -> Vec<ReplicaLine> {
        self.cluster.statuses().iter().map(line).collect()
    }

    fn is_dev(&self) -> bool {
        true
    }

    async fn control(&self, order: Control) -> Result<(), String> {
        control(&self.cluster, order).await
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

async fn control(cluster: &Cluster<Store>, order: Control) -> Result<(), String> {
    let text = |error: ClusterError| error.to_string();
    match order {
        Control::Crash(id) => cluster.crash(known(cluster, id)?).await.map_err(text),
        Control::Restart(id) => cluster.restart(known(cluster, id)?).await.map_err(text),
        Control::IsolatePrimary => cluster.isolate(cluster.primary().await.map_err(text)?).map_err(text),
        Control::Heal => {
            cluster.heal();
            Ok(())
        }
        Control::Partition(sides) => {
            let side = |side: Vec<u64>| side.into_iter().map(|id| known(cluster, id)).collect();
            let sides: Vec<Vec<ReplicaId>> = sides.into_iter().map(side).collect::<Result<_, String>>()?;
            cluster.partition(&sides.iter().map(Vec::as_slice).collect::<Vec<_>>());
            Ok(())
        }
    }
}

fn known(cluster: &Cluster<Store>, id: u64) -> Result<ReplicaId, String> {
    let ids = cluster.ids();
    let found = ids.iter().find(|known| u64::from(known.0) == id);
    found
        .copied()
        .ok_or_else(|| format!("there is no replica {id}; there are 0 to {}", ids.len().saturating_sub(1)))
}

fn line(status: &Status) -> ReplicaLine {
    let protocol = &status.protocol;
    ReplicaLine {
        id: protocol.replica.0.into(),
        state: state(status),
        view: protocol.view.0,
        is_primary: status.health.is_running() && protocol.is_primary,
        op: protocol.op.0,
        commit: protocol.commit.0,
        applied: protocol.applied.0,
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
    use crate::store::Condition;

    #[tokio::test(start_paused = true)]
    async fn the_deadline_of_a_large_operation_counts_from_its_beginning() {
        let deadline = Duration::from_secs(10);
        let cluster = Cluster::builder(3, Store::default).start().await.expect("a valid configuration");
        let cluster = Arc::new(cluster);
        cluster.primary().await.expect("a primary");
        let front = Front::new(cluster.clone(), ReplicaId(0), deadline).expect("it is there");
        let value = vec![b'v'; 2 * LARGE_BYTES].into();
        let set = Operation::Set { key: "k".into(), value, condition: Condition::Always, get: false };
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
