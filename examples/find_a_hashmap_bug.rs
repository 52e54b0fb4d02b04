//! A reply that depends on the order of a `HashMap`: each replica has an order of its own. No test of one machine sees it, and in
//! production replicas would drift apart in silence. The simulation finds it and names the operation.
//!
//! `cargo run -p vsr-examples --example find_a_hashmap_bug` exits with 0 because the bug is found.
use std::{collections::HashMap, process::ExitCode};
use vsr_actor::prelude::*;
use vsr_test::Simulation;

#[derive(Default, Serialize, Deserialize)]
struct Purses {
    money: HashMap<String, u64>,
}

#[derive(Debug, Serialize, Deserialize)]
enum Operation {
    Earn {
        name: String,
        amount: u64,
    },
    /// Takes one coin of the first who has any.
    CollectTax,
}

impl StateMachine for Purses {
    type Operation = Operation;
    type Reply = Option<String>;
    fn handle_commit(&mut self, _commit: &Commit, operation: Operation) -> Option<String> {
        match operation {
            Operation::Earn { name, amount } => {
                *self.money.entry(name).or_default() += amount;
                None
            }
            Operation::CollectTax => {
                // The bug: who is first? A `BTreeMap` would be the cure.
                let (name, coins) = self.money.iter_mut().find(|(_, coins)| **coins > 0)?;
                *coins -= 1;
                Some(name.clone())
            }
        }
    }
}

fn main() -> ExitCode {
    let names = ["Ada", "Barbara", "Edsger", "Leslie", "Nancy"];
    let result = Simulation::new(1, Purses::default)
        .workload(move |random, _client| match random.below(2) {
            0 => Operation::Earn { name: random.pick(&names).into(), amount: random.range(1, 9) },
            _ => Operation::CollectTax,
        })
        .readable()
        .seeds(10)
        .run();
    match result {
        Ok(report) => {
            println!("not found: {report}");
            ExitCode::FAILURE
        }
        Err(failure) if failure.property == "determinism" => {
            println!("found, as it should be:\n{failure}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            println!("found something else:\n{failure}");
            ExitCode::FAILURE
        }
    }
}
