//! Servers as processes of this one: they end with it.

use std::{
    fs::{self, File},
    net::TcpListener,
    path::Path,
    process::Stdio,
    time::Duration,
};
use tokio::process::{Child, Command};

/// A running server; dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    /// What it has used of all processors, where the system tells.
    pub(crate) fn processor_time(&self) -> Option<Duration> {
        processor_time(&self.0.id()?.to_string())
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

/// Starts a program; what it says goes to a file.
pub(crate) fn start(program: &Path, arguments: &[String], output: &Path) -> Result<Process, String> {
    let log = File::create(output).map_err(|error| format!("cannot create {}: {error}", output.display()))?;
    let errors = log.try_clone().map_err(|error| error.to_string())?;
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("cannot start {}: {error}", program.display()))?;
    Ok(Process(child))
}

/// Ports that were free a moment ago.
pub(crate) fn free_ports(count: usize) -> Result<Vec<u16>, String> {
    let held: Result<Vec<_>, _> = (0..count).map(|_| TcpListener::bind(("127.0.0.1", 0))).collect();
    let held = held.map_err(|error| format!("no free port: {error}"))?;
    held.iter().map(|it| it.local_addr().map(|at| at.port()).map_err(|error| error.to_string())).collect()
}

/// Whether the distribution's package is installed.
pub(crate) fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}
