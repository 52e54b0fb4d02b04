use super::*;

/// A register that is read and written, and a counter that is added to: enough to tell all mistakes apart.
struct Cell;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Write(u8),
    Read,
    Add,
}

impl Model for Cell {
    type State = u8;
    type Op = Op;
    type Reply = u8;

    fn initial() -> u8 {
        0
    }

    fn step(state: &u8, op: &Op) -> (u8, u8) {
        match op {
            Op::Write(value) => (*value, 0),
            Op::Read => (*state, *state),
            Op::Add => (state + 1, state + 1),
        }
    }
}

fn call(op: Op, invoked: u64, at: u64, reply: u8) -> Call<Op, u8> {
    Call { op, invoked, outcome: CallOutcome::Returned { at, reply } }
}

fn unknown(op: Op, invoked: u64) -> Call<Op, u8> {
    Call { op, invoked, outcome: CallOutcome::Unknown }
}

fn accepted(calls: &[Call<Op, u8>]) -> bool {
    check::<Cell>(calls).is_ok()
}

#[test]
fn nothing_is_linearizable() {
    assert!(accepted(&[]));
    assert!(accepted(&[unknown(Op::Write(1), 1)]));
}

#[test]
fn a_read_sees_the_write_before_it() {
    assert!(accepted(&[call(Op::Write(1), 1, 2, 0), call(Op::Read, 3, 4, 1)]));
}

#[test]
fn a_stale_read_is_rejected() {
    let calls = [call(Op::Write(1), 1, 2, 0), call(Op::Write(2), 3, 4, 0), call(Op::Read, 5, 6, 1)];
    assert_eq!(check::<Cell>(&calls), Err(Violation::NotLinearizable { call: 2, explained: 2 }));
}

#[test]
fn a_lost_write_is_rejected() {
    assert!(!accepted(&[call(Op::Write(1), 1, 2, 0), call(Op::Read, 3, 4, 0)]));
}

#[test]
fn an_operation_that_was_done_twice_is_rejected() {
    assert!(!accepted(&[call(Op::Add, 1, 2, 1), call(Op::Read, 3, 4, 2)]));
    assert!(!accepted(&[call(Op::Add, 1, 2, 2)]));
}

#[test]
fn calls_under_way_at_once_may_have_either_order() {
    for seen in [1, 2] {
        assert!(accepted(&[
            call(Op::Write(1), 1, 10, 0),
            call(Op::Write(2), 2, 9, 0),
            call(Op::Read, 11, 12, seen)
        ]));
    }
    assert!(!accepted(&[
        call(Op::Write(1), 1, 10, 0),
        call(Op::Write(2), 2, 9, 0),
        call(Op::Read, 11, 12, 1),
        call(Op::Read, 13, 14, 2)
    ]));
}

#[test]
fn an_unknown_call_may_take_effect_late_or_never() {
    let write = unknown(Op::Write(1), 1);
    assert!(accepted(&[write.clone(), call(Op::Read, 2, 3, 0)]));
    assert!(accepted(&[write.clone(), call(Op::Read, 2, 3, 0), call(Op::Read, 4, 5, 1)]));
    assert!(accepted(&[write, call(Op::Read, 2, 3, 1)]));
}

#[test]
fn an_unknown_call_that_was_seen_stays() {
    let write = unknown(Op::Write(1), 1);
    assert!(!accepted(&[write, call(Op::Read, 2, 3, 1), call(Op::Read, 4, 5, 0)]));
}

#[test]
fn an_unknown_call_takes_effect_once() {
    assert!(accepted(&[unknown(Op::Add, 1), call(Op::Read, 2, 3, 1)]));
    assert!(!accepted(&[unknown(Op::Add, 1), call(Op::Read, 2, 3, 2)]));
}

#[test]
fn an_unknown_call_has_no_effect_before_it_was_made() {
    assert!(!accepted(&[call(Op::Read, 1, 2, 1), unknown(Op::Write(1), 3)]));
}

#[test]
fn equal_times_do_not_tell_an_order() {
    assert!(accepted(&[call(Op::Read, 1, 5, 1), call(Op::Write(1), 5, 6, 0)]));
}

#[test]
fn keys_are_checked_apart() {
    struct Keyed;
    impl Model for Keyed {
        type State = u8;
        type Op = (char, Op);
        type Reply = u8;
        fn initial() -> u8 {
            0
        }
        fn step(state: &u8, (_, op): &(char, Op)) -> (u8, u8) {
            Cell::step(state, op)
        }
    }
    let keyed =
        |key, call: Call<Op, u8>| Call { op: (key, call.op), invoked: call.invoked, outcome: call.outcome };
    let good = keyed('a', call(Op::Add, 1, 2, 1));
    let bad = keyed('b', call(Op::Add, 3, 4, 2));
    assert_eq!(check_by_key::<Keyed, _>(std::slice::from_ref(&good), |op| op.0), Ok(()));
    let violation = Violation::NotLinearizable { call: 1, explained: 0 };
    assert_eq!(check_by_key::<Keyed, _>(&[good, bad], |op| op.0), Err(('b', violation)));
}

/// A small generator of numbers: seeds make the tests below repeatable.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = crate::config::mix(self.0);
        self.0 % bound
    }
}

/// Tries every order of every choice of calls.
fn exhaustive(calls: &[Call<Op, u8>], placed: &mut Vec<usize>, state: u8) -> bool {
    let definite = |index: &usize| matches!(calls[*index].outcome, CallOutcome::Returned { .. });
    let open: Vec<_> = (0..calls.len()).filter(|index| !placed.contains(index)).collect();
    if !open.iter().any(definite) {
        return true;
    }
    let first_return = open.iter().filter_map(|index| match calls[*index].outcome {
        CallOutcome::Returned { at, .. } => Some(at),
        CallOutcome::Unknown => None,
    });
    let first_return = first_return.min().unwrap_or(u64::MAX);
    open.into_iter().any(|index| {
        let (next, reply) = Cell::step(&state, &calls[index].op);
        let fits = match &calls[index].outcome {
            CallOutcome::Returned { reply: told, .. } => *told == reply,
            CallOutcome::Unknown => true,
        };
        if !fits || calls[index].invoked > first_return {
            return false;
        }
        placed.push(index);
        let found = exhaustive(calls, placed, next);
        placed.pop();
        found
    })
}

#[test]
fn the_search_agrees_with_trying_everything() {
    // Accepted and rejected ones; first those in which all outcomes are known.
    let mut counts = [[0; 2]; 2];
    for seed in 0..20_000 {
        let mut numbers = Numbers(seed);
        let calls: Vec<_> = (0..2 + numbers.below(5))
            .map(|_| {
                let op = match numbers.below(3) {
                    0 => Op::Write(numbers.below(2) as u8),
                    1 => Op::Read,
                    _ => Op::Add,
                };
                let invoked = numbers.below(12);
                if numbers.below(4) == 0 {
                    return unknown(op, invoked);
                }
                let reply = if matches!(op, Op::Write(_)) { 0 } else { numbers.below(3) as u8 };
                call(op, invoked, invoked + numbers.below(8), reply)
            })
            .collect();
        let expected = exhaustive(&calls, &mut Vec::new(), 0);
        assert_eq!(accepted(&calls), expected, "seed {seed}: {calls:?}");
        let in_doubt = calls.iter().any(|call| call.outcome == CallOutcome::Unknown);
        counts[usize::from(in_doubt)][usize::from(expected)] += 1;
    }
    assert!(counts.as_flattened().iter().all(|count| *count >= 1000), "enough of each kind: {counts:?}");
}

/// What `clients` clients see of a register in `ops` calls; some of them are never told.
fn honest_history(ops: u64, clients: usize, seed: u64) -> Vec<Call<Op, u8>> {
    let mut numbers = Numbers(seed);
    let recorder = Recorder::new();
    let mut state = 0;
    // For each client: the call under way, and its reply as soon as it took effect.
    let mut open: Vec<Option<(CallId, Op, Option<u8>)>> = vec![None; clients];
    let mut made = 0;
    while made < ops {
        let client = numbers.below(clients as u64) as usize;
        open[client] = match open[client].take() {
            None => {
                made += 1;
                let op = if numbers.below(2) == 0 { Op::Read } else { Op::Write(numbers.below(200) as u8) };
                Some((recorder.invoke(op), op, None))
            }
            Some((call, op, None)) => {
                let (next, reply) = Cell::step(&state, &op);
                state = next;
                Some((call, op, Some(reply)))
            }
            Some((call, _, Some(reply))) => {
                if numbers.below(2000) > 0 {
                    recorder.returned(call, reply);
                }
                None
            }
        };
    }
    recorder.into_calls()
}

#[test]
fn long_histories_are_checked_quickly() {
    for seed in 0..20 {
        let calls = honest_history(5_000, 4, seed);
        assert_eq!(check::<Cell>(&calls), Ok(()), "seed {seed}");
    }
}

#[test]
fn one_false_reply_in_a_long_history_is_found() {
    for seed in 0..20 {
        let mut calls = honest_history(2_000, 3, seed);
        let reads = calls.iter_mut().skip(1500).filter(|call| call.op == Op::Read);
        let told = reads.filter_map(|call| match &mut call.outcome {
            CallOutcome::Returned { reply, .. } => Some(reply),
            CallOutcome::Unknown => None,
        });
        // Nobody ever wrote this.
        *told.last().expect("half of the calls are reads") = 255;
        assert!(matches!(check::<Cell>(&calls), Err(Violation::NotLinearizable { .. })), "seed {seed}");
    }
}

#[test]
fn many_clients_of_many_keys_are_checked_key_by_key() {
    struct Keyed;
    impl Model for Keyed {
        type State = u8;
        type Op = (u64, Op);
        type Reply = u8;
        fn initial() -> u8 {
            0
        }
        fn step(state: &u8, (_, op): &(u64, Op)) -> (u8, u8) {
            Cell::step(state, op)
        }
    }
    // 16 keys with 4 clients at each: as 64 clients that choose keys by chance.
    let keyed = |key: u64| {
        let calls = honest_history(1_000, 4, key).into_iter();
        calls.map(move |call| Call { op: (key, call.op), invoked: call.invoked, outcome: call.outcome })
    };
    let calls: Vec<_> = (0..16).flat_map(keyed).collect();
    assert_eq!(check_by_key::<Keyed, _>(&calls, |op| op.0), Ok(()));
}
