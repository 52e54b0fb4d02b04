//! A seed that fails, made short: what was done to the world is written down as the commands of a scenario, which are then deleted
//! one after the other while the same property still breaks.

mod edits;
mod reduce;
mod script;

use crate::disk::Switches;
use crate::{
    checkers::Violation,
    scenario::{self, replay},
    simulation::{Options, Report, record},
};
use reduce::Search;
use std::fmt::Write as _;

/// What came of shrinking a seed.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// What the seed broke.
    pub violation: Violation,
    /// Inputs to replicas until then.
    pub steps: u64,
    /// Commands of the recording.
    pub recorded: usize,
    /// Commands that are left.
    pub lines: Vec<String>,
    /// How often the search tried something.
    pub replays: u64,
    /// The scenario: a comment, the commands, what they bring about without the mutation.
    pub text: String,
}

/// Why a seed cannot be made a scenario.
#[derive(Clone, Debug)]
pub enum Unshrunk {
    /// It does not fail.
    Passes,
    /// It breaks a property that no single step breaks.
    Liveness(Violation),
    /// Scenarios cannot say what happened.
    Inexpressible(Violation, String),
    /// The recorded commands do something else.
    Differs(Violation, Option<Violation>),
}

impl std::fmt::Display for Unshrunk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Passes => write!(f, "the seed holds all properties"),
            Self::Liveness(violation) => {
                write!(f, "not shrunk: what is missing has no step that breaks it ({violation})")
            }
            Self::Inexpressible(violation, what) => write!(f, "not shrunk: {what} ({violation})"),
            Self::Differs(violation, None) => write!(f, "not shrunk: the recording passes ({violation})"),
            Self::Differs(violation, Some(other)) => {
                write!(f, "not shrunk: the recording breaks {} ({violation})", other.property)
            }
        }
    }
}

/// Runs a seed, and makes the shortest scenario of it that still breaks the same property. `mutation` is the name of what is switched
/// off in `options`, for the comment.
///
/// # Errors
/// Why there is none.
pub fn shrink(seed: u64, options: Options, mutation: Option<&str>) -> Result<Shrunk, Unshrunk> {
    let (report, lines) = record(seed, options, script::lines);
    let Report { violation, totals, .. } = report;
    let violation = violation.ok_or(Unshrunk::Passes)?;
    if violation.property == "J14 progress" {
        return Err(Unshrunk::Liveness(violation));
    }
    let lines = lines.map_err(|what| Unshrunk::Inexpressible(violation.clone(), what))?;
    let recorded = lines.len();
    let switches = Switches { core: options.mutations, storage: options.storage };
    let first = replay(&lines, switches);
    if first.violation.as_ref().map(|found| found.property) != Some(violation.property) {
        return Err(Unshrunk::Differs(violation, first.violation));
    }
    let mut search = Search::new(lines, violation.property, switches);
    search.shrink();
    let Search { lines, replays, .. } = search;
    let text = render(&lines, seed, &violation, mutation, totals.steps, recorded);
    Ok(Shrunk { violation, steps: totals.steps, recorded, lines, replays, text })
}

/// Makes lines that break `property` as few as possible, in the same way as [`shrink`].
#[must_use]
pub fn reduce(lines: Vec<String>, property: &'static str, switches: impl Into<Switches>) -> Vec<String> {
    let mut search = Search::new(lines, property, switches.into());
    search.shrink();
    search.lines
}

/// The file: why, what, and the transcript of a world in which the rule is kept.
fn render(
    lines: &[String],
    seed: u64,
    violation: &Violation,
    mutation: Option<&str>,
    steps: u64,
    recorded: usize,
) -> String {
    let mut text = format!("# Seed {seed}");
    if let Some(mutation) = mutation {
        let _ = write!(text, " with {mutation}");
    }
    let _ = writeln!(text, " broke \"{}\" after {steps} steps.", violation.property);
    let _ = writeln!(text, "# {recorded} recorded commands were shrunk to {}.\n", lines.len());
    let commands = lines.join("\n") + "\n";
    let strict = text.clone() + &commands;
    // Where the rule is kept some messages do not exist.
    let lenient = text.clone() + &commands.replacen('\n', " lenient\n", 1);
    let passes =
        [&strict, &lenient].into_iter().find_map(|text| scenario::run(text, Switches::default()).ok());
    passes.unwrap_or(lenient)
}
