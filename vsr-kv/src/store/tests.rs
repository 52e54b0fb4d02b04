//! Commands as people write them, against a store whose clock the test holds.

mod expiry;
mod listing;
mod model;
mod transactions;

use super::*;
use crate::command::tests::parse;

/// A store, and the log it is fed by.
#[derive(Default)]
pub(super) struct Bench {
    pub(super) store: Store,
    pub(super) moment: Moment,
}

impl Bench {
    pub(super) fn at(&mut self, milliseconds: u64) -> &mut Self {
        self.moment.timestamp = milliseconds * 1_000_000;
        self
    }

    pub(super) fn apply(&mut self, operation: &Operation) -> Reply {
        self.moment.op += 1;
        self.store.apply(self.moment, operation)
    }

    pub(super) fn ask(&mut self, line: &str) -> String {
        shown(&self.apply(&operation(line)))
    }

    /// Beside the log.
    pub(super) fn read(&self, line: &str) -> String {
        shown(&self.store.read(&operation(line)))
    }

    pub(super) fn tick(&mut self) {
        self.moment.op += 1;
        self.store.tick(self.moment);
    }
}

pub(super) fn operation(line: &str) -> Operation {
    parse(line).unwrap_or_else(|refused| panic!("{line}: {refused}"))
}

pub(super) fn shown(reply: &Reply) -> String {
    let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
    match reply {
        Reply::Ok => "OK".into(),
        Reply::Nil => "nil".into(),
        Reply::Int(number) => number.to_string(),
        Reply::Bulk(value) => format!("'{}'", text(value)),
        Reply::Array(values) => {
            let values = values.iter().map(|value| value.as_ref().map_or("nil".into(), text));
            format!("[{}]", values.collect::<Vec<_>>().join(" "))
        }
        Reply::Type(kind) => kind.name().into(),
        Reply::Scanned { cursor, keys } => {
            format!("{cursor}: {}", keys.iter().map(text).collect::<Vec<_>>().join(" "))
        }
        Reply::Many(replies) => replies.iter().map(shown).collect::<Vec<_>>().join(", "),
        Reply::Aborted => "aborted".into(),
        Reply::Error(error) => error.to_string(),
    }
}

/// Each line at its time in milliseconds, and its reply.
pub(super) fn conversation(lines: &[(u64, &str, &str)]) {
    let mut bench = Bench::default();
    for (index, (time, line, reply)) in lines.iter().enumerate() {
        assert_eq!(bench.at(*time).ask(line), *reply, "{index}: {line} at {time}");
    }
    bench.store.check().expect("all in step");
}

const NOT_AN_INTEGER: &str = "ERR value is not an integer or out of range";
const OVERFLOW: &str = "ERR increment or decrement would overflow";
const TOO_LONG: &str = "ERR string exceeds maximum allowed size (proto-max-bulk-len)";

#[test]
fn set_with_its_options_is_that_of_redis_7() {
    conversation(&[
        (0, "SET k no XX", "nil"),
        (0, "SET k no XX GET", "nil"),
        (0, "SET k a NX GET", "nil"),
        (0, "SET k b NX GET", "'a'"),
        (0, "SET k b NX", "nil"),
        (0, "SET k b XX GET", "'a'"),
        (0, "SET k c XX", "OK"),
        (0, "SET k d GET", "'c'"),
        (0, "GETSET k e", "'d'"),
        (0, "GETSET new e", "nil"),
        (0, "MGET k new", "[e e]"),
    ]);
}

#[test]
fn numbers_are_those_of_redis() {
    conversation(&[
        (0, "INCR n", "1"),
        (0, "INCRBY n 9223372036854775806", "9223372036854775807"),
        (0, "INCR n", OVERFLOW),
        (0, "INCRBY n -9223372036854775808", "-1"),
        (0, "INCRBY n -9223372036854775808", OVERFLOW),
        (0, "DECRBY n 4", "-5"),
        (0, "DECR n", "-6"),
        (0, "GET n", "'-6'"),
    ]);
    for text in ["", " 1", "1 ", "+1", "01", "-0", "-", "1.0", "9223372036854775808", "0x1"] {
        let mut bench = Bench::default();
        let (key, value) = (Bytes::from("t"), Bytes::copy_from_slice(text.as_bytes()));
        bench.apply(&Operation::SetIfMissing { key, value });
        assert_eq!(bench.ask("INCR t"), NOT_AN_INTEGER, "{text:?}");
    }
    assert_eq!(parse_integer(b"-9223372036854775808"), Some(i64::MIN));
    assert_eq!(parse_integer(b"0"), Some(0));
}

#[test]
fn append_grows_a_value_up_to_the_limit_and_disturbs_no_reader() {
    let mut bench = Bench::default();
    assert_eq!(bench.ask("APPEND k ab"), "2");
    assert_eq!(bench.ask("APPEND k cd"), "4");
    let held = bench.apply(&operation("GET k"));
    assert_eq!(bench.ask("APPEND k ef"), "6");
    assert_eq!((shown(&held).as_str(), bench.ask("GET k").as_str()), ("'abcd'", "'abcdef'"));
    let long = "x".repeat(VALUE_BYTES_MAX - 6);
    assert_eq!(bench.ask(&format!("APPEND k {long}")), VALUE_BYTES_MAX.to_string());
    assert_eq!(bench.ask("APPEND k x"), TOO_LONG);
    assert_eq!(bench.ask("STRLEN k"), VALUE_BYTES_MAX.to_string());
}

#[test]
fn many_keys_at_once() {
    conversation(&[
        (0, "MSET a 1 b 2 a 3", "OK"),
        (0, "MGET a x b", "[3 nil 2]"),
        (0, "EXISTS a a x", "2"),
        (0, "DBSIZE", "2"),
        (0, "DEL a a x", "1"),
        (0, "TYPE a", "none"),
        (0, "TYPE b", "string"),
        (0, "UNLINK b", "1"),
        (0, "MSET a 1 b 2", "OK"),
        (0, "FLUSHALL", "OK"),
        (0, "DBSIZE", "0"),
    ]);
}

#[test]
fn a_reply_stays_bounded() {
    let mut bench = Bench::default();
    let big = "x".repeat(VALUE_BYTES_MAX);
    assert_eq!(bench.ask(&format!("SET big {big}")), "OK");
    assert!(bench.ask("MGET big").starts_with("[x"));
    let too_large = StoreError::ReplyTooLarge.to_string();
    assert_eq!(bench.ask("MGET big big big"), too_large);
    assert_eq!(bench.read("MGET big big big"), too_large);
    assert_eq!(bench.ask(&format!("SET big {big}x")), TOO_LONG);
    assert_eq!(bench.ask(&format!("MSET a 1 big {big}x")), TOO_LONG);
    assert_eq!(bench.ask("STRLEN big"), VALUE_BYTES_MAX.to_string());
    assert_eq!(bench.ask("EXISTS a"), "0");
}

#[test]
fn cas_setnx_getdel() {
    conversation(&[
        (0, "CAS k a x", "nil"),
        (0, "SETNX k a", "1"),
        (0, "SETNX k b", "0"),
        (0, "CAS k b c", "0"),
        (0, "CAS k a c", "1"),
        (0, "GETDEL k", "'c'"),
        (0, "GETDEL k", "nil"),
    ]);
}

#[test]
fn what_changes_something_is_refused_beside_the_log() {
    let bench = Bench::default();
    for line in ["SET k v", "DEL k", "TTL k", "GETEX k"] {
        assert_eq!(bench.read(line), StoreError::NotARead.to_string(), "{line}");
        assert!(!operation(line).is_read());
    }
    for line in [
        "GET k",
        "MGET k",
        "EXISTS k",
        "STRLEN k",
        "TYPE k",
        "DBSIZE",
        "EXPIRETIME k",
        "KEYS *",
        "SCAN 0",
        "RANDOMKEY",
    ] {
        assert_ne!(bench.read(line), StoreError::NotARead.to_string(), "{line}");
        assert!(operation(line).is_read(), "{line}");
    }
}

#[test]
fn equal_content_has_an_equal_digest_and_another_has_another() {
    use vsr_actor::Snapshot;
    let digest = |lines: &[&str]| {
        let mut bench = Bench::default();
        for line in lines {
            // All at one place of the log: where a key was changed belongs to its state.
            bench.store.apply(Moment::default(), &operation(line));
        }
        bench.store.digest().expect("it has one")
    };
    let reference = digest(&["SET a 1", "SET b 2 PXAT 9"]);
    let same = ["SET b 2 PXAT 9", "SET c 3", "SET a 5", "DEL c", "DECRBY a 4"];
    assert_eq!(digest(&same), reference);
    for other in [
        &["SET a 1", "SET b 2"][..],
        &["SET a 1", "SET b 2 PXAT 8"],
        &["SET a 2", "SET b 1 PXAT 9"],
        &["SET a 1"],
        &["SET a 12 PXAT 9"],
    ] {
        assert_ne!(digest(other), reference, "{other:?}");
    }
    assert_eq!(digest(&["SET a 1", "FLUSHALL"]), digest(&[]));
}
