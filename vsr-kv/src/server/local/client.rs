//! `CLIENT`: what a connection says about itself.

use super::{Session, writer};
use crate::command::{ErrorText, readable, unknown_subcommand, wrong_arity};
use crate::resp::Protocol;
use bytes::{Bytes, BytesMut};
use std::net::SocketAddr;

/// A name longer than this helps nobody, and every connection keeps one.
const NAME_BYTES_MAX: usize = 256;

pub(super) fn answer(
    words: &[Bytes],
    session: &mut Session,
    address: SocketAddr,
    out: &mut BytesMut,
) -> Result<(), ErrorText> {
    let subcommand = words[1].to_ascii_uppercase();
    match (subcommand.as_slice(), &words[2..]) {
        (b"ID", []) => writer(out, session).int(session.id.cast_signed()),
        (b"GETNAME", []) if session.name.is_empty() => writer(out, session).null(),
        (b"GETNAME", []) => writer(out, session).bulk(session.name.as_bytes()),
        (b"SETNAME", [new]) => {
            session.name = name(new)?;
            writer(out, session).simple("OK");
        }
        (b"SETINFO", [what, value]) => {
            set_info(what, value, session)?;
            writer(out, session).simple("OK");
        }
        (b"INFO", []) => writer(out, session).verbatim(&line(session, address)),
        (b"NO-EVICT" | b"NO-TOUCH", [switch]) => match switch.to_ascii_lowercase().as_slice() {
            b"on" | b"off" => writer(out, session).simple("OK"),
            _ => return Err("ERR syntax error".into()),
        },
        (b"ID" | b"GETNAME" | b"SETNAME" | b"SETINFO" | b"INFO" | b"NO-EVICT" | b"NO-TOUCH", _) => {
            return Err(wrong_arity(&format!("client|{}", readable(&subcommand, 16).to_lowercase())));
        }
        _ => return Err(unknown_subcommand(&words[1])),
    }
    Ok(())
}

/// A name of a connection, in one printable word.
pub(super) fn name(new: &[u8]) -> Result<String, ErrorText> {
    word(new).ok_or_else(|| "ERR Client names cannot contain spaces, newlines or special characters.".into())
}

fn word(bytes: &[u8]) -> Option<String> {
    let fits = bytes.len() <= NAME_BYTES_MAX && bytes.iter().all(|byte| byte.is_ascii_graphic());
    fits.then(|| readable(bytes, NAME_BYTES_MAX))
}

fn set_info(what: &[u8], value: &[u8], session: &mut Session) -> Result<(), ErrorText> {
    let wrong = |field: &str| -> ErrorText {
        format!("ERR {field} cannot contain spaces, newlines or special characters.").into()
    };
    match what.to_ascii_lowercase().as_slice() {
        b"lib-name" => session.library = word(value).ok_or_else(|| wrong("lib-name"))?,
        b"lib-ver" => session.library_version = word(value).ok_or_else(|| wrong("lib-ver"))?,
        _ => return Err(format!("ERR Unrecognized option '{}'", readable(what, 128)).into()),
    }
    Ok(())
}

fn line(session: &Session, address: SocketAddr) -> String {
    format!(
        "id={} addr={} laddr={address} name={} age={} db=0 resp={} lib-name={} lib-ver={}\n",
        session.id,
        session.peer,
        session.name,
        session.since.elapsed().as_secs(),
        if session.protocol == Protocol::Resp3 { 3 } else { 2 },
        session.library,
        session.library_version,
    )
}
