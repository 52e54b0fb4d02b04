//! A door with a password.

use super::*;

const NOAUTH: &str = "-NOAUTH Authentication required.";
const WRONG: &str = "-WRONGPASS invalid username-password pair or user is disabled.";

async fn guarded() -> fake::Server {
    let requirepass = Some(Password::from("secret".to_owned()));
    start_with(&Fake::default(), Settings { requirepass, ..Settings::default() }).await
}

#[tokio::test]
async fn strangers_are_told_nothing_and_change_nothing() {
    let server = guarded().await;
    let mut peer = server.connect().await;
    for line in [
        "SET k v",
        "GET k",
        "PING",
        "INFO",
        "COMMAND",
        "CLIENT LIST",
        "MULTI",
        "EXEC",
        "VSR.CRASH 0",
        "NOPE",
        "GET",
        "READONLY",
    ] {
        peer.exchange(line, NOAUTH).await;
    }
    for line in ["AUTH wrong", "AUTH other secret", "HELLO 3 AUTH default wrong", "AUTH secrets"] {
        peer.exchange(line, WRONG).await;
    }
    peer.send("HELLO 3\r\n").await;
    peer.expect("-NOAUTH HELLO must be called with the client already authenticated").await;
    peer.skip_to("\r\n").await;
    peer.exchange("AUTH a b c", "-ERR syntax error").await;
    peer.exchange("RESET", "+RESET").await;
    peer.send("QUIT\r\n").await;
    peer.expect("+OK\r\n").await;
    peer.expect_end().await;
    let mut other = server.connect().await;
    other.exchange("AUTH secret", "+OK").await;
    other.exchange("EXISTS k", ":0").await;
}

#[tokio::test]
async fn whoever_knows_the_password_is_served_until_reset() {
    let server = guarded().await;
    for admits in ["AUTH secret", "AUTH default secret"] {
        let mut peer = server.connect().await;
        // In one piece: what follows a password is served.
        peer.send(&format!("{admits}\r\nSET k v\r\n")).await;
        peer.expect("+OK\r\n+OK\r\n").await;
        peer.exchange("AUTH wrong", WRONG).await;
        peer.exchange("GET k", "$1\r\nv").await;
        peer.exchange("RESET", "+RESET").await;
        peer.exchange("GET k", NOAUTH).await;
    }
    let mut peer = server.connect().await;
    peer.send("HELLO 3 AUTH default secret SETNAME me\r\n").await;
    peer.expect("%7\r\n").await;
    peer.skip_to("*0\r\n").await;
    peer.exchange("CLIENT GETNAME", "$2\r\nme").await;
    peer.exchange("GET missing", "_").await;
}

#[tokio::test]
async fn strangers_cannot_make_the_door_keep_much() {
    let server = guarded().await;
    let mut peer = server.connect().await;
    peer.send("*2\r\n$4\r\nAUTH\r\n$20000\r\n").await;
    peer.expect("-ERR Protocol error: invalid bulk length\r\n").await;
    peer.expect_end().await;
    let mut peer = server.connect().await;
    peer.send("*11\r\n").await;
    peer.expect("-ERR Protocol error: invalid multibulk length\r\n").await;
    peer.expect_end().await;
    let mut peer = server.connect().await;
    let value = "v".repeat(20_000);
    peer.send(&format!("AUTH secret\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$20000\r\n{value}\r\n")).await;
    peer.expect("+OK\r\n+OK\r\n").await;
}
