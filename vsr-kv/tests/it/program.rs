//! The program: its flags, its exit codes, its end.

use super::{directory::Directory, wire::Peer};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

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

/// Starts `dev`, and waits until it has told how to connect.
fn started(arguments: &[&str]) -> (Running, BufReader<ChildStdout>, String, u16) {
    let mut running = Running(program(arguments).spawn().expect("the program starts"));
    let mut output = BufReader::new(running.0.stdout.take().expect("it is piped"));
    let mut banner = String::new();
    while !banner.contains("Ctrl-C") {
        let read = output.read_line(&mut banner).expect("text");
        assert!(read > 0, "ended after: {banner}");
    }
    let port = banner.split("redis-cli -p ").nth(1).and_then(|rest| rest.split(' ').next()).expect("a port");
    let port = port.parse().expect("a number");
    (running, output, banner, port)
}

/// As Ctrl-C does.
fn interrupt(mut running: Running, mut output: BufReader<ChildStdout>) {
    let killed =
        Command::new("kill").args(["-INT", &running.0.id().to_string()]).status().expect("kill runs");
    assert!(killed.success());
    let mut rest = String::new();
    output.read_to_string(&mut rest).expect("text");
    let status = running.0.wait().expect("it ends");
    assert_eq!(status.code(), Some(0), "{rest}");
}

#[cfg(unix)]
#[tokio::test]
async fn it_says_how_to_connect_serves_and_ends_when_interrupted() {
    let (running, output, banner, port) = started(&["dev", "--port", "0", "--memory"]);
    assert!(banner.contains("primary") && banner.contains("VSR.CRASH"), "{banner}");
    assert!(banner.contains("in memory") && banner.contains("the data goes with it"), "{banner}");
    assert_eq!(Peer::connect(port).await.ask("INCR n").await, ":1");
    interrupt(running, output);
}

#[cfg(unix)]
#[tokio::test]
async fn what_is_kept_in_a_directory_is_there_at_the_next_start_and_used_by_one_at_a_time() {
    let directory = Directory::new("dev");
    let data = directory.join("data").display().to_string();
    let arguments = ["dev", "--port", "0", "--data", &data];
    for number in [":1", ":2"] {
        let (running, output, banner, port) = started(&arguments);
        assert!(banner.contains(&data) && banner.contains("it goes on there"), "{banner}");
        assert_eq!(Peer::connect(port).await.ask("INCR n").await, number);
        let (code, told) = run(&arguments);
        assert_eq!(code, Some(1), "{told}");
        assert!(told.contains(&data) && told.contains("in use by another"), "{told}");
        interrupt(running, output);
    }
    let (code, told) = run(&["dev", "--memory", "--data", &data]);
    assert!(code == Some(2) && told.contains("--memory"), "{told}");
}

#[test]
fn the_demonstration_finds_everything_in_its_place() {
    let (code, told) = run(&["demo", "--seconds", "9", "--clients", "16"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("exactly once"), "{told}");
}
