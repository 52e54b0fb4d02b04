//! Fixed seeds hold all properties, take every path, and are the same every time.

use vsr_core::{Mutation, Mutations};
use vsr_test::{
    marks,
    simulation::{Options, Telling, Totals, run},
};

const SEEDS: u64 = 30;

/// Events that no seed brings about: they take a liar, a state machine that is not deterministic, or more losses than the group bears.
const SEEDLESS: &[&str] = &["Conflict", "DigestsDiffer", "MemoryLossProven"];

#[test]
fn fixed_seeds_hold_all_properties() {
    let mut totals = Totals::default();
    for seed in 1..=SEEDS {
        let report = run(seed, Options::default());
        if let Some(violation) = report.violation {
            panic!(
                "seed {seed}: {violation}\nagain: cargo run --release -p vsr-test -- simulate --seeds 1 --seed {seed}"
            );
        }
        assert!(report.totals.steps >= 5000, "seed {seed} is too short");
        assert!(report.totals.requests >= 100, "seed {seed} does too little");
        totals.merge(&report.totals);
    }
    assert!(totals.crashes >= SEEDS, "a crash a seed, on average");
    assert!(totals.partitions >= SEEDS, "a partition a seed, on average");
    assert!(totals.view_changes >= 2 * SEEDS, "two view changes a seed, on average");
    for (mark, count) in totals.coverage.iter() {
        let asked = matches!(mark.kind, "event" | "storage") && !SEEDLESS.contains(&mark.name);
        assert!(count > 0 || !asked, "no seed gets to {mark}");
    }
    let scenarios = marks::of_scenarios().expect("all scenarios pass");
    for row in marks::rows(&totals.coverage, &scenarios) {
        assert_eq!(row.fault(), None, "{}", row.mark);
    }
    for (name, _) in marks::EXPLAINED {
        assert!(
            totals.coverage.iter().any(|(mark, _)| mark.to_string() == *name),
            "{name} is explained, and is no mark"
        );
    }
}

#[test]
fn same_seed_is_the_same_run() {
    for seed in 100..106 {
        let (once, twice) = (run(seed, Options::default()), run(seed, Options::default()));
        assert_eq!(once.trace_hash, twice.trace_hash, "seed {seed}");
        assert_eq!(once.totals, twice.totals, "seed {seed}");
        // Somebody who looks on changes nothing.
        let watched = run(seed, Options { telling: Telling::Details, ..Options::default() });
        assert_eq!(once.trace_hash, watched.trace_hash, "seed {seed}");
        assert_ne!(once.trace_hash, run(seed + 1000, Options::default()).trace_hash, "seed {seed}");
    }
}

#[test]
fn replicas_that_forget_hold_all_properties() {
    let mut recovered = 0;
    for seed in 300..310 {
        let report = run(seed, Options { view_durable: true, ..Options::default() });
        assert_eq!(report.violation, None, "seed {seed}, view-durable");
        recovered += report.totals.coverage.of("Recovered");
    }
    assert!(recovered >= 10, "logs are lost, and come back");
}

#[test]
fn what_is_given_up_never_comes_back() {
    let options = Options { view_durable: true, too_many_losses: true, ..Options::default() };
    for seed in 400..415 {
        assert_eq!(run(seed, options).violation, None, "seed {seed}, with too many losses");
    }
    // Somebody would be given up too early, in one run of some two hundred: the range begins with one of them, and has room for others.
    let mutations = Mutations::default().with(Mutation::CountFetching);
    let rash = Options { mutations, replicas: Some(3), ..options };
    let noticed = (508..708).any(|seed| run(seed, rash).violation.is_some());
    assert!(noticed, "a replica is given up that recovers, and nobody notices");
}

#[test]
fn five_replicas_hold_all_properties() {
    for seed in 200..210 {
        let report = run(seed, Options { replicas: Some(5), ..Options::default() });
        assert_eq!(report.violation, None, "seed {seed} with five replicas");
    }
}
