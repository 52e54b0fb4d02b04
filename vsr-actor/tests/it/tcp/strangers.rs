//! Whoever connects and does not say who it is: bounded in number and in time, and told.

use super::{Addresses, PATIENCE, config, end};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use vsr_actor::{HandshakeError, observe::TransportEvent};

fn lost(event: &TransportEvent) -> Option<HandshakeError> {
    match event {
        TransportEvent::CallerLost { caller: None, reason, .. } => Some(reason.clone()),
        _ => None,
    }
}

async fn is_let_go(stranger: &mut TcpStream) {
    let read = timeout(PATIENCE, stranger.read(&mut [0])).await.expect("its connection is closed");
    assert_eq!(read.unwrap_or(0), 0);
}

#[tokio::test]
async fn only_so_many_may_wait_and_the_oldest_goes() {
    let addresses = Addresses::default();
    let mut crowded = config(0);
    crowded.strangers_max = 4;
    crowded.handshake_timeout = Duration::from_secs(3600);
    let (mut low, high) = (end(crowded, &addresses).await, end(config(1), &addresses).await);
    let mut strangers = Vec::new();
    for _ in 0..50 {
        strangers.push(TcpStream::connect(low.tcp.local_addr()).await.expect("it listens"));
    }
    for stranger in &mut strangers[..46] {
        is_let_go(stranger).await;
    }
    // A peer gets in all the same.
    high.reach(&mut low, 1).await;
    // The last of them are still let in, for they may yet say who they are. One of them made room for the peer.
    for stranger in &mut strangers[47..] {
        stranger.write_all(b"no handshake").await.expect("it is open");
        let _ = low.told("a stranger", lost).await;
    }
}

#[tokio::test]
async fn one_that_says_nothing_or_half_of_it_is_let_go() {
    let addresses = Addresses::default();
    let mut impatient = config(0);
    impatient.handshake_timeout = Duration::from_millis(20);
    let (mut low, high) = (end(impatient, &addresses).await, end(config(1), &addresses).await);
    for said in [&b""[..], b"V", b"VSRt\x01\0\x37\0\0\0"] {
        let mut stranger = TcpStream::connect(low.tcp.local_addr()).await.expect("it listens");
        stranger.write_all(said).await.expect("it is open");
        let HandshakeError::TimedOut(_) = low.told("a slow stranger", lost).await else {
            panic!("it said {said:?}")
        };
        is_let_go(&mut stranger).await;
    }
    high.reach(&mut low, 1).await;
}

#[tokio::test]
async fn one_that_speaks_something_else_is_told_of_and_let_go() {
    let addresses = Addresses::default();
    let (mut low, high) = (end(config(0), &addresses).await, end(config(1), &addresses).await);
    let mut browser = TcpStream::connect(low.tcp.local_addr()).await.expect("it listens");
    browser.write_all(b"GET /status HTTP/1.1\r\n\r\n").await.expect("it is open");
    let error = low.told("a browser", lost).await;
    assert_eq!(error.to_string(), "no handshake: it began with \"GET /sta\"");
    is_let_go(&mut browser).await;
    high.reach(&mut low, 1).await;
}
