//! Reads beside the log.

use super::*;
use Freshness::{Linearizable, Stale};

#[tokio::test]
async fn a_pipeline_of_reads_is_one_look_and_no_operation() {
    let fake = Fake::default();
    let mut peer = start(&fake).await.connect().await;
    peer.send(&format!("{}PING\r\nMGET a b\r\nEXISTS a\r\n", "GET a\r\n".repeat(20))).await;
    peer.expect(&format!("{}+PONG\r\n*2\r\n$-1\r\n$-1\r\n:0\r\n", "$-1\r\n".repeat(20))).await;
    assert_eq!((fake.executed(), fake.looks()), (0, vec![Linearizable]));
    // What walks over many keys has a look of its own.
    peer.send("GET a\r\nKEYS *\r\nDBSIZE\r\nSCAN 0\r\n").await;
    peer.expect("$-1\r\n*0\r\n:0\r\n*2\r\n$1\r\n0\r\n*0\r\n").await;
    assert_eq!((fake.executed(), fake.looks().len()), (0, 5));
}

#[tokio::test]
async fn a_write_waits_for_the_reads_before_it_and_a_read_sees_the_writes_before_it() {
    let fake = Fake::default();
    let mut peer = start(&fake).await.connect().await;
    let (mut requests, mut replies) = (String::new(), String::from("$-1\r\n+OK\r\n$1\r\n0\r\n"));
    requests += "GET k\r\nSET k 0\r\nGET k\r\n";
    for number in 1..10 {
        requests += &format!("GET k\r\nSET k {number}\r\nGET k\r\nINCR k\r\nSET k {number}\r\n");
        let before = number - 1;
        replies += &format!("$1\r\n{before}\r\n+OK\r\n$1\r\n{number}\r\n:{}\r\n+OK\r\n", number + 1);
    }
    peer.send(&requests).await;
    peer.expect(&replies).await;
}

#[tokio::test]
async fn a_read_behind_a_write_under_way_takes_its_place_in_the_log() {
    let fake = Fake::default();
    let mut peer = start(&fake).await.connect().await;
    peer.send("INCR held\r\nGET k\r\n").await;
    fake.wait_until_executed(1).await;
    assert_eq!(fake.looks(), []);
    fake.release().await;
    peer.expect("$-1\r\n$-1\r\n").await;
    peer.exchange("GET k", "$-1").await;
    assert_eq!((fake.executed(), fake.looks()), (1, vec![Linearizable]));
}

#[tokio::test]
async fn a_walk_over_the_keys_waits_for_the_writes_before_it_and_never_goes_through_the_log() {
    let fake = Fake::default();
    let mut peer = start(&fake).await.connect().await;
    peer.send("SET k v\r\nINCR held\r\nKEYS *\r\nSCAN 0\r\nSET l v\r\nDBSIZE\r\n").await;
    fake.wait_until_held().await;
    assert_eq!((fake.executed(), fake.looks()), (1, vec![]));
    fake.release().await;
    let key = "*1\r\n$1\r\nk\r\n";
    peer.expect(&format!("+OK\r\n$-1\r\n{key}*2\r\n$1\r\n0\r\n{key}+OK\r\n:2\r\n")).await;
    assert_eq!(fake.looks().len(), 2);
}

#[tokio::test]
async fn reads_go_on_where_nothing_can_be_written_and_say_so_where_they_cannot() {
    let mut fake = Fake::default();
    let mut peer = start(&fake).await.connect().await;
    peer.exchange("SET k v", "+OK").await;
    peer.send("INCR refused\r\n").await;
    peer.expect("-CLUSTERDOWN no primary").await;
    peer.skip_to("\r\n").await;
    peer.exchange("GET k", "$1\r\nv").await;
    fake.refuses_looks = true;
    for (state, code) in [("normal", "-CLUSTERDOWN "), ("recovering", "-LOADING "), ("forming", "-LOADING ")]
    {
        fake.state = state;
        let mut peer = start(&fake).await.connect().await;
        for _ in 0..2 {
            peer.send("GET k\r\nGET k\r\nWATCH k\r\n").await;
            for _ in 0..3 {
                peer.expect(code).await;
                peer.skip_to("\r\n").await;
            }
        }
        peer.exchange("PING", "+PONG").await;
    }
}

#[tokio::test]
async fn stale_reads_are_asked_for_and_say_their_op() {
    let fake = Fake::default();
    let mut peer = start(&fake).await.connect().await;
    peer.exchange("VSR.READ", "*2\r\n$12\r\nlinearizable\r\n:0").await;
    peer.exchange("SET k v", "+OK").await;
    peer.send("GET k\r\nREADONLY\r\nGET k\r\nVSR.READ\r\nREADWRITE\r\nGET k\r\n").await;
    peer.expect("$1\r\nv\r\n+OK\r\n$1\r\nv\r\n*2\r\n$5\r\nstale\r\n:1\r\n+OK\r\n$1\r\nv\r\n").await;
    peer.send("vsr.read stale\r\nGET k\r\nRESET\r\nGET k\r\n").await;
    peer.expect("+OK\r\n$1\r\nv\r\n+RESET\r\n$1\r\nv\r\n").await;
    assert_eq!(fake.looks(), [Linearizable, Stale, Linearizable, Stale, Linearizable]);
    peer.exchange("VSR.READ bla", "-ERR syntax error").await;
    peer.exchange("VSR.READ stale now", "-ERR wrong number of arguments for 'vsr.read' command").await;
    peer.exchange("READONLY x", "-ERR wrong number of arguments for 'readonly' command").await;
}
