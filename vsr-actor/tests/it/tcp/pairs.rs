//! One connection for each pair, however it came about.

use super::{Addresses, End, PATIENCE, agree, config, end, hidden};
use std::time::Duration;
use tokio::time::{sleep, timeout};
use vsr_actor::{
    ConnectionError, DnsAddresses, ReplicaId, TcpConnection, observe::TransportEvent, vsr_core::Incarnation,
};

#[tokio::test]
async fn whoever_speaks_first_dials_and_both_speak_over_it() {
    let addresses = Addresses::default();
    let (mut low, mut high) = (end(config(0), &addresses).await, end(config(1), &addresses).await);
    assert_eq!(low.peer(1).connection, TcpConnection::Idle);
    for (number, first) in [(1, 0), (2, 1)] {
        match first {
            0 => low.send(1, number),
            _ => high.send(0, number),
        }
        let heard = if first == 0 { high.next().await } else { low.next().await };
        assert_eq!(heard, (first, number));
    }
    assert!(agree(&low, &high));
    assert_eq!((low.peer(1).connections, high.peer(0).connections), (1, 1));
    let TcpConnection::Connected { incarnation, .. } = high.peer(0).connection else { panic!("it is there") };
    assert_eq!(incarnation, Some(Incarnation(77)), "it was said with the hello");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_dial_at_once_and_one_connection_stays() {
    for round in 0..40 {
        let addresses = Addresses::default();
        let (mut low, mut high) = (end(config(0), &addresses).await, end(config(1), &addresses).await);
        low.send(1, round);
        high.send(0, round);
        let settled = async {
            while !agree(&low, &high) {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(PATIENCE, settled).await.expect("they agree in the end");
        low.reach(&mut high, 1000 + round).await;
        high.reach(&mut low, 1000 + round).await;
        assert!(agree(&low, &high));
    }
}

#[tokio::test]
async fn a_peer_that_restarts_takes_the_place_of_its_dead_predecessor_at_once() {
    for (survivor, mortal) in [(0, 1), (1, 0)] {
        let addresses = Addresses::default();
        let mut lives = end(config(survivor), &addresses).await;
        let mut former = end(config(mortal), &addresses).await;
        lives.reach(&mut former, 1).await;
        // Its predecessor's connection is open, as after a loss of power: nobody has closed it, and nobody answers on it.
        let book = Addresses::default();
        book.set(lives.id, lives.tcp.local_addr());
        let mut present = hidden(config(mortal), book).await;
        present.send(survivor, 2);
        lives
            .told("the replacement", |event| match event {
                TransportEvent::Disconnected { reason: ConnectionError::Replaced, .. } => Some(()),
                _ => None,
            })
            .await;
        assert_eq!(lives.next().await, (mortal, 2));
        lives.send(mortal, 3);
        assert_eq!(present.next().await, (survivor, 3));
    }
}

#[tokio::test]
async fn a_connection_that_the_peer_closed_is_made_again() {
    let addresses = Addresses::default();
    let mut lives = end(config(0), &addresses).await;
    for life in 0..3 {
        let mut mortal = end(config(1), &addresses).await;
        lives.reach(&mut mortal, life).await;
        drop(mortal);
        lives
            .told("the end of the connection", |event| match event {
                TransportEvent::Disconnected { peer: ReplicaId(1), .. } => Some(()),
                _ => None,
            })
            .await;
    }
    assert_eq!(lives.peer(1).connections, 3);
}

#[tokio::test]
async fn what_is_queued_at_shutdown_arrives() {
    let addresses = Addresses::default();
    let (low, mut high) = (end(config(0), &addresses).await, end(config(1), &addresses).await);
    low.reach(&mut high, 0).await;
    (1..=1000).for_each(|number| low.send(1, number));
    low.tcp.shutdown().await;
    low.send(1, 2000);
    for number in 1..=1000 {
        assert_eq!(high.next().await, (0, number));
    }
    assert_eq!(low.peer(1).last_error, Some(ConnectionError::ShutDown));
    high.told("the end", |event| match event {
        TransportEvent::Disconnected { reason: ConnectionError::Closed, .. } => Some(()),
        _ => None,
    })
    .await;
    assert_eq!(high.arrived.try_recv().ok(), None, "nothing is taken after the shutdown");
}

#[tokio::test]
async fn names_are_resolved_anew_for_each_attempt() {
    let addresses = Addresses::default();
    let mut high = end(config(1), &addresses).await;
    let name = format!("localhost:{}", high.tcp.local_addr().port());
    let low: End = hidden(config(0), DnsAddresses::new([(ReplicaId(1), name)])).await;
    low.reach(&mut high, 1).await;
    low.send(2, 1);
    let unknown = async {
        while low.peer(2).last_error.is_none() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, unknown).await.expect("it is told");
    let told = low.peer(2).last_error.expect("it was told").to_string();
    assert_eq!(told, "R2 is not in the address book");
    assert!(low.peer(2).dropped > 0);
}
