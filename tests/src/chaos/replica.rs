//! A replica as a process: started, killed, stopped, and asked how it is.

use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

/// How often a process that is waited for is asked.
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// How long a probe may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) struct Replica {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<OsString>,
    pub(super) data: PathBuf,
    pub(super) log: PathBuf,
    pub(super) redis: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) child: Option<Child>,
}

impl Replica {
    pub(super) fn start(&mut self) -> io::Result<()> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log)?;
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::from(log.try_clone()?))
            .stderr(Stdio::from(log))
            .kill_on_drop(true)
            .spawn()?;
        self.child = Some(child);
        Ok(())
    }

    /// As kill -9, and waits until it is gone.
    pub(super) async fn kill(&mut self) -> io::Result<()> {
        match self.child.take() {
            Some(mut child) => child.kill().await,
            None => Ok(()),
        }
    }

    /// Sends a signal, by its name.
    pub(super) async fn signal(&self, name: &str) -> io::Result<()> {
        let Some(id) = self.child.as_ref().and_then(Child::id) else { return Ok(()) };
        let sent = Command::new("kill").args([format!("-{name}"), id.to_string()]).status().await?;
        if sent.success() { Ok(()) } else { Err(io::Error::other(format!("kill -{name} {id}: {sent}"))) }
    }

    /// Waits until it has ended; nothing, if it does not in time.
    pub(super) async fn ended(&mut self, within: Duration) -> io::Result<Option<ExitStatus>> {
        let Some(child) = &mut self.child else { return Ok(None) };
        match timeout(within, child.wait()).await {
            Ok(status) => {
                self.child = None;
                status.map(Some)
            }
            Err(_) => Ok(None),
        }
    }

    /// How it ended, if it did without having been told to.
    pub(super) fn has_ended(&mut self) -> io::Result<Option<ExitStatus>> {
        match &mut self.child {
            Some(child) => child.try_wait(),
            None => Ok(None),
        }
    }

    /// Waits until it says that it is ready; how long that took, or the last it said.
    pub(super) async fn ready(&mut self, within: Duration) -> Result<Duration, String> {
        let began = Instant::now();
        let mut told = String::from("nothing");
        while began.elapsed() < within {
            match self.has_ended() {
                Ok(None) => {}
                Ok(Some(status)) => return Err(format!("ended by itself with {status}")),
                Err(error) => return Err(error.to_string()),
            }
            match get(self.admin, "/readyz").await {
                Ok((200, _)) => return Ok(began.elapsed()),
                Ok((_, text)) => told = text.trim().to_owned(),
                Err(error) => told = error.to_string(),
            }
            sleep(POLL_INTERVAL).await;
        }
        Err(format!("not ready within {within:?}: {told}"))
    }
}

/// Everything that the replica behind an admin port says about itself.
pub(super) async fn status(admin: SocketAddr) -> Option<serde_json::Value> {
    let (_, text) = get(admin, "/status").await.ok()?;
    serde_json::from_str(&text).ok()
}

/// An answer of an admin port.
async fn get(admin: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    let asked = async {
        let mut stream = TcpStream::connect(admin).await?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: chaos\r\n\r\n").as_bytes()).await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        let code = text.split(' ').nth(1).and_then(|code| code.parse().ok());
        let body = text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
        code.zip(body).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no HTTP"))
    };
    timeout(PROBE_TIMEOUT, asked).await?
}

/// The end of a log, for people.
pub(super) fn tail(path: &Path, lines: usize) -> String {
    let mut text = String::new();
    // Without it there is nothing to show.
    let _ = File::open(path).and_then(|mut file| io::Read::read_to_string(&mut file, &mut text));
    let all: Vec<_> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
