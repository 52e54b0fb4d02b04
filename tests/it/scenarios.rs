//! Every scenario passes; every mutant fails its own.

use vsr_core::Mutation;
use vsr_test::{
    disk::StorageMutation,
    mutants::{MUTANTS, Switch, hunt},
    scenario::{self, crashes},
};

#[test]
fn scenarios_pass() {
    let directory = scenario::directory();
    let names = scenario::names(&directory).expect("the scenarios are there");
    assert!(names.len() >= 20, "the scenarios are found");
    let failures: Vec<_> = names
        .iter()
        .filter_map(|name| scenario::check(&directory.join(name).with_extension("txt")).err())
        .collect();
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn mutants_fail_their_scenarios() {
    for mutant in MUTANTS {
        let outcome = hunt(mutant).expect("the scenario is there");
        assert!(outcome.is_killed(), "{} and {}: {outcome:?}", mutant.switch.name(), mutant.killer.name());
    }
}

#[test]
fn every_mutation_has_a_scenario() {
    for mutation in Mutation::ALL {
        let named = MUTANTS.iter().any(|mutant| mutant.switch == Switch::Core(*mutation));
        assert!(named, "{} is in no scenario", mutation.name());
    }
    for mutation in StorageMutation::ALL {
        let named = MUTANTS.iter().any(|mutant| mutant.switch == Switch::Storage(*mutation));
        assert!(named, "{} is in no scenario", mutation.name());
    }
}

#[test]
fn a_crash_before_any_effect_is_survived() {
    for replica in 0..3 {
        let effects =
            crashes::everywhere(crashes::STORY, replica).unwrap_or_else(|failure| panic!("{failure}"));
        assert!(effects > 100, "R{replica} does something in the story: {effects} effects");
    }
}
