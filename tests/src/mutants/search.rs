//! Whether chance finds a mutant, too: seeds of the simulation without its rule.

use super::{MUTANTS, Switch};
use crate::simulation::{Options, run};
use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};
use vsr_core::Mutations;

/// Runs up to `seeds` seeds without each rule. How many it took until a property was broken, for each switch in the order of
/// [`MUTANTS`]; nothing if that many do not notice.
#[must_use]
pub fn search(seeds: u64) -> Vec<(Switch, Option<u64>)> {
    let mut switches: Vec<Switch> = Vec::new();
    for mutant in MUTANTS {
        if !switches.contains(&mutant.switch) {
            switches.push(mutant.switch);
        }
    }
    let next = AtomicUsize::new(0);
    let found = Mutex::new(vec![None; switches.len()]);
    let worker = || {
        while let Some(switch) = switches.get(next.fetch_add(1, Ordering::Relaxed)) {
            let seed = (1..=seeds).find(|seed| run(*seed, without(*switch)).violation.is_some());
            let place = switches.iter().position(|other| other == switch).expect("it is one of them");
            found.lock().expect("no worker panics")[place] = seed;
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(worker);
        }
    });
    let found = found.into_inner().expect("no worker panics");
    switches.into_iter().zip(found).collect()
}

fn without(switch: Switch) -> Options {
    let Switch::Core(mutation) = switch;
    Options { mutations: Mutations::default().with(mutation), ..Options::default() }
}
