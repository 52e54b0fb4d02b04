//! Commands a connection answers itself.

mod client;
mod info;

use super::{Backend, Freshness, Progress, Shared, session::Session};
use crate::command::{self, ErrorText, readable, unknown_subcommand, wrong_arity};
use crate::glob;
use crate::resp::{Protocol, Writer};
use crate::store::parse_integer;
use bytes::{Bytes, BytesMut};
use std::time::{SystemTime, UNIX_EPOCH};

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Local {
    Auth,
    Client,
    Command,
    Config,
    Echo,
    Hello,
    Info,
    Ping,
    Quit,
    Read,
    Reset,
    Role,
    Select,
    Status,
    Time,
}

impl Local {
    /// Whether it is answered before the client has proved that it knows the password.
    pub(super) fn is_for_strangers(self) -> bool {
        matches!(self, Self::Auth | Self::Hello | Self::Quit | Self::Reset)
    }

    /// Whether it can be part of a transaction: what changes how later commands are read or answered cannot.
    pub(super) fn is_for_transactions(self) -> bool {
        match self {
            Self::Auth | Self::Client | Self::Hello | Self::Quit | Self::Read | Self::Reset => false,
            Self::Command
            | Self::Config
            | Self::Echo
            | Self::Info
            | Self::Ping
            | Self::Role
            | Self::Select
            | Self::Status
            | Self::Time => true,
        }
    }
}

/// `CONFIG GET` compares every pattern with every name, on a thread that replicas share: both bounds are far above what the names need.
const PATTERNS_MAX: usize = 32;
const PATTERN_BYTES_MAX: usize = 64;

/// The version of Redis whose commands these are: what clients decide by.
pub(super) const REDIS_VERSION: &str = "7.4.0";

/// Answers a request at the end of `out`.
pub(super) fn answer<B: Backend>(
    local: Local,
    words: &[Bytes],
    session: &mut Session,
    shared: &Shared<B>,
    out: &mut BytesMut,
) {
    let result = match local {
        Local::Auth => auth(words, session, shared).map(|()| writer(out, session).simple("OK")),
        Local::Client => client::answer(words, session, shared, out),
        Local::Command => command::command(words, &mut writer(out, session)),
        Local::Config => config(words, shared, &mut writer(out, session)),
        Local::Echo => {
            writer(out, session).bulk(&words[1]);
            Ok(())
        }
        Local::Hello => hello(words, session, shared, out),
        Local::Info => {
            writer(out, session).verbatim(&info::text(&words[1..], shared));
            Ok(())
        }
        Local::Ping => match words {
            [_] => {
                writer(out, session).simple("PONG");
                Ok(())
            }
            [_, message] => {
                writer(out, session).bulk(message);
                Ok(())
            }
            _ => Err(wrong_arity("ping")),
        },
        Local::Quit => {
            writer(out, session).simple("OK");
            session.ends = true;
            Ok(())
        }
        Local::Read => read(words, session, out),
        Local::Reset => {
            session.reset(shared.settings.requirepass.is_none());
            shared.clients.publish(&session.client);
            writer(out, session).simple("RESET");
            Ok(())
        }
        Local::Role => {
            let mut writer = writer(out, session);
            writer.array(3);
            writer.bulk(b"master");
            writer.int(0);
            writer.array(0);
            Ok(())
        }
        Local::Select => select(words).map(|()| writer(out, session).simple("OK")),
        Local::Status => {
            status(shared, &mut writer(out, session));
            Ok(())
        }
        Local::Time => {
            time(&mut writer(out, session));
            Ok(())
        }
    };
    if let Err(text) = result {
        writer(out, session).error(&text);
    }
}

fn writer<'a>(out: &'a mut BytesMut, session: &Session) -> Writer<'a> {
    Writer::new(out, session.protocol())
}

fn auth<B: Backend>(words: &[Bytes], session: &mut Session, shared: &Shared<B>) -> Result<(), ErrorText> {
    match words {
        [_, _] if shared.settings.requirepass.is_none() => {
            Err("ERR AUTH <password> called without any password configured for the default user. \
                 Are you sure your configuration is correct?"
                .into())
        }
        [_, password] => admit(b"default", password, session, shared),
        [_, user, password] => admit(user, password, session, shared),
        _ => Err("ERR syntax error".into()),
    }
}

/// There is one user. Without a password to know, any will do.
fn admit<B: Backend>(
    user: &[u8],
    password: &[u8],
    session: &mut Session,
    shared: &Shared<B>,
) -> Result<(), ErrorText> {
    let knows = shared.settings.requirepass.as_ref().is_none_or(|known| known.is(password));
    if user != b"default" || !knows {
        return Err("WRONGPASS invalid username-password pair or user is disabled.".into());
    }
    session.admitted = true;
    Ok(())
}

fn select(words: &[Bytes]) -> Result<(), ErrorText> {
    match parse_integer(&words[1]) {
        Some(0) => Ok(()),
        Some(_) => Err("ERR DB index is out of range".into()),
        None => Err("ERR value is not an integer or out of range".into()),
    }
}

fn hello<B: Backend>(
    words: &[Bytes],
    session: &mut Session,
    shared: &Shared<B>,
    out: &mut BytesMut,
) -> Result<(), ErrorText> {
    let mut protocol = session.protocol();
    let mut name = None;
    if let Some(version) = words.get(1) {
        protocol = match parse_integer(version) {
            Some(2) => Protocol::Resp2,
            Some(3) => Protocol::Resp3,
            Some(_) => return Err("NOPROTO unsupported protocol version".into()),
            None => return Err("ERR Protocol version is not an integer or out of range".into()),
        };
        let mut options = &words[2..];
        while let Some(option) = options.first() {
            options = match options {
                [_, user, password, rest @ ..] if option.eq_ignore_ascii_case(b"AUTH") => {
                    admit(user, password, session, shared)?;
                    rest
                }
                [_, new_name, rest @ ..] if option.eq_ignore_ascii_case(b"SETNAME") => {
                    name = Some(client::name(new_name)?);
                    rest
                }
                _ => {
                    return Err(
                        format!("ERR Syntax error in HELLO option '{}'", readable(option, 128)).into()
                    );
                }
            };
        }
    }
    if !session.admitted {
        return Err("NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> \
             <pass> option can be used to authenticate the client and select the RESP protocol version at the same time"
            .into());
    }
    session.client.protocol = protocol;
    session.client.name = name.unwrap_or_else(|| std::mem::take(&mut session.client.name));
    shared.clients.publish(&session.client);
    // redis-cli wants the keys, and the value of `version`, to be byte strings.
    let mut writer = writer(out, session);
    writer.map(7);
    let text = |writer: &mut Writer<'_>, key: &str, value: &str| {
        writer.bulk(key.as_bytes());
        writer.bulk(value.as_bytes());
    };
    text(&mut writer, "server", "redis");
    text(&mut writer, "version", REDIS_VERSION);
    writer.bulk(b"proto");
    writer.int(if protocol == Protocol::Resp3 { 3 } else { 2 });
    writer.bulk(b"id");
    writer.int(session.client.id.cast_signed());
    text(&mut writer, "mode", "standalone");
    text(&mut writer, "role", "master");
    writer.bulk(b"modules");
    writer.array(0);
    Ok(())
}

fn config<B: Backend>(words: &[Bytes], shared: &Shared<B>, writer: &mut Writer<'_>) -> Result<(), ErrorText> {
    if !words[1].eq_ignore_ascii_case(b"GET") {
        let known = [&b"SET"[..], b"REWRITE", b"RESETSTAT"];
        return Err(match known.iter().find(|known| words[1].eq_ignore_ascii_case(known)) {
            Some(known) => format!("ERR CONFIG {} is not supported yet", readable(known, 16)).into(),
            None => unknown_subcommand(&words[1]),
        });
    }
    if words.len() < 3 {
        return Err(wrong_arity("config|get"));
    }
    let patterns = &words[2..];
    if patterns.len() > PATTERNS_MAX || patterns.iter().any(|pattern| pattern.len() > PATTERN_BYTES_MAX) {
        return Err(format!(
            "ERR CONFIG GET takes at most {PATTERNS_MAX} patterns of at most {PATTERN_BYTES_MAX} bytes"
        )
        .into());
    }
    let known = [
        ("appendonly", "no".to_owned()),
        ("databases", "1".to_owned()),
        ("maxclients", shared.settings.connections_max.to_string()),
        ("maxmemory", "0".to_owned()),
        ("proto-max-bulk-len", shared.settings.requests.bulk_bytes_max.to_string()),
        ("save", String::new()),
    ];
    let wanted: Vec<_> = known
        .iter()
        .filter(|(name, _)| {
            patterns.iter().any(|pattern| glob::matches(&pattern.to_ascii_lowercase(), name.as_bytes()))
        })
        .collect();
    writer.map(wanted.len());
    for (name, value) in wanted {
        writer.bulk(name.as_bytes());
        writer.bulk(value.as_bytes());
    }
    Ok(())
}

/// `READONLY`, `READWRITE` and `VSR.READ`.
fn read(words: &[Bytes], session: &mut Session, out: &mut BytesMut) -> Result<(), ErrorText> {
    let mode = |word: &[u8]| match word.to_ascii_uppercase().as_slice() {
        b"READONLY" | b"STALE" => Ok(Freshness::Stale),
        b"READWRITE" | b"LINEARIZABLE" => Ok(Freshness::Linearizable),
        _ => Err("ERR syntax error"),
    };
    match words {
        [name] if name.eq_ignore_ascii_case(b"VSR.READ") => {
            let mut writer = writer(out, session);
            writer.array(2);
            writer.bulk(match session.freshness {
                Freshness::Linearizable => b"linearizable",
                Freshness::Stale => b"stale",
            });
            writer.int(session.read_op.cast_signed());
        }
        [word] | [_, word] => {
            session.freshness = mode(word)?;
            writer(out, session).simple("OK");
        }
        _ => return Err(wrong_arity("vsr.read")),
    }
    Ok(())
}

fn status<B: Backend>(shared: &Shared<B>, writer: &mut Writer<'_>) {
    let replicas = shared.backend.replicas();
    writer.array(replicas.len());
    for replica in replicas {
        writer.map(if replica.progress.is_some() { 7 } else { 4 });
        writer.bulk(b"id");
        writer.int(replica.id.cast_signed());
        writer.bulk(b"state");
        writer.bulk(replica.state.as_bytes());
        writer.bulk(b"primary");
        writer.bulk(if replica.is_primary { b"yes" } else { b"no" });
        let progress = replica
            .progress
            .map(|Progress { op, commit, applied }| [("op", op), ("commit", commit), ("applied", applied)]);
        for (key, number) in [("view", replica.view)].into_iter().chain(progress.into_iter().flatten()) {
            writer.bulk(key.as_bytes());
            writer.int(number.cast_signed());
        }
    }
}

fn time(writer: &mut Writer<'_>) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    writer.array(2);
    writer.bulk(since.as_secs().to_string().as_bytes());
    writer.bulk(since.subsec_micros().to_string().as_bytes());
}
