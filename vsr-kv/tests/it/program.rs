//! The program: its flags, its exit codes, its end.

use super::wire::Peer;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Output, Stdio};

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vsr-kv"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = program(arguments).output().expect("the program starts");
    (status.code(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

/// Ends the program even if the test fails before it does.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already, unless something went wrong.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn bad_flags_are_refused() {
    for arguments in
        [&["dev", "--prot", "1"][..], &["dev", "--port", "65534"], &["dev", "--port", "x"], &["nope"], &[]]
    {
        let (code, told) = run(arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {told}");
        assert!(told.contains("Usage") || told.contains("--help"), "{told}");
    }
}

#[test]
fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("a bound socket").port();
    let (code, told) = run(&["dev", "--port", &port.to_string()]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains(&format!("port {port} of 127.0.0.1 is in use")), "{told}");
}

#[cfg(unix)]
#[tokio::test]
async fn it_says_how_to_connect_serves_and_ends_when_interrupted() {
    let mut running =
        Running(program(&["dev", "--port", "0", "--memory"]).spawn().expect("the program starts"));
    let mut output = BufReader::new(running.0.stdout.take().expect("it is piped"));
    let mut banner = String::new();
    while !banner.contains("Ctrl-C") {
        let read = output.read_line(&mut banner).expect("text");
        assert!(read > 0, "ended after: {banner}");
    }
    assert!(banner.contains("primary") && banner.contains("VSR.CRASH"), "{banner}");
    let port = banner.split("redis-cli -p ").nth(1).and_then(|rest| rest.split(' ').next()).expect("a port");
    let mut peer = Peer::connect(port.parse().expect("a number")).await;
    assert_eq!(peer.ask("INCR n").await, ":1");
    let killed =
        Command::new("kill").args(["-INT", &running.0.id().to_string()]).status().expect("kill runs");
    assert!(killed.success());
    let mut rest = String::new();
    output.read_to_string(&mut rest).expect("text");
    let status = running.0.wait().expect("it ends");
    assert_eq!(status.code(), Some(0), "{rest}");
}

#[test]
fn the_demonstration_finds_everything_in_its_place() {
    let (code, told) = run(&["demo", "--seconds", "9", "--clients", "16"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("exactly once"), "{told}");
}
