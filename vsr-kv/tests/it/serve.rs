//! `vsr-kv serve`: three processes on three directories.

mod process;

use process::{Group, Replica, refused, until};
use std::fs;

/// Nothing that the others have not done yet is asked of them: settings of another group, on a directory of this one.
fn refuse(group: &Group, arguments: &[String], data: usize) -> (Option<i32>, String) {
    let mut arguments = arguments.to_vec();
    arguments.extend(["--data".to_owned(), group.data(data).display().to_string()]);
    refused(&arguments, &group.directory.join("refused"))
}

#[test]
fn three_processes_survive_kills_and_orderly_ends() {
    let group = Group::new("survives");
    let mut replicas: Vec<_> = group.start_all().into_iter().map(Some).collect();
    // A backup takes writes, too.
    replicas[1].as_ref().expect("it runs").set("a", "1");
    let primary = replicas.iter().flatten().position(Replica::is_primary).expect("a primary");
    replicas[primary].take().expect("it runs").kill();
    let other = (primary + 1) % 3;
    replicas[other].as_ref().expect("it runs").set("b", "2");
    let again = group.start(primary);
    again.await_ready();
    assert_eq!((again.value("a"), again.value("b")), ("1".to_owned(), "2".to_owned()));
    replicas[primary] = Some(again);
    // Told to end, a primary hands over first.
    let primary = replicas.iter().flatten().position(Replica::is_primary).expect("a primary");
    assert_eq!(replicas[primary].take().expect("it runs").terminate(), Some(0));
    let next =
        until(|| replicas.iter().flatten().find(|replica| replica.is_primary()), || "no primary".into());
    assert_eq!(next.value("b"), "2");
    replicas[primary] = Some(group.start(primary));
    replicas.iter().flatten().for_each(Replica::await_ready);
    // All at once: everything is on the disks.
    replicas[0].as_ref().expect("it runs").set("c", "3");
    replicas.into_iter().flatten().for_each(Replica::kill);
    for replica in &group.start_all() {
        assert_eq!(["a", "b", "c"].map(|key| replica.value(key)), ["1", "2", "3"]);
    }
}

#[test]
fn told_to_end_twice_a_process_ends_at_once() {
    let group = Group::new("twice");
    let mut replicas = group.start_all();
    let last = replicas.pop().expect("three");
    replicas.into_iter().for_each(Replica::kill);
    // There is nobody with whom this could be done: an orderly end waits for it.
    let _waits = last.begin("SET a 1");
    last.signal(&["TERM", "INT"]);
    let (code, told) = last.ended();
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("told to end again: ending at once") && !told.contains("ended in order"), "{told}");
}

#[test]
fn a_directory_of_another_replica_or_cluster_or_one_that_was_emptied_is_refused() {
    let group = Group::new("refused");
    let mut replicas = group.start_all();
    assert_eq!(replicas.pop().expect("three").terminate(), Some(0));
    let mut arguments = group.arguments(0);
    arguments.extend(["--listen", "127.0.0.1:0"].map(str::to_owned));
    let in_use = refuse(&group, &arguments, 0);
    assert_eq!(in_use.0, Some(1), "{}", in_use.1);
    assert!(in_use.1.contains("data-0") && in_use.1.contains("in use"), "{}", in_use.1);
    assert_eq!(replicas.pop().expect("three").terminate(), Some(0));
    let other_id = refuse(&group, &group.arguments(1), 2);
    assert_eq!(other_id.0, Some(78), "{}", other_id.1);
    assert!(other_id.1.contains("R2 of group-0") && other_id.1.contains("R1 of group-0"), "{}", other_id.1);
    let mut arguments = group.arguments(2);
    arguments.extend(["--cluster-id".to_owned(), "7".to_owned()]);
    let other_cluster = refuse(&group, &arguments, 2);
    assert_eq!(other_cluster.0, Some(78), "{}", other_cluster.1);
    assert!(
        other_cluster.1.contains("cluster-7") && other_cluster.1.contains("--cluster-id"),
        "{}",
        other_cluster.1
    );
    // The group knows R1 by what was in its directory.
    fs::remove_dir_all(group.data(1)).expect("it is there");
    let second = group.start(2);
    second.await_ready();
    let (code, told) = group.start(1).ended();
    assert_eq!(code, Some(78), "{told}");
    assert!(told.contains("was wiped or replaced") && told.contains("restore it"), "{told}");
    // Two of three go on.
    second.set("k", "v");
}

#[test]
fn the_admin_port_answers_and_settings_come_from_a_file() {
    let group = Group::new("admin");
    let settings = group.directory.join("settings.toml");
    let peers = group.peers.iter().map(|peer| format!("\"{peer}\"")).collect::<Vec<_>>().join(", ");
    let text = format!(
        "id = 0\npeer = [{peers}]\nredis = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\ndata = {:?}\nheartbeat-interval = \"20ms\"\nheartbeat-timeout = \"150ms\"\n",
        group.data(0)
    );
    fs::write(&settings, &text).expect("it can be written");
    let arguments = ["--config".to_owned(), settings.display().to_string()];
    let first = Replica::start(&arguments, &group.directory.join("log-0"));
    // Alone it lives, but is not ready.
    assert_eq!(first.get("/healthz"), (200, "ok\n".to_owned()));
    let (code, told) = first.get("/readyz");
    assert!(code == 503 && told.starts_with("forming"), "{code} {told}");
    let others = [group.start(1), group.start(2)];
    first.await_ready();
    others.iter().for_each(Replica::await_ready);
    let status = first.status();
    assert_eq!(
        (&status["replica"], &status["ready"], &status["storage"]["durability"]),
        (&0.into(), &true.into(), &"sync".into())
    );
    assert_eq!(status["peers"][0]["id"], 1);
    assert!(status["peers"][0]["transport"]["bytes_out"].as_u64() > Some(0), "{status}");
    let (code, metrics) = first.get("/metrics");
    assert_eq!(code, 200);
    assert!(metrics.contains("vsr_status{group=\"0\",replica=\"0\",status=\"normal\"} 1"), "{metrics}");
    let (code, head, body) = first.ask("HEAD", "/status").expect("an answer");
    assert!(code == 200 && body.is_empty() && head.contains("content-length"), "{head}");
    let (code, head, _) = first.ask("POST", "/metrics").expect("an answer");
    assert!(code == 405 && head.contains("allow: get, head"), "{head}");
    assert_eq!(first.get("/nope").0, 404);
    assert!(first.ask("GET", &format!("/{}", "x".repeat(20_000))).map_or(true, |(code, ..)| code >= 400));
    fs::write(&settings, text.replace("data =", "dada =")).expect("it can be written");
    let (code, told) = refused(&arguments, &group.directory.join("refused"));
    assert!(code == Some(2) && told.contains("`dada`") && told.contains("settings.toml"), "{told}");
}
