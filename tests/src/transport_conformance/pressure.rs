//! More is sent than anybody reads.

use super::{
    any::Make,
    messages::{largest, noise, numbered, sized},
    stage::{PATIENCE, Stage, Wrong},
    wire::signed,
};
use std::time::Duration;
use tokio::{
    runtime::Handle as Runtime,
    time::{sleep, timeout},
};
use vsr_actor::{ReplicaId, vsr_core::Body};

const SENDER: ReplicaId = ReplicaId(0);
const PEER: ReplicaId = ReplicaId(1);
const OTHER: ReplicaId = ReplicaId(2);

pub(super) async fn sending_never_waits(make: Make<'_>) -> Result<(), Wrong> {
    let mut stage = Stage::new(2, make).await;
    let mut load = noise(PEER, 5000);
    load.extend((0..16).map(|_| (PEER, sized(1 << 20))));
    load.push((PEER, largest()));
    let told = |state: &'static str| move |wrong| format!("a peer that {state}: {wrong}");
    stage.send(SENDER, &load).map_err(told("does not read"))?;
    stage.network.stall(PEER);
    stage.send(SENDER, &load).map_err(told("hangs"))?;
    // What the transport does by itself gets a chance to meet the silence.
    sleep(Duration::from_millis(200)).await;
    stage.send(SENDER, &load).map_err(told("hangs"))?;
    stage.network.resume(PEER);
    drop(stage.disconnect(PEER).await);
    stage.send(SENDER, &load).map_err(told("is gone"))?;
    sleep(Duration::from_millis(200)).await;
    stage.send(SENDER, &load).map_err(told("is gone"))
}

/// So many are sent while nobody reads,
const FLOOD: u64 = 100_000;
/// and no more than so many may have waited somewhere: a bound of whatever size is far below it.
const KEPT_MAX: usize = 50_000;

pub(super) async fn queues_are_bounded(make: Make<'_>) -> Result<(), Wrong> {
    let mut stage = Stage::new(2, make).await;
    stage.exchange(vec![signed(SENDER, PEER, numbered(1))]).await?;
    stage.network.stall(PEER);
    let tasks = Runtime::current().metrics().num_alive_tasks();
    stage.send(SENDER, &noise(PEER, FLOOD))?;
    let spawned = Runtime::current().metrics().num_alive_tasks().saturating_sub(tasks);
    if spawned > KEPT_MAX {
        return Err(format!("{FLOOD} messages were sent while nobody read, and {spawned} tasks wait"));
    }
    stage.network.resume(PEER);
    // A later message comes after what was kept, as far as there is an order; then everything that was kept has been counted.
    let mut kept = 0;
    let mut markers = 0;
    let counting = async {
        while markers < 3 {
            stage.send(SENDER, &[(PEER, numbered(2))])?;
            sleep(Duration::from_millis(50)).await;
            for message in stage.take(PEER) {
                match message.body {
                    Body::Commit { beat: 2, .. } => markers += 1,
                    _ => kept += 1,
                }
            }
            if kept > KEPT_MAX {
                return Err(format!(
                    "{FLOOD} messages were sent while nobody read, and more than {KEPT_MAX} arrived afterwards: \
                     they were kept in a queue without a bound"
                ));
            }
        }
        Ok(())
    };
    match timeout(PATIENCE, counting).await {
        Ok(result) => result,
        Err(_) => Err(format!(
            "after a time in which {PEER} did not read, nothing more arrives at it: {kept} messages came, then \
             none within {PATIENCE:?}"
        )),
    }
}

pub(super) async fn a_dead_peer_disturbs_nobody(make: Make<'_>) -> Result<(), Wrong> {
    let mut stage = Stage::new(3, make).await;
    let mut number = 0;
    for (state, gone) in [("hangs", false), ("is gone", true)] {
        if gone {
            stage.network.resume(OTHER);
            drop(stage.disconnect(OTHER).await);
        } else {
            stage.network.stall(OTHER);
        }
        for _ in 0..5 {
            stage.send(SENDER, &noise(OTHER, 2000))?;
            sleep(Duration::from_millis(20)).await;
            number += 1;
            let letters = [(SENDER, PEER), (PEER, SENDER)];
            let letters = letters.map(|(from, to)| signed(from, to, numbered(number)));
            let exchanged = stage.exchange(letters.to_vec()).await;
            exchanged.map_err(|wrong| format!("while {OTHER} {state}: {wrong}"))?;
        }
    }
    Ok(())
}
