//! Servers as processes of this one: they end with it.

use std::{fs::File, net::TcpListener, path::Path, process::Stdio};
use tokio::process::{Child, Command};

/// A running server.
#[derive(Debug)]
pub(crate) struct Process(#[expect(dead_code, reason = "dropped, it is killed")] Child);

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
