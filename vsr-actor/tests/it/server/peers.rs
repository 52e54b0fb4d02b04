//! Peers that come and go.

use super::desk::{Diary, desks};
use vsr_actor::ReplicaId;

/// Waits until each of `who` saw `peer` so, for the `times`th time.
async fn all_see(diary: &Diary, who: &[ReplicaId], peer: ReplicaId, state: &str, times: usize) {
    for id in who.iter().filter(|id| **id != peer) {
        diary.until(&format!("{id} sees {peer} {state}"), times).await;
    }
}

#[tokio::test(start_paused = true)]
async fn peers_that_go_down_and_come_back_are_reported_at_every_replica() {
    let (cluster, diary) = desks(3).await;
    let ids = cluster.ids().to_vec();
    for peer in &ids {
        all_see(&diary, &ids, *peer, "Up", 1).await;
    }
    let primary = cluster.primary().await.expect("there is one");
    let backup = ids.iter().copied().find(|id| *id != primary).expect("there are three");
    cluster.crash(backup).await.expect("it runs");
    all_see(&diary, &ids, backup, "Down", 1).await;
    cluster.restart(backup).await.expect("it starts");
    all_see(&diary, &ids, backup, "Up", 2).await;
    cluster.isolate(primary).expect("it exists");
    let others: Vec<_> = ids.iter().copied().filter(|id| *id != primary).collect();
    all_see(&diary, &others, primary, "Down", 1).await;
    for other in &others {
        all_see(&diary, &[primary], *other, "Down", 1).await;
    }
    cluster.heal();
    all_see(&diary, &others, primary, "Up", 2).await;
    let lines = diary.lines();
    let of_peers: Vec<_> = lines.iter().filter(|line| line.contains(" sees ")).collect();
    for (at, line) in of_peers.iter().enumerate() {
        let pair = line.rsplit_once(' ').expect("three words").0;
        let before = of_peers[..at].iter().rev().find(|other| other.starts_with(pair));
        let restarted = line.starts_with(&backup.to_string());
        assert!(restarted || before != Some(line), "a change is told once: {line}");
    }
}
