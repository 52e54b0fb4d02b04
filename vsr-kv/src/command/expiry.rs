//! Commands that say how long a key lives.

use super::{
    ErrorText,
    keys::{Parsed, SYNTAX, integer},
    readable,
};
use crate::store::{Condition, Expiry, ExpiryCondition, Operation, TimeUnit, When};
use bytes::Bytes;

/// Added to any time that a log can have this is still a number: the sum is made when the operation is executed, where nobody could be
/// told.
const IN_MAX: i64 = i64::MAX - (u64::MAX / 1_000_000) as i64;

fn lower(name: &[u8]) -> String {
    readable(name, 32).to_ascii_lowercase()
}

fn invalid(command: &[u8]) -> ErrorText {
    format!("ERR invalid expire time in '{}' command", lower(command)).into()
}

/// Commands in milliseconds begin with a P: PEXPIRE, PTTL, and PERSIST, which has no time.
fn unit_of(command: &[u8]) -> TimeUnit {
    match command.first() {
        Some(b'p' | b'P') => TimeUnit::Milliseconds,
        _ => TimeUnit::Seconds,
    }
}

fn milliseconds(time: i64, unit: TimeUnit, command: &[u8]) -> Result<i64, ErrorText> {
    match unit {
        TimeUnit::Milliseconds => Ok(time),
        TimeUnit::Seconds => time.checked_mul(1000).ok_or_else(|| invalid(command)),
    }
}

fn time_from_now(time: i64, unit: TimeUnit, command: &[u8]) -> Result<When, ErrorText> {
    match milliseconds(time, unit, command)? {
        time if time > IN_MAX => Err(invalid(command)),
        time => Ok(When::In(time)),
    }
}

/// A time to live in an option of `SET` and its kind: it must not be over already.
fn option(name: &[u8], time: &[u8], command: &[u8]) -> Result<Expiry, ErrorText> {
    let unit = unit_of(name);
    let time = integer(time)?;
    if time <= 0 {
        return Err(invalid(command));
    }
    Ok(Expiry::At(match name.len() {
        2 => time_from_now(time, unit, command)?,
        _ => When::At(milliseconds(time, unit, command)?),
    }))
}

const TIMES: [&[u8]; 4] = [b"EX", b"PX", b"EXAT", b"PXAT"];

fn is_time(option: &[u8]) -> bool {
    TIMES.iter().any(|time| option.eq_ignore_ascii_case(time))
}

pub(super) fn set(words: &[Bytes]) -> Parsed {
    let (mut condition, mut get, mut expiry) = (Condition::Always, false, None);
    let mut options = &words[3..];
    while let Some((word, mut rest)) = options.split_first() {
        match word.to_ascii_uppercase().as_slice() {
            b"NX" if condition != Condition::Present => condition = Condition::Missing,
            b"XX" if condition != Condition::Missing => condition = Condition::Present,
            b"GET" => get = true,
            b"KEEPTTL" if expiry.is_none_or(|known| known == Expiry::Keep) => expiry = Some(Expiry::Keep),
            name if is_time(name) && expiry.is_none() && !rest.is_empty() => {
                expiry = Some(option(name, &rest[0], b"set")?);
                rest = &rest[1..];
            }
            _ => return Err(SYNTAX.into()),
        }
        options = rest;
    }
    let (key, value) = (words[1].clone(), words[2].clone());
    Ok(Operation::Set { key, value, condition, get, expiry: expiry.unwrap_or_default() })
}

/// `SETEX` and `PSETEX`.
pub(super) fn set_expire(words: &[Bytes]) -> Parsed {
    let name = match unit_of(&words[0]) {
        TimeUnit::Seconds => b"EX",
        TimeUnit::Milliseconds => b"PX",
    };
    let expiry = option(name, &words[2], &words[0])?;
    let (key, value) = (words[1].clone(), words[3].clone());
    Ok(Operation::Set { key, value, condition: Condition::Always, get: false, expiry })
}

pub(super) fn get_expire(words: &[Bytes]) -> Parsed {
    let expiry = match &words[2..] {
        [] => Expiry::Keep,
        [word] if word.eq_ignore_ascii_case(b"PERSIST") => Expiry::Clear,
        [name, time] if is_time(name) => option(name, time, b"getex")?,
        _ => return Err(SYNTAX.into()),
    };
    Ok(Operation::GetExpire { key: words[1].clone(), expiry })
}

/// `EXPIRE` and `PEXPIRE`. A time that is over removes the key.
pub(super) fn expire(words: &[Bytes]) -> Parsed {
    let condition = condition(&words[3..])?;
    let when = time_from_now(integer(&words[2])?, unit_of(&words[0]), &words[0])?;
    Ok(Operation::Expire { key: words[1].clone(), when, condition })
}

/// `EXPIREAT` and `PEXPIREAT`.
pub(super) fn expire_at(words: &[Bytes]) -> Parsed {
    let condition = condition(&words[3..])?;
    let at = milliseconds(integer(&words[2])?, unit_of(&words[0]), &words[0])?;
    Ok(Operation::Expire { key: words[1].clone(), when: When::At(at), condition })
}

fn condition(options: &[Bytes]) -> Result<ExpiryCondition, ErrorText> {
    let (mut missing, mut present, mut later, mut sooner) = (false, false, false, false);
    for option in options {
        match option.to_ascii_uppercase().as_slice() {
            b"NX" => missing = true,
            b"XX" => present = true,
            b"GT" => later = true,
            b"LT" => sooner = true,
            _ => return Err(format!("ERR Unsupported option {}", readable(option, 128)).into()),
        }
    }
    match (missing, present, later, sooner) {
        (false, _, true, true) => Err("ERR GT and LT options at the same time are not compatible".into()),
        (true, false, false, false) => Ok(ExpiryCondition::Missing),
        (true, ..) => Err("ERR NX and XX, GT or LT options at the same time are not compatible".into()),
        (false, false, false, false) => Ok(ExpiryCondition::Always),
        (false, true, false, false) => Ok(ExpiryCondition::Present),
        (false, _, true, false) => Ok(ExpiryCondition::Later),
        (false, false, false, true) => Ok(ExpiryCondition::Sooner),
        (false, true, false, true) => Ok(ExpiryCondition::PresentAndSooner),
    }
}

pub(super) fn persist(words: &[Bytes]) -> Parsed {
    Ok(Operation::Persist { key: words[1].clone() })
}

pub(super) fn time_to_live(words: &[Bytes]) -> Parsed {
    Ok(Operation::TimeToLive { key: words[1].clone(), unit: unit_of(&words[0]) })
}

pub(super) fn expiry_time(words: &[Bytes]) -> Parsed {
    Ok(Operation::ExpiryTime { key: words[1].clone(), unit: unit_of(&words[0]) })
}

#[cfg(test)]
mod tests {
    use super::super::tests::parse;
    use super::*;

    fn set(condition: Condition, get: bool, expiry: Expiry) -> Result<Operation, String> {
        let (key, value) = (Bytes::from_static(b"k"), Bytes::from_static(b"v"));
        Ok(Operation::Set { key, value, condition, get, expiry })
    }

    fn refused(line: &str) -> String {
        parse(line).expect_err(line)
    }

    #[test]
    fn options_of_set() {
        let plain = |condition, get| set(condition, get, Expiry::Clear);
        let until = |when| set(Condition::Always, false, Expiry::At(when));
        assert_eq!(parse("SET k v"), plain(Condition::Always, false));
        assert_eq!(parse("set k v nx get"), plain(Condition::Missing, true));
        assert_eq!(parse("SET k v GET XX XX"), plain(Condition::Present, true));
        assert_eq!(parse("SET k v ex 10"), until(When::In(10_000)));
        assert_eq!(parse("SET k v PX 10"), until(When::In(10)));
        assert_eq!(parse("SET k v EXAT 10"), until(When::At(10_000)));
        assert_eq!(parse("SET k v PXAT 10"), until(When::At(10)));
        assert_eq!(parse("SET k v KEEPTTL XX"), set(Condition::Present, false, Expiry::Keep));
        assert_eq!(parse("SETEX k 10 v"), until(When::In(10_000)));
        assert_eq!(parse("psetex k 10 v"), until(When::In(10)));
        assert_eq!(parse("GETSET k v"), plain(Condition::Always, true));
        for line in
            ["NX XX", "BLA", "EX", "EX 1 PX 1", "KEEPTTL EX 1", "EX 1 KEEPTTL", "EX 1 EX 1", "PERSIST"]
        {
            assert_eq!(refused(&format!("SET k v {line}")), SYNTAX, "{line}");
        }
    }

    #[test]
    fn times_that_cannot_be_are_refused_in_the_words_of_redis() {
        for (line, command) in [
            ("SET k v EX 0", "set"),
            ("SET k v PX -1", "set"),
            ("SET k v EXAT -1", "set"),
            ("SET k v EX 9223372036854775807", "set"),
            ("SET k v PX 9223372036854775807", "set"),
            ("SETEX k 0 v", "setex"),
            ("PSETEX k -5 v", "psetex"),
            ("GETEX k EX 0", "getex"),
            ("EXPIRE k 9223372036854775807", "expire"),
            ("EXPIRE k -9223372036854775808", "expire"),
            ("PEXPIRE k 9223372036854775807", "pexpire"),
            ("EXPIREAT k 9223372036854776", "expireat"),
        ] {
            assert_eq!(refused(line), format!("ERR invalid expire time in '{command}' command"), "{line}");
        }
        for line in ["SET k v EX x", "EXPIRE k 1.5", "PEXPIREAT k 9223372036854775808", "SETEX k x v"] {
            assert_eq!(refused(line), "ERR value is not an integer or out of range", "{line}");
        }
    }

    #[test]
    fn expire_and_its_conditions() {
        let expire = |when, condition| Ok(Operation::Expire { key: "k".into(), when, condition });
        let within = |condition| expire(When::In(7000), condition);
        assert_eq!(parse("EXPIRE k 7"), within(ExpiryCondition::Always));
        assert_eq!(parse("EXPIRE k 7 nx"), within(ExpiryCondition::Missing));
        assert_eq!(parse("EXPIRE k 7 XX"), within(ExpiryCondition::Present));
        assert_eq!(parse("EXPIRE k 7 GT"), within(ExpiryCondition::Later));
        assert_eq!(parse("EXPIRE k 7 XX GT"), within(ExpiryCondition::Later));
        assert_eq!(parse("EXPIRE k 7 LT"), within(ExpiryCondition::Sooner));
        assert_eq!(parse("EXPIRE k 7 LT XX"), within(ExpiryCondition::PresentAndSooner));
        assert_eq!(parse("PEXPIRE k -7"), expire(When::In(-7), ExpiryCondition::Always));
        assert_eq!(parse("EXPIREAT k 7"), expire(When::At(7000), ExpiryCondition::Always));
        assert_eq!(parse("pexpireat k -7"), expire(When::At(-7), ExpiryCondition::Always));
        let incompatible = "ERR NX and XX, GT or LT options at the same time are not compatible";
        for line in ["NX XX", "NX GT", "LT NX", "NX GT LT"] {
            assert_eq!(refused(&format!("EXPIRE k 7 {line}")), incompatible, "{line}");
        }
        let both = "ERR GT and LT options at the same time are not compatible";
        assert_eq!(refused("EXPIRE k 7 GT LT"), both);
        assert_eq!(refused("EXPIRE k 7 BLA"), "ERR Unsupported option BLA");
    }

    #[test]
    fn getex_and_questions() {
        let get = |expiry| Ok(Operation::GetExpire { key: "k".into(), expiry });
        assert_eq!(parse("GETEX k"), get(Expiry::Keep));
        assert_eq!(parse("GETEX k PERSIST"), get(Expiry::Clear));
        assert_eq!(parse("GETEX k PXAT 5"), get(Expiry::At(When::At(5))));
        for line in ["GETEX k EX", "GETEX k BLA", "GETEX k EX 1 PERSIST", "GETEX k KEEPTTL"] {
            assert_eq!(refused(line), SYNTAX, "{line}");
        }
        let (seconds, milliseconds) = (TimeUnit::Seconds, TimeUnit::Milliseconds);
        assert_eq!(parse("TTL k"), Ok(Operation::TimeToLive { key: "k".into(), unit: seconds }));
        assert_eq!(parse("pttl k"), Ok(Operation::TimeToLive { key: "k".into(), unit: milliseconds }));
        assert_eq!(parse("EXPIRETIME k"), Ok(Operation::ExpiryTime { key: "k".into(), unit: seconds }));
        assert_eq!(parse("PEXPIRETIME k"), Ok(Operation::ExpiryTime { key: "k".into(), unit: milliseconds }));
    }
}
