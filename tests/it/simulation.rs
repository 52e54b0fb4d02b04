//! The simulation for users finds what can be wrong with a state machine, and nothing in one that is right.

use std::{
    cell::Cell,
    collections::{BTreeMap, HashMap},
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
};
use vsr_actor::{Payload, PayloadError, linearizability::Model, prelude::*};
use vsr_test::{Failure, Faults, Prng, Report, Simulation};

/// A bug must be found within so many seeds.
const FEW: u64 = 5;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Order {
    Deposit { to: u8, amount: u64 },
    Transfer { from: u8, to: u8, amount: u64 },
    Balance { of: u8 },
    Richest,
    WakeMeIn { milliseconds: u64 },
    Woken,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Receipt {
    Amount(u64),
    Name(Option<u8>),
    Refused,
}

fn order(random: &mut Prng, _client: usize) -> Order {
    let (from, to, amount) = (random.below(8) as u8, random.below(8) as u8, random.range(1, 20));
    match random.below(8) {
        0 => Order::Deposit { to, amount },
        1 => Order::Balance { of: to },
        2 => Order::Richest,
        3 if random.chance(200) => Order::WakeMeIn { milliseconds: random.range(1, 50) },
        3 => Order::Woken,
        _ => Order::Transfer { from, to, amount },
    }
}

/// Every field is state, and all of it is in the snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Bank {
    accounts: BTreeMap<u8, u64>,
    deposited: u64,
    alarm: Option<u64>,
    woken: u64,
}

impl Bank {
    fn execute(&mut self, now: u64, order: &Order) -> Receipt {
        match *order {
            Order::Deposit { to, amount } => {
                self.deposited += amount;
                let account = self.accounts.entry(to).or_default();
                *account += amount;
                Receipt::Amount(*account)
            }
            Order::Transfer { from, to, amount } => match self.accounts.get_mut(&from) {
                Some(account) if *account >= amount => {
                    *account -= amount;
                    *self.accounts.entry(to).or_default() += amount;
                    Receipt::Amount(amount)
                }
                _ => Receipt::Refused,
            },
            Order::Balance { of } => Receipt::Amount(self.accounts.get(&of).copied().unwrap_or_default()),
            Order::Richest => Receipt::Name(richest(self.accounts.iter())),
            Order::WakeMeIn { milliseconds } => {
                self.alarm = Some(now + milliseconds * 1_000_000);
                Receipt::Amount(0)
            }
            Order::Woken => Receipt::Amount(self.woken),
        }
    }

    fn total_is_what_was_deposited(&self) -> Result<(), String> {
        let total: u64 = self.accounts.values().sum();
        if total == self.deposited {
            return Ok(());
        }
        Err(format!("{total} in the accounts, {} deposited", self.deposited))
    }
}

/// The account with most money; the first of several.
fn richest<'a>(accounts: impl Iterator<Item = (&'a u8, &'a u64)>) -> Option<u8> {
    let better = |best: Option<(u8, u64)>, (name, amount): (&u8, &u64)| match best {
        Some((_, most)) if most >= *amount => best,
        _ => Some((*name, *amount)),
    };
    accounts.fold(None, better).map(|(name, _)| name)
}

impl StateMachine for Bank {
    type Operation = Order;
    type Reply = Receipt;

    fn handle_commit(&mut self, commit: &Commit, order: Order) -> Receipt {
        self.execute(commit.timestamp, &order)
    }

    fn next_tick(&self) -> Option<u64> {
        self.alarm
    }

    fn handle_tick(&mut self, commit: &Commit) {
        if self.alarm.is_some_and(|alarm| alarm <= commit.timestamp) {
            self.alarm = None;
            self.woken += 1;
        }
    }
}

/// A machine that is a bank with one thing done wrong: what a simulation of it comes to.
fn wrong<M: StateMachine<Operation = Order, Reply = Receipt>>(factory: fn() -> M) -> Failure {
    let simulation = Simulation::new(1, factory).workload(order).readable().seeds(FEW);
    simulation.run().expect_err("the bug is found")
}

/// State machines whose `handle_commit` is this function, with the snapshots of their fields.
macro_rules! machine {
    ($name:ident, |$this:ident, $commit:ident, $order:ident| $body:expr) => {
        impl StateMachine for $name {
            type Operation = Order;
            type Reply = Receipt;
            fn handle_commit(&mut self, $commit: &Commit, $order: Order) -> Receipt {
                let $this = self;
                $body
            }
        }
    };
}

mod snapshots;

#[test]
fn a_right_machine_passes_with_three_five_and_seven_replicas() {
    let mut all = Report::default();
    for replicas in [3, 5, 7] {
        let report = Simulation::new(1, Bank::default)
            .replicas(replicas)
            .workload(order)
            .invariant(Bank::total_is_what_was_deposited)
            .seeds(4)
            .run()
            .unwrap();
        assert_eq!(report.seeds, 4);
        assert!(report.operations >= 4 * 200, "{report}");
        all.crashes += report.crashes;
        all.view_changes += report.view_changes;
        all.snapshots_installed += report.snapshots_installed;
    }
    assert!(all.crashes > 20 && all.view_changes > 10 && all.snapshots_installed > 0, "{all}");
}

#[test]
fn without_faults_nothing_breaks() {
    let simulation = || Simulation::new(1, Bank::default).workload(order).seeds(5);
    let report = simulation().faults(Faults::none()).run().unwrap();
    assert_eq!((report.crashes, report.partitions), (0, 0), "{report}");
    let report = simulation().faults(Faults { partitions: false, ..Faults::harsh() }).run().unwrap();
    assert!(report.crashes > 0 && report.partitions == 0, "{report}");
    let report = simulation().faults(Faults { crashes: false, ..Faults::harsh() }).run().unwrap();
    assert!(report.crashes == 0 && report.partitions > 0, "{report}");
    let calm = simulation().seeds(20).faults(Faults::calm()).run().unwrap();
    assert!(calm.crashes + calm.partitions > 0, "{calm}");
    // In four times as many seeds.
    assert!(calm.partitions < 2 * report.partitions, "{calm}; {report}");
}

#[test]
fn same_seed_is_the_same_report() {
    let report = |seed| Simulation::new(seed, Bank::default).workload(order).seeds(3).run().unwrap();
    assert_eq!(report(7), report(7));
    assert_ne!(report(7).trace_hash, report(8).trace_hash);
}

#[test]
fn the_order_of_a_hash_map_in_a_reply_is_found() {
    #[derive(Default, Serialize, Deserialize)]
    struct Hashed {
        accounts: HashMap<u8, u64>,
    }
    machine!(Hashed, |this, _commit, order| match order {
        Order::Deposit { to, amount } => {
            *this.accounts.entry(to).or_default() += amount;
            Receipt::Amount(amount)
        }
        // Those with most money may be several: which of them is first?
        Order::Richest => Receipt::Name(this.accounts.keys().next().copied()),
        _ => Receipt::Refused,
    });
    let failure = wrong(Hashed::default);
    assert_eq!(failure.property, "determinism", "{failure}");
    assert!(failure.what.contains("Richest") && failure.what.contains("Name(Some("), "{failure}");
}

#[test]
fn an_operation_that_panics_is_named() {
    #[derive(Default, Serialize, Deserialize)]
    struct Fragile {
        accounts: BTreeMap<u8, u64>,
    }
    machine!(Fragile, |this, _commit, order| match order {
        Order::Deposit { to, amount } => {
            this.accounts.insert(to, amount);
            Receipt::Amount(amount)
        }
        Order::Balance { of: 3 } => panic!("nobody asks for account 3"),
        _ => Receipt::Refused,
    });
    let failure = wrong(Fragile::default);
    assert_eq!(failure.property, "panic", "{failure}");
    assert!(failure.what.contains("Balance { of: 3 }"), "{failure}");
    assert!(failure.what.contains("nobody asks for account 3"), "{failure}");
    assert_eq!(failure.again, None, "{failure}");
}

#[test]
fn a_static_counter_is_found() {
    static EXECUTED: AtomicU64 = AtomicU64::new(0);
    #[derive(Default, Serialize, Deserialize)]
    struct Global;
    machine!(Global, |_this, _commit, _order| Receipt::Amount(EXECUTED.fetch_add(1, Ordering::Relaxed)));
    let failure = wrong(Global::default);
    assert_eq!(failure.property, "determinism", "{failure}");
    // The run that tells the story begins with another number.
    assert!(failure.again.is_some(), "{failure}");
}

#[test]
fn a_factory_that_makes_different_machines_is_found() {
    let made = Cell::new(0);
    let factory = move || {
        made.set(made.get() + 1);
        Bank { deposited: 0, accounts: BTreeMap::from([(1, made.get())]), ..Bank::default() }
    };
    let failure = Simulation::new(1, factory).workload(order).seeds(FEW).run().unwrap_err();
    assert_eq!(failure.property, "determinism", "{failure}");
}

#[test]
fn a_broken_invariant_is_told_with_the_operation() {
    let failure = Simulation::new(1, Bank::default)
        .workload(order)
        .readable()
        .invariant(|bank| match bank.deposited {
            ..50 => Ok(()),
            much => Err(format!("{much} is too much")),
        })
        .seeds(FEW)
        .run()
        .unwrap_err();
    assert_eq!(failure.property, "invariant", "{failure}");
    assert!(failure.what.contains("Deposit") && failure.what.contains("is too much"), "{failure}");
    assert_eq!(failure.again, None, "{failure}");
}

struct Ledger;

impl Model for Ledger {
    type State = Bank;
    type Op = Order;
    type Reply = Receipt;

    fn initial() -> Bank {
        Bank::default()
    }

    fn step(bank: &Bank, order: &Order) -> (Bank, Receipt) {
        let mut next = bank.clone();
        let receipt = next.execute(0, order);
        (next, receipt)
    }
}

#[test]
fn replies_are_those_of_the_model() {
    // The model knows no time.
    let timeless = |random: &mut Prng, client: usize| match order(random, client) {
        Order::WakeMeIn { .. } | Order::Woken => Order::Richest,
        other => other,
    };
    Simulation::new(1, Bank::default).workload(timeless).model::<Ledger>().seeds(3).run().unwrap();

    #[derive(Default, Serialize, Deserialize)]
    struct Generous(Bank);
    machine!(Generous, |this, commit, order| match order {
        // Deterministic, and wrong.
        Order::Transfer { amount: 13, .. } => Receipt::Amount(13),
        order => this.0.execute(commit.timestamp, &order),
    });
    let simulation = || Simulation::new(1, Generous::default).workload(timeless).readable().seeds(FEW);
    simulation().run().unwrap();
    let failure = simulation().model::<Ledger>().run().unwrap_err();
    assert_eq!(failure.property, "model", "{failure}");
    assert!(failure.what.contains("amount: 13") && failure.what.contains("Refused"), "{failure}");
}

#[test]
fn an_operation_that_does_not_survive_its_encoding_is_named() {
    /// Written with serde, it cannot be read: the format does not say where a field was left out.
    #[derive(Debug, Serialize, Deserialize)]
    struct Sparse {
        #[serde(skip_serializing_if = "Option::is_none")]
        note: Option<u8>,
        amount: u64,
    }
    #[derive(Default, Serialize, Deserialize)]
    struct Sum(u64);
    impl StateMachine for Sum {
        type Operation = Sparse;
        type Reply = u64;
        fn handle_commit(&mut self, _commit: &Commit, sparse: Sparse) -> u64 {
            self.0 += sparse.amount;
            self.0
        }
    }
    let sparse = |random: &mut Prng, _client| Sparse { note: None, amount: random.below(9) };
    let failure = Simulation::new(1, Sum::default).workload(sparse).readable().seeds(FEW).run().unwrap_err();
    assert_eq!(failure.property, "round trip", "{failure}");
    assert!(failure.what.contains("its operation") && failure.what.contains("Sparse"), "{failure}");
}

#[test]
fn a_reply_that_does_not_survive_its_encoding_is_named() {
    /// Writes two bytes, reads one number of them, and would write only that.
    struct Narrow(u8);
    impl Payload for Narrow {
        fn encode(&self, into: &mut Vec<u8>) {
            into.extend_from_slice(&[self.0, self.0]);
        }
        fn decode(from: bytes::Bytes) -> Result<Self, PayloadError> {
            Ok(Self(from[0] / 2))
        }
    }
    #[derive(Default, Serialize, Deserialize)]
    struct Sum(u64);
    impl StateMachine for Sum {
        type Operation = u64;
        type Reply = Narrow;
        fn handle_commit(&mut self, _commit: &Commit, amount: u64) -> Narrow {
            self.0 += amount;
            Narrow(7)
        }
    }
    let failure = Simulation::new(1, Sum::default)
        .workload(|random, _client| random.below(9))
        .seeds(FEW)
        .run()
        .unwrap_err();
    assert_eq!(failure.property, "round trip", "{failure}");
    assert!(failure.what.contains("its reply"), "{failure}");
}

/// Run by the test below in a process of its own, and harmless otherwise.
#[test]
fn a_simulation_that_always_fails() {
    let poor = |bank: &Bank| if bank.deposited < 100 { Ok(()) } else { Err("rich".into()) };
    let failure = Simulation::new(1, Bank::default).workload(order).invariant(poor).run().unwrap_err();
    println!("{failure}");
}

#[test]
fn the_message_alone_is_enough_to_see_it_again() {
    const NAME: &str = "simulation::a_simulation_that_always_fails";
    let told = |seed: Option<&str>, arguments: &[&str]| {
        let mut program = Command::new(std::env::current_exe().expect("this test has a program"));
        program.args(arguments).arg("--nocapture").env_remove("VSR_SEED");
        program.envs(seed.map(|seed| ("VSR_SEED", seed)));
        let output = program.output().expect("the program runs");
        assert!(output.status.success());
        String::from_utf8(output.stdout).expect("text")
    };
    let message = told(None, &[NAME, "--exact"]);
    // VSR_SEED=1 cargo test -p vsr-protocol-tests simulation::… -- --exact
    let again = message.lines().find_map(|line| line.strip_prefix("again: ")).expect("a line to copy");
    let words: Vec<_> = again.split(' ').collect();
    let seed = words[0].strip_prefix("VSR_SEED=").expect("the seed");
    assert_eq!(seed, "1");
    let at = words.iter().position(|word| *word == NAME).expect("the test's name");
    assert_eq!(words[1..at], ["cargo", "test", "-p", "vsr-protocol-tests"]);
    let arguments: Vec<_> = words[at..].iter().copied().filter(|word| *word != "--").collect();
    let what = |text: &str| -> Vec<String> {
        text.lines()
            .filter(|line| !line.starts_with("test ") && !line.contains("finished in"))
            .map(String::from)
            .collect()
    };
    assert_eq!(what(&told(Some(seed), &arguments)), what(&message));
    assert!(told(Some("77"), &arguments).contains("seed 77: invariant"), "the variable decides");
}

#[test]
fn small_groups_are_simulated_too() {
    for replicas in [1, 2] {
        Simulation::new(1, Bank::default).replicas(replicas).workload(order).seeds(3).run().unwrap();
    }
}

#[test]
fn a_tick_that_changes_nothing_is_found() {
    #[derive(Default, Serialize, Deserialize)]
    struct Deaf;
    impl StateMachine for Deaf {
        type Operation = Order;
        type Reply = Receipt;
        fn handle_commit(&mut self, _commit: &Commit, _order: Order) -> Receipt {
            Receipt::Refused
        }
        fn next_tick(&self) -> Option<u64> {
            Some(1)
        }
    }
    let failure = wrong(Deaf::default);
    assert_eq!(failure.property, "tick", "{failure}");
}
