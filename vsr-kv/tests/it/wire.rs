//! Bytes on a socket, through replicas that are not the primary.

use super::{dev, patient_dev, port, roles};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A client that speaks in bytes.
pub(super) struct Peer(TcpStream);

impl Peer {
    pub(super) async fn connect(port: u16) -> Self {
        Self(TcpStream::connect(("127.0.0.1", port)).await.expect("a listening server"))
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.expect("an open connection");
    }

    pub(super) async fn expect(&mut self, expected: &str) {
        let mut got = vec![0; expected.len()];
        self.0.read_exact(&mut got).await.expect("as many bytes");
        assert_eq!(String::from_utf8_lossy(&got), expected);
    }

    pub(super) async fn line(&mut self) -> String {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.push(self.0.read_u8().await.expect("a whole line"));
        }
        line.truncate(line.len() - 2);
        String::from_utf8(line).expect("text")
    }

    pub(super) async fn ask(&mut self, request: &str) -> String {
        self.send(format!("{request}\r\n").as_bytes()).await;
        self.line().await
    }

    async fn expect_end(&mut self) {
        assert_eq!(self.0.read(&mut [0]).await.expect("an orderly end"), 0);
    }
}

#[tokio::test]
async fn a_pipeline_through_a_backup_is_answered_in_order() {
    let dev = dev().await;
    let (_, backups) = roles(&dev).await;
    let mut peer = Peer::connect(port(&dev, backups[0])).await;
    let (mut requests, mut replies) = (String::new(), String::new());
    for number in 1..=2000 {
        requests += &format!(
            "INCR n\r\nPING\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\n{number:04}\r\nGET k\r\nNOPE\r\n"
        );
        replies += &format!(":{number}\r\n+PONG\r\n+OK\r\n$4\r\n{number:04}\r\n");
        replies += "-ERR unknown command 'NOPE', with args beginning with: \r\n";
    }
    // Sent and read at the same time: the server stops reading from a client that takes no replies.
    let (mut read, mut write) = peer.0.split();
    let mut got = vec![0; replies.len()];
    let (sent, received) = tokio::join!(write.write_all(requests.as_bytes()), read.read_exact(&mut got));
    sent.and(received.map(drop)).expect("an open connection");
    assert!(got == replies.as_bytes(), "the replies are out of order");
    dev.shutdown().await.expect("healthy replicas");
}

#[tokio::test]
async fn what_one_replica_acknowledged_every_other_reads() {
    let dev = dev().await;
    let mut peers = Vec::new();
    for address in dev.addresses() {
        peers.push(Peer::connect(address.port()).await);
    }
    for round in 0..30 {
        let (writer, reader) = (round % 3, (round + 1) % 3);
        assert_eq!(peers[writer].ask(&format!("SET k {round:02}")).await, "+OK");
        assert_eq!(peers[reader].ask("GET k").await, "$2");
        assert_eq!(peers[reader].line().await, format!("{round:02}"));
    }
    dev.shutdown().await.expect("healthy replicas");
}

#[tokio::test]
async fn every_command_reaches_the_store() {
    let dev = dev().await;
    let (_, backups) = roles(&dev).await;
    let mut peer = Peer::connect(port(&dev, backups[1])).await;
    for (request, reply) in [
        ("SET k v NX", "+OK"),
        ("SET k w NX", "$-1"),
        ("SETNX k x", ":0"),
        ("APPEND k 12", ":3"),
        ("STRLEN k", ":3"),
        ("INCR k", "-ERR value is not an integer or out of range"),
        ("TYPE k", "+string"),
        ("TYPE missing", "+none"),
        ("CAS k v12 7", ":1"),
        ("CAS k v12 8", ":0"),
        ("CAS missing a b", "$-1"),
        ("INCR k", ":8"),
        ("DECRBY k 10", ":-2"),
        ("INCRBY k 9223372036854775807", ":9223372036854775805"),
        ("INCRBY k 9", "-ERR increment or decrement would overflow"),
        ("DECR k", ":9223372036854775804"),
        ("MSET a 1 b 2", "+OK"),
        ("EXISTS a b a c", ":3"),
        ("DBSIZE", ":3"),
        ("DEL a", ":1"),
        ("UNLINK a b", ":1"),
        ("FLUSHDB", "+OK"),
        ("DBSIZE", ":0"),
        ("GETDEL k", "$-1"),
        ("EXPIRE k 1", ":0"),
        ("SET k v EX 100", "+OK"),
        ("TTL k", ":100"),
        ("PERSIST k", ":1"),
        ("GETSET k w", "$1"),
    ] {
        assert_eq!(peer.ask(request).await, reply, "{request}");
    }
    assert_eq!(peer.line().await, "v");
    peer.send(b"MSET a 1 b 2\r\nMGET a x b\r\nHELLO 3\r\n").await;
    peer.expect("+OK\r\n*3\r\n$1\r\n1\r\n$-1\r\n$1\r\n2\r\n%7\r\n").await;
    dev.shutdown().await.expect("healthy replicas");
}

#[tokio::test]
async fn large_values_pass_and_larger_ones_are_refused() {
    let dev = patient_dev().await;
    let (_, backups) = roles(&dev).await;
    let mut peer = Peer::connect(port(&dev, backups[0])).await;
    let value = "v".repeat(1 << 20);
    peer.send(format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${}\r\n{value}\r\n", value.len()).as_bytes()).await;
    assert_eq!(peer.line().await, "+OK");
    let full = "-ERR string exceeds maximum allowed size (proto-max-bulk-len)";
    assert_eq!(peer.ask("APPEND k x").await, full);
    assert!(peer.ask("MGET k k k").await.starts_with("-ERR the reply would be larger than"));
    assert_eq!(peer.ask("STRLEN k").await, format!(":{}", value.len()));
    peer.send(b"GET k\r\n").await;
    peer.expect(&format!("${}\r\n{value}\r\n", value.len())).await;
    peer.send(format!("*2\r\n$3\r\nGET\r\n${}\r\n", (1 << 20) + 1).as_bytes()).await;
    assert_eq!(peer.line().await, "-ERR Protocol error: invalid bulk length");
    peer.expect_end().await;
    // The others do not notice.
    assert_eq!(Peer::connect(port(&dev, backups[0])).await.ask("EXISTS k").await, ":1");
    dev.shutdown().await.expect("healthy replicas");
}

#[tokio::test]
async fn more_large_values_at_once_than_the_replicas_take_wait_their_turn() {
    let dev = patient_dev().await;
    let mut peers = Vec::new();
    for address in dev.addresses().iter().cycle().take(12) {
        peers.push(Peer::connect(address.port()).await);
    }
    let value = "v".repeat(1 << 20);
    let mut writers = tokio::task::JoinSet::new();
    for (number, mut peer) in peers.into_iter().enumerate() {
        let set = format!("*3\r\n$3\r\nSET\r\n$2\r\n{number:02}\r\n${}\r\n{value}\r\n", value.len());
        writers.spawn(async move {
            peer.send(set.repeat(3).as_bytes()).await;
            peer.expect(&"+OK\r\n".repeat(3)).await;
        });
    }
    writers.join_all().await;
    let mut peer = Peer::connect(dev.addresses()[0].port()).await;
    assert_eq!(peer.ask("DBSIZE").await, ":12");
    dev.shutdown().await.expect("healthy replicas");
}
