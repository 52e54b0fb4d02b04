//! `COMMAND` and its kind: the table as clients ask for it.

use super::{Command, ErrorText, TABLE, find, unknown_subcommand, wrong_arity};
use crate::resp::Writer;
use bytes::Bytes;

/// Answers `COMMAND [COUNT | INFO | DOCS | LIST]`.
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
        b"LIST" => return Err("ERR COMMAND LIST FILTERBY is not supported yet".into()),
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
