//! Three processes of openraft 0.9, which are this program: log and state in memory.

use super::{Group, Timers, eventually, group::Kind, resp};
use crate::processes::{Program, flags, free_ports};
use std::path::Path;

const MEMBERS: usize = 3;

/// The most of an election time-out is twice the least, as in the crate's defaults (150 and 300 ms).
const SPREAD: u64 = 2;

/// What a time-out that others have is to openraft. Its followers vote for nobody for as long as its most, and only then does the time-out
/// begin that each has drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeoutIs {
    Least,
    Most,
}

/// Three processes that form a group, once all of them know its leader.
pub(super) async fn group(directory: &Path, timers: Timers, is: TimeoutIs) -> Result<Group, String> {
    let (least, most) = match is {
        TimeoutIs::Least => (timers.timeout_ms, SPREAD * timers.timeout_ms),
        TimeoutIs::Most => (timers.timeout_ms / SPREAD, timers.timeout_ms),
    };
    let path = std::env::current_exe().map_err(|error| error.to_string())?;
    let ports = free_ports(2 * MEMBERS as u16)?;
    let (peers, doors) = ports.split_at(MEMBERS);
    let at = |port: u16| format!("127.0.0.1:{port}");
    let mut programs = Vec::new();
    for (id, door) in doors.iter().enumerate() {
        let mut arguments = vec!["openraft-node".to_owned()];
        arguments.extend(flags([
            ("--id", id.to_string()),
            ("--clients", at(*door)),
            ("--heartbeat-ms", timers.heartbeat_ms.to_string()),
            ("--timeout-min-ms", least.to_string()),
            ("--timeout-max-ms", most.to_string()),
        ]));
        peers.iter().for_each(|peer| arguments.extend(flags([("--peer", at(*peer))])));
        let output = directory.join(format!("output-{id}"));
        programs.push(Program { path: path.clone(), arguments, output });
    }
    let processes = programs.iter().map(Program::start).collect::<Result<Vec<_>, _>>()?;
    eventually("openraft has no leader", || leader(doors)).await?;
    Ok(Group { kind: Kind::Openraft, programs, processes, doors: doors.to_vec(), admin: Vec::new() })
}

/// Which member leads: all must say the same.
pub(super) async fn leader(doors: &[u16]) -> Result<usize, String> {
    let mut said = Vec::new();
    for door in doors {
        said.push(resp::Client::connect(*door).await?.number("LEADER").await?);
    }
    said.dedup();
    match said.as_slice() {
        [leader] => Ok(*leader),
        _ => Err("they follow different leaders".into()),
    }
}
