//! The bank that all chapters share.
use std::collections::BTreeMap;
use vsr_actor::prelude::*;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Bank {
    accounts: BTreeMap<String, u64>,
    paid_in: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Operation {
    Deposit { to: String, cents: u32 },
    Transfer { from: String, to: String, cents: u32 },
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Receipt {
    Balance(u64),
    TooPoor { has: u64 },
}

impl Bank {
    pub fn balance(&self, name: &str) -> u64 {
        self.accounts.get(name).copied().unwrap_or(0)
    }

    pub fn books_balance(&self) -> Result<(), String> {
        let in_accounts: u64 = self.accounts.values().sum();
        let same = in_accounts == self.paid_in;
        if same { Ok(()) } else { Err(format!("{in_accounts} in accounts, {} paid in", self.paid_in)) }
    }

    pub fn apply(&mut self, operation: Operation) -> Receipt {
        match operation {
            Operation::Deposit { to, cents } => {
                self.paid_in += u64::from(cents);
                self.add(to, cents)
            }
            Operation::Transfer { from, to, cents } => {
                let has = self.balance(&from);
                let Some(left) = has.checked_sub(cents.into()) else { return Receipt::TooPoor { has } };
                self.accounts.insert(from, left);
                self.add(to, cents)
            }
        }
    }

    fn add(&mut self, name: String, cents: u32) -> Receipt {
        let balance = self.accounts.entry(name).or_default();
        *balance += u64::from(cents);
        Receipt::Balance(*balance)
    }
}

impl StateMachine for Bank {
    type Operation = Operation;
    type Reply = Receipt;

    fn handle_commit(&mut self, _commit: &Commit, operation: Operation) -> Receipt {
        self.apply(operation)
    }
}

pub fn deposit(to: &str, cents: u32) -> Operation {
    Operation::Deposit { to: to.into(), cents }
}

pub fn transfer(from: &str, to: &str, cents: u32) -> Operation {
    Operation::Transfer { from: from.into(), to: to.into(), cents }
}
