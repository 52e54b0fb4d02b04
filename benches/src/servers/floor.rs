//! The durable floor: three processes of this program.

use super::{Door, Running, eventually, resp};
use crate::processes::{Program, flags, free_ports};
use std::path::Path;

pub(super) async fn start(zero_filled: bool, directory: &Path) -> Result<Running, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let ports = free_ports(3)?;
    let at = |number: usize| format!("127.0.0.1:{}", ports[number]);
    let mut processes = Vec::new();
    // The primary is the last to be started: it goes to its backups.
    for number in [1, 2, 0] {
        let log = directory.join(format!("log-{number}")).display().to_string();
        let mut arguments = vec!["floor".into()];
        arguments.extend(flags([("--listen", at(number)), ("--log", log)]));
        if zero_filled {
            arguments.push("--zero-filled".into());
        }
        if number == 0 {
            arguments.extend(flags([("--backup", at(1)), ("--backup", at(2))]));
        }
        let output = directory.join(format!("output-{number}"));
        processes.push(Program { path: program.clone(), arguments, output }.start()?);
    }
    eventually("the floor takes no writes", || resp::first_write(ports[0])).await?;
    Ok(Running { door: Door::Resp(ports[0]), admin: None, processes })
}
