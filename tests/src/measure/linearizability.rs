//! How long it takes to check a long history of concurrent clients.

use std::time::Instant;
use vsr_test::{
    Prng,
    linearizability::{Call, CallId, CallOutcome, Model, Recorder, check_by_key},
};

/// Registers that are read, written and added to.
struct Registers;

#[derive(Clone, Copy, Debug)]
enum Op {
    Read,
    Write(u64),
    Add(u64),
}

impl Model for Registers {
    type State = u64;
    type Op = (u64, Op);
    type Reply = u64;

    fn initial() -> u64 {
        0
    }

    fn step(state: &u64, (_, op): &(u64, Op)) -> (u64, u64) {
        match op {
            Op::Read => (*state, *state),
            Op::Write(value) => (*value, 0),
            Op::Add(value) => (state + value, state + value),
        }
    }
}

/// A client's call under way, and its reply from when it took effect.
type Open = (CallId, (u64, Op), Option<u64>);

type Calls = Vec<Call<(u64, Op), u64>>;

const OPERATIONS: u64 = 10_000;
const KEYS: u64 = 10;
const CLIENTS: u64 = 16;
/// Of a thousand calls so many are never told.
const UNKNOWN_PER_MILLE: u64 = 10;

/// Checks histories of 10 000 operations over 10 keys by 16 clients, with 1 % unknown outcomes, and prints how long that took: some
/// true, some with one false reply.
///
/// # Errors
/// A true history is not accepted, or a false one is.
pub(crate) fn linearizability(histories: u64) -> Result<(), Box<dyn std::error::Error>> {
    println!("{OPERATIONS} operations, {KEYS} keys, {CLIENTS} clients, {} % unknown", UNKNOWN_PER_MILLE / 10);
    println!(
        "{:>10} {:>10} {:>10} {:>14} {:>18}",
        "history", "calls", "unknown", "milliseconds", "with a false reply"
    );
    for seed in 1..=histories {
        let (mut calls, unknown) = history(seed);
        let started = Instant::now();
        check_by_key::<Registers, _>(&calls, |(key, _)| *key)
            .map_err(|(key, why)| format!("key {key}: {why}"))?;
        let accepted = started.elapsed();
        falsify(&mut calls);
        let started = Instant::now();
        if check_by_key::<Registers, _>(&calls, |(key, _)| *key).is_ok() {
            return Err(format!("history {seed}: a false reply is accepted").into());
        }
        let (accepted, rejected) = (accepted.as_secs_f64() * 1e3, started.elapsed().as_secs_f64() * 1e3);
        println!("{seed:>10} {:>10} {unknown:>10} {accepted:>14.1} {rejected:>18.1}", calls.len());
    }
    Ok(())
}

/// What clients see of a machine that does one operation at a time; those who are never told ask for the next thing at once, as a client
/// that gave up. How many those are comes with it.
fn history(seed: u64) -> (Calls, u64) {
    let mut prng = Prng::new(seed);
    let recorder = Recorder::new();
    let mut states = [0; KEYS as usize];
    let mut open: Vec<Option<Open>> = vec![None; CLIENTS as usize];
    let (mut made, mut unknown) = (0, 0);
    while made < OPERATIONS || open.iter().any(Option::is_some) {
        let client = prng.index(open.len());
        open[client] = match open[client].take() {
            None if made == OPERATIONS => None,
            None => {
                made += 1;
                let op = match prng.below(3) {
                    0 => Op::Read,
                    1 => Op::Write(prng.below(1000)),
                    _ => Op::Add(prng.range(1, 9)),
                };
                let op = (prng.below(KEYS), op);
                let call = recorder.invoke(op);
                if prng.chance(UNKNOWN_PER_MILLE) {
                    unknown += 1;
                    // It takes effect now, or never.
                    if prng.chance(500) {
                        let state = &mut states[op.0 as usize];
                        *state = Registers::step(state, &op).0;
                    }
                    None
                } else {
                    Some((call, op, None))
                }
            }
            Some((call, op, None)) => {
                let state = &mut states[op.0 as usize];
                let (next, reply) = Registers::step(state, &op);
                *state = next;
                Some((call, op, Some(reply)))
            }
            Some((call, _, Some(reply))) => {
                recorder.returned(call, reply);
                None
            }
        };
    }
    (recorder.into_calls(), unknown)
}

/// Somewhere in the second half a read tells what nobody ever wrote.
fn falsify(calls: &mut Calls) {
    let half = calls.len() / 2;
    for call in &mut calls[half..] {
        if let (Op::Read, CallOutcome::Returned { reply, .. }) = (call.op.1, &mut call.outcome) {
            *reply = u64::MAX;
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_histories_are_what_they_are_said_to_be() {
        linearizability(2).expect("true ones are accepted, false ones are not");
        let (calls, unknown) = history(1);
        assert_eq!(calls.len() as u64, OPERATIONS);
        assert!((70..130).contains(&unknown), "about one of a hundred: {unknown}");
    }
}
