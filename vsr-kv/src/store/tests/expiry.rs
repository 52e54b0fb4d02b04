//! Keys that end.

use super::*;

#[test]
fn a_key_ends_when_its_time_has_come_and_not_before() {
    conversation(&[
        (1000, "SET k v PX 10", "OK"),
        (1009, "GET k", "'v'"),
        (1009, "PTTL k", "1"),
        (1010, "GET k", "nil"),
        (1010, "PTTL k", "-2"),
        (1010, "EXISTS k", "0"),
        (1010, "TYPE k", "none"),
        (1010, "STRLEN k", "0"),
        (1010, "MGET k", "[nil]"),
        (1010, "GETDEL k", "nil"),
        (1010, "DEL k", "0"),
    ]);
}

#[test]
fn each_way_to_give_a_key_an_end() {
    for (line, ends) in [
        ("SET k v EX 5", 6000),
        ("SET k v PX 5", 1005),
        ("SET k v EXAT 5", 5000),
        ("SET k v PXAT 5555", 5555),
        ("SETEX k 5 v", 6000),
        ("PSETEX k 5 v", 1005),
        ("GETEX k EX 5", 6000),
        ("GETEX k PX 5", 1005),
        ("GETEX k EXAT 5", 5000),
        ("GETEX k PXAT 5555", 5555),
        ("EXPIRE k 5", 6000),
        ("PEXPIRE k 5", 1005),
        ("EXPIREAT k 5", 5000),
        ("PEXPIREAT k 5555", 5555),
    ] {
        let mut bench = Bench::default();
        bench.at(1000).ask("SET k v");
        bench.ask(line);
        assert_eq!(bench.ask("PEXPIRETIME k"), ends.to_string(), "{line}");
        assert_eq!(bench.at(ends - 1).ask("EXISTS k"), "1", "{line}");
        assert_eq!(bench.at(ends).ask("EXISTS k"), "0", "{line}");
    }
}

#[test]
fn each_way_to_let_a_key_stay_and_each_that_keeps_its_end() {
    for line in ["SET k 7", "SETNX x 7", "MSET k 7", "GETSET k 7", "PERSIST k", "GETEX k PERSIST"] {
        let mut bench = Bench::default();
        bench.ask("SET k 7 PX 10");
        bench.ask(line);
        let stays = line != "SETNX x 7";
        assert_eq!(bench.ask("PTTL k"), if stays { "-1" } else { "10" }, "{line}");
    }
    for line in [
        "SET k 7 KEEPTTL",
        "INCR k",
        "DECRBY k 3",
        "APPEND k 1",
        "CAS k 7 8",
        "GETEX k",
        "GET k",
        "SET k 1 NX",
    ] {
        let mut bench = Bench::default();
        bench.ask("SET k 7 PX 10");
        bench.ask(line);
        assert_eq!(bench.ask("PTTL k"), "10", "{line}");
        assert_eq!(bench.at(10).ask("EXISTS k"), "0", "{line}");
    }
    conversation(&[
        (0, "SET new v KEEPTTL", "OK"),
        (0, "TTL new", "-1"),
        (0, "PERSIST new", "0"),
        (0, "PERSIST x", "0"),
    ]);
}

#[test]
fn conditions_of_expire() {
    // Without a deadline, with an earlier one, with the same, with a later one: 1 if it was set.
    for (condition, set) in [
        ("", [1, 1, 1, 1]),
        ("NX", [1, 0, 0, 0]),
        ("XX", [0, 1, 1, 1]),
        ("GT", [0, 1, 0, 0]),
        ("LT", [1, 0, 0, 1]),
        ("XX GT", [0, 1, 0, 0]),
        ("XX LT", [0, 0, 0, 1]),
    ] {
        for (present, set) in ["", " PXAT 400", " PXAT 500", " PXAT 600"].into_iter().zip(set) {
            let mut bench = Bench::default();
            bench.at(100).ask(&format!("SET k v{present}"));
            let line = format!("PEXPIRE k 400 {condition}");
            assert_eq!(bench.ask(line.trim_end()), set.to_string(), "SET{present}, {line}");
            let ends = if set == 1 { "500" } else { present.get(6..).unwrap_or("-1") };
            assert_eq!(bench.ask("PEXPIRETIME k"), ends, "SET{present}, {line}");
        }
    }
    conversation(&[(0, "EXPIRE missing 5", "0"), (0, "EXPIRE missing 5 NX", "0"), (0, "TTL missing", "-2")]);
}

#[test]
fn a_time_that_is_over_removes_the_key_at_once() {
    for line in [
        "EXPIRE k 0",
        "EXPIRE k -1",
        "PEXPIRE k -9223372036854775808",
        "EXPIREAT k 1",
        "PEXPIREAT k -5",
        "PEXPIREAT k 5000",
    ] {
        let mut bench = Bench::default();
        bench.at(5000).ask("SET k v");
        assert_eq!(bench.ask(line), "1", "{line}");
        assert_eq!(bench.ask("DBSIZE"), "0", "{line}");
        assert_eq!(bench.store.due(), None, "{line}");
    }
    conversation(&[
        (5000, "SET k v PXAT 5000", "OK"),
        (5000, "DBSIZE", "0"),
        (5000, "SET k v", "OK"),
        (5000, "SET k w EXAT 1 GET", "'v'"),
        (5000, "DBSIZE", "0"),
        (5000, "SET k v", "OK"),
        (5000, "GETEX k EXAT 1", "'v'"),
        (5000, "DBSIZE", "0"),
        // A condition that does not hold spares it.
        (5000, "SET k v", "OK"),
        (5000, "EXPIRE k -1 XX", "0"),
        (5000, "DBSIZE", "1"),
    ]);
}

#[test]
fn the_end_of_time_is_far_and_seconds_are_rounded() {
    let far = i64::MAX.to_string();
    conversation(&[
        (1000, "SET k v PXAT 9223372036854775807", "OK"),
        (1000, "PEXPIRETIME k", &far),
        (1000, "EXPIRETIME k", "9223372036854776"),
        (1000, "PTTL k", "9223372036854774807"),
        (1000, "PEXPIRE k 1499", "1"),
        (1000, "TTL k", "1"),
        (1000, "PEXPIRE k 1500", "1"),
        (1000, "TTL k", "2"),
        (1000, "EXPIRETIME k", "3"),
        (1000, "TTL missing", "-2"),
        (1000, "EXPIRETIME missing", "-2"),
    ]);
    let mut bench = Bench::default();
    bench.ask("SET k v PXAT 9223372036854775807");
    assert_eq!(bench.store.due(), Some(u64::MAX));
}

#[test]
fn only_the_time_of_the_log_counts_and_it_does_not_go_back() {
    let mut bench = Bench::default();
    bench.at(1000).ask("SET k v PX 10");
    // Beside the log it is still 1000, whatever clocks say.
    assert_eq!(bench.read("GET k"), "'v'");
    bench.at(1010).ask("PERSIST other");
    assert_eq!((bench.read("GET k").as_str(), bench.read("EXISTS k").as_str()), ("nil", "0"));
    assert_eq!((bench.read("KEYS *").as_str(), bench.read("RANDOMKEY").as_str()), ("[]", "nil"));
    assert_eq!(bench.at(1005).ask("GET k"), "nil");
}

#[test]
fn ticks_remove_what_has_ended_a_bounded_number_at_a_time() {
    let mut bench = Bench::default();
    bench.at(1000);
    for number in 0..2500 {
        bench.moment.op += 1;
        bench.store.apply(bench.moment, &operation(&format!("SET {number} v PX 10")));
    }
    bench.ask("SET later v PX 20");
    bench.ask("SET stays v");
    assert_eq!(bench.store.due(), Some(1_010_000_000));
    bench.at(1010);
    let mut left = vec![];
    // Each tick asks for another time than the one it was at: else nobody would notice that it asks.
    while let Some(due) = bench.store.due().filter(|due| *due < 1_020_000_000) {
        assert!(due > bench.store.keys.moment().timestamp);
        bench.moment.timestamp = bench.moment.timestamp.max(due);
        bench.tick();
        assert_eq!(bench.read("EXISTS 0"), "0");
        left.push(bench.ask("DBSIZE"));
    }
    assert_eq!(left, ["1502", "502", "2"]);
    assert_eq!(bench.store.due(), Some(1_020_000_000));
    bench.at(1020).tick();
    assert_eq!((bench.ask("DBSIZE").as_str(), bench.store.due()), ("1", None));
}
