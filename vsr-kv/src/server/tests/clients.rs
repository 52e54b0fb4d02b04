//! What connections know of each other, and whether they are answered.

use super::*;

/// The text of a reply that has one.
async fn text(peer: &mut fake::Peer, request: &str) -> String {
    peer.send(&format!("{request}\r\n")).await;
    peer.expect("$").await;
    let length = peer.line().await.parse().expect("a length");
    let text = peer.take(length).await;
    peer.expect("\r\n").await;
    text
}

#[tokio::test]
async fn the_list_has_every_connection_of_the_door_as_long_as_it_lives() {
    let server = start(&Fake::default()).await;
    let (mut first, mut second) = (server.connect().await, server.connect().await);
    first.exchange("CLIENT SETNAME one", "+OK").await;
    second.exchange("CLIENT SETINFO LIB-NAME lib", "+OK").await;
    second.exchange("CLIENT ID", ":2").await;
    let list = text(&mut first, "CLIENT LIST").await;
    assert_eq!(list.lines().count(), 2, "{list}");
    assert!(list.contains("id=1 ") && list.contains(" name=one "), "{list}");
    assert!(list.contains("id=2 ") && list.contains(" lib-name=lib "), "{list}");
    assert_eq!(text(&mut first, "CLIENT LIST ID 2 7").await.lines().count(), 1);
    assert_eq!(text(&mut first, "CLIENT LIST TYPE normal").await, text(&mut second, "CLIENT LIST").await);
    assert_eq!(text(&mut first, "CLIENT LIST TYPE pubsub").await, "");
    assert_eq!(text(&mut first, "CLIENT INFO").await, text(&mut first, "CLIENT LIST ID 1").await);
    for (request, reply) in [
        ("CLIENT LIST ID", "-ERR syntax error"),
        ("CLIENT LIST ID x", "-ERR Invalid client ID"),
        ("CLIENT LIST TYPE x", "-ERR Unknown client type 'x'"),
        ("CLIENT REPLY", "-ERR wrong number of arguments for 'client|reply' command"),
        ("CLIENT REPLY x", "-ERR syntax error"),
    ] {
        first.exchange(request, reply).await;
    }
    first.exchange("RESET", "+RESET").await;
    second.send("QUIT\r\n").await;
    second.expect("+OK\r\n").await;
    second.expect_end().await;
    drop(second);
    // Its line goes when the server has seen the end.
    while text(&mut first, "CLIENT LIST").await.lines().count() > 1 {}
    assert!(text(&mut first, "CLIENT LIST").await.contains(" name= "));
}

#[tokio::test]
async fn replies_can_be_switched_off_and_the_commands_are_executed_all_the_same() {
    let fake = Fake::default();
    let mut peer = start(&fake).await.connect().await;
    peer.send("CLIENT REPLY OFF\r\nINCR n\r\nGET n\r\nPING\r\nNOPE\r\nGET\r\nCLIENT REPLY ON\r\nGET n\r\n")
        .await;
    peer.expect("+OK\r\n$1\r\n1\r\n").await;
    peer.send("INCR n\r\nCLIENT REPLY SKIP\r\nINCR n\r\nINCR n\r\n").await;
    peer.expect(":2\r\n:4\r\n").await;
    peer.send("CLIENT REPLY OFF\r\nCLIENT REPLY SKIP\r\nPING\r\nPING\r\nRESET\r\nGET n\r\n").await;
    peer.expect("+RESET\r\n$1\r\n4\r\n").await;
    peer.send("CLIENT REPLY OFF\r\nMULTI\r\nINCR n\r\nEXEC\r\nCLIENT REPLY ON\r\nGET n\r\n").await;
    peer.expect("+OK\r\n$1\r\n5\r\n").await;
}

#[tokio::test]
async fn the_table_answers_for_keys_and_lists() {
    let mut peer = start(&Fake::default()).await.connect().await;
    for (request, reply) in [
        ("COMMAND GETKEYS MSET a 1 b 2", "*2\r\n$1\r\na\r\n$1\r\nb"),
        ("COMMAND GETKEYS get k", "*1\r\n$1\r\nk"),
        ("COMMAND GETKEYS DEL a b c", "*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc"),
        ("COMMAND GETKEYS PING", "-ERR The command has no key arguments"),
        ("COMMAND GETKEYS nope k", "-ERR Invalid command specified"),
        ("COMMAND GETKEYS GET", "-ERR Invalid number of arguments specified for command"),
        ("COMMAND GETKEYS", "-ERR wrong number of arguments for 'command|getkeys' command"),
        ("COMMAND LIST FILTERBY PATTERN *EXPIREA*", "*2\r\n$8\r\nexpireat\r\n$9\r\npexpireat"),
        ("COMMAND LIST FILTERBY MODULE json", "*0"),
        ("COMMAND LIST FILTERBY BLA x", "-ERR syntax error"),
    ] {
        peer.exchange(request, reply).await;
    }
}
