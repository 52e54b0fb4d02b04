//! A crash before every effect: the same story again and again, each time one replica goes down a little later.
//!
//! The effects of a turn are not atomic. A story is told once without a crash, once with a crash before the first effect of a
//! replica, once before the second, and so on to its end. The replica starts again after the command in which it crashed, and then
//! everything must hold and come to rest as if nothing had happened.

use super::{Failure, commands, select, stage::Stage};
use crate::{
    disk::{Fate, Switches},
    host::Host,
};

/// A partition that lasts until the log is trimmed, a failover, a lost log: with view change, snapshot, state transfer and recovery.
pub const STORY: &str = "\
cluster 3 snapshot_interval_ops=3 log_keep_ops=0
clients c1
request R0 c1 add x 1
settle
partition R2 | R0 R1
request R0 c1 add x 2
settle
request R0 c1 add x 3
settle
request R0 c1 add x 4
settle
heal
run 200ms
crash R0
run 1s
restart R0
request R1 c1 add x 5
run 200ms
lose R2
run 100ms
restart R2
run 1s
";

/// What must come of it in the end, when everybody runs.
const END: &str = "\
run 1s
retry R0 c1
retry R1 c1
run 1s
expect c1 5 answered
expect agreement
";

/// Tells the story with a crash before each effect of a replica; how many effects that were.
///
/// # Errors
/// The first crash after which something does not hold.
pub fn everywhere(story: &str, replica: usize) -> Result<u64, Failure> {
    let mut before = 0;
    while told(story, replica, before).map_err(|failure| named(failure, replica, before))? {
        before += 1;
    }
    Ok(before)
}

fn named(mut failure: Failure, replica: usize, before: u64) -> Failure {
    failure.what = format!("R{replica} crashes before its effect {before}: {}", failure.what);
    failure
}

/// Tells the story once; whether the replica got as far as to crash.
fn told(story: &str, replica: usize, before: u64) -> Result<bool, Failure> {
    let mut stage = Stage::new(Switches::default());
    let mut left = Some(before);
    let lines = story.lines().map(|line| (line, true)).chain(END.lines().map(|line| (line, false)));
    for (index, (line, may_crash)) in lines.enumerate() {
        let failure = |what| Failure { line: index + 1, steps: index + 1, command: line.into(), what };
        let set_up = line.starts_with("cluster") || line.starts_with("clients");
        if !set_up {
            // A crash that the story tells of does not change when the other one comes.
            stage.world.hosts[replica].crash_after = left.filter(|_| may_crash);
        }
        let runs_then =
            stage.world.hosts.get(replica).is_some_and(Host::is_up) || line.starts_with("restart ");
        let runs = |at: &str| select::replica(at).is_ok_and(|at| stage.world.hosts[at].is_up());
        if !line.strip_prefix("restart ").is_some_and(runs) {
            super::guarded(&mut stage, |stage| commands::execute(stage, line)).map_err(failure)?;
        }
        let host = &stage.world.hosts[replica];
        if set_up || !may_crash {
            continue;
        }
        left = host.crash_after.or(left);
        if runs_then && host.crash_after == Some(0) && !host.is_up() {
            left = None;
            stage.world.crash_with(replica, Fate::Drawn { seed: before, may_mangle: false });
            super::guarded(&mut stage, |stage| stage.start(replica)).map_err(failure)?;
        }
    }
    Ok(left.is_none())
}
