//! How requests become proposals.

use crate::common::{Ask, Journal};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    task::yield_now,
    time::{Instant, advance},
};
use vsr_actor::{Cluster, Verdict, vsr_core::Body};

/// Requests that come one by one while two proposals are under way become one, although none of the two gets any further. They do not
/// wait for that: the group would be as slow as its network is far.
#[tokio::test(start_paused = true)]
async fn what_comes_while_two_proposals_are_under_way_is_one_more() {
    let cluster = Cluster::in_process(3, Journal::default).await.expect("valid");
    let (client, primary) = (cluster.client(), cluster.primary().await.expect("they all run"));
    client.request(Ask::Read).await.expect("the session is open");
    let to = *cluster.ids().iter().find(|id| **id != primary).expect("three members");
    let proposed = Arc::new(Mutex::new(Vec::new()));
    let seen = proposed.clone();
    let rule = cluster.rule(move |_, receiver, message| match &message.body {
        Body::PrepareOk { .. } => Verdict::Drop,
        Body::Prepare { entry, .. } if receiver == to => {
            let mut seen = seen.lock().expect("nobody panics");
            if !seen.iter().any(|(first, _)| *first == entry.first()) {
                seen.push((entry.first(), entry.len()));
            }
            Verdict::Deliver
        }
        _ => Verdict::Deliver,
    });
    let began = Instant::now();
    let mut tickets = Vec::new();
    for item in 0..12 {
        tickets.push(client.try_submit(Ask::Add(item)).expect("the window has room"));
        // Time stands still as long as somebody is busy.
        for _ in 0..20 {
            yield_now().await;
        }
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
    let lengths = || proposed.lock().expect("nobody panics").iter().map(|(_, ops)| *ops).collect::<Vec<_>>();
    assert_eq!(lengths(), [1, 1]);
    advance(Duration::from_millis(5)).await;
    for _ in 0..100 {
        yield_now().await;
    }
    assert_eq!(lengths(), [1, 1, 10]);
    drop((rule, tickets));
    cluster.shutdown().await.expect("it runs");
}
