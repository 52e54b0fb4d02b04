//! Commands that say which keys there are.

use super::{
    ErrorText,
    keys::{Parsed, SYNTAX, integer},
};
use crate::glob::PATTERN_BYTES_MAX;
use crate::store::Operation;
use bytes::Bytes;
use std::hash::{BuildHasher, RandomState};

/// What a call of `SCAN` without `COUNT` looks at.
const COUNT: u64 = 10;

fn pattern(word: &Bytes) -> Result<Bytes, ErrorText> {
    if word.len() > PATTERN_BYTES_MAX {
        return Err(format!("ERR a pattern has at most {PATTERN_BYTES_MAX} bytes").into());
    }
    Ok(word.clone())
}

pub(super) fn keys(words: &[Bytes]) -> Parsed {
    Ok(Operation::Keys { pattern: pattern(&words[1])? })
}

/// The seed is drawn here: wherever it is executed, the same key is found.
pub(super) fn random_key(_: &[Bytes]) -> Parsed {
    Ok(Operation::RandomKey { seed: RandomState::new().hash_one(()) })
}

pub(super) fn scan(words: &[Bytes]) -> Parsed {
    let cursor = std::str::from_utf8(&words[1]).ok().and_then(|word| word.parse().ok());
    let cursor = cursor.ok_or("ERR invalid cursor")?;
    let (mut count, mut wanted, mut strings) = (COUNT, None, true);
    let mut options = &words[2..];
    while let [name, value, rest @ ..] = options {
        match name.to_ascii_uppercase().as_slice() {
            b"MATCH" => wanted = Some(pattern(value)?),
            b"COUNT" => match u64::try_from(integer(value)?) {
                Ok(number) if number > 0 => count = number,
                _ => return Err(SYNTAX.into()),
            },
            // There are no other types, so a key of another type is not found.
            b"TYPE" => strings = value.eq_ignore_ascii_case(b"string"),
            _ => return Err(SYNTAX.into()),
        }
        options = rest;
    }
    if !options.is_empty() {
        return Err(SYNTAX.into());
    }
    Ok(Operation::Scan { cursor, count, pattern: wanted, strings })
}

#[cfg(test)]
mod tests {
    use super::super::tests::parse;
    use super::*;

    #[test]
    fn options_of_scan() {
        let scan = |cursor, count, pattern: Option<&'static str>, strings| {
            Ok(Operation::Scan { cursor, count, pattern: pattern.map(Bytes::from), strings })
        };
        assert_eq!(parse("SCAN 0"), scan(0, COUNT, None, true));
        assert_eq!(parse("scan 7 match a* count 100"), scan(7, 100, Some("a*"), true));
        assert_eq!(parse("SCAN 0 TYPE hash"), scan(0, COUNT, None, false));
        assert_eq!(parse("SCAN 18446744073709551615 TYPE STRING"), scan(u64::MAX, COUNT, None, true));
        for (line, error) in [
            ("SCAN x", "ERR invalid cursor"),
            ("SCAN -1", "ERR invalid cursor"),
            ("SCAN 0 COUNT 0", SYNTAX),
            ("SCAN 0 COUNT x", "ERR value is not an integer or out of range"),
            ("SCAN 0 MATCH", SYNTAX),
            ("SCAN 0 BLA x", SYNTAX),
        ] {
            assert_eq!(parse(line), Err(error.into()), "{line}");
        }
        let long = "a".repeat(PATTERN_BYTES_MAX + 1);
        assert!(parse(&format!("KEYS {long}")).is_err() && parse(&format!("SCAN 0 MATCH {long}")).is_err());
    }

    #[test]
    fn each_question_for_a_random_key_has_a_seed_of_its_own() {
        assert_ne!(parse("RANDOMKEY"), parse("RANDOMKEY"));
    }
}
