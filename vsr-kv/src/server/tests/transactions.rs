//! MULTI, EXEC and WATCH over a connection.

use super::*;

#[tokio::test]
async fn a_transaction_is_one_operation_whoever_answers_its_commands() {
    let fake = Fake::default();
    let mut peer = start(&fake).await.connect().await;
    peer.send("MULTI\r\nSET k v\r\nPING\r\nGET k\r\nINCR k\r\nECHO hi\r\nINCR n\r\nEXEC\r\n").await;
    peer.expect(&format!("+OK\r\n{}", "+QUEUED\r\n".repeat(6))).await;
    peer.expect(
        "*6\r\n+OK\r\n+PONG\r\n$1\r\nv\r\n-ERR value is not an integer or out of range\r\n$2\r\nhi\r\n:1\r\n",
    )
    .await;
    assert_eq!((fake.executed(), fake.looks()), (1, vec![]));
    peer.send("MULTI\r\nEXEC\r\nMULTI\r\nPING\r\nEXEC\r\n").await;
    peer.expect("+OK\r\n*0\r\n+OK\r\n+QUEUED\r\n*1\r\n+PONG\r\n").await;
}

#[tokio::test]
async fn refusals_have_the_words_of_redis() {
    let fake = Fake::default();
    let mut peer = start(&fake).await.connect().await;
    peer.exchange("EXEC", "-ERR EXEC without MULTI").await;
    peer.exchange("DISCARD", "-ERR DISCARD without MULTI").await;
    peer.exchange("MULTI", "+OK").await;
    peer.exchange("MULTI", "-ERR MULTI calls can not be nested").await;
    peer.exchange("WATCH k", "-ERR WATCH inside MULTI is not allowed").await;
    peer.exchange("INCR n", "+QUEUED").await;
    peer.exchange("EXEC", "*1\r\n:1").await;
    let abort = "-EXECABORT Transaction discarded because of previous errors.";
    for refused in
        ["NOPE", "GET", "SET k v EX 0", "EXPIRE k x", "HELLO 3", "CLIENT ID", "VSR.HEAL", "READONLY"]
    {
        peer.exchange("MULTI", "+OK").await;
        peer.exchange("INCR n", "+QUEUED").await;
        peer.send(&format!("{refused}\r\n")).await;
        peer.expect("-ERR ").await;
        peer.skip_to("\r\n").await;
        peer.exchange("INCR n", "+QUEUED").await;
        peer.exchange("EXEC", abort).await;
        peer.exchange("EXEC", "-ERR EXEC without MULTI").await;
    }
    peer.exchange("MULTI", "+OK").await;
    peer.exchange("INCR n", "+QUEUED").await;
    peer.exchange("DISCARD", "+OK").await;
    peer.send("MULTI\r\nINCR n\r\nRESET\r\nEXEC\r\n").await;
    peer.expect("+OK\r\n+QUEUED\r\n+RESET\r\n-ERR EXEC without MULTI\r\n").await;
    peer.exchange("GET n", "$1\r\n1").await;
    peer.send("MULTI\r\nINCR n\r\nQUIT\r\n").await;
    peer.expect("+OK\r\n+QUEUED\r\n+OK\r\n").await;
    peer.expect_end().await;
    assert_eq!(fake.executed(), 1);
}

#[tokio::test]
async fn a_watched_key_that_changed_calls_the_transaction_off() {
    let fake = Fake::default();
    let server = start(&fake).await;
    let (mut peer, mut other) = (server.connect().await, server.connect().await);
    for (reset, null) in [("RESET", "*-1"), ("HELLO 3", "_")] {
        peer.send(&format!("{reset}\r\nECHO end\r\n")).await;
        peer.skip_to("end\r\n").await;
        peer.exchange("WATCH k k other", "+OK").await;
        other.exchange("SET k v", "+OK").await;
        peer.send("MULTI\r\nINCR n\r\nEXEC\r\n").await;
        peer.expect(&format!("+OK\r\n+QUEUED\r\n{null}\r\n")).await;
        // It watches no more.
        other.exchange("SET k v", "+OK").await;
        peer.send("MULTI\r\nDEL n\r\nEXEC\r\n").await;
        peer.expect("+OK\r\n+QUEUED\r\n*1\r\n:0\r\n").await;
    }
    for forgets in ["UNWATCH", "MULTI\r\nDISCARD"] {
        peer.exchange("WATCH k", "+OK").await;
        other.exchange("SET k v", "+OK").await;
        peer.send(&format!("{forgets}\r\nMULTI\r\nINCR n\r\nEXEC\r\n")).await;
        peer.skip_to("+QUEUED\r\n").await;
        peer.expect("*1\r\n:").await;
        peer.skip_to("\r\n").await;
    }
}

#[tokio::test]
async fn a_key_is_watched_after_the_own_writes_before_and_seen_by_the_own_writes_after() {
    let fake = Fake::default();
    let mut peer = start(&fake).await.connect().await;
    // All in one piece.
    peer.send("SET k v\r\nWATCH k\r\nGET k\r\nMULTI\r\nAPPEND k w\r\nEXEC\r\n").await;
    peer.expect("+OK\r\n+OK\r\n$1\r\nv\r\n+OK\r\n+QUEUED\r\n*1\r\n:2\r\n").await;
    peer.send("INCR held\r\nWATCH k\r\n").await;
    fake.wait_until_held().await;
    let before = fake.looks().len();
    fake.release().await;
    peer.expect("$-1\r\n+OK\r\n").await;
    assert_eq!(fake.looks().len(), before + 1, "it waits for what is under way");
    peer.send("WATCH k\r\nSET k x\r\nMULTI\r\nAPPEND k w\r\nEXEC\r\n").await;
    peer.expect("+OK\r\n+OK\r\n+OK\r\n+QUEUED\r\n*-1\r\n").await;
}

#[tokio::test]
async fn what_is_queued_and_watched_is_bounded() {
    let fake = Fake::default();
    let mut peer = start(&fake).await.connect().await;
    let value = "v".repeat(1 << 20);
    let set = format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${}\r\n{value}\r\n", value.len());
    peer.send(&format!("MULTI\r\n{}", set.repeat(3))).await;
    peer.expect("+OK\r\n+QUEUED\r\n+QUEUED\r\n-ERR the transaction is too large").await;
    peer.skip_to("\r\n").await;
    peer.exchange("EXEC", "-EXECABORT Transaction discarded because of previous errors.").await;
    peer.send(&format!("MULTI\r\n{}EXEC\r\n", "KEYS *\r\n".repeat(49))).await;
    peer.expect(&format!("+OK\r\n{}-ERR the transaction is too large", "+QUEUED\r\n".repeat(48))).await;
    peer.skip_to("\r\n").await;
    peer.skip_to("\r\n").await;
    let keys: String = (0..1025).map(|number| format!(" k{number}")).collect();
    peer.send(&format!("WATCH{keys}\r\n")).await;
    peer.expect("-ERR a connection watches at most 1024 keys").await;
    peer.skip_to("\r\n").await;
    // What was not watched does not guard: so nothing is done.
    let abort = "-EXECABORT Transaction discarded because of previous errors.\r\n";
    peer.send("MULTI\r\nINCR n\r\nEXEC\r\nEXISTS n\r\n").await;
    peer.expect(&format!("+OK\r\n+QUEUED\r\n{abort}:0\r\n")).await;
    // As many as a pipeline of a client library has.
    peer.send(&format!("MULTI\r\n{}EXEC\r\n", "INCR n\r\n".repeat(20_000))).await;
    peer.expect(&format!("+OK\r\n{}*20000\r\n:1\r\n", "+QUEUED\r\n".repeat(20_000))).await;
    peer.skip_to(":20000\r\n").await;
}

#[tokio::test]
async fn who_could_not_watch_executes_nothing_until_told_that_it_does_not_watch() {
    let mut fake = Fake::default();
    fake.refuses_looks = true;
    let mut peer = start(&fake).await.connect().await;
    let abort = "-EXECABORT Transaction discarded because of previous errors.\r\n";
    for (forgets, outcome) in [("PING", abort), ("UNWATCH", "*1\r\n:1\r\n"), ("RESET", "*1\r\n:2\r\n")] {
        peer.send(&format!("WATCH k\r\n{forgets}\r\nMULTI\r\nINCR n\r\nEXEC\r\n")).await;
        peer.expect("-CLUSTERDOWN ").await;
        peer.skip_to("+QUEUED\r\n").await;
        peer.expect(outcome).await;
    }
}
