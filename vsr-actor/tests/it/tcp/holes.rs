//! A peer that swallows everything costs the others nothing: it is counted what they get meanwhile.

use super::{Addresses, End, config, end, hidden};
use std::{net::SocketAddr, time::Duration};
use tokio::net::{TcpListener, TcpStream};
use vsr_actor::{
    AddressBook, AddressError, ConnectionError, HandshakeError, ReplicaId, TcpConfig, observe::TransportEvent,
};

/// 2 is a hole. Whatever goes to 1 arrives, all of it, while more than is kept goes to 2.
async fn everything_arrives(low: &mut End, high: &mut End) {
    low.send(1, 0);
    assert_eq!(high.next().await, (0, 0));
    let mut expected = 1;
    for _ in 0..20 {
        for _ in 0..100 {
            (0..20).for_each(|number| low.send(2, number));
            low.send(1, expected);
            expected += 1;
        }
        for number in expected - 100..expected {
            assert_eq!(high.next().await, (0, number));
        }
    }
    let hole = low.peer(2);
    assert!(hole.queued <= 4096 && hole.dropped > 0, "{hole:?}");
    assert_eq!(low.peer(1).dropped, 0);
}

/// The error of an attempt to reach the hole.
async fn failed(low: &mut End) -> ConnectionError {
    low.told("a failed attempt", |event| match event {
        TransportEvent::DialFailed { peer: ReplicaId(2), reason, .. } => Some(reason.clone()),
        _ => None,
    })
    .await
}

fn impatient() -> TcpConfig {
    let mut config = config(0);
    let patience = Duration::from_millis(30);
    (config.dial_timeout, config.handshake_timeout, config.write_timeout) = (patience, patience, patience);
    config
}

#[tokio::test]
async fn one_that_takes_connections_and_reads_nothing() {
    let addresses = Addresses::default();
    let (mut low, mut high) = (end(impatient(), &addresses).await, end(config(1), &addresses).await);
    let hole = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a port");
    addresses.set(ReplicaId(2), hole.local_addr().expect("it is bound"));
    everything_arrives(&mut low, &mut high).await;
    let error = failed(&mut low).await;
    let ConnectionError::Handshake { error: HandshakeError::TimedOut(_), .. } = error else {
        panic!("{error}")
    };
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn one_where_nobody_answers_a_connection() {
    let addresses = Addresses::default();
    let (mut low, mut high) = (end(impatient(), &addresses).await, end(config(1), &addresses).await);
    // Where the queue of a listener is full the system drops what asks for a connection.
    let socket = tokio::net::TcpSocket::new_v4().expect("there is a descriptor");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("loopback has a port");
    let hole = socket.listen(1).expect("it is bound");
    let address = hole.local_addr().expect("it is bound");
    let mut waiting = Vec::new();
    while let Ok(stream) = tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(address)).await
    {
        waiting.push(stream.expect("it is let in, or not answered"));
    }
    addresses.set(ReplicaId(2), address);
    everything_arrives(&mut low, &mut high).await;
    let error = failed(&mut low).await.to_string();
    assert!(error.contains("no answer within 30ms"), "{error}");
}

#[tokio::test]
async fn one_whose_address_is_never_found() {
    struct Hangs(Addresses);
    #[async_trait::async_trait]
    impl AddressBook for Hangs {
        async fn address(&self, id: ReplicaId) -> Result<Vec<SocketAddr>, AddressError> {
            match id.0 {
                2 => std::future::pending().await,
                _ => self.0.address(id).await,
            }
        }
    }
    let addresses = Addresses::default();
    let mut high = end(config(1), &addresses).await;
    let mut low = hidden(impatient(), Hangs(addresses)).await;
    everything_arrives(&mut low, &mut high).await;
    let error = failed(&mut low).await.to_string();
    assert_eq!(error, "no address of R2: the address book took longer than 30ms");
}

#[tokio::test]
async fn one_whose_address_book_panics() {
    struct Panics(Addresses);
    #[async_trait::async_trait]
    impl AddressBook for Panics {
        async fn address(&self, id: ReplicaId) -> Result<Vec<SocketAddr>, AddressError> {
            assert_ne!(id.0, 2, "asked to");
            self.0.address(id).await
        }
    }
    let addresses = Addresses::default();
    let mut high = end(config(1), &addresses).await;
    let mut low = hidden(impatient(), Panics(addresses)).await;
    everything_arrives(&mut low, &mut high).await;
    let error = failed(&mut low).await.to_string();
    assert!(error.contains("the address book panicked") && error.contains("asked to"), "{error}");
}
