//! The program: nothing but messages on its output.

use super::super::directory::Directory;
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};

#[test]
fn it_answers_what_it_is_told_logs_the_rest_and_ends_with_its_input() {
    let mut node = Command::new(env!("CARGO_BIN_EXE_vsr-kv"))
        .args([
            "maelstrom",
            "--heartbeat-interval",
            "20ms",
            "--heartbeat-timeout",
            "100ms",
            "--deadline",
            "5s",
        ])
        .env_remove("RUST_LOG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let script = [
        r#"{"id":0,"src":"c0","dest":"n1","body":{"type":"init","msg_id":1,"node_id":"n1","node_ids":["n1"]}}"#,
        "no message",
        r#"{"id":1,"src":"c2","dest":"n1","body":{"type":"write","msg_id":1,"key":0,"value":false}}"#,
        r#"{"id":2,"src":"c2","dest":"n9","body":{"type":"read","msg_id":2,"key":0}}"#,
    ];
    let mut input = node.stdin.take().expect("it is piped");
    for line in script {
        writeln!(input, "{line}").expect("the node takes it");
    }
    drop(input);
    let output = node.wait_with_output().expect("it ends");
    let lines: Vec<Value> = String::from_utf8(output.stdout)
        .expect("text")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let wanted = [
        json!({ "src": "n1", "dest": "c0", "body": { "type": "init_ok", "in_reply_to": 1 } }),
        json!({ "src": "n1", "dest": "c2", "body": { "type": "write_ok", "in_reply_to": 1 } }),
    ];
    assert_eq!(lines, wanted);
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("not JSON") && log.contains("another node"), "{log}");
    assert_eq!(output.status.code(), Some(0), "{log}");
}

#[test]
fn settings_that_break_a_rule_are_refused_at_once() {
    let output = Command::new(env!("CARGO_BIN_EXE_vsr-kv"))
        .args(["maelstrom", "--heartbeat-timeout", "1ms"])
        .stdin(Stdio::piped())
        .output()
        .expect("the program starts");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(output.stdout.is_empty() && told.contains("heartbeat_timeout"), "{told}");
}

/// What a node answers to these lines, until its input ends.
fn answers(arguments: &[&str], script: &[&str]) -> Vec<Value> {
    let mut node = Command::new(env!("CARGO_BIN_EXE_vsr-kv"))
        .arg("maelstrom")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut input = node.stdin.take().expect("it is piped");
    for line in script {
        writeln!(input, "{line}").expect("the node takes it");
    }
    drop(input);
    let output = node.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["body"].clone()).collect()
}

#[test]
fn a_node_with_a_directory_goes_on_where_it_was() {
    let directory = Directory::new("maelstrom");
    let data = directory.join("data").display().to_string();
    let arguments = ["--data", &data, "--deadline", "20s"];
    let init = r#"{"id":0,"src":"c0","dest":"n1","body":{"type":"init","msg_id":1,"node_id":"n1","node_ids":["n1"]}}"#;
    let write = r#"{"id":1,"src":"c2","dest":"n1","body":{"type":"write","msg_id":1,"key":0,"value":7}}"#;
    let read = r#"{"id":1,"src":"c2","dest":"n1","body":{"type":"read","msg_id":1,"key":0}}"#;
    assert_eq!(answers(&arguments, &[init, write])[1], json!({ "type": "write_ok", "in_reply_to": 1 }));
    assert_eq!(
        answers(&arguments, &[init, read])[1],
        json!({ "type": "read_ok", "in_reply_to": 1, "value": 7 })
    );
}
