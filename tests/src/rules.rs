//! Every rule of the protocol, and what proves it: docs/rules.md is written from here.
//!
//! A scenario says which rules it proves in its first line: `# Rules: C6, decision 4, fault 8.`

mod catalogue;

pub use catalogue::RULES;

use crate::{
    mutants::{MUTANTS, Mutant},
    scenario,
};
use std::{collections::BTreeMap, fmt::Write as _, fs, io};

/// A rule and where to find its proof, apart from the scenarios that name it.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Its name in comments and scenarios.
    pub id: &'static str,
    /// What it says.
    pub says: &'static str,
    /// Tests that prove it: `path: name`.
    pub also: &'static [&'static str],
    /// Why nothing proves it, if nothing does.
    pub later: Option<&'static str>,
}

impl Rule {
    const fn also(mut self, tests: &'static [&'static str]) -> Self {
        self.also = tests;
        self
    }
}

const fn rule(id: &'static str, says: &'static str) -> Rule {
    Rule { id, says, also: &[], later: None }
}

const fn later(id: &'static str, says: &'static str, why: &'static str) -> Rule {
    Rule { id, says, also: &[], later: Some(why) }
}

/// The rules that a scenario's first line names.
#[must_use]
pub fn of_scenario(text: &str) -> Vec<&str> {
    let line = text.lines().next().and_then(|line| line.strip_prefix("# Rules: "));
    line.map_or_else(Vec::new, |line| line.trim_end_matches('.').split(", ").collect())
}

/// The scenarios that prove each rule.
///
/// # Errors
/// When a scenario cannot be read.
pub fn scenarios() -> io::Result<BTreeMap<String, Vec<String>>> {
    let directory = scenario::directory();
    let mut by_rule: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for name in scenario::names(&directory)? {
        let text = fs::read_to_string(directory.join(&name).with_extension("txt"))?;
        for rule in of_scenario(&text) {
            by_rule.entry(rule.into()).or_default().push(name.clone());
        }
    }
    Ok(by_rule)
}

/// The page.
///
/// # Errors
/// When a scenario cannot be read.
pub fn page() -> io::Result<String> {
    let scenarios = scenarios()?;
    let mut text = String::from(
        "# Rules, and what proves them\n\n\
         Comments in the code name rules by these letters and numbers; [the protocol](protocol.md) explains them in the order of the code.\n\
         A scenario is a file in `tests/scenarios`, a switch makes a scenario of its row fail\n\
         ([the table of mutants](testing.md#mutants) says which, and how). This page is written by `UPDATE_EXPECT=1 cargo test -p vsr-protocol-tests`.\n\n\
         | rule | what it says | scenarios and tests | switches |\n|---|---|---|---|\n",
    );
    for rule in RULES {
        let named = scenarios.get(rule.id).map_or(&[][..], Vec::as_slice);
        let links = named.iter().map(|name| format!("[{name}](../tests/scenarios/{name}.txt)"));
        let tests = rule.also.iter().filter_map(|test| test.split_once(": "));
        let tests = tests.map(|(path, name)| format!("[{name}](../{path})"));
        let mut proofs: Vec<String> = links.chain(tests).collect();
        if proofs.is_empty() {
            proofs.extend(rule.later.map(|why| format!("none: {why}")));
        }
        let kills = |mutant: &&Mutant| named.iter().any(|name| name == mutant.killer.name());
        let switches = MUTANTS.iter().filter(kills).map(|mutant| format!("`{}`", mutant.switch.name()));
        let mut switches: Vec<String> = switches.collect();
        switches.sort();
        switches.dedup();
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            rule.id,
            rule.says,
            proofs.join(", "),
            switches.join(", ")
        );
    }
    Ok(text)
}
