//! Several nodes: requests at any of them, and errors that say no more than is known.

use super::*;

#[tokio::test(start_paused = true)]
async fn requests_at_any_node_are_served_in_real_time_order() {
    for nodes in [2, 3, 5] {
        let mut net = Net::new(nodes).await;
        for round in 0..30_usize {
            let (one, other) = (round % nodes, (round + 1) % nodes);
            assert_eq!(net.ask(one, write("k", round)).await, write_ok());
            assert_eq!(net.ask(other, read("k")).await, read_ok(round));
            assert_eq!(net.ask(other, cas("k", round, -1)).await, cas_ok());
            assert_eq!(net.error(one, cas("k", round, -2)).await, 22);
        }
        net.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn of_many_at_once_one_wins() {
    let mut net = Net::new(3).await;
    assert_eq!(net.ask(0, write("k", "free")).await, write_ok());
    for client in 0..300 {
        net.send(client % 3, cas("k", "free", client)).await;
    }
    let mut won = 0;
    for _ in 0..300 {
        let answer = net.answer().await;
        won += usize::from(answer == cas_ok());
        assert!(answer == cas_ok() || answer["code"] == 22, "{answer}");
    }
    assert_eq!(won, 1);
    net.end().await;
}

#[tokio::test(start_paused = true)]
async fn without_a_majority_nothing_is_done_and_that_is_certain() {
    let mut net = Net::started(3);
    net.cut_off.extend([0, 1, 2]);
    for node in 0..3 {
        net.init(node).await;
    }
    // Nobody can have proposed anything: the group has not even formed.
    for body in [write(0, 1), cas(0, 1, 2), read(0)] {
        assert_eq!(net.error(1, body).await, 11);
    }
    net.cut_off.clear();
    assert_eq!(net.error(1, read(0)).await, 20);
    net.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_change_that_may_still_happen_is_a_time_out() {
    let mut net = Net::new(3).await;
    for node in [0, 1] {
        assert_eq!(net.ask(node, write(node, "before")).await, write_ok());
    }
    // The primary has proposed it; a backup has passed it on, or will.
    for node in [0, 1] {
        net.cut_off = HashSet::from([node]);
        assert_eq!(net.error(node, write(node, "late")).await, 0);
        // A read has no effect that could come late.
        assert_eq!(net.error(node, read(0)).await, 11);
        net.cut_off.clear();
        // And it does happen, long after the client was told.
        let mut seen = net.ask(node, read(node)).await;
        while seen != read_ok("late") {
            seen = net.ask(node, read(node)).await;
        }
    }
    net.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_others_go_on_without_the_primary() {
    let mut net = Net::new(5).await;
    assert_eq!(net.ask(0, write("k", 1)).await, write_ok());
    net.cut_off = HashSet::from([0, 4]);
    // Within the patience of one client: the time-out of a backup is 500 ms.
    assert_eq!(net.ask(2, cas("k", 1, 2)).await, cas_ok());
    assert_eq!(net.ask(3, read("k")).await, read_ok(2));
    net.cut_off.clear();
    assert_eq!(net.ask(0, read("k")).await, read_ok(2));
    net.end().await;
}

#[tokio::test(start_paused = true)]
async fn no_answer_is_lost_when_there_are_too_many_requests() {
    let mut net = Net::new(3).await;
    assert_eq!(net.ask(0, write(0, "before")).await, write_ok());
    net.cut_off.insert(0);
    for number in 0..5000 {
        net.send(0, json!({ "type": "write", "msg_id": number, "key": 0, "value": number })).await;
    }
    let mut open: HashSet<u64> = (0..5000).collect();
    let mut codes = HashSet::new();
    while !open.is_empty() {
        let answer = net.answer().await;
        assert!(open.remove(&answer["in_reply_to"].as_u64().expect("a number")), "twice: {answer}");
        codes.insert(answer["code"].as_u64().expect("an error"));
    }
    assert_eq!(codes, HashSet::from([0, 11]), "in time out, or not taken");
    net.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_has_lost_its_memory_is_kept_out_and_says_so() {
    let mut net = Net::new(3).await;
    assert_eq!(net.ask(0, write("k", 1)).await, write_ok());
    net.inputs[2] = None;
    let ended = net.nodes.join_next().await.expect("it was there");
    ended.expect("it does not panic").expect("it ends well");
    net.start(2);
    net.send(2, json!({ "type": "init", "msg_id": 1, "node_id": "n2", "node_ids": ["n0", "n1", "n2"] }))
        .await;
    net.send(2, write("k", 2)).await;
    assert_eq!(net.answer().await, json!({ "type": "init_ok", "in_reply_to": 1 }));
    // It is not said to be certain, whoever may have heard of the request.
    let answer = net.answer().await;
    assert_eq!((&answer["code"], &answer["in_reply_to"]), (&json!(13), &json!(3)));
    let ended = net.nodes.join_next().await.expect("it was there").expect("it does not panic");
    assert!(matches!(ended, Err(NodeError::Replica(_))), "{ended:?}");
    net.inputs[2] = None;
    assert_eq!(net.ask(1, read("k")).await, read_ok(1));
    net.end().await;
}
