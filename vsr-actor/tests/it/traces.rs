//! Whose trace a request belongs to is in the entry, at every replica.

use super::common::{add, cluster};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};
use vsr_actor::{
    TraceContext, Verdict,
    vsr_core::{Body, Origin},
};

#[tokio::test(start_paused = true)]
async fn the_trace_of_a_caller_goes_into_the_log() {
    let cluster = cluster(3).await;
    let primary = cluster.primary().await.expect("the group is healthy");
    let backup = *cluster.ids().iter().find(|id| **id != primary).expect("there are three");
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let proposed = seen.clone();
    let _watch = cluster.rule(move |_, _, message| {
        if let Body::Prepare { entry, .. } = &message.body {
            let requests =
                (0..entry.len()).filter(|index| matches!(entry.origin(*index), Origin::Request { .. }));
            let traces = requests.map(|index| entry.trace(index).map(TraceContext::trace_id));
            proposed.lock().expect("nobody panics with it").extend(traces);
        }
        Verdict::Deliver
    });
    let trace = |id| TraceContext::new(id, 1, 0).expect("ids that are not zero");
    let client = cluster.client();
    assert_eq!(add(&client.with_trace(trace(5)), 1).await, Ok(1));
    assert_eq!(add(&client, 2).await, Ok(2));
    let elsewhere = cluster.client_at(backup).expect("it is a member");
    assert_eq!(add(&elsewhere.with_trace(trace(6)), 3).await, Ok(3));
    let seen = seen.lock().expect("nobody panics with it").clone();
    assert_eq!(seen, BTreeSet::from([Some(5), None, Some(6)]));
}
