//! Stories: a text of commands, each with what it brought about indented beneath. Only what the text says happens.
//!
//! A line that begins with `#` says why; a line in column 0 is a [command](self#commands); indented lines are the transcript,
//! which `UPDATE_EXPECT=1` writes anew. `expect` commands are claims that no rewriting touches.
//!
//! # Commands
//! - `cluster 3 [unformed] [view-durable] [limit=value]…`: replicas R0, R1, …; formed and quiet unless told otherwise; view-durable ones
//!   lose their log in every crash. `clients c1 c2` registers.
//! - `request R0 c1 put x 1`, `retry R1 c1` (all that is unanswered), `resend R1 c1 2` (that one, answered or not).
//! - `read R1 c1 x`, `read R1 c1 x after 3`, `stale R1 c1 x`: reads beside the log, numbered for each client.
//! - `deliver R0->R1 Prepare op2`: the oldest such message; `*` is anybody or anything, and `all` in front takes all of them.
//!   `duplicate` delivers a copy, `forge … with view=7` one in which something is changed (cluster, group, epoch, incarnation, view, from, hash, pace), `drop` loses it, `misroute … to R2` brings it to the wrong one; `hold` keeps such messages, those to come too, until `release`.
//! - `collide R0 c1 1 put x 9`: a confused client uses a number again for something else.
//! - `storage R1 manual`, `persist R1`, `storage R1 automatic`; `late R1`: what its storage would have said of the last write before the
//!   crash. `configure R1 window=7` for its next start. `clock R1 -10s` shifts the time of day it shows.
//! - `snapshots R1 manual`: a frozen state is not written out until `snapshots R1 automatic`. `stages R1 manual`: what arrives of a state is
//!   not kept until `stages R1 automatic`, but for the oldest part by `staged R1`, or not even that by `staged R1 failed`. `damage R0->R1 NewState`: the piece of a
//!   snapshot in it has another byte.
//! - `timeout R1 R2`: the clock of each runs until it gives up on the primary, or on its backups. `heartbeat R0`, `tick R0 300ms`.
//! - `crash R0`, `lose R0` (a crash that takes the log), `restart R0`, `wipe R0`, `leave R0`; `bewitch R0` (its state machine answers otherwise than it should); `partition R0 | R1 R2`, `cut R0->R1`, `heal`.
//! - `crash R1 torn`: of what was not flushed the first is cut, the rest lost; or it is `mangled` (and has its mark), `reordered` (lost, the rest is
//!   there), or all is `kept`. `rot R1 frame put x 1`, `zero R1 frame put x 1`, `rot R1 copy 0` (of the record), `rot R1 snapshot`: noticed at
//!   the next start. `flush-error R1`, `full R1`, `room R1`.
//! - `settle`: all that is not held is delivered, until nothing is left. `run 2s`: time passes for all, too.
//! - `expect [not] …`: see [`claims`].
//!
//! Recorded runs (see [`shrink`](crate::shrink)) need more precise ones:
//! - `cluster 3 seed=7 manual-turns manual-storage manual-snapshots manual-stages lenient`: replicas draw from another seed; what is for a replica waits for
//!   `turn R0`; all storages are manual, snapshots wait for `snapshot R0 5` (all up to op 5; `snapshot R0 5 failed`: there is no room), and parts of states for `staged R0`; a command that finds nothing to act on does nothing.
//! - `deliver R0->R1 Commit #3`: the third of such messages. `timer R0`: the replica is told that its timer went off, `fire R0`: its clock moves
//!   there first. `pass R0 12ms`: its clock moves, and no timer goes off.
//! - `write R0`: the oldest write becomes durable, `told R0`: the replica hears of one. `crash R0 after 3 effects` of its next turns.
//!   `crash R0 drawn 7`: chance decides what is left of what was not flushed. `rot R0 frame-at 3`: the frame at that position.
//! - `invoke c1 put x 1`: asked, and lost on the way. `unheard c1`: the answer to its registration got lost. `acked c1 4`: from now on c1 says that all below #4 are answered.

pub mod claims;
mod commands;
pub(crate) mod config;
pub mod crashes;
mod disks;
mod precise;
mod reads;
mod replay;
pub(crate) mod select;
pub(crate) mod stage;

pub use replay::{Replay, replay};

use crate::{
    checkers::{Coverage, Violation},
    disk::Switches,
};
use stage::Stage;
use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

/// What is wrong with a scenario, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Line of the command, from 1.
    pub line: usize,
    /// How many commands it took, this one included.
    pub steps: usize,
    /// The command.
    pub command: String,
    /// What is wrong.
    pub what: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}: {}", self.line, self.command, self.what)
    }
}

/// The directory of this project's own scenarios.
#[must_use]
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

/// Names of all scenarios in a directory, in order.
///
/// # Errors
/// When the directory cannot be read.
pub fn names(directory: &Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for file in fs::read_dir(directory)? {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            names.extend(path.file_stem().and_then(|stem| stem.to_str()).map(String::from));
        }
    }
    names.sort();
    Ok(names)
}

/// Runs a text and returns it with its transcript as it came out this time.
///
/// # Errors
/// The first command that fails: a claim that is untrue, a property that is broken, a panic.
pub fn run(text: &str, switches: impl Into<Switches>) -> Result<String, Failure> {
    play(text, switches.into()).map(|(output, _)| output)
}

/// Runs a text: which paths it takes.
///
/// # Errors
/// As for [`run`].
pub fn coverage(text: &str, switches: impl Into<Switches>) -> Result<Coverage, Failure> {
    play(text, switches.into()).map(|(_, stage)| stage.world.checkers.coverage().clone())
}

fn play(text: &str, switches: Switches) -> Result<(String, Stage), Failure> {
    let mut stage = Stage::new(switches);
    let mut output = String::new();
    let mut steps = 0;
    for (index, line) in text.lines().enumerate() {
        if line.starts_with(' ') {
            continue;
        }
        output += line;
        output.push('\n');
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        steps += 1;
        if let Err(what) = guarded(&mut stage, |stage| commands::execute(stage, line)) {
            let forgiven = stage.lenient && stage.violation.is_none() && !line.starts_with("expect");
            if !forgiven {
                return Err(Failure { line: index + 1, steps, command: line.into(), what });
            }
            stage.say(format!("nothing: {what}"));
        }
        for line in stage.take_transcript() {
            output += &format!("  {line}\n");
        }
    }
    Ok((output, stage))
}

/// Does something; a panic is a broken property.
fn guarded(stage: &mut Stage, act: impl FnOnce(&mut Stage) -> Result<(), String>) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(|| act(stage))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        let violation = Violation::new("panic", text.unwrap_or_else(|| "not text".into()));
        let text = violation.to_string();
        stage.violation = Some(violation);
        Err(text)
    })
}

/// Runs a file, and compares its transcript, or writes it if `UPDATE_EXPECT` is set.
///
/// # Errors
/// What failed, or where the transcript differs.
pub fn check(path: &Path) -> Result<(), String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let output =
        run(&text, Switches::default()).map_err(|failure| format!("{}, {failure}", path.display()))?;
    if output == text {
        return Ok(());
    }
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        return fs::write(path, output).map_err(|error| format!("{}: {error}", path.display()));
    }
    let differs = output.lines().zip(text.lines()).position(|(new, old)| new != old);
    let line = differs.unwrap_or_else(|| output.lines().count().min(text.lines().count()));
    let (new, old) = (output.lines().nth(line).unwrap_or("(end)"), text.lines().nth(line).unwrap_or("(end)"));
    Err(format!(
        "{}, line {}: the transcript has changed; UPDATE_EXPECT=1 accepts it\n  was {old}\n  is  {new}",
        path.display(),
        line + 1
    ))
}
