//! Replicas come and go.

use super::{
    any::Make,
    messages::{noise, numbered},
    stage::{PATIENCE, Stage, Wrong, ids},
    wire::signed,
};
use std::time::Duration;
use tokio::{
    runtime::Handle as Runtime,
    time::{sleep, timeout},
};
use vsr_actor::ReplicaId;

const N: u32 = 3;

pub(super) async fn a_restarted_peer_is_reached_again(make: Make<'_>) -> Result<(), Wrong> {
    let mut stage = Stage::new(N, make).await;
    everybody_reaches_everybody(&mut stage, 0).await?;
    for life in 1..4 {
        let mortal = ReplicaId(life % N);
        let mut former = stage.disconnect(mortal).await;
        for _ in 0..5 {
            // Whoever holds on to a broken connection finds out now.
            for from in ids(N).into_iter().filter(|id| *id != mortal) {
                stage.send(from, &noise(mortal, 2))?;
            }
            sleep(Duration::from_millis(20)).await;
        }
        while former.try_recv().is_ok() {}
        stage.connect(mortal).await;
        let reached = everybody_reaches_everybody(&mut stage, life).await;
        reached.map_err(|wrong| format!("after {mortal} was restarted: {wrong}"))?;
        if former.try_recv().is_ok() {
            return Err(format!("after {mortal} was restarted, messages were handed to its former life"));
        }
    }
    Ok(())
}

async fn everybody_reaches_everybody(stage: &mut Stage<'_>, life: u32) -> Result<(), Wrong> {
    let mut letters = Vec::new();
    for (from, to) in (0..N).flat_map(|from| (0..N).map(move |to| (from, to))) {
        let number = u64::from(1000 * life + 10 * from + to);
        letters.push(signed(ReplicaId(from), ReplicaId(to), numbered(number)));
    }
    letters.retain(|letter| letter.from != letter.to);
    stage.exchange(letters).await
}

pub(super) async fn no_task_is_left(make: Make<'_>) -> Result<(), Wrong> {
    let alive = || Runtime::current().metrics().num_alive_tasks();
    let before = alive();
    let mut stage = Stage::new(N, make).await;
    for life in 0..3 {
        everybody_reaches_everybody(&mut stage, life).await?;
        for id in ids(N) {
            drop(stage.disconnect(id).await);
        }
        // What was aborted needs a moment to be gone.
        let gone = async {
            while alive() > before {
                sleep(Duration::from_millis(1)).await;
            }
        };
        if timeout(PATIENCE, gone).await.is_err() {
            let left = alive() - before;
            return Err(format!(
                "all replicas are gone, and {left} tasks that were spawned for them still run"
            ));
        }
        for id in ids(N) {
            stage.connect(id).await;
        }
    }
    Ok(())
}
