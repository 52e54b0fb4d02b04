//! `vsr-kv serve` as processes, asked over their ports.

use super::super::directory::Directory;
use std::{
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A port that must be known before anybody listens there: below those that the system gives to whoever asks for any.
pub(super) fn port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = (std::process::id() % 1000) as u16 * 12;
    loop {
        let port = 20_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Three replicas and their directories.
pub(super) struct Group {
    pub(super) directory: Directory,
    pub(super) peers: Vec<String>,
}

impl Group {
    pub(super) fn new(name: &str) -> Self {
        let peers = (0..3).map(|id| format!("{id}=127.0.0.1:{}", port())).collect();
        Self { directory: Directory::new(name), peers }
    }

    pub(super) fn data(&self, id: usize) -> PathBuf {
        self.directory.join(&format!("data-{id}"))
    }

    /// The arguments of a replica, but for its data.
    pub(super) fn arguments(&self, id: usize) -> Vec<String> {
        let mut arguments = vec!["--id".to_owned(), id.to_string()];
        for peer in &self.peers {
            arguments.extend(["--peer".to_owned(), peer.clone()]);
        }
        let more =
            "--redis 127.0.0.1:0 --admin 127.0.0.1:0 --heartbeat-interval 20ms --heartbeat-timeout 150ms";
        arguments.extend(more.split(' ').map(str::to_owned));
        arguments
    }

    pub(super) fn start(&self, id: usize) -> Replica {
        let mut arguments = self.arguments(id);
        arguments.extend(["--data".to_owned(), self.data(id).display().to_string()]);
        Replica::start(&arguments, &self.directory.join(&format!("log-{id}")))
    }

    pub(super) fn start_all(&self) -> Vec<Replica> {
        let replicas: Vec<_> = (0..3).map(|id| self.start(id)).collect();
        replicas.iter().for_each(Replica::await_ready);
        replicas
    }
}

/// A running replica. Killed, if the test fails before it ends.
pub(super) struct Replica {
    child: Child,
    log: PathBuf,
    pub(super) redis: SocketAddr,
    pub(super) admin: SocketAddr,
}

fn spawn(arguments: &[String], log: &Path) -> Child {
    let log = OpenOptions::new().create(true).append(true).open(log).expect("a file for what it logs");
    Command::new(env!("CARGO_BIN_EXE_vsr-kv"))
        .arg("serve")
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::from(log))
        .spawn()
        .expect("the program starts")
}

/// How a replica ends that is refused: its exit code, and all it logged.
pub(super) fn refused(arguments: &[String], log: &Path) -> (Option<i32>, String) {
    let mut child = spawn(arguments, log);
    let status = until(|| child.try_wait().expect("it is our child"), || "it did not end".to_owned());
    (status.code(), read(log))
}

impl Replica {
    pub(super) fn start(arguments: &[String], log: &Path) -> Self {
        let mut child = spawn(arguments, log);
        let mut line = String::new();
        let output = child.stdout.take().expect("it is piped");
        BufReader::new(output).read_line(&mut line).expect("text");
        let address = |before: &str| {
            let rest = line.split(before).nth(1).unwrap_or_else(|| panic!("{line:?}\n{}", read(log)));
            rest.split([',', '/', '\n']).next().and_then(|address| address.parse().ok()).expect(before)
        };
        let (redis, admin) = (address("redis "), address("admin http://"));
        Self { child, log: log.to_owned(), redis, admin }
    }

    pub(super) fn log(&self) -> String {
        read(&self.log)
    }

    /// The status code and the body of an answer of the admin port; the head, too.
    pub(super) fn ask(&self, method: &str, path: &str) -> std::io::Result<(u16, String, String)> {
        let mut stream = TcpStream::connect(self.admin)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: test\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a code");
        Ok((code, head.to_lowercase(), body.to_owned()))
    }

    pub(super) fn get(&self, path: &str) -> (u16, String) {
        let (code, _, body) = self.ask("GET", path).expect("it answers");
        (code, body)
    }

    pub(super) fn status(&self) -> serde_json::Value {
        serde_json::from_str(&self.get("/status").1).expect("JSON")
    }

    pub(super) fn is_primary(&self) -> bool {
        self.status()["protocol"]["is_primary"] == true
    }

    pub(super) fn await_ready(&self) {
        let ready = || (self.get("/readyz").0 == 200).then_some(());
        until(ready, || format!("{}\n{}", self.get("/readyz").1, self.log()));
    }

    /// Writes a value, and waits until it is acknowledged.
    pub(super) fn set(&self, key: &str, value: &str) {
        assert_eq!(self.say(&format!("SET {key} {value}"))[..], ["+OK"]);
    }

    /// A value that must be there.
    pub(super) fn value(&self, key: &str) -> String {
        let mut lines = self.say(&format!("GET {key}"));
        assert!(lines.len() == 2 && lines[0].starts_with('$'), "{key}: {lines:?}");
        lines.remove(1)
    }

    /// One line at the Redis port, and the lines of the answer.
    fn say(&self, request: &str) -> Vec<String> {
        let mut connection = TcpStream::connect(self.redis).expect("it listens");
        connection.set_read_timeout(Some(PATIENCE)).expect("a connection");
        write!(connection, "{request}\r\nQUIT\r\n").expect("an open connection");
        let mut answer = String::new();
        connection.read_to_string(&mut answer).expect("text, and an orderly end");
        let mut lines: Vec<_> = answer.lines().map(str::to_owned).collect();
        assert_eq!(lines.pop().as_deref(), Some("+OK"), "{request}: the answer to QUIT comes last");
        lines
    }

    /// Has something under way at the Redis port, on a connection that stays open: what was sent with it is answered.
    pub(super) fn begin(&self, request: &str) -> TcpStream {
        let mut connection = TcpStream::connect(self.redis).expect("it listens");
        connection.set_read_timeout(Some(PATIENCE)).expect("a connection");
        connection.write_all(format!("PING\r\n{request}\r\n").as_bytes()).expect("an open connection");
        let mut answer = [0; 7];
        connection.read_exact(&mut answer).expect("an answer");
        assert_eq!(&answer, b"+PONG\r\n");
        connection
    }

    pub(super) fn kill(mut self) {
        self.child.kill().expect("it runs");
    }

    /// Sends it signals, by their names, one right after the other.
    pub(super) fn signal(&self, names: &[&str]) {
        let child = self.child.id();
        let kills: Vec<_> = names.iter().map(|name| format!("kill -{name} {child}")).collect();
        let told = Command::new("sh").args(["-c", &kills.join(" && ")]).status();
        assert!(told.expect("sh runs").success());
    }

    /// Tells it to end, and returns its exit code.
    pub(super) fn terminate(mut self) -> Option<i32> {
        self.signal(&["TERM"]);
        self.wait()
    }

    /// Waits until it has ended by itself.
    pub(super) fn ended(mut self) -> (Option<i32>, String) {
        (self.wait(), self.log())
    }

    fn wait(&mut self) -> Option<i32> {
        let Self { child, log, .. } = self;
        until(|| child.try_wait().expect("it is our child"), || read(log)).code()
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        // It has ended already, unless something went wrong.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(path: &Path) -> String {
    let mut text = String::new();
    let _ = File::open(path).and_then(|mut file| file.read_to_string(&mut text));
    text
}

/// Asks again and again until there is an answer.
pub(super) fn until<T>(mut ask: impl FnMut() -> Option<T>, told: impl Fn() -> String) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(began.elapsed() < PATIENCE, "{}", told());
        std::thread::sleep(Duration::from_millis(5));
    }
}
