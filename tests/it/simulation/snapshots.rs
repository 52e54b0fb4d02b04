//! What can be wrong with snapshots of a state machine.

use super::{Order, Receipt, order, wrong};
use std::{
    cell::Cell,
    collections::BTreeMap,
    io::{self, Read, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use vsr_actor::{Frozen, Snapshot, prelude::*};
use vsr_test::{Faults, Simulation};

#[test]
fn state_that_is_not_in_the_snapshot_is_found() {
    #[derive(Default, Serialize, Deserialize)]
    struct Forgetful {
        #[serde(skip)]
        deposits: u64,
    }
    machine!(Forgetful, |this, _commit, order| match order {
        Order::Deposit { .. } => {
            this.deposits += 1;
            Receipt::Amount(this.deposits)
        }
        _ => Receipt::Refused,
    });
    let failure = wrong(Forgetful::default);
    assert_eq!(failure.property, "snapshot", "{failure}");
    assert!(failure.what.contains("Deposit"), "{failure}");
}

/// A snapshot with a format of its own: both numbers are written, and read by `restore`.
macro_rules! two_numbers {
    ($name:ident, |$this:ident, $first:ident, $second:ident| $restore:expr) => {
        impl Snapshot for $name {
            fn snapshot(&self) -> Frozen {
                let numbers = [self.deposits.to_le_bytes(), self.balances.to_le_bytes()];
                Frozen::new(move |to: &mut dyn Write| to.write_all(&numbers.concat()))
            }
            fn restore(&mut self, from: &mut dyn Read) -> io::Result<()> {
                let mut numbers = [[0; 8]; 2];
                from.read_exact(&mut numbers[0])?;
                from.read_exact(&mut numbers[1])?;
                let [$first, $second] = numbers.map(u64::from_le_bytes);
                let $this = self;
                $restore
            }
        }
        machine!($name, |this, _commit, order| match order {
            Order::Deposit { .. } => {
                this.deposits += 1;
                Receipt::Amount(this.deposits)
            }
            Order::Balance { .. } => {
                this.balances += 1;
                Receipt::Amount(this.balances)
            }
            _ => Receipt::Refused,
        });
    };
}

#[test]
fn a_restore_that_forgets_a_field_is_found() {
    #[derive(Default)]
    struct HalfRestored {
        deposits: u64,
        balances: u64,
    }
    two_numbers!(HalfRestored, |this, deposits, _balances| {
        this.deposits = deposits;
        Ok(())
    });
    let failure = wrong(HalfRestored::default);
    assert_eq!(failure.property, "snapshot", "{failure}");
    assert!(failure.what.contains("Balance"), "{failure}");
}

#[test]
fn a_restore_that_adds_to_what_is_there_is_found() {
    #[derive(Default)]
    struct Adds {
        deposits: u64,
        balances: u64,
    }
    two_numbers!(Adds, |this, deposits, balances| {
        // Right for a fresh machine only.
        this.deposits += deposits;
        this.balances = balances;
        Ok(())
    });
    let failure = wrong(Adds::default);
    assert_eq!(failure.property, "snapshot", "{failure}");
}

#[test]
fn a_restore_that_fails_is_found() {
    #[derive(Default)]
    struct Refuses {
        deposits: u64,
        balances: u64,
    }
    two_numbers!(Refuses, |this, deposits, balances| {
        (this.deposits, this.balances) = (deposits, balances);
        if deposits > 20 { Err(io::Error::other("too many deposits")) } else { Ok(()) }
    });
    let failure = wrong(Refuses::default);
    assert_eq!(failure.property, "snapshot", "{failure}");
    assert!(failure.what.contains("too many deposits"), "{failure}");
}

#[test]
fn a_panic_of_a_restored_machine_only_is_found() {
    #[derive(Default, Serialize, Deserialize)]
    struct Cached {
        accounts: BTreeMap<u8, u64>,
        #[serde(skip)]
        cache: BTreeMap<u8, u64>,
    }
    machine!(Cached, |this, _commit, order| match order {
        Order::Deposit { to, amount } => {
            this.accounts.insert(to, amount);
            this.cache.insert(to, amount);
            Receipt::Amount(amount)
        }
        Order::Balance { of } if this.accounts.contains_key(&of) => {
            Receipt::Amount(*this.cache.get(&of).expect("what is in the accounts is in the cache"))
        }
        _ => Receipt::Refused,
    });
    let failure = wrong(Cached::default);
    assert!(failure.property == "snapshot" || failure.property == "panic", "{failure}");
    assert!(failure.what.contains("restored from"), "{failure}");
    assert!(failure.what.contains("what is in the accounts is in the cache"), "{failure}");
}

#[test]
fn a_digest_that_differs_is_found() {
    /// Replies tell nothing of the state; the digest does.
    #[derive(Default)]
    struct Silent {
        seen: u64,
        lost: u64,
    }
    impl Snapshot for Silent {
        fn snapshot(&self) -> Frozen {
            let seen = self.seen.to_le_bytes();
            Frozen::new(move |to: &mut dyn Write| to.write_all(&seen))
        }
        fn restore(&mut self, from: &mut dyn Read) -> io::Result<()> {
            let mut seen = [0; 8];
            from.read_exact(&mut seen)?;
            (self.seen, self.lost) = (u64::from_le_bytes(seen), 0);
            Ok(())
        }
        fn digest(&self) -> Option<u128> {
            Some(u128::from(self.seen) << 64 | u128::from(self.lost))
        }
    }
    machine!(Silent, |this, _commit, _order| {
        this.seen += 1;
        this.lost += 1;
        Receipt::Refused
    });
    let failure = wrong(Silent::default);
    assert_eq!(failure.property, "snapshot", "{failure}");
    assert!(failure.what.contains("digest"), "{failure}");
}

#[test]
fn a_tick_that_is_lost_with_a_snapshot_is_found() {
    #[derive(Default, Serialize, Deserialize)]
    struct Sleepy {
        #[serde(skip)]
        alarm: Option<u64>,
    }
    impl StateMachine for Sleepy {
        type Operation = Order;
        type Reply = Receipt;
        fn handle_commit(&mut self, commit: &Commit, order: Order) -> Receipt {
            if let Order::WakeMeIn { .. } = order {
                self.alarm = Some(commit.timestamp + 3_600_000_000_000);
            }
            Receipt::Refused
        }
        fn next_tick(&self) -> Option<u64> {
            self.alarm
        }
    }
    let failure = wrong(Sleepy::default);
    assert_eq!(failure.property, "snapshot", "{failure}");
    assert!(failure.what.contains("next_tick"), "{failure}");
}

#[test]
fn what_comes_from_outside_is_not_blamed_on_the_snapshot() {
    struct Numbered {
        late: bool,
    }
    impl Snapshot for Numbered {
        fn snapshot(&self) -> Frozen {
            Frozen::new(|_| Ok(()))
        }
        fn restore(&mut self, _from: &mut dyn Read) -> io::Result<()> {
            Ok(())
        }
    }
    machine!(Numbered, |this, _commit, _order| Receipt::Amount(this.late.into()));
    // Those of the replicas and their model are made first; the next are those that are restored.
    let made = Cell::new(0);
    let factory = move || {
        made.set(made.get() + 1);
        Numbered { late: made.get() > 7 }
    };
    let failure = Simulation::new(1, factory).workload(order).faults(Faults::none()).run().unwrap_err();
    assert_eq!(failure.property, "determinism", "{failure}");
}

/// Many bytes that change here and there.
struct Large(Vec<u8>);

impl Snapshot for Large {
    fn snapshot(&self) -> Frozen {
        let bytes = self.0.clone();
        Frozen::new(move |to: &mut dyn Write| to.write_all(&bytes))
    }
    fn restore(&mut self, from: &mut dyn Read) -> io::Result<()> {
        self.0.clear();
        from.read_to_end(&mut self.0).map(|_| ())
    }
}

machine!(Large, |this, commit, _order| {
    let at = commit.op.0 as usize * 4099 % this.0.len();
    this.0[at] = this.0[at].wrapping_add(1);
    Receipt::Amount(this.0[at / 2].into())
});

#[test]
fn a_large_state_takes_no_longer_than_patience_lasts() {
    let simulation = Simulation::new(1, || Large(vec![7; 1 << 17])).workload(order).seeds(8);
    let report = simulation.run().unwrap();
    assert!(report.snapshots_installed > 0, "{report}");
}

#[test]
fn a_snapshot_that_shows_later_changes_is_found() {
    #[derive(Default)]
    struct Shared(Arc<AtomicU64>);
    impl Snapshot for Shared {
        fn snapshot(&self) -> Frozen {
            // Read when it is written out, not now.
            let number = Arc::clone(&self.0);
            Frozen::new(move |to: &mut dyn Write| to.write_all(&number.load(Ordering::Relaxed).to_le_bytes()))
        }
        fn restore(&mut self, from: &mut dyn Read) -> io::Result<()> {
            let mut number = [0; 8];
            from.read_exact(&mut number)?;
            self.0 = Arc::new(u64::from_le_bytes(number).into());
            Ok(())
        }
    }
    machine!(Shared, |this, _commit, _order| Receipt::Amount(this.0.fetch_add(1, Ordering::Relaxed)));
    let failure = wrong(Shared::default);
    assert_eq!(failure.property, "snapshot", "{failure}");
}
