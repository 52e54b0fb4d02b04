//! The front-end over real sockets, before a store of its own that can be told to answer late, or not at all.

mod auth;
mod clients;
mod fake;
mod reads;
mod transactions;

use super::*;
use fake::{Fake, start, start_with};

#[tokio::test]
async fn replies_keep_the_order_of_the_requests_whoever_answers() {
    let fake = Fake::default();
    let mut peer = start(&fake).await.connect().await;
    peer.send("INCR held\r\nPING\r\nSET k v\r\nNOPE\r\nGET k\r\nHELLO 3\r\nGET missing\r\n").await;
    fake.release().await;
    peer.expect(
        "$-1\r\n+PONG\r\n+OK\r\n-ERR unknown command 'NOPE', with args beginning with: \r\n$1\r\nv\r\n%7\r\n",
    )
    .await;
    peer.skip_to("*0\r\n").await;
    peer.expect("_\r\n").await;
}

#[tokio::test]
async fn a_reply_has_the_protocol_of_its_request() {
    let fake = Fake::default();
    let mut peer = start(&fake).await.connect().await;
    peer.send("INCR held\r\nHELLO 3\r\n").await;
    fake.release().await;
    peer.expect("$-1\r\n%7\r\n").await;
}

#[tokio::test]
async fn hello_answers_in_byte_strings() {
    let mut peer = start(&Fake::default()).await.connect().await;
    peer.send("HELLO 3 AUTH default x SETNAME me\r\nCLIENT GETNAME\r\n").await;
    peer.expect("%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.4.0\r\n$5\r\nproto\r\n:3\r\n$2\r\nid\r\n:").await;
    peer.skip_to("\r\n").await;
    peer.expect("$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n")
        .await;
    peer.expect("$2\r\nme\r\n").await;
    let refused = [
        ("HELLO 4", "-NOPROTO unsupported protocol version"),
        ("HELLO x", "-ERR Protocol version is not an integer or out of range"),
        ("HELLO 3 BLA", "-ERR Syntax error in HELLO option 'BLA'"),
        ("HELLO 2 AUTH other x", "-WRONGPASS invalid username-password pair or user is disabled."),
        (
            "CLIENT SETNAME \"a b\"",
            "-ERR Client names cannot contain spaces, newlines or special characters.",
        ),
    ];
    for (request, reply) in refused {
        peer.exchange(request, reply).await;
    }
    peer.exchange("RESET", "+RESET").await;
    peer.exchange("CLIENT GETNAME", "$-1").await;
}

#[tokio::test]
async fn what_connections_answer_themselves() {
    let mut peer = start(&Fake::default()).await.connect().await;
    let exchanges = [
        ("ping hi", "$2\r\nhi"),
        ("ECHO x", "$1\r\nx"),
        ("SELECT 0", "+OK"),
        ("SELECT 1", "-ERR DB index is out of range"),
        ("CONFIG GET save", "*2\r\n$4\r\nsave\r\n$0\r\n"),
        ("CONFIG GET append* nothing", "*2\r\n$10\r\nappendonly\r\n$2\r\nno"),
        ("CONFIG SET save x", "-ERR CONFIG SET is not supported yet"),
        ("CONFIG BLA", "-ERR unknown subcommand 'BLA'"),
        ("CLIENT ID x", "-ERR wrong number of arguments for 'client|id' command"),
        ("CLIENT SETINFO LIB-NAME me", "+OK"),
        ("CLIENT MAINT_NOTIFICATIONS ON", "-ERR unknown subcommand 'MAINT_NOTIFICATIONS'"),
        ("ROLE", "*3\r\n$6\r\nmaster\r\n:0\r\n*0"),
        (
            "COMMAND INFO get nope",
            "*2\r\n*10\r\n$3\r\nget\r\n:2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n*0\r\n*0\r\n*0\r\n*0\r\n*-1",
        ),
        (
            "COMMAND DOCS incr",
            "*2\r\n$4\r\nincr\r\n*6\r\n$7\r\nsummary\r\n$9\r\nAdds one.\r\n$5\r\nsince\r\n$5\r\n0.1.0\r\n$5\r\ngroup\r\n$6\r\nstring",
        ),
        (
            "AUTH x",
            "-ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
        ),
        (
            "VSR.STATUS",
            "*1\r\n*14\r\n$2\r\nid\r\n:0\r\n$5\r\nstate\r\n$6\r\nnormal\r\n$7\r\nprimary\r\n$3\r\nyes\r\n$4\r\nview\r\n:7\r\n$2\r\nop\r\n:3\r\n$6\r\ncommit\r\n:2\r\n$7\r\napplied\r\n:1",
        ),
        ("VSR.CRASH 0", "+OK"),
        ("VSR.CRASH 5", "-ERR there is no replica 5"),
    ];
    for (request, reply) in exchanges {
        peer.exchange(request, reply).await;
    }
    peer.send("INFO server\r\n").await;
    peer.skip_to("# Server\r\nvsr_kv_version:").await;
    peer.skip_to("\r\nredis_version:7.4.0\r\n").await;
}

#[tokio::test]
async fn orders_for_the_group_wait_for_earlier_commands_and_need_dev_mode() {
    let fake = Fake::default();
    let mut peer = start(&fake).await.connect().await;
    peer.send("INCR held\r\nVSR.HEAL\r\n").await;
    // Both were in one read, so the order was seen too.
    fake.wait_until_held().await;
    assert_eq!(fake.orders(), []);
    fake.release().await;
    peer.expect("$-1\r\n+OK\r\n").await;
    assert_eq!(fake.orders(), [Control::Heal]);
    let mut fake = Fake::default();
    fake.dev = false;
    let mut peer = start(&fake).await.connect().await;
    peer.exchange("VSR.HEAL", "-ERR VSR.HEAL works in dev mode only").await;
}

#[tokio::test]
async fn failures_say_whether_to_try_again_and_leave_the_connection_open() {
    let mut peer = start(&Fake::default()).await.connect().await;
    for (key, code) in [
        ("refused", "-CLUSTERDOWN no primary"),
        ("overloaded", "-TRYAGAIN "),
        ("unknown", "-ERR UNKNOWNOUTCOME "),
    ] {
        peer.send(&format!("INCR {key}\r\n")).await;
        peer.expect(code).await;
        peer.skip_to("\r\n").await;
        peer.exchange("PING", "+PONG").await;
    }
}

#[tokio::test]
async fn malformed_input_ends_its_connection_after_the_replies_before_it_and_no_other() {
    let server = start(&Fake::default()).await;
    let mut other = server.connect().await;
    for (bytes, error) in [
        ("*1\r\n$99999999999\r\n", "invalid bulk length"),
        ("*99999999\r\n", "invalid multibulk length"),
        ("*1\r\nPING\r\n", "expected '$', got 'P'"),
        ("SET k 'x\r\n", "unbalanced quotes in request"),
    ] {
        let mut peer = server.connect().await;
        // Bytes behind the malformed ones must not cost the client its error reply.
        peer.send(&format!("SET k v\r\n{bytes}{}", "x".repeat(100_000))).await;
        peer.expect(&format!("+OK\r\n-ERR Protocol error: {error}\r\n")).await;
        peer.expect_end().await;
    }
    let mut peer = server.connect().await;
    peer.send("POST / HTTP/1.1\r\nHost: x\r\n\r\nSET k stolen\r\n").await;
    peer.expect_end().await;
    other.exchange("GET k", "$1\r\nv").await;
}

#[tokio::test]
async fn quit_and_the_end_of_input_still_get_their_replies() {
    let server = start(&Fake::default()).await;
    let mut peer = server.connect().await;
    peer.send("INCR n\r\nQUIT\r\nINCR n\r\n").await;
    peer.expect(":1\r\n+OK\r\n").await;
    peer.expect_end().await;
    let settings = Settings { pipeline_max: 2, ..Settings::default() };
    let mut peer = start_with(&Fake::default(), settings).await.connect().await;
    peer.send("INCR n\r\nINCR n\r\nINCR n\r\nINCR n\r\n").await;
    peer.close_sending().await;
    peer.expect(":1\r\n:2\r\n:3\r\n:4\r\n").await;
    peer.expect_end().await;
}

#[tokio::test]
async fn one_connection_too_many_is_told_so() {
    let server = start_with(&Fake::default(), Settings { connections_max: 1, ..Settings::default() }).await;
    let mut first = server.connect().await;
    first.exchange("PING", "+PONG").await;
    let mut second = server.connect().await;
    second.expect("-ERR max number of clients reached\r\n").await;
    second.expect_end().await;
    first.exchange("PING", "+PONG").await;
    first.send("QUIT\r\n").await;
    first.expect("+OK\r\n").await;
    first.expect_end().await;
    drop(first);
    // The place is free once the server has seen the end; until then it refuses.
    loop {
        let mut third = server.connect().await;
        if third.answers_ping().await {
            break;
        }
    }
}

#[tokio::test]
async fn a_client_that_takes_no_replies_is_not_read_any_more() {
    let fake = Fake::default();
    let settings = Settings { pipeline_max: 4, ..Settings::default() };
    let mut peer = start_with(&fake, settings).await.connect().await;
    peer.send(&format!("INCR held\r\n{}", "INCR n\r\n".repeat(20))).await;
    fake.wait_until_executed(3).await;
    // The fifth command has no place before the first reply is out.
    assert_eq!(fake.executed(), 3);
    fake.release().await;
    let expected: String = (1..=20).map(|number| format!(":{number}\r\n")).collect();
    peer.expect(&format!("$-1\r\n{expected}")).await;
}

#[tokio::test]
async fn a_client_of_large_replies_has_fewer_requests_under_way() {
    let fake = Fake::default();
    let settings = Settings { pending_bytes_max: 1 << 20, ..Settings::default() };
    let mut peer = start_with(&fake, settings).await.connect().await;
    let twenty = format!("INCR held\r\n{}", "INCR n\r\n".repeat(20));
    peer.send(&twenty).await;
    fake.wait_until_executed(20).await;
    fake.release().await;
    let first: String = (1..=20).map(|number| format!(":{number}\r\n")).collect();
    peer.expect(&format!("$-1\r\n{first}")).await;
    let value = "v".repeat(256 << 10);
    peer.send(&format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${}\r\n{value}\r\nGET k\r\n", value.len())).await;
    peer.expect(&format!("+OK\r\n${}\r\n{value}\r\n", value.len())).await;
    let before = fake.executed();
    peer.send(&twenty).await;
    fake.wait_until_executed(before + 3).await;
    // Four replies of that size would be as much as may wait.
    assert_eq!(fake.executed(), before + 3);
    fake.release().await;
    let second: String = (21..=40).map(|number| format!(":{number}\r\n")).collect();
    peer.expect(&format!("$-1\r\n{second}")).await;
}

#[tokio::test]
async fn patterns_that_would_cost_much_time_are_refused() {
    let mut peer = start(&Fake::default()).await.connect().await;
    let refused = "-ERR CONFIG GET takes at most 32 patterns of at most 64 bytes";
    peer.exchange(&format!("CONFIG GET {}", "*".repeat(65)), refused).await;
    peer.exchange(&format!("CONFIG GET{}", " *".repeat(33)), refused).await;
    let longest = format!("{}save", "*".repeat(60));
    peer.exchange(&format!("CONFIG GET{}", format!(" {longest}").repeat(32)), "*2\r\n$4\r\nsave\r\n$0\r\n")
        .await;
}

#[tokio::test]
async fn a_shutdown_answers_what_was_read() {
    let fake = Fake::default();
    let server = start(&fake).await;
    let mut peer = server.connect().await;
    peer.send("INCR n\r\nINCR held\r\n").await;
    peer.expect(":1\r\n").await;
    fake.wait_until_held().await;
    server.order_to_stop();
    fake.release().await;
    peer.expect("$-1\r\n").await;
    peer.expect_end().await;
    drop(peer);
    server.ended().await;
}

#[tokio::test]
async fn values_of_every_size_pass() {
    let mut peer = start(&Fake::default()).await.connect().await;
    for size in [0, 1, 4095, 4096, 70_000, 1 << 20] {
        let value = "\r\n*x".repeat(size / 4 + 1);
        let value = &value[..size];
        peer.send(&format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${size}\r\n{value}\r\nGET k\r\n")).await;
        peer.expect(&format!("+OK\r\n${size}\r\n{value}\r\n")).await;
    }
}

#[tokio::test]
async fn a_long_pipeline_is_answered_in_order() {
    let mut peer = start(&Fake::default()).await.connect().await;
    let requests = 20_000;
    peer.send(&"INCR n\r\n".repeat(requests)).await;
    let expected: String = (1..=requests).map(|number| format!(":{number}\r\n")).collect();
    peer.expect(&expected).await;
}
