//! Chapter 8: the bank in a simulation, as a test.
use crate::bank::{Bank, Operation, Receipt, deposit, transfer};
use vsr_actor::linearizability::Model;
use vsr_test::{Failure, Faults, Prng, Simulation};

const NAMES: [&str; 3] = ["Ada", "Bob", "Eve"];

/// What clients ask for.
fn anything(random: &mut Prng, _client: usize) -> Operation {
    let cents = random.range(1, 100) as u32;
    match random.below(3) {
        0 => deposit(random.pick(&NAMES), cents),
        _ => transfer(random.pick(&NAMES), random.pick(&NAMES), cents),
    }
}

/// What clients may believe: one bank, one operation after the other.
struct OneBank;

impl Model for OneBank {
    type State = Bank;
    type Op = Operation;
    type Reply = Receipt;

    fn initial() -> Bank {
        Bank::default()
    }

    fn step(bank: &Bank, operation: &Operation) -> (Bank, Receipt) {
        let mut next = bank.clone();
        let receipt = next.apply(operation.clone());
        (next, receipt)
    }
}

#[test]
fn the_bank_survives_whatever_happens() -> Result<(), Failure> {
    let report = Simulation::new(1, Bank::default)
        .replicas(5)
        .faults(Faults::harsh())
        .workload(anything)
        .invariant(Bank::books_balance)
        .model::<OneBank>()
        .readable()
        .seeds(20)
        .run()?;
    println!("{report}");
    Ok(())
}
