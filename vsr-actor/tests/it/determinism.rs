//! A state machine that is not deterministic is found out and named (decision 14).

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use vsr_actor::{
    Cluster, Config, Frozen, ReplicaError, ReplicaId,
    prelude::*,
    vsr_core::{OpNumber, StopReason},
};

/// A sum. The copy that has a bias is wrong, in its replies or in what it keeps.
struct Sum {
    total: u64,
    bias_of_replies: u64,
    bias_of_state: u64,
    shows_state: bool,
}

impl StateMachine for Sum {
    type Operation = u64;
    type Reply = u64;

    fn handle_commit(&mut self, _commit: &Commit, add: u64) -> u64 {
        self.total += add + self.bias_of_state;
        if self.shows_state { add } else { self.total + self.bias_of_replies }
    }
}

impl Snapshot for Sum {
    fn snapshot(&self) -> Frozen {
        let total = self.total;
        Frozen::new(move |to| to.write_all(&total.to_le_bytes()))
    }

    fn restore(&mut self, from: &mut dyn io::Read) -> io::Result<()> {
        let mut bytes = [0; 8];
        from.read_exact(&mut bytes)?;
        self.total = u64::from_le_bytes(bytes);
        Ok(())
    }

    fn digest(&self) -> Option<u128> {
        self.shows_state.then_some(self.total.into())
    }
}

/// Three replicas, of which the second is biased.
async fn biased(replies: u64, state: u64, shows_state: bool) -> Cluster<Sum> {
    let started = Arc::new(AtomicU64::new(0));
    let machine = move || {
        let biased = u64::from(started.fetch_add(1, Ordering::Relaxed) == 1);
        Sum { total: 0, bias_of_replies: replies * biased, bias_of_state: state * biased, shows_state }
    };
    let mut config = Config::default();
    config.replicated.digest_interval_ops = 10;
    Cluster::builder(3, machine).config(config).seed(1).start().await.expect("the configuration is valid")
}

async fn the_biased_one_stops(cluster: Cluster<Sum>) {
    let client = cluster.client();
    for add in 0..35 {
        client.request(add).await.expect("a group of three serves");
    }
    let biased = cluster.handle(ReplicaId(1)).expect("it was started");
    let Err(ReplicaError::Fenced(StopReason::NotDeterministic { after, until })) = biased.join().await else {
        panic!("it is found out")
    };
    assert_eq!((after, until), (OpNumber(0), OpNumber(10)), "the first range in which it differed");
    client.request(1).await.expect("the others go on");
    for id in [0, 2] {
        assert!(cluster.handle(ReplicaId(id)).expect("it was started").status().health.is_running());
    }
}

#[tokio::test(start_paused = true)]
async fn other_replies_stop_the_replica_that_gives_them() {
    the_biased_one_stops(biased(1, 0, false).await).await;
}

#[tokio::test(start_paused = true)]
async fn another_state_with_the_same_replies_is_seen_where_the_machine_has_a_digest() {
    the_biased_one_stops(biased(0, 1, true).await).await;
}

#[tokio::test(start_paused = true)]
async fn equal_machines_are_left_alone() {
    let cluster = biased(0, 0, true).await;
    let client = cluster.client();
    for add in 0..100 {
        client.request(add).await.expect("a group of three serves");
    }
    cluster.crash(ReplicaId(1)).await.expect("it runs");
    cluster.restart(ReplicaId(1)).await.expect("it starts");
    for add in 0..100 {
        client.request(add).await.expect("a group of three serves");
    }
    cluster.await_convergence().await.expect("they agree");
    cluster.shutdown().await.expect("nobody failed");
}
