//! `COMMAND` and its kind: the table as clients ask for it.

use super::{Command, ErrorText, TABLE, find, keys::SYNTAX, unknown_subcommand, wrong_arity};
use crate::glob::{self, PATTERN_BYTES_MAX};
use crate::resp::Writer;
use bytes::Bytes;

/// Answers `COMMAND [COUNT | INFO | DOCS | LIST | GETKEYS]`.
pub(crate) fn command(words: &[Bytes], writer: &mut Writer<'_>) -> Result<(), ErrorText> {
    let Some(subcommand) = words.get(1) else {
        writer.array(TABLE.len());
        TABLE.iter().for_each(|row| info(row, writer));
        return Ok(());
    };
    let named = &words[2..];
    match subcommand.to_ascii_uppercase().as_slice() {
        b"COUNT" if named.is_empty() => writer.int(TABLE.len() as i64),
        b"COUNT" => return Err(wrong_arity("command|count")),
        b"LIST" if named.is_empty() => {
            writer.array(TABLE.len());
            TABLE.iter().for_each(|row| writer.bulk(row.name.as_bytes()));
        }
        b"LIST" => {
            let rows: Vec<&Command> = TABLE.iter().filter(filter(named)?).collect();
            writer.array(rows.len());
            rows.into_iter().for_each(|row| writer.bulk(row.name.as_bytes()));
        }
        b"GETKEYS" if named.is_empty() => return Err(wrong_arity("command|getkeys")),
        b"GETKEYS" => {
            let keys = keys(named)?;
            writer.array(keys.len());
            keys.into_iter().for_each(|key| writer.bulk(key));
        }
        b"INFO" if named.is_empty() => {
            writer.array(TABLE.len());
            TABLE.iter().for_each(|row| info(row, writer));
        }
        b"INFO" => {
            writer.array(named.len());
            for name in named {
                match find(name) {
                    None => writer.null_array(),
                    Some(row) => info(row, writer),
                }
            }
        }
        b"DOCS" => {
            let rows: Vec<&Command> = if named.is_empty() {
                TABLE.iter().collect()
            } else {
                named.iter().filter_map(|name| find(name)).collect()
            };
            writer.map(rows.len());
            rows.into_iter().for_each(|row| docs(row, writer));
        }
        _ => return Err(unknown_subcommand(subcommand)),
    }
    Ok(())
}

/// `FILTERBY` of `COMMAND LIST`. There are no modules, and no categories for access control.
fn filter(words: &[Bytes]) -> Result<impl Fn(&&Command) -> bool, ErrorText> {
    match words {
        [by, what, wanted] if by.eq_ignore_ascii_case(b"FILTERBY") => {
            let is_pattern = what.eq_ignore_ascii_case(b"PATTERN");
            let is_known = is_pattern
                || [&b"MODULE"[..], b"ACLCAT"].iter().any(|known| what.eq_ignore_ascii_case(known));
            if is_known && wanted.len() <= PATTERN_BYTES_MAX {
                let wanted = wanted.to_ascii_lowercase();
                return Ok(move |row: &&Command| is_pattern && glob::matches(&wanted, row.name.as_bytes()));
            }
            Err(SYNTAX.into())
        }
        _ => Err(SYNTAX.into()),
    }
}

/// The keys among the words of a command.
fn keys(words: &[Bytes]) -> Result<Vec<&Bytes>, ErrorText> {
    let row = words.first().and_then(|name| find(name)).ok_or("ERR Invalid command specified")?;
    let (first, last, step) = row.keys;
    if first == 0 {
        return Err("ERR The command has no key arguments".into());
    }
    if !row.takes(words.len()) {
        return Err("ERR Invalid number of arguments specified for command".into());
    }
    let last = if last < 0 { words.len() as i64 + last } else { last };
    Ok((first..=last).step_by(step as usize).filter_map(|at| words.get(at as usize)).collect())
}

fn info(row: &Command, writer: &mut Writer<'_>) {
    writer.array(10);
    writer.bulk(row.name.as_bytes());
    writer.int(row.arity.into());
    writer.set(row.flags.len());
    row.flags.iter().for_each(|flag| writer.simple(flag));
    let (first, last, step) = row.keys;
    [first, last, step].into_iter().for_each(|number| writer.int(number));
    // Categories for access control, tips, key specifications and subcommands: this server has none.
    writer.set(0);
    (0..3).for_each(|_| writer.array(0));
}

fn docs(row: &Command, writer: &mut Writer<'_>) {
    writer.bulk(row.name.as_bytes());
    writer.map(3);
    for (key, value) in [("summary", row.summary), ("since", "0.1.0"), ("group", row.group)] {
        writer.bulk(key.as_bytes());
        writer.bulk(value.as_bytes());
    }
}
