//! Replicas that die and are cut off while clients work.

use super::wire::Peer;
use super::{dev, dev_with, port, roles};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Increments `n` over and over until told to stop; how often it was answered, always with a number.
async fn increment(port: u16, done: watch::Sender<u64>, stop: watch::Receiver<bool>) -> u64 {
    let mut peer = Peer::connect(port).await;
    let mut count = 0;
    while !*stop.borrow() {
        let reply = peer.ask("INCR n").await;
        assert!(reply.starts_with(':'), "{reply}");
        count += 1;
        done.send_modify(|done| *done += 1);
    }
    count
}

/// Waits for another hundred increments.
async fn progress(done: &mut watch::Receiver<u64>) {
    let wanted = *done.borrow_and_update() + 100;
    done.wait_for(|done| *done >= wanted).await.expect("clients at work");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn increments_are_counted_once_while_primaries_die() {
    let dev = dev().await;
    let (stop, stopped) = watch::channel(false);
    let (done, mut done_seen) = watch::channel(0);
    let mut clients = JoinSet::new();
    for address in dev.addresses() {
        for _ in 0..2 {
            clients.spawn(increment(address.port(), done.clone(), stopped.clone()));
        }
    }
    // Orders go through a replica that stays up.
    for _ in 0..2 {
        progress(&mut done_seen).await;
        let (primary, backups) = roles(&dev).await;
        let mut control = Peer::connect(port(&dev, backups[0])).await;
        assert_eq!(control.ask(&format!("VSR.CRASH {}", primary.0)).await, "+OK");
        progress(&mut done_seen).await;
        assert_eq!(control.ask(&format!("VSR.RESTART {}", primary.0)).await, "+OK");
        progress(&mut done_seen).await;
        assert_eq!(control.ask("VSR.PARTITION").await, "+OK");
        progress(&mut done_seen).await;
        assert_eq!(control.ask("VSR.HEAL").await, "+OK");
    }
    progress(&mut done_seen).await;
    stop.send_replace(true);
    let counted: u64 = clients.join_all().await.into_iter().sum();
    for address in dev.addresses() {
        let mut peer = Peer::connect(address.port()).await;
        peer.ask("GET n").await;
        assert_eq!(peer.line().await, counted.to_string());
    }
    dev.cluster().await_convergence().await.expect("replicas that agree");
    dev.shutdown().await.expect("healthy replicas");
}

#[tokio::test]
async fn the_port_of_a_crashed_replica_still_serves() {
    let dev = dev().await;
    let (primary, _) = roles(&dev).await;
    let mut peer = Peer::connect(port(&dev, primary)).await;
    assert_eq!(peer.ask("INCR n").await, ":1");
    assert_eq!(peer.ask(&format!("VSR.CRASH {}", primary.0)).await, "+OK");
    assert_eq!(peer.ask("INCR n").await, ":2");
    let refused = format!("-ERR {}", dev.cluster().crash(primary).await.expect_err("it is down"));
    assert_eq!(peer.ask(&format!("VSR.CRASH {}", primary.0)).await, refused);
    assert!(peer.ask("VSR.CRASH 7").await.starts_with("-ERR there is no replica 7"));
    assert!(peer.ask("VSR.RESTART x").await.starts_with("-ERR 'x' is no replica"));
    assert_eq!(peer.ask(&format!("VSR.RESTART {}", primary.0)).await, "+OK");
    assert_eq!(peer.ask("INCR n").await, ":3");
    dev.shutdown().await.expect("healthy replicas");
}

#[tokio::test]
async fn status_names_view_and_primary() {
    let dev = dev().await;
    let (primary, backups) = roles(&dev).await;
    let mut peer = Peer::connect(port(&dev, backups[0])).await;
    assert_eq!(peer.ask("SET k v").await, "+OK");
    assert_eq!(peer.ask(&format!("VSR.CRASH {}", primary.0)).await, "+OK");
    let (next, _) = roles(&dev).await;
    peer.send(b"VSR.STATUS\r\nECHO end\r\n").await;
    let mut lines = Vec::new();
    while lines.last().is_none_or(|line| line != "end") {
        lines.push(peer.line().await);
    }
    let text = lines.join(" ");
    assert!(text.contains(&format!("id :{} $5 state $7 crashed", primary.0)), "{text}");
    assert!(text.contains(&format!("id :{} $5 state $6 normal", next.0)), "{text}");
    assert_eq!(text.matches("$3 yes").count(), 1, "{text}");
    dev.shutdown().await.expect("healthy replicas");
}

#[tokio::test]
async fn without_a_quorum_the_outcome_is_unknown_and_without_a_replica_nothing_happens() {
    let dev = dev_with(Duration::from_millis(300)).await;
    let (primary, backups) = roles(&dev).await;
    let mut peer = Peer::connect(port(&dev, primary)).await;
    assert_eq!(peer.ask("INCR n").await, ":1");
    for backup in &backups {
        dev.cluster().crash(*backup).await.expect("it runs");
    }
    // The primary has proposed it before it knows that nobody answers.
    let reply = peer.ask("INCR n").await;
    assert!(reply.starts_with("-ERR UNKNOWNOUTCOME "), "{reply}");
    // A read changes nothing, so nothing is unknown about it.
    let reply = peer.ask("GET n").await;
    assert!(reply.starts_with("-CLUSTERDOWN "), "{reply}");
    assert_eq!(peer.ask("READONLY").await, "+OK");
    assert_eq!((peer.ask("GET n").await.as_str(), peer.line().await.as_str()), ("$1", "1"));
    assert_eq!(peer.ask("READWRITE").await, "+OK");
    dev.cluster().crash(primary).await.expect("it runs");
    assert_eq!(peer.ask("PING").await, "+PONG");
    for id in dev.cluster().ids() {
        dev.cluster().restart(*id).await.expect("it is down");
    }
    dev.cluster().primary().await.expect("a primary");
    let reply = peer.ask("INCR n").await;
    assert!(reply == ":2" || reply == ":3", "{reply}");
    dev.shutdown().await.expect("healthy replicas");
}

#[tokio::test]
async fn what_no_replica_ever_saw_may_be_tried_again() {
    let dev = dev_with(Duration::from_millis(300)).await;
    let (primary, _) = roles(&dev).await;
    let mut peer = Peer::connect(port(&dev, primary)).await;
    assert_eq!(peer.ask("INCR n").await, ":1");
    for id in dev.cluster().ids() {
        dev.cluster().crash(*id).await.expect("it runs");
    }
    let reply = peer.ask("INCR n").await;
    assert!(reply.starts_with("-CLUSTERDOWN "), "{reply}");
    for id in dev.cluster().ids() {
        dev.cluster().restart(*id).await.expect("it is down");
    }
    dev.cluster().primary().await.expect("a primary");
    assert_eq!(peer.ask("INCR n").await, ":2");
    dev.shutdown().await.expect("healthy replicas");
}

#[tokio::test]
async fn stale_reads_show_what_the_replica_behind_the_port_has_and_others_what_the_group_has() {
    let dev = dev().await;
    let (primary, backups) = roles(&dev).await;
    let mut cut_off = Peer::connect(port(&dev, primary)).await;
    assert_eq!(cut_off.ask("SET k old").await, "+OK");
    let mut other = Peer::connect(port(&dev, backups[0])).await;
    assert_eq!(other.ask("VSR.PARTITION").await, "+OK");
    assert_eq!(other.ask("SET k new").await, "+OK");
    assert_eq!(cut_off.ask("READONLY").await, "+OK");
    assert_eq!((cut_off.ask("GET k").await.as_str(), cut_off.line().await.as_str()), ("$3", "old"));
    let stale = read_op(&mut cut_off, "stale").await;
    assert_eq!(cut_off.ask("READWRITE").await, "+OK");
    assert_eq!((cut_off.ask("GET k").await.as_str(), cut_off.line().await.as_str()), ("$3", "new"));
    let now = read_op(&mut cut_off, "linearizable").await;
    assert!(stale < now, "{stale}, then {now}");
    assert_eq!(other.ask("VSR.HEAL").await, "+OK");
    dev.shutdown().await.expect("healthy replicas");
}

/// The op of the last read of a connection.
async fn read_op(peer: &mut Peer, mode: &str) -> u64 {
    peer.send(b"VSR.READ\r\n").await;
    let told = [peer.line().await, peer.line().await, peer.line().await];
    assert_eq!(told, ["*2".to_owned(), format!("${}", mode.len()), mode.to_owned()]);
    peer.line().await[1..].parse().expect("a number")
}
