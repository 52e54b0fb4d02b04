//! The simulator for state machines of users.

mod actor;
mod outcome;
mod parts;
mod shadow;

pub(crate) use actor::message;
pub use outcome::{Failure, Report};

use crate::{
    Faults,
    prng::Prng,
    simulation::{Options, Telling, run_subject},
    subject::Subject,
};
use bytes::Bytes;
use outcome::SEED_VARIABLE;
use parts::{Own, Parts, debug};
use std::{env, fmt, rc::Rc};
use vsr_actor::{Payload, StateMachine, linearizability::Model};

/// A replicated state machine under a seed: replicas, their disks, the network between them and the clients are simulated, and
/// what happens to them is drawn from the seed. The same seed gives the same run.
///
/// Checked are the protocol, which is not the user's business, and the user's code:
/// - every replica, and a machine that ran alone, give the same reply to each operation, and the same digest where there is one;
/// - a machine that is restored from snapshots again and again cannot be told from one that never was;
/// - operations and replies survive being encoded and decoded;
/// - nothing panics;
/// - each request is executed once, and the order of execution respects real time: what was asked after an answer comes after it;
/// - [invariants](Self::invariant) hold after each operation on each replica;
/// - the replies are those of a sequential [model](Self::model), if there is one. With the order this is linearizability.
///
/// Snapshots are never compared byte by byte: a `HashMap` may be written in any order.
///
/// ```
/// use vsr_actor::prelude::*;
/// use vsr_test::{Faults, Simulation};
///
/// #[derive(Default, Serialize, Deserialize)]
/// struct Counter { total: i64 }
///
/// impl StateMachine for Counter {
///     type Operation = i64;
///     type Reply = i64;
///     fn handle_commit(&mut self, _commit: &Commit, add: i64) -> i64 {
///         self.total += add;
///         self.total
///     }
/// }
///
/// let report = Simulation::new(1, Counter::default)
///     .replicas(5)
///     .faults(Faults::harsh())
///     .workload(|random, _client| random.range(1, 9) as i64)
///     .readable()
///     .seeds(10)
///     .run()
///     .unwrap();
/// assert!(report.crashes > 0 && report.operations >= 10 * 200);
/// ```
#[must_use = "nothing is simulated until `run` is called"]
pub struct Simulation<M: StateMachine> {
    seed: u64,
    seeds: u64,
    options: Options,
    parts: Parts<M>,
}

impl<M: StateMachine> Simulation<M> {
    /// A simulation of machines that `factory` makes, all alike. If the variable `VSR_SEED` is set it decides instead of `seed`,
    /// and is the only seed that is run: so a failure is run again.
    ///
    /// # Panics
    /// When `VSR_SEED` is set and is no number.
    pub fn new(seed: u64, factory: impl Fn() -> M + 'static) -> Self {
        let parts = Parts {
            factory: Box::new(factory),
            workload: None,
            invariants: Vec::new(),
            specification: None,
            text: None,
        };
        let options = Options {
            replicas: Some(3),
            operations: 200,
            operation_bytes_max: 4 << 20,
            snapshot_interval_ops: Some(20),
            ..Options::default()
        };
        Self { seed, seeds: 1, options, parts }
    }

    /// How many replicas; 3 if not told.
    ///
    /// # Panics
    /// When a group cannot have so many: it has 1 to 63.
    pub fn replicas(mut self, count: usize) -> Self {
        assert!((1..=63).contains(&count), "a group has 1 to 63 replicas, not {count}");
        self.options.replicas = Some(count);
        self
    }

    /// How many clients; 1 to 6, drawn from the seed, if not told.
    ///
    /// # Panics
    /// When there are none.
    pub fn clients(mut self, count: usize) -> Self {
        assert!(count > 0, "without clients nothing happens");
        self.options.clients = Some(count);
        self
    }

    /// How many operations each seed executes at least; 200 if not told.
    pub fn operations(mut self, count: u64) -> Self {
        self.options.operations = count.max(1);
        self
    }

    /// A replica takes a snapshot of the state machine after so many operations; 20 if not told. A small number makes replicas
    /// that were away restore a snapshot instead of executing what they missed.
    pub fn snapshot_interval(mut self, operations: u64) -> Self {
        self.options.snapshot_interval_ops = Some(operations.max(1));
        self
    }

    /// What may break.
    pub fn faults(mut self, faults: Faults) -> Self {
        self.options.faults = faults;
        self
    }

    /// How many seeds are run, one after the other; the first that fails ends it.
    pub fn seeds(mut self, count: u64) -> Self {
        self.seeds = count;
        self
    }

    /// What client number `client` asks for next. Whatever is chosen must be chosen with `random` alone.
    pub fn workload(mut self, operation: impl Fn(&mut Prng, usize) -> M::Operation + 'static) -> Self {
        self.parts.workload = Some(Box::new(operation));
        self
    }

    /// Something that must be true of the state at the beginning, after each operation and after each restore, on each replica.
    /// Can be called several times.
    pub fn invariant(mut self, holds: impl Fn(&M) -> Result<(), String> + 'static) -> Self {
        self.parts.invariants.push(Box::new(holds));
        self
    }

    /// A sequential model: each reply must be the one that the model gives, in the order in which the operations were committed.
    pub fn model<L>(mut self) -> Self
    where
        L: Model<Op = M::Operation, Reply = M::Reply> + 'static,
        M::Reply: PartialEq,
    {
        self.parts.specification = Some(Box::new(|| {
            let mut state = L::initial();
            Box::new(move |operation, reply| {
                let (next, wanted) = L::step(&state, operation);
                state = next;
                if wanted == *reply {
                    return Ok(());
                }
                let mut bytes = Vec::new();
                wanted.encode(&mut bytes);
                Err(Bytes::from(bytes))
            })
        }));
        self
    }

    /// Shows operations and replies in failures as `Debug` does. Otherwise they are shown as bytes.
    pub fn readable(mut self) -> Self
    where
        M::Operation: fmt::Debug,
        M::Reply: fmt::Debug,
    {
        self.parts.text = Some((Box::new(debug::<M::Operation>), Box::new(debug::<M::Reply>)));
        self
    }

    /// Runs the seeds.
    ///
    /// # Errors
    /// The first thing that is wrong.
    ///
    /// # Panics
    /// When there is no [`workload`](Self::workload).
    pub fn run(self) -> Result<Report, Failure> {
        assert!(self.parts.workload.is_some(), "a simulation needs a workload");
        let (first, seeds) = chosen_seed().map_or((self.seed, self.seeds), |seed| (seed, 1));
        let subject: Rc<dyn Subject> = Rc::new(Own(Rc::new(self.parts)));
        let mut report = Report::default();
        for seed in (0..seeds).map(|index| first.wrapping_add(index)) {
            let mut run = run_subject(seed, self.options, Rc::clone(&subject));
            if let Some(violation) = run.violation.take() {
                let options = Options { telling: Telling::Story, ..self.options };
                let told = run_subject(seed, options, Rc::clone(&subject));
                let same_run = told.trace_hash == run.trace_hash;
                return Err(Failure::new(seed, violation, told, same_run));
            }
            report.add(&run);
        }
        Ok(report)
    }
}

impl<M: StateMachine> fmt::Debug for Simulation<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulation")
            .field("seed", &self.seed)
            .field("seeds", &self.seeds)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// The seed that the environment asks for.
fn chosen_seed() -> Option<u64> {
    let text = env::var(SEED_VARIABLE).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{SEED_VARIABLE} is {text:?}, which is no seed")))
}
