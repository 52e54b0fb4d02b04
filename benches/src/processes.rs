//! Servers as processes of this one: they end with it.

use std::{
    fs::{self, File},
    net::TcpListener,
    ops::Range,
    path::PathBuf,
    process::Stdio,
    time::Duration,
};
use tokio::process::{Child, Command};

const PORTS: Range<u16> = 12_000..32_000;

/// A running server; dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    /// What it has used of all processors, where the system tells.
    pub(crate) fn processor_time(&self) -> Option<Duration> {
        processor_time(&self.0.id()?.to_string())
    }

    /// As a crash does: kill -9. Returns when the process is gone.
    pub(crate) async fn kill(&mut self) -> Result<(), String> {
        self.0.kill().await.map_err(|error| format!("cannot kill a server: {error}"))
    }
}

/// What this process has used.
pub(crate) fn own_processor_time() -> Option<Duration> {
    processor_time("self")
}

/// Of Linux: user and system time are the 14th and 15th word of `stat`, in hundredths of a second. The second word is the program in
/// parentheses, and may have spaces.
fn processor_time(process: &str) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let mut words = stat.rsplit(')').next()?.split_whitespace().skip(11);
    let mut ticks = || words.next()?.parse::<u64>().ok();
    Some(Duration::from_millis(10 * (ticks()? + ticks()?)))
}

/// What is started, and may be started again.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) arguments: Vec<String>,
    /// Where what it says goes.
    pub(crate) output: PathBuf,
}

impl Program {
    pub(crate) fn start(&self) -> Result<Process, String> {
        let log = File::options().create(true).append(true).open(&self.output);
        let log = log.map_err(|error| format!("cannot write {}: {error}", self.output.display()))?;
        let errors = log.try_clone().map_err(|error| error.to_string())?;
        let child = Command::new(&self.path)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", self.path.display()))?;
        Ok(Process(child))
    }
}

/// Names and values of flags, as words of a command line.
pub(crate) fn flags<const COUNT: usize>(flags: [(&str, String); COUNT]) -> Vec<String> {
    flags.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect()
}

/// Ports that were free a moment ago. They lie side by side, and below those that the system gives to connections: while a server is
/// down, nobody else may come to its port.
pub(crate) fn free_ports(count: u16) -> Result<Vec<u16>, String> {
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let first = PORTS.start + (std::process::id() as u16 & 0xfff);
    let mut found = (first..PORTS.end - count).step_by(usize::from(count));
    let found = found.find(|first| (*first..first + count).all(is_free));
    found
        .map(|first| (first..first + count).collect())
        .ok_or_else(|| format!("no {count} free ports in {PORTS:?}"))
}

/// Whether the distribution's package is installed.
pub(crate) fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}
