//! What a scenario claims. `expect not` claims the contrary.
//!
//! - `R0 view 1`, `R0 log_view 1`, `R0 op 2`, `R0 commit 2`, `R0 applied 2`, `R0 sessions 1`, `R0 snapshot 5`, `R0 log_ops 3`
//! - `R0 hears R1 R2`: these, and no others, are taken to be there.
//! - `R0 time at least 10s`: that of its last durable operation, since the beginning.
//! - `R0 status Normal` (or Bootstrapping, ViewChange, Recovering, Stopped, Down), `R0 primary`, `R0 failed DiskFull` (or FlushFailed, Unreadable)
//! - `R0 value x 1`, `R0 executed 1 put x 1` (so many times since it started), `R0 logged put x 1` (durably)
//! - `agreement`: all replicas normal in one view, all committed and applied, states equal
//! - `sent R0->R1 Prepare`: such a message is under way. `messages at most 50`, `snapshots discarded 0`, `votes cast 0`: since the
//!   beginning.
//! - `c1 2 = 7`, `c1 2 answered`, `c1 2 refused` (at least once), `c1 evicted`, `c1 conflict`
//! - `c2 read 1 = 7`, `c2 read 1 at 3`, `c2 read 1 answered`, `c2 read 1 refused NoPrimary`

use super::{
    select::{Selector, replica, replica as replica_of},
    stage::Stage,
};
use bytes::Bytes;
use vsr_core::{OpNumber, RequestNumber, Status, StatusName, StopReason};

pub(super) fn check(stage: &Stage, claim: &[&str]) -> Result<(), String> {
    let (negated, claim) = match claim {
        ["not", rest @ ..] => (true, rest),
        _ => (false, claim),
    };
    let (holds, found) = evaluate(stage, claim)?;
    if holds != negated { Ok(()) } else { Err(format!("found {found}")) }
}

/// Whether a claim is true, and what is the case.
fn evaluate(stage: &Stage, claim: &[&str]) -> Result<(bool, String), String> {
    match *claim {
        ["agreement"] => Ok(agreement(stage)),
        ["sent", ref which @ ..] => {
            let selector = Selector::parse(which)?;
            let count = stage.flights.iter().filter(|flight| flight.is_meant(&selector)).count();
            Ok((count > 0, format!("{count} such messages")))
        }
        ["snapshots", "discarded", count] => {
            let found = stage.world.checkers.coverage().of("PiecesDiscarded").to_string();
            Ok((found == count, found))
        }
        ["votes", "cast", count] => {
            let found = stage.world.checkers.coverage().of("VoteCast").to_string();
            Ok((found == count, found))
        }
        ["messages", "at", "most", count] => {
            let most: usize = count.parse().map_err(|_| "how many?".to_string())?;
            Ok((stage.sent <= most, format!("{} messages", stage.sent)))
        }
        [name, ref what @ ..] if name.starts_with('R') => replica_claim(stage, replica(name)?, what),
        [name, ref what @ ..] => client_claim(stage, name, what),
        [] => Err("what is expected?".into()),
    }
}

fn replica_claim(stage: &Stage, replica: usize, what: &[&str]) -> Result<(bool, String), String> {
    let host = stage.world.hosts.get(replica).ok_or("no such replica")?;
    let status = host.status();
    let number = |get: fn(&Status) -> u64, wanted: &str| {
        let found = status.as_ref().map(get);
        Ok((found.map(|found| found.to_string()).as_deref() == Some(wanted), format!("{found:?}")))
    };
    match *what {
        ["view", view] => number(|status| status.view.0, view),
        ["log_view", view] => number(|status| status.log_view.0, view),
        ["op", op] => number(|status| status.op.0, op),
        ["commit", op] => number(|status| status.commit.0, op),
        ["applied", op] => number(|status| status.applied.0, op),
        ["snapshot", op] => number(|status| status.snapshot.0, op),
        ["log_ops", count] => number(|status| status.log_ops, count),
        ["time", "at", "least", time] => {
            let start = super::stage::UNIX_START;
            let found = host.disk().entries().last().map_or(0, |entry| entry.last_timestamp() - start);
            let wanted = super::config::duration(time)?.as_nanos() as u64;
            Ok((found >= wanted, format!("{found} ns")))
        }
        ["sessions", count] => number(|status| status.sessions as u64, count),
        ["hears", ref names @ ..] => {
            let found = status.as_ref().map(|status| status.peers);
            let wanted =
                names.iter().try_fold(0, |set, name| Ok::<_, String>(set | 1 << replica_of(name)?))?;
            Ok((found == Some(wanted), format!("{found:?} as bits")))
        }
        ["primary"] => Ok((status.is_some_and(|status| status.is_primary), format!("{status:?}"))),
        ["stopped", reason] => {
            let found = host.stopped.as_ref().map(StopReason::name);
            Ok((found == Some(reason), format!("{found:?}")))
        }
        ["failed", wanted] => {
            let found = host.failed().map(|failure| format!("{failure:?}"));
            Ok((found.as_deref() == Some(wanted), format!("{found:?}")))
        }
        ["status", wanted] => {
            let found = match (&status, &host.stopped) {
                (Some(status), _) => status_name(status.status),
                (None, Some(_)) => "Stopped",
                (None, None) => "Down",
            };
            Ok((found == wanted, found.into()))
        }
        ["value", name, value] => {
            let found = host.machine().value(name).unwrap_or_else(|| "nil".into());
            Ok((found == value, found))
        }
        ["executed", times, ref operation @ ..] => {
            let operation = Bytes::from(operation.join(" "));
            let ops: Vec<OpNumber> =
                host.history.iter().filter(|(_, it)| *it == operation).map(|(op, _)| *op).collect();
            Ok((ops.len().to_string() == times, format!("{ops:?}")))
        }
        ["logged", ref operation @ ..] => {
            let operation = operation.join(" ");
            let mut operations =
                host.disk().entries().flat_map(|entry| (0..entry.len()).map(|index| entry.operation(index)));
            let found = operations.any(|it| it == operation);
            Ok((found, if found { "it".into() } else { "no such operation".into() }))
        }
        _ => Err("unknown claim".into()),
    }
}

fn client_claim(stage: &Stage, name: &str, what: &[&str]) -> Result<(bool, String), String> {
    let index = *stage.clients.get(name).ok_or("unknown claim")?;
    let client = &stage.people[index];
    let reply = |number: &str| number.parse().ok().and_then(|number| client.reply(number));
    match *what {
        ["read", number, ref what @ ..] => stage.read_claim(index, number, what),
        [number, "=", ref wanted @ ..] => {
            let found = reply(number).map(|reply| String::from_utf8_lossy(reply).into_owned());
            Ok((found.as_deref() == Some(&wanted.join(" ")), format!("{found:?}")))
        }
        [number, "refused"] => {
            let number: u64 = number.parse().map_err(|_| "which request?")?;
            let refused = stage.refused.contains(&(index, RequestNumber(number)));
            Ok((refused, format!("{:?}", stage.refused)))
        }
        ["conflict"] => Ok((stage.conflicts.contains(&index), format!("{:?}", stage.conflicts))),
        [number, "answered"] => Ok((reply(number).is_some(), format!("{:?}", reply(number)))),
        ["evicted"] => Ok((stage.evicted[index], "a session".into())),
        _ => Err("unknown claim".into()),
    }
}

fn agreement(stage: &Stage) -> (bool, String) {
    let of = |host: &crate::host::Host| {
        host.status().map(|status| {
            (
                status_name(status.status),
                status.view,
                status.op,
                status.commit,
                host.machine().digest().ok().flatten(),
            )
        })
    };
    let all: Vec<_> = stage.world.hosts.iter().map(of).collect();
    let complete = |host: &crate::host::Host| {
        host.status().is_some_and(|s| s.status == StatusName::Normal && s.applied == s.op)
    };
    let holds = all.windows(2).all(|pair| pair[0] == pair[1]) && stage.world.hosts.iter().all(complete);
    (holds, format!("{all:?}"))
}

fn status_name(status: StatusName) -> &'static str {
    match status {
        StatusName::Bootstrapping => "Bootstrapping",
        StatusName::Normal => "Normal",
        StatusName::ViewChange => "ViewChange",
        StatusName::Recovering => "Recovering",
        StatusName::Stopped => "Stopped",
    }
}
