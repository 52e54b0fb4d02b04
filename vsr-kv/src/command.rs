//! The commands: one table says what each is called, what it takes and who answers it. `COMMAND` and its kind answer from it.

mod control;
mod describe;
mod expiry;
mod keys;
mod later;
mod listing;
#[cfg(test)]
mod page;

pub(crate) use describe::command;

use crate::server::{Control, Local, Step};
use crate::store::Operation;
use bytes::Bytes;
use std::borrow::Cow;

/// The text of an error reply, with its code.
pub(crate) type ErrorText = Cow<'static, str>;

/// One row of the table.
#[derive(Debug)]
pub(crate) struct Command {
    /// In small letters, as it is compared.
    pub(crate) name: &'static str,
    /// How many words a request has, the name included; negative: at least so many.
    pub(crate) arity: i32,
    /// In the words of Redis.
    pub(crate) flags: &'static [&'static str],
    /// Place of the first key, of the last (negative: from the end) and the step between keys; zeros: no keys.
    pub(crate) keys: (i64, i64, i64),
    /// Where the documentation lists it.
    pub(crate) group: &'static str,
    /// What it does.
    pub(crate) summary: &'static str,
    /// Who answers it.
    pub(crate) run: Run,
}

/// Who answers a command.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Run {
    /// The replicated store, once the operation is committed.
    Store(fn(&[Bytes]) -> Result<Operation, ErrorText>),
    /// The connection itself, at its place in the order of replies.
    Local(Local),
    /// The connection, which begins a transaction, ends it, or watches keys for it.
    Transaction(Step),
    /// The group of replicas, in dev mode, after all earlier commands of the connection.
    Control(fn(&[Bytes]) -> Result<Control, ErrorText>),
}

impl Command {
    /// Whether a request may have so many words.
    fn takes(&self, words: usize) -> bool {
        let words = i32::try_from(words).unwrap_or(i32::MAX);
        if self.arity < 0 { words >= -self.arity } else { words == self.arity }
    }
}

const READ: &[&str] = &["readonly", "fast"];
const WRITE: &[&str] = &["write", "denyoom", "fast"];
const SLOW_READ: &[&str] = &["readonly"];
const TRANSACTION: &[&str] = &["noscript", "loading", "stale", "fast", "allow_busy"];
const MODE: &[&str] = &["loading", "stale", "fast"];
const REMOVE: &[&str] = &["write", "fast"];
const CONNECTION: &[&str] = &["noscript", "loading", "stale", "fast", "no_auth"];
const SERVER: &[&str] = &["loading", "stale"];
const ADMIN: &[&str] = &["admin", "noscript"];
const NONE: (i64, i64, i64) = (0, 0, 0);
const ONE: (i64, i64, i64) = (1, 1, 1);
const ALL: (i64, i64, i64) = (1, -1, 1);

const fn row(
    name: &'static str,
    arity: i32,
    flags: &'static [&'static str],
    keys: (i64, i64, i64),
    group: &'static str,
    summary: &'static str,
    run: Run,
) -> Command {
    Command { name, arity, flags, keys, group, summary, run }
}

use Run::{Control as Group, Local as Here, Store, Transaction as Steps};

/// Sorted by name.
#[rustfmt::skip]
static TABLE: &[Command] = &[
    row("append", 3, WRITE, ONE, "string", "Appends to the value of a key.", Store(keys::append)),
    row("auth", -2, CONNECTION, NONE, "connection", "Proves that the client knows the password.", Here(Local::Auth)),
    row("cas", 4, WRITE, ONE, "string", "Sets a key to a new value if it has the old one: 1, 0, nil when it is missing.", Store(keys::compare_and_set)),
    row("client", -2, CONNECTION, NONE, "connection", "ID, GETNAME, SETNAME, SETINFO, INFO, LIST, REPLY, NO-EVICT, NO-TOUCH.", Here(Local::Client)),
    row("command", -1, SERVER, NONE, "server", "Describes the commands: COUNT, INFO, DOCS, LIST, GETKEYS.", Here(Local::Command)),
    row("config", -2, ADMIN, NONE, "server", "GET shows what can be configured.", Here(Local::Config)),
    row("dbsize", 1, READ, NONE, "server", "The number of keys.", Store(keys::size)),
    row("decr", 2, WRITE, ONE, "string", "Subtracts one.", Store(keys::decr)),
    row("decrby", 3, WRITE, ONE, "string", "Subtracts a number.", Store(keys::decr_by)),
    row("del", -2, REMOVE, ALL, "generic", "Removes keys.", Store(keys::delete)),
    row("discard", 1, TRANSACTION, NONE, "transactions", "Forgets a transaction.", Steps(Step::Discard)),
    row("echo", 2, CONNECTION, NONE, "connection", "Answers its argument.", Here(Local::Echo)),
    row("exec", 1, TRANSACTION, NONE, "transactions", "Executes a transaction as one operation.", Steps(Step::Exec)),
    row("exists", -2, READ, ALL, "generic", "How many of the keys there are.", Store(keys::exists)),
    row("expire", -3, REMOVE, ONE, "generic", "Lets a key end in some seconds; NX, XX, GT, LT.", Store(expiry::expire)),
    row("expireat", -3, REMOVE, ONE, "generic", "Lets a key end at a time, in seconds; NX, XX, GT, LT.", Store(expiry::expire_at)),
    row("expiretime", 2, READ, ONE, "generic", "When a key ends, in seconds.", Store(expiry::expiry_time)),
    row("flushall", -1, REMOVE, NONE, "server", "Removes all keys: there is one database.", Store(keys::flush)),
    row("flushdb", -1, REMOVE, NONE, "server", "Removes all keys.", Store(keys::flush)),
    row("get", 2, READ, ONE, "string", "The value of a key.", Store(keys::get)),
    row("getdel", 2, REMOVE, ONE, "string", "The value of a key, which is removed.", Store(keys::get_delete)),
    row("getex", -2, REMOVE, ONE, "string", "The value of a key, which gets another end; EX, PX, EXAT, PXAT, PERSIST.", Store(expiry::get_expire)),
    row("getset", 3, WRITE, ONE, "string", "The value of a key, which gets another.", Store(keys::get_set)),
    row("hello", -1, CONNECTION, NONE, "connection", "Chooses the version of the protocol; AUTH, SETNAME.", Here(Local::Hello)),
    row("incr", 2, WRITE, ONE, "string", "Adds one.", Store(keys::incr)),
    row("incrby", 3, WRITE, ONE, "string", "Adds a number.", Store(keys::incr_by)),
    row("info", -1, SERVER, NONE, "server", "About this server and the group.", Here(Local::Info)),
    row("keys", 2, SLOW_READ, NONE, "generic", "All keys that look like a pattern.", Store(listing::keys)),
    row("mget", -2, READ, ALL, "string", "The values of keys.", Store(keys::get_many)),
    row("mset", -3, WRITE, (1, -1, 2), "string", "Sets keys, all at once.", Store(keys::set_many)),
    row("multi", 1, TRANSACTION, NONE, "transactions", "Begins a transaction.", Steps(Step::Multi)),
    row("persist", 2, REMOVE, ONE, "generic", "Lets a key stay.", Store(expiry::persist)),
    row("pexpire", -3, REMOVE, ONE, "generic", "Lets a key end in some milliseconds; NX, XX, GT, LT.", Store(expiry::expire)),
    row("pexpireat", -3, REMOVE, ONE, "generic", "Lets a key end at a time, in milliseconds; NX, XX, GT, LT.", Store(expiry::expire_at)),
    row("pexpiretime", 2, READ, ONE, "generic", "When a key ends, in milliseconds.", Store(expiry::expiry_time)),
    row("ping", -1, CONNECTION, NONE, "connection", "Answers PONG, or its argument.", Here(Local::Ping)),
    row("psetex", 4, WRITE, ONE, "string", "Sets a key that ends in some milliseconds.", Store(expiry::set_expire)),
    row("pttl", 2, READ, ONE, "generic", "How long a key has to live, in milliseconds.", Store(expiry::time_to_live)),
    row("quit", -1, CONNECTION, NONE, "connection", "Closes the connection.", Here(Local::Quit)),
    row("randomkey", 1, SLOW_READ, NONE, "generic", "Any key.", Store(listing::random_key)),
    row("readonly", 1, MODE, NONE, "cluster", "From now on reads of this connection are stale: as VSR.READ STALE.", Here(Local::Read)),
    row("readwrite", 1, MODE, NONE, "cluster", "From now on reads of this connection are linearizable, as at its beginning.", Here(Local::Read)),
    row("reset", 1, CONNECTION, NONE, "connection", "Makes the connection as new.", Here(Local::Reset)),
    row("role", 1, SERVER, NONE, "server", "Always master: every replica takes writes.", Here(Local::Role)),
    row("scan", -2, SLOW_READ, NONE, "generic", "The keys, a piece at a time; MATCH, COUNT, TYPE.", Store(listing::scan)),
    row("select", 2, CONNECTION, NONE, "connection", "Chooses the database: there is 0 only.", Here(Local::Select)),
    row("set", -3, WRITE, ONE, "string", "Sets a key; NX, XX, GET, EX, PX, EXAT, PXAT, KEEPTTL.", Store(expiry::set)),
    row("setex", 4, WRITE, ONE, "string", "Sets a key that ends in some seconds.", Store(expiry::set_expire)),
    row("setnx", 3, WRITE, ONE, "string", "Sets a key if it is missing.", Store(keys::set_if_missing)),
    row("strlen", 2, READ, ONE, "string", "The length of a value.", Store(keys::length)),
    row("time", 1, SERVER, NONE, "server", "The clock of this replica.", Here(Local::Time)),
    row("ttl", 2, READ, ONE, "generic", "How long a key has to live, in seconds.", Store(expiry::time_to_live)),
    row("type", 2, READ, ONE, "generic", "The type of a key.", Store(keys::type_of)),
    row("unlink", -2, REMOVE, ALL, "generic", "Removes keys.", Store(keys::delete)),
    row("unwatch", 1, TRANSACTION, NONE, "transactions", "Watches no key any more.", Steps(Step::Unwatch)),
    row("vsr.crash", 2, ADMIN, NONE, "vsr", "Crashes a replica (dev mode).", Group(control::crash)),
    row("vsr.heal", 1, ADMIN, NONE, "vsr", "Ends every partition (dev mode).", Group(control::heal)),
    row("vsr.partition", -1, ADMIN, NONE, "vsr", "Cuts the replicas into groups, or the primary off (dev mode).", Group(control::partition)),
    row("vsr.read", -1, MODE, NONE, "vsr", "LINEARIZABLE or STALE: what reads of this connection are; alone: which of them, and the op of the last read.", Here(Local::Read)),
    row("vsr.restart", 2, ADMIN, NONE, "vsr", "Restarts a crashed replica (dev mode).", Group(control::restart)),
    row("vsr.status", 1, SERVER, NONE, "vsr", "View, primary, op, commit and applied of each replica.", Here(Local::Status)),
    row("watch", -2, TRANSACTION, ALL, "transactions", "Lets the next transaction fail if one of the keys changes before it.", Steps(Step::Watch)),
];

const NAME_BYTES_MAX: usize = 32;

/// The row of a command, whatever the case of its name.
fn find(name: &[u8]) -> Option<&'static Command> {
    let mut small = [0; NAME_BYTES_MAX];
    let small = small.get_mut(..name.len())?;
    small.copy_from_slice(name);
    small.make_ascii_lowercase();
    TABLE.binary_search_by(|row| row.name.as_bytes().cmp(small)).ok().and_then(|at| TABLE.get(at))
}

/// The row that answers a request (which has at least one word), or what to answer instead.
pub(crate) fn look_up(request: &[Bytes]) -> Result<&'static Command, ErrorText> {
    let name = request.first().map_or(&[][..], |name| name);
    let command = find(name).ok_or_else(|| later::look_up(name).unwrap_or_else(|| unknown(request)))?;
    if command.takes(request.len()) { Ok(command) } else { Err(wrong_arity(command.name)) }
}

pub(crate) fn wrong_arity(name: &str) -> ErrorText {
    format!("ERR wrong number of arguments for '{name}' command").into()
}

pub(crate) fn unknown_subcommand(subcommand: &[u8]) -> ErrorText {
    format!("ERR unknown subcommand '{}'", readable(subcommand, 128)).into()
}

/// As Redis says it, so that clients that look at the text find what they know.
fn unknown(request: &[Bytes]) -> ErrorText {
    let (name, arguments) =
        request.split_first().map_or((&[][..], &[][..]), |(name, rest)| (&name[..], rest));
    let mut text = format!("ERR unknown command '{}', with args beginning with: ", readable(name, 128));
    for argument in arguments {
        if text.len() >= 256 {
            break;
        }
        text += &format!("'{}' ", readable(argument, 128));
    }
    text.into()
}

/// The beginning of what a client sent, fit for a line of text.
pub(crate) fn readable(bytes: &[u8], length_max: usize) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(length_max)]).into_owned()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn request(line: &str) -> Vec<Bytes> {
        line.split(' ').map(|word| Bytes::copy_from_slice(word.as_bytes())).collect()
    }

    /// The operation that a command of the store becomes.
    pub(crate) fn parse(line: &str) -> Result<Operation, String> {
        let words = request(line);
        match look_up(&words).map_err(ErrorText::into_owned)?.run {
            Run::Store(parse) => parse(&words).map_err(ErrorText::into_owned),
            _ => panic!("{line} is no operation"),
        }
    }

    fn refusal(line: &str) -> String {
        look_up(&request(line)).expect_err("a refusal").into_owned()
    }

    #[test]
    fn the_table_is_sorted_and_names_fit() {
        assert!(TABLE.windows(2).all(|rows| rows[0].name < rows[1].name));
        assert!(TABLE.iter().all(|row| row.name.len() <= NAME_BYTES_MAX));
        for row in TABLE {
            assert_eq!(find(row.name.to_uppercase().as_bytes()).map(|found| found.name), Some(row.name));
        }
        assert!(find(&[b'x'; 100]).is_none());
        assert!(find(b"").is_none());
    }

    #[test]
    fn refusals_have_the_words_of_redis() {
        assert_eq!(refusal("GET"), "ERR wrong number of arguments for 'get' command");
        assert_eq!(refusal("get a b"), "ERR wrong number of arguments for 'get' command");
        assert_eq!(refusal("MSET a"), "ERR wrong number of arguments for 'mset' command");
        assert_eq!(refusal("nope a b"), "ERR unknown command 'nope', with args beginning with: 'a' 'b' ");
    }

    #[test]
    fn what_comes_later_is_said_to_come_later() {
        for line in ["COPY a b", "rename a b", "CLUSTER INFO", "WAIT 1 0", "MSETNX a 1", "MGETX"] {
            assert_eq!(refusal(line).contains("not supported yet"), line != "MGETX", "{line}");
        }
    }

    #[test]
    fn a_command_is_in_one_table_only() {
        assert!(TABLE.iter().all(|row| later::look_up(row.name.as_bytes()).is_none()));
    }
}
