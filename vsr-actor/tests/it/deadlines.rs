//! A deadline for one call: `with_deadline` goes for whatever is asked of the clone.

use crate::common::{Ask, Journal, add, cluster_with};
use std::{fmt::Debug, future::Future, time::Duration};
use tokio::time::Instant;
use vsr_actor::{Config, ReplicaId, RequestError};

const SOON: Duration = Duration::from_millis(70);

/// The error of a call that must end exactly at the deadline.
async fn failed_in_time<T: Debug>(call: impl Future<Output = Result<T, RequestError>>) -> RequestError {
    let begun = Instant::now();
    let error = call.await.expect_err("nobody else is in reach");
    assert_eq!(begun.elapsed(), SOON, "{error}");
    error
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_call_keeps_the_deadline_of_its_clone_and_of_no_other() {
    let mut config = Config::default();
    config.replicated.window = 1;
    let cluster = cluster_with(3, config).await;
    let primary = cluster.primary().await.expect("the group has formed");
    let client = cluster.handle(primary).expect("it runs").client();
    assert_eq!(add(&client, 1).await, Ok(1));
    cluster.isolate(primary).expect("it exists");
    let elsewhere = cluster.client_at(ReplicaId(2)).expect("it exists");
    assert_eq!(add(&elsewhere, 2).await, Ok(2));

    let soon = client.with_deadline(SOON);
    let count = |journal: &Journal| journal.items().len();
    let told = failed_in_time(soon.read_linearizable(count)).await;
    assert!(matches!(told, RequestError::NoPrimary { waited: SOON, .. }), "{told:?}");
    let told = failed_in_time(soon.read_after(elsewhere.token(), count)).await;
    // Its replica has not given up yet.
    assert!(matches!(told, RequestError::NoPrimary { waited: SOON, .. }), "{told:?}");
    assert_eq!(soon.read_stale(count).await.expect("it needs nobody else").value, 1);
    // By now the primary knows that it is alone; a new one elsewhere takes requests, which this client cannot reach.
    let ticket = soon.submit(Ask::Add(3)).await.expect("room for one");
    let full = failed_in_time(async { soon.submit(Ask::Add(4)).await.map(drop) }).await;
    assert_eq!(full, RequestError::Overloaded { waited: SOON });
    let told = ticket.await.expect_err("nobody can commit it");
    assert!(matches!(told, RequestError::NoPrimary { waited: SOON, .. }), "{told:?}");
    // The clone it came from has its own, longer one.
    let begun = Instant::now();
    assert!(client.read_linearizable(count).await.is_err());
    assert_eq!(begun.elapsed(), Config::default().client.deadline);
}
