//! The simulation for users finds what can be wrong with a state machine, and nothing in one that is right.

use std::{
    cell::Cell,
    collections::{BTreeMap, HashMap},
    io::{self, Read, Write},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use vsr_actor::{Frozen, Payload, PayloadError, Snapshot, linearizability::Model, prelude::*};
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
    // VSR_SEED=1 cargo test -p vsr-test simulation::… -- --exact
    let again = message.lines().find_map(|line| line.strip_prefix("again: ")).expect("a line to copy");
    let words: Vec<_> = again.split(' ').collect();
    let seed = words[0].strip_prefix("VSR_SEED=").expect("the seed");
    assert_eq!(seed, "1");
    let at = words.iter().position(|word| *word == NAME).expect("the test's name");
    assert_eq!(words[1..at], ["cargo", "test", "-p", "vsr-test"]);
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
