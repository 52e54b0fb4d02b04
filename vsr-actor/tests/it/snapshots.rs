//! Snapshots are written out beside the replica's task, and what goes wrong there is not lost.

use std::{
    io,
    sync::{Arc, Mutex, mpsc},
};
use vsr_actor::{Builder, Config, Frozen, ReplicaError, ReplicaId, prelude::*};

/// What a snapshot does when it is written out.
type Write = dyn Fn() -> io::Result<()> + Send + Sync;

/// Adds, and writes its snapshots as the test says.
#[derive(Clone)]
struct Adder {
    total: i64,
    write: Arc<Write>,
}

impl Adder {
    fn new(write: impl Fn() -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self { total: 0, write: Arc::new(write) }
    }
}

impl Snapshot for Adder {
    fn snapshot(&self) -> Frozen {
        let Self { total, write } = self.clone();
        Frozen::new(move |to| {
            write()?;
            to.write_all(&total.to_le_bytes())
        })
    }

    fn restore(&mut self, from: &mut dyn io::Read) -> io::Result<()> {
        let mut bytes = [0; 8];
        from.read_exact(&mut bytes)?;
        self.total = i64::from_le_bytes(bytes);
        Ok(())
    }
}

impl StateMachine for Adder {
    type Operation = i64;
    type Reply = i64;

    fn handle_commit(&mut self, _commit: &Commit, add: i64) -> i64 {
        self.total += add;
        self.total
    }
}

fn config() -> Config {
    let mut config = Config::default();
    config.limits.snapshot_interval_ops = 4;
    config.limits.log_keep_ops = 0;
    config
}

#[tokio::test(start_paused = true)]
async fn commits_go_on_while_a_snapshot_is_written() {
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let adder = Adder::new(move || {
        // Until the test lets go, and at once ever after.
        let _ = released.lock().map(|released| released.recv());
        Ok(())
    });
    let id = ReplicaId(0);
    let replica = Builder::new(id, [id], adder).config(config()).start().await.expect("it starts");
    let client = replica.client();
    for n in 1..=20 {
        assert_eq!(client.request(1).await, Ok(n));
    }
    assert_eq!(replica.status().protocol.snapshot.0, 0, "the first is still being written");
    drop(release);
    let mut watch = replica.watch_status();
    let mut status = watch.latest();
    while status.protocol.snapshot.0 == 0 {
        status = watch.next().await.expect("it runs");
    }
    assert_eq!(status.protocol.snapshot.0, 4, "it is that of the moment it was frozen");
    replica.shutdown().await.expect("nothing went wrong");
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_that_cannot_be_written_stops_the_replica_and_says_why() {
    let panics = Adder::new(|| panic!("no paper"));
    let fails = Adder::new(|| Err(io::Error::other("no room")));
    for (adder, wanted) in [(panics, "no paper"), (fails, "no room")] {
        let id = ReplicaId(0);
        let replica = Builder::new(id, [id], adder).config(config()).start().await.expect("it starts");
        let client = replica.client();
        while client.request(1).await.is_ok() {}
        let joined = replica.join().await;
        let Err(ReplicaError::Callback { callback: "snapshot", reason }) = joined else {
            panic!("{joined:?}")
        };
        assert!(reason.contains(wanted), "{reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_is_gone_does_not_wait_for_its_snapshot() {
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let adder = Adder::new(move || {
        let _ = released.lock().map(|released| released.recv());
        Ok(())
    });
    let id = ReplicaId(0);
    let replica = Builder::new(id, [id], adder).config(config()).start().await.expect("it starts");
    for _ in 0..8 {
        replica.client().request(1).await.expect("it runs");
    }
    replica.shutdown().await.expect("it does not wait");
    drop(release);
}

#[tokio::test(start_paused = true)]
async fn who_was_away_for_long_gets_the_snapshot_in_pieces() {
    let mut config = config();
    config.limits.transfer_bytes_max = 100;
    let adder = Adder::new(|| Ok(()));
    let cluster = Cluster::builder(3, move || adder.clone()).config(config).seed(5).start().await;
    let cluster = cluster.expect("the configuration is valid");
    let client = cluster.client();
    client.request(1).await.expect("the group is healthy");
    let away = cluster.ids().iter().copied().find(|id| *id != ReplicaId(0)).expect("a backup");
    cluster.crash(away).await.expect("it runs");
    for n in 2..=40 {
        assert_eq!(client.request(1).await, Ok(n));
    }
    cluster.restart(away).await.expect("it starts");
    cluster.await_convergence().await.expect("the group is healthy");
    let status = cluster.handle(away).expect("it was started").status().protocol;
    assert!(status.applied.0 > 40 && status.snapshot.0 > 0, "{status:?}");
    cluster.shutdown().await.expect("nothing went wrong");
}
