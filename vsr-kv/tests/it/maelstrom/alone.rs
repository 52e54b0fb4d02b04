//! One node: what it answers.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_conversation() {
    let mut net = Net::new(1).await;
    let echo = json!({ "type": "echo", "msg_id": 9, "echo": { "a": [1, null] } });
    assert_eq!(
        net.ask(0, echo).await,
        json!({ "type": "echo_ok", "in_reply_to": 9, "echo": { "a": [1, null] } })
    );
    assert_eq!(net.error(0, read(0)).await, 20);
    assert_eq!(net.error(0, cas(0, 1, 2)).await, 20);
    assert_eq!(net.ask(0, write(0, 3)).await, write_ok());
    assert_eq!(net.ask(0, read(0)).await, read_ok(3));
    assert_eq!(net.ask(0, cas(0, 3, 4)).await, cas_ok());
    assert_eq!(net.error(0, cas(0, 3, 5)).await, 22);
    assert_eq!(net.ask(0, read(0)).await, read_ok(4));
    net.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_compare_and_set_may_create() {
    let mut net = Net::new(1).await;
    let create = |create: bool, from: u64, to: u64| {
        let mut body = cas(1, from, to);
        body["create_if_not_exists"] = create.into();
        body
    };
    assert_eq!(net.error(0, create(false, 0, 1)).await, 20);
    assert_eq!(net.ask(0, create(true, 0, 1)).await, cas_ok());
    assert_eq!(net.error(0, create(true, 0, 2)).await, 22);
    assert_eq!(net.ask(0, create(true, 1, 2)).await, cas_ok());
    assert_eq!(net.ask(0, read(1)).await, read_ok(2));
    net.end().await;
}

#[tokio::test(start_paused = true)]
async fn keys_and_values_are_any_json_and_come_back_as_they_were() {
    let mut net = Net::new(1).await;
    let all = [
        "null",
        "false",
        "true",
        "0",
        "-0",
        "1",
        "1.0",
        "1e+2",
        "100",
        "-7",
        "18446744073709551616",
        "1e+400",
        "0.1000000000000000055511151231257827",
        "123456789012345678901234567890.5",
        r#""""#,
        r#""null""#,
        r#""ü \" \\ \n""#,
        "[]",
        "[null]",
        "[[1],{}]",
        "{}",
        r#"{"a":{"b":[false]},"key":1e-3}"#,
    ];
    // Each is a key of its own, and a value.
    for (place, text) in all.iter().enumerate() {
        let request = format!(r#"{{"type":"write","msg_id":3,"key":{text},"value":[{text},{place}]}}"#);
        net.line(0, format!(r#"{{"src":"c1","dest":"n0","body":{request}}}"#)).await;
        assert_eq!(net.answer().await, write_ok(), "{text}");
    }
    for (place, text) in all.iter().enumerate() {
        let request = format!(r#"{{"type":"read","msg_id":2,"key":{text}}}"#);
        net.line(0, format!(r#"{{"src":"c1","dest":"n0","body":{request}}}"#)).await;
        let answer = net.answer().await.to_string();
        assert_eq!(answer, format!(r#"{{"in_reply_to":2,"type":"read_ok","value":[{text},{place}]}}"#));
    }
    // A compare-and-set compares what they are, not how they are laid out.
    assert_eq!(net.ask(0, write("k", json!({ "a": 1, "b": false }))).await, write_ok());
    net.line(
        0,
        r#"{"src":"c1","dest":"n0","body":{"type":"cas","msg_id":4,"key":"k","from":{ "b" : false, "a" : 1 },"to":null}}"#,
    )
    .await;
    assert_eq!(net.answer().await, cas_ok());
    assert_eq!(net.ask(0, read("k")).await, read_ok(Value::Null));
    assert_eq!(net.error(0, cas("k", false, 1)).await, 22);
    assert_eq!(net.ask(0, cas("k", Value::Null, false)).await, cas_ok());
    assert_eq!(net.ask(0, cas("k", false, 0)).await, cas_ok());
    net.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_request_without_a_number_is_answered_without_one() {
    let mut net = Net::new(1).await;
    let bare = |mut body: Value| {
        body.as_object_mut().expect("an object").remove("msg_id");
        body
    };
    assert_eq!(net.error(0, bare(read(0))).await, 20);
    assert_eq!(net.ask(0, bare(write(0, 1))).await, json!({ "type": "write_ok" }));
    assert_eq!(net.ask(0, bare(read(0))).await, json!({ "type": "read_ok", "value": 1 }));
    assert_eq!(net.ask(0, bare(cas(0, 1, 2))).await, json!({ "type": "cas_ok" }));
    net.end().await;
}

#[tokio::test(start_paused = true)]
async fn before_init_nothing_is_served_and_nothing_breaks() {
    let mut net = Net::started(1);
    for body in [read(0), write(0, 1), cas(0, 1, 2), json!({ "type": "echo", "msg_id": 5, "echo": 1 })] {
        assert_eq!(net.error(0, body).await, 11);
    }
    assert_eq!(net.error(0, json!({ "type": "txn", "msg_id": 6 })).await, 10);
    assert_eq!(net.error(0, json!({ "type": "write", "msg_id": 6 })).await, 12);
    net.send(0, json!({ "type": "vsr", "message": "AAAA" })).await;
    net.send(0, json!({ "type": "read_ok", "in_reply_to": 1 })).await;
    net.init(0).await;
    assert_eq!(net.error(0, read(0)).await, 20);
    net.end().await;
}

#[tokio::test(start_paused = true)]
async fn unknown_types_and_wrong_shapes_are_refused() {
    let mut net = Net::new(1).await;
    for kind in ["", "Read", "txn", "init_ok", "read_ok", "VSR"] {
        assert_eq!(net.error(0, json!({ "type": kind, "msg_id": 5, "key": 1 })).await, 10, "{kind}");
    }
    for body in [
        json!({ "msg_id": 5 }),
        json!({ "type": null, "msg_id": 5 }),
        json!({ "type": "read", "msg_id": 5 }),
        json!({ "type": "write", "msg_id": 5, "key": 1 }),
        json!({ "type": "cas", "msg_id": 5, "key": 1, "to": 2 }),
        json!({ "type": "init", "msg_id": 5, "node_id": "n0" }),
    ] {
        assert_eq!(net.error(0, body).await, 12);
    }
    for body in ["null", "[]", "\"read\"", "{}"] {
        net.line(0, format!(r#"{{"src":"c1","dest":"n0","body":{body}}}"#)).await;
        assert_eq!(net.answer().await["code"], 12, "{body}");
    }
    net.line(0, r#"{"src":"c1","dest":"n0"}"#).await;
    assert_eq!(net.answer().await["code"], 12);
    net.send(0, json!({ "type": "read", "msg_id": "five", "key": 1 })).await;
    let answer = net.answer().await;
    assert_eq!((&answer["code"], answer.get("in_reply_to")), (&json!(12), None));
    let large = "x".repeat(5 << 20);
    assert_eq!(net.error(0, write(1, large)).await, 12);
    net.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_answered_is_ignored() {
    let mut net = Net::new(1).await;
    let garbage: [&[u8]; 12] = [
        b"",
        b"\xff\xfe",
        b"hello",
        b"{",
        b"[]",
        b"7",
        br#"{"dest":"n0","body":{"type":"echo","echo":1}}"#,
        br#"{"src":1,"dest":"n0","body":{"type":"echo","echo":1}}"#,
        br#"{"src":"c1","body":{"type":"echo","echo":1}}"#,
        br#"{"src":"c1","dest":"n7","body":{"type":"echo","echo":1}}"#,
        br#"{"src":"c1","dest":"n0","body":{"type":"error","code":11}}"#,
        br#"{"src":"c1","dest":"n0","body":{"type":"nonsense","in_reply_to":1}}"#,
    ];
    for line in garbage {
        net.line(0, line).await;
    }
    net.line(0, "[".repeat(100_000)).await;
    for message in [json!(null), json!(1), json!("?"), json!("AAAA"), json!("")] {
        for src in ["n0", "n1", "c1"] {
            let body = json!({ "type": "vsr", "msg_id": 5, "message": message });
            net.line(0, json!({ "src": src, "dest": "n0", "body": body }).to_string()).await;
        }
    }
    net.expect_silence(0).await;
    net.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_second_init_changes_nothing() {
    let mut net = Net::new(1).await;
    assert_eq!(net.ask(0, write(0, 1)).await, write_ok());
    net.init(0).await;
    let other = json!({ "type": "init", "msg_id": 1, "node_id": "n0", "node_ids": ["n0", "n1"] });
    assert_eq!(net.error(0, other).await, 14);
    assert_eq!(net.ask(0, read(0)).await, read_ok(1));
    net.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_init_that_is_refused_may_be_followed_by_a_better_one() {
    let mut net = Net::started(1);
    let too_many: Vec<_> = (0..64).map(|node| format!("n{node}")).collect();
    for ids in [json!([]), json!(["n1"]), json!(["n0", "n0"]), json!("n0"), json!(too_many)] {
        let init = json!({ "type": "init", "msg_id": 1, "node_id": "n0", "node_ids": ids });
        assert_eq!(net.error(0, init).await, 12);
    }
    net.init(0).await;
    assert_eq!(net.ask(0, write(0, 1)).await, write_ok());
    net.end().await;
}

#[tokio::test(start_paused = true)]
async fn everything_is_answered_before_the_end_of_the_input_ends_the_node() {
    let mut net = Net::new(1).await;
    for value in 0..100 {
        net.send(0, write(0, value)).await;
    }
    net.send(0, read(1)).await;
    // Without a line's end behind it.
    let last = json!({ "src": "c1", "dest": "n0", "body": cas(0, 99, 100) }).to_string();
    net.inputs[0].as_mut().expect("it is open").write_all(last.as_bytes()).await.expect("the node takes it");
    net.inputs[0] = None;
    let ended = net.nodes.join_next().await.expect("there is a node");
    ended.expect("it does not panic").expect("it ends well");
    let mut answers = Vec::new();
    for _ in 0..102 {
        answers.push(net.answer().await);
    }
    assert_eq!(answers.iter().filter(|answer| **answer == write_ok()).count(), 100);
    assert!(answers.contains(&cas_ok()));
}

#[tokio::test(start_paused = true)]
async fn an_output_that_is_closed_ends_the_node() {
    let (mut input, node_input) = duplex(1 << 10);
    let (node_output, output) = duplex(1 << 10);
    drop(output);
    input.write_all(b"{\"src\":\"c1\",\"dest\":\"n0\",\"body\":{}}\n").await.expect("there is room");
    let ended = run(BufReader::new(node_input), node_output, config(), None).await;
    assert!(matches!(ended, Err(NodeError::Output(_))), "{ended:?}");
}
