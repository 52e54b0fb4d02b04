//! What many clients see while replicas crash is linearizable, unknown outcomes included.

use crate::common::{Ask, Spec};
use std::{sync::Arc, time::Duration};
use vsr_actor::{
    Cluster, Outcome,
    linearizability::{CallOutcome, Recorder, check},
};

#[tokio::test(start_paused = true)]
async fn the_history_of_a_stormy_hour_is_linearizable() {
    let cluster = Cluster::builder(3, crate::common::Journal::default).seed(3).start().await.expect("valid");
    let recorder = Arc::new(Recorder::new());
    let writers: Vec<_> = (0..6)
        .map(|writer: u64| {
            let client = cluster.client_at(cluster.ids()[writer as usize % 3]).expect("it exists");
            // One of them is impatient: what it does not hear of may have happened all the same.
            let deadline = if writer == 0 { Duration::from_millis(300) } else { Duration::from_secs(30) };
            let client = client.with_deadline(deadline);
            let recorder = recorder.clone();
            tokio::spawn(async move {
                let mut not_executed = Vec::new();
                for item in 0..60 {
                    let op = (item % 3 > 0).then_some(writer * 1000 + item);
                    let call = recorder.invoke(op);
                    match client.request(op.map_or(Ask::Read, Ask::Add)).await {
                        Ok(reply) => recorder.returned(call, reply),
                        Err(error) if error.outcome() == Outcome::NotExecuted => not_executed.push(call),
                        Err(_) => {}
                    }
                }
                not_executed
            })
        })
        .collect();
    let watcher = cluster.client();
    for round in 0..8 {
        // The group works between two storms.
        watcher.request(Ask::Read).await.expect("it recovers");
        let Ok(primary) = cluster.primary().await else { continue };
        if round % 2 == 0 {
            cluster.crash(primary).await.expect("it runs");
            cluster.primary().await.expect("two are left");
            cluster.restart(primary).await.expect("its storage is fine");
        } else {
            cluster.isolate(primary).expect("it exists");
            let others: Vec<_> = cluster.ids().iter().filter(|id| **id != primary).collect();
            let mut status = cluster.handle(*others[0]).expect("it runs").watch_status();
            while status.latest().protocol.primary == primary {
                status.next().await.expect("it runs");
            }
            cluster.heal();
        }
    }
    let mut not_executed = Vec::new();
    for writer in writers {
        not_executed.extend(writer.await.expect("no assertion failed"));
    }
    let recorder = Arc::into_inner(recorder).expect("all tasks have ended");
    let calls = recorder.into_calls_without(&not_executed);
    assert!(calls.len() > 100, "{} calls, {} not executed", calls.len(), not_executed.len());
    let unknown = calls.iter().filter(|call| call.outcome == CallOutcome::Unknown).count();
    assert!(unknown > 0, "somebody was impatient in vain");
    check::<Spec>(&calls).expect("linearizable");
}
