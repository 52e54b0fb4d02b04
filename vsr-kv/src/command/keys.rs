//! From the words of a request to an operation of the store. The table has checked the arity.

use super::{ErrorText, wrong_arity};
use crate::store::{Condition, Expiry, Operation, StoreError, parse_integer};
use bytes::Bytes;

pub(super) const SYNTAX: &str = "ERR syntax error";

pub(super) type Parsed = Result<Operation, ErrorText>;

pub(super) fn integer(word: &[u8]) -> Result<i64, ErrorText> {
    parse_integer(word).ok_or_else(|| StoreError::NotAnInteger.to_string().into())
}

pub(super) fn get(words: &[Bytes]) -> Parsed {
    Ok(Operation::Get { key: words[1].clone() })
}

pub(super) fn get_set(words: &[Bytes]) -> Parsed {
    let (key, value) = (words[1].clone(), words[2].clone());
    Ok(Operation::Set { key, value, condition: Condition::Always, get: true, expiry: Expiry::Clear })
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

#[cfg(test)]
mod tests {
    use super::super::tests::parse;
    use super::*;

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
}
