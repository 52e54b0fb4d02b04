//! Commands of Redis that a later version will have: better a clear error than `unknown command`.

use super::ErrorText;

const CLUSTER: &str = "every replica serves all keys, and reads are linearizable";
const STRINGS: &str = "this version does not have it";

#[rustfmt::skip]
const LATER: &[(&str, &[&str])] = &[
    (CLUSTER, &["ASKING", "CLUSTER", "SENTINEL", "WAIT"]),
    (STRINGS, &["COPY", "GETRANGE", "INCRBYFLOAT", "MSETNX", "RENAME", "RENAMENX", "SETRANGE"]),
];

pub(super) fn look_up(name: &[u8]) -> Option<ErrorText> {
    LATER.iter().find_map(|(why, names)| {
        let name = names.iter().find(|known| known.as_bytes().eq_ignore_ascii_case(name))?;
        Some(format!("ERR {name} is not supported yet: {why}").into())
    })
}
