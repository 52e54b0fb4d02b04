//! Keys that end while nobody does anything: the primary's clock, under the test's hand, is all that moves.

use bytes::Bytes;
use std::time::Duration;
use tokio::time::sleep;
use vsr_actor::Cluster;
use vsr_kv::store::{Condition, Expiry, Operation, Reply, Store, When};

fn set(key: usize, milliseconds: i64) -> Operation {
    Operation::Set {
        key: key.to_string().into(),
        value: Bytes::from("v"),
        condition: Condition::Always,
        get: false,
        expiry: Expiry::At(When::In(milliseconds)),
    }
}

/// What each replica has, without an entry in the log.
async fn sizes(cluster: &Cluster<Store>) -> Vec<Reply> {
    let mut sizes = Vec::new();
    for id in cluster.ids() {
        let client = cluster.client_at(*id).expect("it is there");
        let seen = client.read_stale(|store| store.read(&Operation::Size)).await.expect("it runs");
        sizes.push(seen.value);
    }
    sizes
}

#[tokio::test(start_paused = true)]
async fn keys_end_at_every_replica_while_nothing_is_asked_for_however_many_there_are() {
    let cluster = Cluster::in_process(3, Store::default).await.expect("a valid configuration");
    let client = cluster.client();
    client.request(set(0, 30_000)).await.expect("a reply");
    for key in 1..=4500 {
        client.request(set(key, 5_000)).await.expect("a reply");
    }
    let get = Operation::Get { key: "1".into() };
    let ask = get.clone();
    let seen = client.read_linearizable(move |store| store.read(&ask)).await;
    assert_eq!(seen, Ok(Reply::Bulk(Bytes::from("v"))));
    sleep(Duration::from_secs(10)).await;
    let seen = client.read_linearizable(move |store| store.read(&get)).await;
    assert_eq!(seen, Ok(Reply::Nil));
    // More than one tick takes out, and nobody asked for any of them.
    assert_eq!(sizes(&cluster).await, [Reply::Int(1), Reply::Int(1), Reply::Int(1)]);
    sleep(Duration::from_secs(30)).await;
    assert_eq!(sizes(&cluster).await, [Reply::Int(0), Reply::Int(0), Reply::Int(0)]);
    cluster.shutdown().await.expect("healthy replicas");
}

#[tokio::test(start_paused = true)]
async fn a_key_ends_after_a_failover_too() {
    let cluster = Cluster::in_process(3, Store::default).await.expect("a valid configuration");
    let client = cluster.client();
    client.request(set(0, 20_000)).await.expect("a reply");
    let primary = cluster.primary().await.expect("a primary");
    cluster.crash(primary).await.expect("it runs");
    cluster.primary().await.expect("another one");
    let exists = || Operation::Exists { keys: vec!["0".into()] };
    let ask = exists();
    assert_eq!(client.read_linearizable(move |store| store.read(&ask)).await, Ok(Reply::Int(1)));
    sleep(Duration::from_secs(25)).await;
    let ask = exists();
    assert_eq!(client.read_linearizable(move |store| store.read(&ask)).await, Ok(Reply::Int(0)));
    cluster.shutdown().await.expect("healthy replicas");
}
