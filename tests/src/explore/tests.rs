use super::*;
use crate::prng::Prng;
use local::Local;

/// What was looked up is what the core does: replicas that take the same steps one after the other, and never come out of a table,
/// are in the states that the search says.
#[test]
fn a_path_of_the_search_is_a_run_of_the_replicas() {
    let bounds = Bounds { crashes: 2, repeats: true, ..Bounds::default() };
    let mut group = Group::new(bounds);
    let first = group.first();
    let mut steps_taken = 0;
    for seed in 0..40 {
        let mut prng = Prng::new(seed);
        let mut state = first;
        let mut replicas: [Local; REPLICAS] =
            std::array::from_fn(|replica| group.local(replica, state.locals[replica]).clone());
        for _ in 0..60 {
            let mut next = Vec::new();
            group.steps(&state, &mut next).expect("nothing is wrong");
            let Some((step, after)) = next.get(prng.index(next.len())) else { break };
            let (replica, happening) = (step.replica, group.happening(step.action));
            let config = group.config(replica);
            let happened = replicas[replica].after(&happening, config).expect("nothing is wrong");
            let (happened, _) = happened.expect("the search took this step");
            replicas[replica] = happened;
            state = *after;
            steps_taken += 1;
            for (replica, real) in replicas.iter().enumerate() {
                let found = group.local(replica, state.locals[replica]);
                assert_eq!(real.fingerprint(), found.fingerprint(), "seed {seed}, R{replica}");
                // Who is heard changes nothing that the search looks for: states that differ in it only are one.
                let known = |local: &Local| {
                    let mut status = local.status();
                    status.peers = 0;
                    status
                };
                assert_eq!(known(real), known(found), "seed {seed}, R{replica}");
            }
        }
    }
    assert!(steps_taken > 1000, "the walks get somewhere: {steps_taken} steps");
}
