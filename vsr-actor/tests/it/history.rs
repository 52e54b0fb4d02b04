//! What many clients see while replicas crash is linearizable: with unknown outcomes, and with what they turn out to be.

use crate::common::{Ask, Journal, Spec};
use std::{sync::Arc, time::Duration};
use vsr_actor::{
    Client, Cluster, Outcome,
    linearizability::{Call, CallId, CallOutcome, Recorder, check},
};

type Op = Option<u64>;
type Calls = Vec<Call<Op, Vec<u64>>>;

/// One client's calls. What it gave up it asks for at the end, if it `resolves`. Those that were not executed.
async fn write(
    client: Client<Journal>,
    writer: u64,
    recorder: Arc<Recorder<Op, Vec<u64>>>,
    resolves: bool,
) -> Vec<CallId> {
    // One of them is impatient: what it does not hear of may have happened all the same.
    let deadline = if writer == 0 { Duration::from_millis(300) } else { Duration::from_secs(30) };
    let hasty = client.with_deadline(deadline);
    let (mut not_executed, mut unknown) = (Vec::new(), Vec::new());
    for item in 0..60 {
        let op = (item % 3 > 0).then_some(writer * 1000 + item);
        let call = recorder.invoke(op);
        match hasty.request(op.map_or(Ask::Read, Ask::Add)).await {
            Ok(reply) => recorder.returned(call, reply),
            Err(error) if error.outcome() == Outcome::NotExecuted => not_executed.push(call),
            Err(error) => unknown.extend(error.request().map(|request| (call, request))),
        }
    }
    if resolves {
        for (call, request) in unknown {
            recorder.returned(call, client.resolve(request).await.expect("the storms are over"));
        }
    }
    not_executed
}

/// What six clients saw.
async fn stormy_hour(resolves: bool) -> Calls {
    let cluster = Cluster::builder(3, Journal::default).seed(3).start().await.expect("valid");
    let recorder = Arc::new(Recorder::new());
    let writers: Vec<_> = (0..6)
        .map(|writer: u64| {
            let client = cluster.client_at(cluster.ids()[writer as usize % 3]).expect("it exists");
            tokio::spawn(write(client, writer, recorder.clone(), resolves))
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
    calls
}

fn unknown(calls: &Calls) -> usize {
    calls.iter().filter(|call| call.outcome == CallOutcome::Unknown).count()
}

#[tokio::test(start_paused = true)]
async fn the_history_of_a_stormy_hour_is_linearizable() {
    let calls = stormy_hour(false).await;
    assert!(unknown(&calls) > 0, "somebody was impatient in vain");
    check::<Spec>(&calls).expect("linearizable");
}

#[tokio::test(start_paused = true)]
async fn it_still_is_when_all_that_was_unknown_is_resolved() {
    let calls = stormy_hour(true).await;
    assert_eq!(unknown(&calls), 0, "each has a reply, which must fit");
    check::<Spec>(&calls).expect("linearizable");
}
