//! Replicas that are taken down and brought up by several hands at once. What must overlap is held up by the user's code here, on threads
//! of its own: these tests need no paused time, and wait for nothing but each other.

use crate::common::is_pending;
use std::sync::{Arc, Mutex, mpsc as blocking};
use tokio::sync::mpsc;
use vsr_actor::{ClusterError, ReplicaId, prelude::*};

const ID: ReplicaId = ReplicaId(0);

/// Holds up those who pass it while it is armed: the first one only.
#[derive(Clone, Default)]
struct Gate(Arc<Mutex<Option<Guard>>>);

struct Guard {
    arrived: mpsc::UnboundedSender<()>,
    open: blocking::Receiver<()>,
}

/// The other side of an armed gate. Dropped, it opens the gate.
struct Held {
    arrived: mpsc::UnboundedReceiver<()>,
    _open: blocking::Sender<()>,
}

impl Gate {
    fn arm(&self) -> Held {
        let (arrived, arrivals) = mpsc::unbounded_channel();
        let (open, opened) = blocking::channel();
        *self.0.lock().expect("nobody panics in here") = Some(Guard { arrived, open: opened });
        Held { arrived: arrivals, _open: open }
    }

    fn pass(&self) {
        let guard = self.0.lock().expect("nobody panics in here").take();
        if let Some(guard) = guard {
            let _ = guard.arrived.send(());
            // Ends when the other side is dropped.
            let _ = guard.open.recv();
        }
    }
}

#[derive(Default, Serialize, Deserialize)]
struct Sum {
    total: i64,
    #[serde(skip)]
    commits: Gate,
}

impl StateMachine for Sum {
    type Operation = i64;
    type Reply = i64;

    fn handle_commit(&mut self, _commit: &Commit, add: i64) -> i64 {
        self.commits.pass();
        self.total += add;
        self.total
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn of_two_restarts_at_once_one_starts_the_replica() {
    let starts = Gate::default();
    let factory = {
        let starts = starts.clone();
        move || {
            starts.pass();
            Sum::default()
        }
    };
    let cluster = Arc::new(Cluster::builder(3, factory).seed(7).start().await.expect("valid"));
    assert_eq!(cluster.client().request(1).await, Ok(1));
    cluster.crash(ID).await.expect("it runs");
    let mut held = starts.arm();
    let first = {
        let cluster = cluster.clone();
        tokio::spawn(async move { cluster.restart(ID).await })
    };
    held.arrived.recv().await.expect("the first one makes its state machine");
    let mut second = std::pin::pin!(cluster.restart(ID));
    assert!(is_pending(second.as_mut()).await, "the storage serves one start at a time");
    assert!(matches!(cluster.wipe(ID), Err(ClusterError::Running { .. })));
    drop(held);
    first.await.expect("no panic").expect("its storage is fine");
    let second = second.await;
    assert!(matches!(second, Err(ClusterError::Running { .. })), "{second:?}");
    assert_eq!(cluster.handle(ID).expect("it runs").client().request(2).await, Ok(3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_restart_waits_for_the_end_of_a_crash() {
    let commits = Gate::default();
    let factory = {
        let commits = commits.clone();
        move || Sum { total: 0, commits: commits.clone() }
    };
    let cluster = Cluster::builder(1, factory).seed(7).start().await.expect("valid");
    let client = cluster.client();
    assert_eq!(client.request(1).await, Ok(1));
    let mut held = commits.arm();
    let ticket = client.submit(2).await.expect("there is room");
    held.arrived.recv().await.expect("it is committed");
    // The replica is in the middle of a turn.
    let mut crash = std::pin::pin!(cluster.crash(ID));
    assert!(is_pending(crash.as_mut()).await, "the task has not ended");
    let mut restart = std::pin::pin!(cluster.restart(ID));
    assert!(is_pending(restart.as_mut()).await, "its storage is still in use");
    assert!(matches!(cluster.wipe(ID), Err(ClusterError::Running { .. })));
    drop(held);
    crash.await.expect("it ran");
    restart.await.expect("its storage is fine");
    let told = ticket.await.expect("once");
    assert_eq!(told, 3);
    assert_eq!(cluster.handle(ID).expect("it runs").client().request(4).await, Ok(7));
}
