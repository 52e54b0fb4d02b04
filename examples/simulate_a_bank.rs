//! A bank whose total never changes, on five replicas that crash, are cut off and lose messages; one seed is one such life.
//!
//! `cargo run -p vsr-examples --example simulate_a_bank`
use vsr_actor::{linearizability::Model, prelude::*};
use vsr_test::{Failure, Faults, Simulation};

const ACCOUNTS: usize = 10;
const MONEY_AT_FIRST: u64 = 100;

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Bank {
    accounts: [u64; ACCOUNTS],
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Transfer {
    from: usize,
    to: usize,
    amount: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Receipt {
    Done { left: u64 },
    TooPoor,
}

impl Bank {
    fn new() -> Self {
        Self { accounts: [MONEY_AT_FIRST; ACCOUNTS] }
    }

    fn transfer(&mut self, Transfer { from, to, amount }: &Transfer) -> Receipt {
        if self.accounts[*from] < *amount {
            return Receipt::TooPoor;
        }
        self.accounts[*from] -= amount;
        self.accounts[*to] += amount;
        Receipt::Done { left: self.accounts[*from] }
    }

    fn nothing_is_lost(&self) -> Result<(), String> {
        let total: u64 = self.accounts.iter().sum();
        let wanted = MONEY_AT_FIRST * ACCOUNTS as u64;
        if total == wanted { Ok(()) } else { Err(format!("{total} in all accounts instead of {wanted}")) }
    }
}

impl StateMachine for Bank {
    type Operation = Transfer;
    type Reply = Receipt;
    fn handle_commit(&mut self, _commit: &Commit, transfer: Transfer) -> Receipt {
        self.transfer(&transfer)
    }
}

/// What clients may believe: one bank, one transfer after the other.
struct OneBank;

impl Model for OneBank {
    type State = Bank;
    type Op = Transfer;
    type Reply = Receipt;
    fn initial() -> Bank {
        Bank::new()
    }
    fn step(bank: &Bank, transfer: &Transfer) -> (Bank, Receipt) {
        let mut next = bank.clone();
        let receipt = next.transfer(transfer);
        (next, receipt)
    }
}

fn main() -> Result<(), Failure> {
    for (name, faults) in
        [("calm", Faults::calm()), ("default", Faults::default()), ("harsh", Faults::harsh())]
    {
        let report = Simulation::new(1, Bank::new)
            .replicas(5)
            .faults(faults)
            .workload(|random, _client| Transfer {
                from: random.index(ACCOUNTS),
                to: random.index(ACCOUNTS),
                amount: random.range(1, 80),
            })
            .invariant(Bank::nothing_is_lost)
            .model::<OneBank>()
            .readable()
            .seeds(20)
            .run()?;
        println!("{name:8} {report}");
    }
    println!("and no coin was lost or made");
    Ok(())
}
