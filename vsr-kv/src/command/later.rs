//! Commands of Redis that a later version will have: better a clear error than `unknown command`.

use super::ErrorText;

const EXPIRY: &str = "keys do not expire in this version";
const TRANSACTIONS: &str =
    "this version has no transactions; CAS key old new, MSET and SET with NX, XX, GET are atomic";
const LISTING: &str = "keys cannot be listed in this version";
const CLUSTER: &str = "every replica serves all keys, and reads are linearizable";
const STRINGS: &str = "this version does not have it";

#[rustfmt::skip]
const LATER: &[(&str, &[&str])] = &[
    (EXPIRY, &["EXPIRE", "EXPIREAT", "EXPIRETIME", "GETEX", "PERSIST", "PEXPIRE", "PEXPIREAT", "PEXPIRETIME", "PSETEX", "PTTL", "SETEX", "TTL"]),
    (TRANSACTIONS, &["DISCARD", "EXEC", "MULTI", "UNWATCH", "WATCH"]),
    (LISTING, &["KEYS", "RANDOMKEY", "SCAN"]),
    (CLUSTER, &["ASKING", "CLUSTER", "READONLY", "READWRITE", "SENTINEL", "WAIT"]),
    (STRINGS, &["COPY", "GETRANGE", "GETSET", "INCRBYFLOAT", "MSETNX", "RENAME", "RENAMENX", "SETRANGE"]),
];

pub(super) fn look_up(name: &[u8]) -> Option<ErrorText> {
    LATER.iter().find_map(|(why, names)| {
        let name = names.iter().find(|known| known.as_bytes().eq_ignore_ascii_case(name))?;
        Some(format!("ERR {name} is not supported yet: {why}").into())
    })
}

/// What to say about an option of `SET` that is none of this version.
pub(super) fn set_option(option: &[u8]) -> ErrorText {
    let known = ["EX", "PX", "EXAT", "PXAT", "KEEPTTL"];
    match known.iter().find(|known| known.as_bytes().eq_ignore_ascii_case(option)) {
        Some(option) => format!("ERR SET option {option} is not supported yet: {EXPIRY}").into(),
        None => super::keys::SYNTAX.into(),
    }
}
