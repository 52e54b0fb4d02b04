//! docs/parity.md: every row is there, none is open, and all that it names exists.

use std::{fs, path::PathBuf};
use vsr_actor::observe::EVENTS;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(root().join(path)).ok()
}

struct Row {
    name: String,
    original: String,
    here: String,
    proof: String,
}

fn rows() -> Vec<Row> {
    let page = read("docs/parity.md").expect("docs/parity.md is there");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")).filter_map(|line| {
        let cells: Vec<_> = line.trim_end_matches('|').split(" | ").map(str::trim).collect();
        let [name, original, here, rest @ ..] = &cells[..] else { return None };
        let text = |cell: &str| cell.to_owned();
        let proof = rest.first().copied().unwrap_or_default();
        Some(Row { name: text(name), original: text(original), here: text(here), proof: text(proof) })
    });
    rows.filter(|row| row.name.chars().last().is_some_and(|last| last.is_ascii_digit())).collect()
}

/// What stands between backquotes.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// What is wrong with one proof, if anything is.
fn fault(proof: &str) -> Option<String> {
    let (path, name) = proof.split_once('#').map_or((proof, None), |(path, name)| (path, Some(name)));
    let Some(source) = read(path) else { return Some(format!("{path} is missing")) };
    if let Some(name) = name {
        let lines: Vec<_> =
            source.lines().map(|line| line.trim_start().trim_start_matches("async ")).collect();
        let at = lines.iter().position(|line| line.starts_with(&format!("fn {name}(")));
        let mut attributes = lines[..at.unwrap_or(0)].iter().rev().take_while(|line| line.starts_with("#["));
        return (!attributes.any(|line| line.contains("test"))).then(|| format!("{path} has no test {name}"));
    }
    if let Some(example) = path.strip_prefix("examples/").and_then(|path| path.strip_suffix(".rs")) {
        let run = read(".ci/run").expect(".ci/run is there");
        let listed = run.lines().any(|line| line.starts_with("for example in") && line.contains(example));
        return (!listed).then(|| format!("{example} does not run in CI"));
    }
    // A whole file of tests says too little.
    path.ends_with(".rs").then(|| format!("{path}: which test?"))
}

#[test]
fn every_row_of_the_original_is_there() {
    let names: Vec<_> = rows().into_iter().map(|row| row.name).collect();
    let expected = [('P', 11), ('A', 19), ('S', 5), ('T', 33)];
    let expected: Vec<_> = expected
        .into_iter()
        .flat_map(|(table, last)| (1..=last).map(move |n| format!("{table}{n}")))
        .collect();
    assert_eq!(names, expected);
}

#[test]
fn no_row_is_open_and_all_proofs_exist() {
    let mut faults = Vec::new();
    for row in rows().iter().filter(|row| !row.name.starts_with('T')) {
        if row.proof == "later" {
            // Reconfiguration, which the original has not, either.
            assert_eq!(row.name, "P9");
            continue;
        }
        if quoted(&row.proof).next().is_none() {
            faults.push(format!("{} is not proven", row.name));
        }
        faults.extend(quoted(&row.proof).filter_map(fault).map(|fault| format!("{}: {fault}", row.name)));
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn every_event_of_the_original_is_one_of_ours() {
    let rows = rows();
    let rows: Vec<_> = rows.iter().filter(|row| row.name.starts_with('T')).collect();
    for row in &rows {
        let event = EVENTS.iter().find(|event| event.original == Some(&row.original));
        let event = event.unwrap_or_else(|| panic!("{}: nothing stands for {}", row.name, row.original));
        assert_eq!(row.here, format!("`{}`", event.name), "{}", row.name);
    }
    let ours = EVENTS.iter().filter(|event| event.original.is_some()).count();
    assert_eq!(rows.len(), ours, "the page lacks one");
    let heard = "vsr-actor/src/observe/tests/life.rs#what_groups_live_through_is_told_as_the_table_says";
    assert_eq!(fault(heard), None);
}

/// docs/actors.md names a test for each way a call, a start or a replica ends.
#[test]
fn the_tests_that_the_page_of_actors_names_exist() {
    let page = read("docs/actors.md").expect("it is there");
    let files = [
        "server/calls.rs",
        "server/ends.rs",
        "server/joining.rs",
        "server/overrides.rs",
        "supervisor/ends.rs",
    ];
    let files =
        files.into_iter().chain(["supervisor/limits.rs"]).map(|file| format!("vsr-actor/tests/it/{file}"));
    let files: Vec<_> = files.collect();
    let named: Vec<_> = quoted(&page).filter(|name| name.matches('_').count() > 3).collect();
    for name in &named {
        let found = files.iter().any(|file| fault(&format!("{file}#{name}")).is_none());
        assert!(found, "there is no test {name}");
    }
    assert!(named.len() > 20, "{named:?}");
}

#[test]
fn a_proof_that_does_not_exist_is_noticed() {
    assert!(fault("tests/it/parity.rs#no_row_is_open_and_all_proofs_exist").is_none());
    assert!(fault("tests/it/parity.rs#nobody_wrote_this").is_some());
    assert!(fault("tests/it/parity.rs#root").is_some(), "it is no test");
    assert!(fault("examples/nothing.rs").is_some());
    assert!(fault("tests/scenarios/nothing.txt").is_some());
}
