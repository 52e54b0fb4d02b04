//! The store under the simulator: replicas that crash, are cut off and come back from snapshots agree on every reply, on every key that
//! ends and on every transaction, in whatever order messages arrive and whatever clocks show.

use bytes::Bytes;
use vsr_kv::store::{Condition, Expiry, ExpiryCondition, Moment, Operation, Store, TimeUnit, When};
use vsr_test::{Faults, Prng, Simulation};

fn key(random: &mut Prng) -> Bytes {
    format!("k{}", random.below(8)).into()
}

/// Soon enough for keys to end while the simulation runs, and now and then over already.
fn when(random: &mut Prng) -> When {
    When::In(random.range(0, 3000) as i64 - 300)
}

fn expiry(random: &mut Prng) -> Expiry {
    match random.below(4) {
        0 => Expiry::Clear,
        1 => Expiry::Keep,
        _ => Expiry::At(when(random)),
    }
}

fn simple(random: &mut Prng) -> Operation {
    let key = key(random);
    let value = Bytes::from(random.below(100).to_string());
    match random.below(12) {
        0 => Operation::Get { key },
        1..=3 => {
            let condition = random.pick(&[Condition::Always, Condition::Missing, Condition::Present]);
            Operation::Set { key, value, condition, get: random.chance(500), expiry: expiry(random) }
        }
        4 => Operation::Add { key, delta: 1 },
        5 => Operation::Append { key, value },
        6 => Operation::Delete { keys: vec![key] },
        7 => {
            let conditions = [ExpiryCondition::Always, ExpiryCondition::Later, ExpiryCondition::Sooner];
            Operation::Expire { key, when: when(random), condition: random.pick(&conditions) }
        }
        8 => Operation::GetExpire { key, expiry: expiry(random) },
        9 => Operation::TimeToLive { key, unit: TimeUnit::Milliseconds },
        10 => Operation::Keys { pattern: "*".into() },
        _ if random.chance(100) => Operation::Flush,
        _ => Operation::RandomKey { seed: random.bits() },
    }
}

fn operation(random: &mut Prng) -> Operation {
    if random.chance(800) {
        return simple(random);
    }
    let mut watched = Vec::new();
    if random.chance(500) {
        // What the key would be if it had been written last by some early operation, or never.
        let (mut store, key) = (Store::default(), key(random));
        if random.chance(500) {
            let moment = Moment { timestamp: 0, op: random.range(1, 60) };
            store.apply(moment, &Operation::SetIfMissing { key: key.clone(), value: Bytes::new() });
        }
        watched.push((key.clone(), store.version(&key)));
    }
    let commands = (0..random.below(5)).map(|_| simple(random)).collect();
    Operation::Transaction { watched, commands }
}

#[test]
fn replicas_agree_on_keys_that_end_and_on_transactions_whatever_breaks() {
    for faults in [Faults::default(), Faults::harsh()] {
        let report = Simulation::new(7, Store::default)
            .faults(faults)
            .operations(200)
            .workload(|random, _client| operation(random))
            .readable()
            .seeds(3)
            .run()
            .unwrap_or_else(|failure| panic!("{failure}"));
        assert!(report.crashes > 0 && report.operations >= 3 * 200, "{report:?}");
    }
}
