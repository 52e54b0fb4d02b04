//! MULTI and WATCH.

use super::*;
use vsr_actor::Snapshot;

fn transaction(watched: Vec<(Bytes, Version)>, lines: &[&str]) -> Operation {
    Operation::Transaction { watched, commands: lines.iter().map(|line| operation(line)).collect() }
}

#[test]
fn all_commands_are_executed_and_each_has_its_reply() {
    let mut bench = Bench::default();
    let lines = ["SET k v PX 10", "INCR k", "GET k", "INCR n", "PTTL k", "KEYS *", "MGET k n x"];
    let reply = bench.apply(&transaction(vec![], &lines));
    assert_eq!(shown(&reply), format!("OK, {NOT_AN_INTEGER}, 'v', 1, 10, [k n], [v 1 nil]"));
    assert_eq!(shown(&bench.apply(&transaction(vec![], &[]))), "");
    let nested = Operation::Transaction { watched: vec![], commands: vec![transaction(vec![], &["INCR n"])] };
    assert_eq!(shown(&bench.apply(&nested)), "ERR MULTI calls can not be nested");
    assert_eq!(bench.ask("GET n"), "'1'");
}

/// Before the watch; in between, with the time of each; whether it is noticed.
type Case<'a> = (&'a str, &'a [(u64, &'a str)], bool);

/// What happens to the key between the watch and the transaction, at which times, and whether it is noticed.
#[test]
fn whatever_happens_to_a_watched_key_is_noticed() {
    let at_ten = |line: &'static str| (10, line);
    let cases: &[Case] = &[
        // Nothing, or nothing that changes it.
        ("SET k v", &[], false),
        ("SET k v", &[at_ten("GET k"), at_ten("TTL k"), at_ten("GETEX k"), at_ten("SET k w NX")], false),
        ("SET k v", &[at_ten("SET other v"), at_ten("DEL missing"), at_ten("PERSIST k")], false),
        ("SET k v", &[at_ten("CAS k x y"), at_ten("EXPIRE k 5 XX"), at_ten("INCR k")], false),
        ("DEL k", &[], false),
        ("DEL k", &[at_ten("SET k v XX"), at_ten("EXPIRE k 5"), at_ten("GETDEL k"), at_ten("DEL k")], false),
        // Each way to change it.
        ("SET k v", &[at_ten("SET k v")], true),
        ("SET k v", &[at_ten("APPEND k w")], true),
        ("SET k 1", &[at_ten("INCR k")], true),
        ("SET k v", &[at_ten("MSET k v")], true),
        ("SET k v", &[at_ten("CAS k v w")], true),
        ("SET k v", &[at_ten("EXPIRE k 100")], true),
        ("SET k v PX 100", &[at_ten("PERSIST k")], true),
        ("SET k v PX 100", &[at_ten("GETEX k PX 90")], true),
        ("SET k v", &[at_ten("DEL k")], true),
        ("SET k v", &[at_ten("GETDEL k")], true),
        ("SET k v", &[at_ten("EXPIRE k -1")], true),
        ("SET k v", &[at_ten("FLUSHALL")], true),
        ("DEL k", &[at_ten("SET k v")], true),
        // It ends as it began.
        ("SET k v", &[at_ten("SET k w"), at_ten("SET k v")], true),
        ("SET k v", &[at_ten("DEL k"), at_ten("SET k v")], true),
        ("DEL k", &[at_ten("SET k v"), at_ten("DEL k")], true),
        ("DEL k", &[at_ten("SET k v"), at_ten("FLUSHALL")], true),
        ("DEL k", &[at_ten("SET k v PX 5"), (15, "tick")], true),
        ("DEL k", &[at_ten("SET k v PX 5"), (15, "GET k")], true),
        ("SET k v", &[at_ten("FLUSHALL"), at_ten("SET k v")], true),
        // Its time comes, whether or not anybody takes it out.
        ("SET k v PX 5", &[(10, "DBSIZE")], true),
        ("SET k v PX 5", &[(10, "tick")], true),
        ("SET k v PX 5", &[(10, "tick"), (10, "SET k v")], true),
    ];
    for (before, between, noticed) in cases {
        for restored in [false, true] {
            let mut bench = Bench::default();
            bench.ask("SET other v PX 1000");
            bench.ask(before);
            let watched = vec![(Bytes::from("k"), bench.store.version(b"k"))];
            for (time, line) in *between {
                match *line {
                    "tick" => bench.at(*time).tick(),
                    line => drop(bench.at(*time).ask(line)),
                }
            }
            if restored {
                bench.store = through_a_snapshot(&bench.store);
            }
            let wanted = if *noticed { "aborted" } else { "OK" };
            let reply = bench.apply(&transaction(watched, &["SET done 1"]));
            assert_eq!(shown(&reply), wanted, "{before}, {between:?}, restored: {restored}");
            bench.store.check().expect("all in step");
            assert_eq!(bench.ask("EXISTS done"), if *noticed { "0" } else { "1" });
        }
    }
}

fn through_a_snapshot(store: &Store) -> Store {
    let mut bytes = Vec::new();
    store.snapshot().write(&mut bytes).expect("a Vec takes all");
    let mut restored = Store::default();
    restored.restore(&mut bytes.as_slice()).expect("a good snapshot");
    restored
}

#[test]
fn a_key_that_had_ended_when_it_was_watched_may_be_taken_out() {
    let mut bench = Bench::default();
    bench.ask("SET k v PX 5");
    bench.at(10).ask("DBSIZE");
    let watched = vec![(Bytes::from("k"), bench.store.version(b"k"))];
    bench.tick();
    assert_eq!(shown(&bench.apply(&transaction(watched, &["INCR n"]))), "1");
}

#[test]
fn keys_that_are_gone_leave_nothing_behind() {
    let mut bench = Bench::default();
    let size = |store: &Store| {
        let mut bytes = Vec::new();
        store.snapshot().write(&mut bytes).expect("a Vec takes all");
        bytes.len()
    };
    for round in 0..3 {
        for number in 0..30_000 {
            let (key, value) = (Bytes::from(format!("{round}:{number}")), Bytes::from("v"));
            bench.moment.op += 1;
            bench.store.apply(bench.moment, &Operation::SetIfMissing { key: key.clone(), value });
            bench.store.apply(bench.moment, &Operation::Delete { keys: vec![key] });
        }
        // A number and its place for each shard, however many keys were in it.
        assert_eq!(size(&bench.store), 1 + 4 * 8 + 16 * 16_384 - missed(&bench.store) * 16);
    }
}

/// Shards that never had a key.
fn missed(store: &Store) -> usize {
    store.keys.entries().shards().filter(|shard| shard.gone == 0).count()
}

#[test]
fn the_replies_of_a_transaction_fit_into_one_and_what_does_not_is_not_done() {
    let mut bench = Bench::default();
    let value = "v".repeat(VALUE_BYTES_MAX - 100);
    for key in ["a", "b", "c"] {
        bench.ask(&format!("SET {key} {value}"));
    }
    let lines = ["GET a", "GETDEL b", "GETDEL c", "GET a", "SET c w GET", "SET d done", "MGET a", "INCR n"];
    let reply = bench.apply(&transaction(vec![], &lines));
    let Reply::Many(replies) = &reply else { panic!("{}", shown(&reply)) };
    let too_large = Reply::Error(StoreError::ReplyTooLarge);
    assert!(matches!(&replies[..2], [Reply::Bulk(_), Reply::Nil | Reply::Bulk(_)]));
    assert_eq!(
        &replies[2..],
        [&too_large, &too_large, &too_large, &Reply::Ok, &too_large, &Reply::Int(1)].map(Clone::clone)
    );
    assert_eq!(bench.ask("EXISTS a b c d"), "3");
    assert_eq!(bench.ask("STRLEN c"), value.len().to_string());
    let mut bytes = Vec::new();
    vsr_actor::Payload::encode(&reply, &mut bytes);
    assert!(bytes.len() <= REPLY_BYTES_MAX + REPLY_BYTES_MAX / 2, "{}", bytes.len());
}
