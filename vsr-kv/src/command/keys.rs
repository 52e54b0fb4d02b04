//! From the words of a request to an operation of the store, or to an order for the group. The table has checked the arity.

use super::{ErrorText, later, readable, wrong_arity};
use crate::server::Control;
use crate::store::{Condition, Operation, StoreError, parse_integer};
use bytes::Bytes;

pub(super) const SYNTAX: &str = "ERR syntax error";

type Parsed = Result<Operation, ErrorText>;

fn integer(word: &[u8]) -> Result<i64, ErrorText> {
    parse_integer(word).ok_or_else(|| StoreError::NotAnInteger.to_string().into())
}

pub(super) fn get(words: &[Bytes]) -> Parsed {
    Ok(Operation::Get { key: words[1].clone() })
}

pub(super) fn set(words: &[Bytes]) -> Parsed {
    let (mut condition, mut get) = (Condition::Always, false);
    for option in &words[3..] {
        match option.to_ascii_uppercase().as_slice() {
            b"NX" if condition != Condition::Present => condition = Condition::Missing,
            b"XX" if condition != Condition::Missing => condition = Condition::Present,
            b"GET" => get = true,
            _ => return Err(later::set_option(option)),
        }
    }
    Ok(Operation::Set { key: words[1].clone(), value: words[2].clone(), condition, get })
}

pub(super) fn set_if_missing(words: &[Bytes]) -> Parsed {
    Ok(Operation::SetIfMissing { key: words[1].clone(), value: words[2].clone() })
}

pub(super) fn get_delete(words: &[Bytes]) -> Parsed {
    Ok(Operation::GetDelete { key: words[1].clone() })
}

pub(super) fn get_many(words: &[Bytes]) -> Parsed {
    Ok(Operation::GetMany { keys: words[1..].to_vec() })
}

pub(super) fn set_many(words: &[Bytes]) -> Parsed {
    if words.len().is_multiple_of(2) {
        return Err(wrong_arity("mset"));
    }
    Ok(Operation::SetMany { pairs: words[1..].to_vec() })
}

pub(super) fn delete(words: &[Bytes]) -> Parsed {
    Ok(Operation::Delete { keys: words[1..].to_vec() })
}

pub(super) fn exists(words: &[Bytes]) -> Parsed {
    Ok(Operation::Exists { keys: words[1..].to_vec() })
}

pub(super) fn length(words: &[Bytes]) -> Parsed {
    Ok(Operation::Length { key: words[1].clone() })
}

pub(super) fn append(words: &[Bytes]) -> Parsed {
    Ok(Operation::Append { key: words[1].clone(), value: words[2].clone() })
}

pub(super) fn incr(words: &[Bytes]) -> Parsed {
    Ok(Operation::Add { key: words[1].clone(), delta: 1 })
}

pub(super) fn decr(words: &[Bytes]) -> Parsed {
    Ok(Operation::Add { key: words[1].clone(), delta: -1 })
}

pub(super) fn incr_by(words: &[Bytes]) -> Parsed {
    Ok(Operation::Add { key: words[1].clone(), delta: integer(&words[2])? })
}

pub(super) fn decr_by(words: &[Bytes]) -> Parsed {
    let delta = integer(&words[2])?.checked_neg().ok_or("ERR decrement would overflow")?;
    Ok(Operation::Add { key: words[1].clone(), delta })
}

pub(super) fn type_of(words: &[Bytes]) -> Parsed {
    Ok(Operation::Type { key: words[1].clone() })
}

pub(super) fn size(_: &[Bytes]) -> Parsed {
    Ok(Operation::Size)
}

pub(super) fn flush(words: &[Bytes]) -> Parsed {
    match words {
        [_] => Ok(Operation::Flush),
        [_, how] if how.eq_ignore_ascii_case(b"SYNC") || how.eq_ignore_ascii_case(b"ASYNC") => {
            Ok(Operation::Flush)
        }
        _ => Err(SYNTAX.into()),
    }
}

pub(super) fn compare_and_set(words: &[Bytes]) -> Parsed {
    Ok(Operation::CompareAndSet { key: words[1].clone(), old: words[2].clone(), new: words[3].clone() })
}

fn replica(word: &[u8]) -> Result<u64, ErrorText> {
    parse_integer(word).and_then(|id| u64::try_from(id).ok()).ok_or_else(|| {
        format!("ERR '{}' is no replica: replicas are numbered from 0", readable(word, 32)).into()
    })
}

pub(super) fn crash(words: &[Bytes]) -> Result<Control, ErrorText> {
    Ok(Control::Crash(replica(&words[1])?))
}

pub(super) fn restart(words: &[Bytes]) -> Result<Control, ErrorText> {
    Ok(Control::Restart(replica(&words[1])?))
}

pub(super) fn heal(_: &[Bytes]) -> Result<Control, ErrorText> {
    Ok(Control::Heal)
}

pub(super) fn partition(words: &[Bytes]) -> Result<Control, ErrorText> {
    if words.len() == 1 {
        return Ok(Control::IsolatePrimary);
    }
    let mut named = Vec::new();
    let mut groups = Vec::new();
    for word in &words[1..] {
        let group = word.split(|byte| *byte == b',').map(replica).collect::<Result<Vec<u64>, _>>()?;
        for id in &group {
            if named.contains(id) {
                return Err(format!("ERR replica {id} is named twice").into());
            }
            named.push(*id);
        }
        groups.push(group);
    }
    Ok(Control::Partition(groups))
}

#[cfg(test)]
mod tests {
    use super::super::tests::request;
    use super::super::{Run, look_up};
    use super::*;

    fn parse(line: &str) -> Result<Operation, String> {
        let words = request(line);
        match look_up(&words).map_err(ErrorText::into_owned)?.run {
            Run::Store(parse) => parse(&words).map_err(ErrorText::into_owned),
            _ => panic!("{line} is no operation"),
        }
    }

    #[test]
    fn options_of_set() {
        let set = |condition, get| {
            Ok(Operation::Set {
                key: Bytes::from_static(b"k"),
                value: Bytes::from_static(b"v"),
                condition,
                get,
            })
        };
        assert_eq!(parse("SET k v"), set(Condition::Always, false));
        assert_eq!(parse("set k v nx get"), set(Condition::Missing, true));
        assert_eq!(parse("SET k v GET XX XX"), set(Condition::Present, true));
        assert_eq!(parse("SET k v NX XX"), Err(SYNTAX.into()));
        assert_eq!(parse("SET k v BLA"), Err(SYNTAX.into()));
        let text = "ERR SET option EX is not supported yet: keys do not expire in this version";
        assert_eq!(parse("SET k v ex 10"), Err(text.into()));
    }

    #[test]
    fn numbers_and_counts() {
        assert_eq!(parse("DECRBY n 5"), Ok(Operation::Add { key: "n".into(), delta: -5 }));
        assert_eq!(parse("INCRBY n x"), Err("ERR value is not an integer or out of range".into()));
        assert_eq!(parse("DECRBY n -9223372036854775808"), Err("ERR decrement would overflow".into()));
        assert_eq!(parse("MSET a 1 b"), Err("ERR wrong number of arguments for 'mset' command".into()));
        assert_eq!(parse("FLUSHDB async"), Ok(Operation::Flush));
        assert_eq!(parse("FLUSHALL sync"), Ok(Operation::Flush));
        assert_eq!(parse("FLUSHDB now"), Err(SYNTAX.into()));
    }

    #[test]
    fn partitions() {
        let parse = |line: &str| partition(&request(line)).map_err(ErrorText::into_owned);
        assert_eq!(parse("VSR.PARTITION"), Ok(Control::IsolatePrimary));
        assert_eq!(parse("VSR.PARTITION 0,2 1"), Ok(Control::Partition(vec![vec![0, 2], vec![1]])));
        assert_eq!(parse("VSR.PARTITION 0 0"), Err("ERR replica 0 is named twice".into()));
        assert!(parse("VSR.PARTITION 0,").is_err());
        assert!(parse("VSR.PARTITION -1").is_err());
    }
}
