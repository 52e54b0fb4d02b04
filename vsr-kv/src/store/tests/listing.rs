//! KEYS, SCAN, RANDOMKEY.

use super::*;
use std::collections::BTreeSet;

fn sorted(reply: &str) -> Vec<String> {
    let mut words: Vec<String> =
        reply.trim_matches(['[', ']']).split_whitespace().map(str::to_owned).collect();
    words.sort();
    words
}

/// All that a walk from the first call to the last returns; `between` happens after each call.
fn walk(bench: &mut Bench, options: &str, mut between: impl FnMut(&mut Bench, usize)) -> Vec<String> {
    let (mut cursor, mut found, mut calls) = (0, Vec::new(), 0);
    loop {
        let Reply::Scanned { cursor: next, keys } =
            bench.store.read(&operation(format!("SCAN {cursor} {options}").trim_end()))
        else {
            panic!("no page")
        };
        found.extend(keys.iter().map(|key| String::from_utf8_lossy(key).into_owned()));
        calls += 1;
        between(bench, calls);
        cursor = next;
        if cursor == 0 {
            return found;
        }
    }
}

#[test]
fn keys_that_look_like_a_pattern() {
    let mut bench = Bench::default();
    bench.ask("MSET one 1 two 2 three 3 four 4");
    bench.ask("SET gone 5 PX 1");
    bench.at(1);
    for (pattern, keys) in [
        ("*", &["four", "one", "three", "two"][..]),
        ("t*", &["three", "two"]),
        ("?o*", &["four"]),
        ("x", &[]),
        ("g*", &[]),
    ] {
        let line = format!("KEYS {pattern}");
        assert_eq!(sorted(&bench.ask(&line)), keys, "{line}");
        assert_eq!(sorted(&bench.read(&line)), keys, "{line}");
    }
}

#[test]
fn a_walk_returns_what_is_there_throughout_once_and_nothing_that_never_was() {
    let mut bench = Bench::default();
    for number in 0..3000 {
        bench.store.apply(Moment::default(), &operation(&format!("SET stays:{number} v")));
        bench.store.apply(Moment::default(), &operation(&format!("SET goes:{number} v")));
    }
    let mut calls = 0;
    let found = walk(&mut bench, "COUNT 100", |bench, call| {
        calls = call;
        // Others come and go meanwhile.
        for number in (call - 1) * 50..call * 50 {
            bench.store.apply(Moment::default(), &operation(&format!("DEL goes:{number}")));
            bench.store.apply(Moment::default(), &operation(&format!("SET comes:{number} v")));
        }
    });
    assert!(calls > 40, "{calls} calls");
    let once: BTreeSet<&String> = found.iter().collect();
    assert_eq!(once.len(), found.len(), "a key came twice");
    assert_eq!(found.iter().filter(|key| key.starts_with("stays:")).count(), 3000);
    assert!(found.iter().all(|key| ["stays:", "goes:", "comes:"].iter().any(|known| key.starts_with(known))));
}

#[test]
fn options_of_scan_and_cursors_that_lead_nowhere() {
    let mut bench = Bench::default();
    bench.ask("MSET one 1 two 2 three 3");
    bench.ask("SET gone 5 PX 1");
    bench.at(1).ask("DBSIZE");
    let all = |bench: &mut Bench, options: &str| {
        let mut found = walk(bench, options, |_, _| {});
        found.sort();
        found
    };
    assert_eq!(all(&mut bench, ""), ["one", "three", "two"]);
    assert_eq!(all(&mut bench, "MATCH t* COUNT 1"), ["three", "two"]);
    assert_eq!(all(&mut bench, "TYPE string"), ["one", "three", "two"]);
    assert!(all(&mut bench, "TYPE hash").is_empty());
    for cursor in ["16384", "99999", "18446744073709551615"] {
        assert_eq!(bench.read(&format!("SCAN {cursor}")), "0: ");
    }
}

#[test]
fn one_call_of_scan_does_bounded_work() {
    let mut bench = Bench::default();
    for number in 0..40_000 {
        bench.store.apply(Moment::default(), &operation(&format!("SET {number} v")));
    }
    let Reply::Scanned { cursor, keys } = bench.store.read(&operation("SCAN 0 COUNT 1000000")) else {
        panic!("no page")
    };
    assert!(cursor > 0 && keys.len() < 10_100, "{} keys, then {cursor}", keys.len());
}

#[test]
fn any_key_is_one_that_is_there_and_every_key_is_any_key() {
    let mut bench = Bench::default();
    assert_eq!(bench.ask("RANDOMKEY"), "nil");
    bench.ask("SET gone 5 PX 1");
    bench.at(1).ask("MSET a 1 b 2 c 3");
    let found: BTreeSet<String> = (0..1000_u64)
        .map(|seed| {
            shown(&bench.store.read(&Operation::RandomKey { seed: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) }))
        })
        .collect();
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["'a'", "'b'", "'c'"]);
    let seeded = Operation::RandomKey { seed: 12345 };
    assert_eq!(bench.apply(&seeded), bench.store.read(&seeded));
}

#[test]
fn keys_refuses_what_would_keep_everybody_waiting() {
    let mut bench = Bench::default();
    let long = "k".repeat(1000);
    for number in 0..3000 {
        bench.store.apply(Moment::default(), &operation(&format!("SET {long}{number} v")));
    }
    assert_eq!(bench.read("KEYS *"), StoreError::TooManyKeys.to_string());
    assert_eq!(sorted(&bench.read("KEYS *999")).len(), 3);
    assert_eq!(bench.store.list(b"nothing", 2999, usize::MAX), Reply::Error(StoreError::TooManyKeys));
    assert_eq!(bench.store.list(b"nothing", 3000, usize::MAX), Reply::Array(vec![]));
}
