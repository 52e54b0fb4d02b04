//! Commands for those who must be exact: single writes, single turns, clocks by the nanosecond. Recorded runs are written in them
//! (see [`shrink`](crate::shrink)).

use super::{config::duration, disks, select::replica, stage::Stage};
use bytes::Bytes;
use vsr_core::{Input, OpNumber};

pub(super) fn execute(stage: &mut Stage, words: &[&str]) -> Result<(), String> {
    match *words {
        ["turn", at] => stage.take_turn(replica(at)?),
        ["write", at] => stage.write(replica(at)?),
        ["told", at] => stage.tell(replica(at)?),
        ["pass", at, time] => {
            stage.move_clock(replica(at)?, duration(time)?);
            Ok(())
        }
        ["timer", at] => stage.put(replica(at)?, Input::Timer),
        ["fire", at] => stage.due(replica(at)?),
        ["crash", at, "after", effects, "effects"] => {
            let effects = effects.parse().map_err(|_| "after how many?".to_string())?;
            let host = &mut stage.world.hosts[replica(at)?];
            if !host.is_up() {
                return Err("it is down".into());
            }
            host.crash_after = Some(effects);
            Ok(())
        }
        ["snapshot", at, op, ref outcome @ ..] => {
            let op = op.parse().map_err(|_| format!("{op} is no op"))?;
            stage.write_snapshots(replica(at)?, OpNumber(op), has_room(outcome)?)
        }
        ["staged", at, ref outcome @ ..] => stage.finish_part(replica(at)?, has_room(outcome)?),
        ["invoke", name, ref operation @ ..] => {
            let floor = stage.world.checkers.answered();
            let client = stage.client(name);
            let request = stage.people[client].invoke(Bytes::from(operation.join(" ")), floor);
            request.map(drop).ok_or_else(|| "it has no session".into())
        }
        ["unheard", name] => {
            let client = stage.client(name);
            stage.people[client].unhear()
        }
        ["acked", name, below] => {
            let client = stage.client(name);
            stage.people[client].acknowledge(below.parse().map_err(|_| "below what?".to_string())?);
            Ok(())
        }
        _ => disks::execute(stage, words),
    }
}

/// Whether what is to be kept finds room.
fn has_room(outcome: &[&str]) -> Result<bool, String> {
    match outcome {
        [] => Ok(true),
        ["failed"] => Ok(false),
        _ => Err("it may have failed, or not".into()),
    }
}
