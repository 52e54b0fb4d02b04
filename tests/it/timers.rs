//! What chance may not delay.

use vsr_core::{Mutation, Mutations};
use vsr_test::scenario;

/// Whatever a replica draws, its primary's death costs one time-out: in virtual time, to the step of the scenario's clock.
#[test]
fn no_seed_delays_a_failover() {
    for replicas in [3, 5] {
        for seed in 0..200 {
            let story = failover(replicas, seed);
            if let Err(failure) = scenario::run(&story, Mutations::default()) {
                panic!("{replicas} replicas, seed {seed}: {failure}");
            }
        }
    }
}

/// And it is the rule that sees to that: with jitter most seeds come late.
#[test]
fn jitter_would_delay_most_failovers() {
    let mutations = Mutations::default().with(Mutation::JitterAtOnce);
    let late = (0..50).filter(|seed| scenario::run(&failover(3, *seed), mutations).is_err());
    assert!(late.count() > 40);
}

fn failover(replicas: usize, seed: u64) -> String {
    format!(
        "cluster {replicas} seed={seed}\n\
         clients c1\n\
         heartbeat R0\n\
         settle\n\
         crash R0\n\
         run 490ms\n\
         expect R1 view 0\n\
         run 10ms\n\
         expect R1 primary\n\
         request R1 c1 put x 1\n\
         settle\n\
         expect c1 1 answered\n"
    )
}
