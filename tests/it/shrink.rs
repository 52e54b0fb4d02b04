//! Seeds that fail become scenarios: short, failing for the same reason, passing where the rule is kept, and no shorter if tried again.

use vsr_core::{Mutation, Mutations};
use vsr_test::{
    scenario::{self, replay},
    shrink::{Shrunk, Unshrunk, reduce, shrink},
    simulation::{Options, run},
};

/// The first of sixty seeds that breaks a property soon without a rule.
fn failing(first: u64, options: Options) -> u64 {
    let soon = |seed: &u64| {
        let report = run(*seed, options);
        let broken = report.violation.is_some_and(|found| found.property != "J14 progress");
        broken && report.totals.steps < 3000
    };
    (first..first + 60).find(soon).expect("one of sixty seeds fails soon")
}

fn shrunk(mutation: Mutation, first: u64) -> Shrunk {
    let options = Options { mutations: Mutations::default().with(mutation), ..Options::default() };
    let shrunk = shrink(failing(first, options), options, Some(mutation.name()));
    shrunk.unwrap_or_else(|error| panic!("{}: {error}", mutation.name()))
}

fn is_a_scenario_of(mutation: Mutation, first: u64) {
    let mutations = Mutations::default().with(mutation);
    let Shrunk { violation, recorded, lines, text, .. } = shrunk(mutation, first);
    assert!(recorded > 100, "the recording is a long one: {recorded}");
    assert!(lines.len() <= 60, "{} is left with {} commands:\n{text}", mutation.name(), lines.len());
    let failure = scenario::run(&text, mutations).expect_err("it fails without the rule");
    assert!(failure.what.starts_with(violation.property), "{failure}, instead of {violation}");
    let transcript = scenario::run(&text, Mutations::default()).expect("it passes with the rule");
    assert_eq!(transcript, text, "it can be committed as it is");
    let again = reduce(lines.clone(), violation.property, mutations);
    assert_eq!(again, lines, "nothing is left to be deleted");
    for dropped in 1..lines.len() {
        let mut fewer = lines.clone();
        let line = fewer.remove(dropped);
        let found = replay(&fewer, mutations).violation;
        assert_ne!(found.map(|found| found.property), Some(violation.property), "{line} is not needed");
    }
}

#[test]
fn an_acknowledgement_too_early_shrinks() {
    is_a_scenario_of(Mutation::AckBeforePersisted, 1);
}

#[test]
fn an_own_vote_too_early_shrinks() {
    is_a_scenario_of(Mutation::OwnVoteBeforePersisted, 1);
}

#[test]
fn a_primary_that_resumes_shrinks() {
    is_a_scenario_of(Mutation::PrimaryResumes, 1);
}

#[test]
fn the_last_log_of_all_shrinks() {
    // Those before fail, too, and take ten times as long to shrink.
    is_a_scenario_of(Mutation::ChooseLast, 40);
}

#[test]
fn a_seed_that_passes_is_no_scenario() {
    assert!(matches!(shrink(1, Options::default(), None), Err(Unshrunk::Passes)));
}
