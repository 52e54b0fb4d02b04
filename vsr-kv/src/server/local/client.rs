//! `CLIENT`: what a connection says about itself, and about the others of its door.

use super::{Session, writer};
use crate::command::{ErrorText, readable, unknown_subcommand, wrong_arity};
use crate::server::{Backend, Shared, session::Replies};
use crate::store::parse_integer;
use bytes::{Bytes, BytesMut};

/// A name longer than this helps nobody, and every connection keeps one.
const NAME_BYTES_MAX: usize = 256;

pub(super) fn answer<B: Backend>(
    words: &[Bytes],
    session: &mut Session,
    shared: &Shared<B>,
    out: &mut BytesMut,
) -> Result<(), ErrorText> {
    let subcommand = words[1].to_ascii_uppercase();
    match (subcommand.as_slice(), &words[2..]) {
        (b"ID", []) => writer(out, session).int(session.client.id.cast_signed()),
        (b"GETNAME", []) if session.client.name.is_empty() => writer(out, session).null(),
        (b"GETNAME", []) => writer(out, session).bulk(session.client.name.as_bytes()),
        (b"SETNAME", [new]) => {
            session.client.name = name(new)?;
            shared.clients.publish(&session.client);
            writer(out, session).simple("OK");
        }
        (b"SETINFO", [what, value]) => {
            set_info(what, value, session)?;
            shared.clients.publish(&session.client);
            writer(out, session).simple("OK");
        }
        (b"INFO", []) => {
            let mut line = String::new();
            session.client.write(shared.address, &mut line);
            writer(out, session).verbatim(&line);
        }
        (b"LIST", options) => {
            let wanted = wanted(options)?;
            writer(out, session).verbatim(&shared.clients.list(shared.address, wanted));
        }
        (b"REPLY", [how]) => {
            set_replies(how, session)?;
            writer(out, session).simple("OK");
        }
        (b"NO-EVICT" | b"NO-TOUCH", [switch]) => match switch.to_ascii_lowercase().as_slice() {
            b"on" | b"off" => writer(out, session).simple("OK"),
            _ => return Err("ERR syntax error".into()),
        },
        (
            b"ID" | b"GETNAME" | b"SETNAME" | b"SETINFO" | b"INFO" | b"REPLY" | b"NO-EVICT" | b"NO-TOUCH",
            _,
        ) => {
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
        b"lib-name" => session.client.library = word(value).ok_or_else(|| wrong("lib-name"))?,
        b"lib-ver" => session.client.library_version = word(value).ok_or_else(|| wrong("lib-ver"))?,
        _ => return Err(format!("ERR Unrecognized option '{}'", readable(what, 128)).into()),
    }
    Ok(())
}

/// Which connections `CLIENT LIST` is to show. All are of the type `normal`.
fn wanted(options: &[Bytes]) -> Result<impl Fn(u64) -> bool, ErrorText> {
    let mut ids = None;
    let mut all = true;
    match options {
        [] => {}
        [option, kind] if option.eq_ignore_ascii_case(b"TYPE") => {
            all = match kind.to_ascii_lowercase().as_slice() {
                b"normal" => true,
                b"master" | b"replica" | b"slave" | b"pubsub" => false,
                _ => return Err(format!("ERR Unknown client type '{}'", readable(kind, 128)).into()),
            };
        }
        [option, wanted @ ..] if option.eq_ignore_ascii_case(b"ID") && !wanted.is_empty() => {
            let id = |word: &Bytes| parse_integer(word).and_then(|id| u64::try_from(id).ok());
            let wanted: Option<Vec<u64>> = wanted.iter().map(id).collect();
            let mut wanted = wanted.ok_or("ERR Invalid client ID")?;
            wanted.sort_unstable();
            ids = Some(wanted);
        }
        _ => return Err("ERR syntax error".into()),
    }
    Ok(move |id| all && ids.as_ref().is_none_or(|ids| ids.binary_search(&id).is_ok()))
}

fn set_replies(how: &[u8], session: &mut Session) -> Result<(), ErrorText> {
    match how.to_ascii_uppercase().as_slice() {
        b"ON" => (session.replies, session.muted) = (Replies::On, false),
        b"OFF" => (session.replies, session.muted) = (Replies::Off, true),
        b"SKIP" if session.replies == Replies::Off => {}
        b"SKIP" => (session.replies, session.muted) = (Replies::SkipNext, true),
        _ => return Err("ERR syntax error".into()),
    }
    Ok(())
}
