//! Whether chance finds a mutant, too: seeds of the simulation without its rule.

use super::{Mutant, Switch};
use crate::{
    disk::Switches,
    simulation::{Options, run},
};
use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// Runs up to `seeds` seeds without the rule of each mutant. How many it took until a property was broken; nothing if that many do not
/// notice. Mutants with the same switch have the same figure.
#[must_use]
pub fn search(mutants: &[&Mutant], seeds: u64) -> Vec<Option<u64>> {
    let mut switches: Vec<Switch> = Vec::new();
    for mutant in mutants {
        if !switches.contains(&mutant.switch) {
            switches.push(mutant.switch);
        }
    }
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::new());
    let worker = || {
        while let Some(switch) = switches.get(next.fetch_add(1, Ordering::Relaxed)) {
            let seed = (1..=seeds).find(|seed| run(*seed, without(*switch)).violation.is_some());
            found.lock().expect("no worker panics").push((*switch, seed));
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(worker);
        }
    });
    let found = found.into_inner().expect("no worker panics");
    let of = |mutant: &&Mutant| found.iter().find(|(switch, _)| *switch == mutant.switch);
    mutants.iter().map(|mutant| of(mutant).and_then(|(_, seed)| *seed)).collect()
}

fn without(switch: Switch) -> Options {
    let Switches { core, storage } = switch.off();
    Options { mutations: core, storage, ..Options::default() }
}
