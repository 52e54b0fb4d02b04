//! Replicas that fall and come back by themselves: three under a supervisor, on a machine that fails now and then for no fault of the
//! operation. The program's own token shuts them down in order.
//!
//! `cargo run -p vsr-examples --example supervised`
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};
use tokio::task::JoinSet;
use tokio_stream::StreamExt;
use tokio_util::sync::CancellationToken;
use vsr_actor::{Child, OpNumber, Restart, Supervisor, prelude::*};

/// How often the machine will fail yet: no part of the replicated state, so it does not come back with it.
#[derive(Clone, Default)]
struct Weather(Arc<AtomicU32>);

impl Weather {
    fn strikes(&self) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }
}

#[derive(Default, Serialize, Deserialize)]
struct Counter {
    total: u64,
    #[serde(skip)]
    weather: Weather,
}

impl StateMachine for Counter {
    type Operation = u64;
    type Reply = u64;
    fn handle_commit(&mut self, _commit: &Commit, add: u64) -> u64 {
        assert!(!self.weather.strikes(), "struck by lightning");
        self.total += add;
        self.total
    }
}

const STORMS: u64 = 4;

/// Waits until a child has caught up, in this life or the next.
async fn stands(child: &Child<Counter>, op: OpNumber) {
    let mut lives = child.handles();
    while let Some(replica) = lives.next().await {
        let mut statuses = replica.status_stream();
        while let Some(status) = statuses.next().await {
            if status.protocol.applied >= op {
                return;
            }
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let weather = Weather::default();
    let machine = {
        let weather = weather.clone();
        move || Counter { total: 0, weather: weather.clone() }
    };
    let cluster = Arc::new(Cluster::in_process(3, machine).await?);

    let (mut tasks, quit) = (JoinSet::new(), CancellationToken::new());
    let supervisor = Supervisor::builder().until(quit.clone()).start()?;
    let mut children = Vec::new();
    for id in cluster.ids().to_vec() {
        let cluster = cluster.clone();
        // Called for each start: here it is the cluster that keeps the log, with replicas of their own it would be a disk.
        let start = move || {
            let cluster = cluster.clone();
            async move { cluster.running(id).await }
        };
        children.push(supervisor.start(id.to_string(), Restart::Permanent, start).await?);
    }
    supervisor.spawn_into(&mut tasks);

    let counter = cluster.client();
    for storm in 1..=STORMS {
        // Each child is given up by its sixth fall within a minute: these are fewer.
        weather.0.store(1, Ordering::Relaxed);
        let total = counter.request(1).await?; // one replica falls over it, the others answer
        assert_eq!(total, storm);
        for child in &children {
            stands(child, counter.token().op()).await;
        }
        let falls = children.iter().map(|child| child.restarts()).sum::<u64>();
        println!("{total} counted, {falls} falls so far, all stand");
        assert_eq!(falls, storm);
    }
    for child in &children {
        let error = child.last_error().map(|error| error.to_string());
        println!("{} fell {} times; at last: {error:?}", child.name(), child.restarts());
    }
    assert_eq!(counter.read_linearizable(|counter| counter.total).await?, STORMS);

    quit.cancel(); // as a handler of Ctrl-C would
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    for status in cluster.statuses() {
        println!("{status}");
    }
    Ok(())
}
