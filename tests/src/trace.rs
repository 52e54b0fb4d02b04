//! What happened, as one hash always, and as text when somebody wants to read it.

use crate::{prng::mix, subject::Hosted};
use std::{collections::VecDeque, fmt::Write as _};
use vsr_core::{Body, Entry, Message, Origin, Part, Piece, Standing, Suffix, Write};

/// How many lines of a trace are kept.
const LINES_MAX: usize = 120;

/// The trace of a run. Without a reader no text is made.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    hash: u64,
    lines: Option<VecDeque<String>>,
    /// Whether each message and each write is a line.
    details: bool,
}

impl Trace {
    /// A trace that keeps its last lines.
    #[must_use]
    pub fn verbose() -> Self {
        Self { details: true, ..Self::story() }
    }

    /// A trace that keeps the last lines of what matters to somebody who does not know the protocol.
    #[must_use]
    pub fn story() -> Self {
        Self { hash: 0, lines: Some(VecDeque::new()), details: false }
    }

    /// Mixes a number into the hash: equal hashes mean equal runs (J13).
    pub fn fold(&mut self, value: u64) {
        self.hash = mix(self.hash.rotate_left(5) ^ value);
    }

    /// Adds a detail, if anybody reads it.
    pub fn note(&mut self, line: impl FnOnce() -> String) {
        if self.details {
            self.tell(line);
        }
    }

    /// Adds a line, if anybody reads it.
    pub fn tell(&mut self, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            if lines.len() == LINES_MAX {
                lines.pop_front();
            }
            lines.push_back(line());
        }
    }

    /// Whether lines are kept.
    #[must_use]
    pub fn is_verbose(&self) -> bool {
        self.lines.is_some()
    }

    /// The hash of the run.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The last lines.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().flatten().map(String::as_str)
    }
}

/// A message as a number, for the hash of the trace.
#[must_use]
pub fn fingerprint(message: &Message) -> u64 {
    let body = match &message.body {
        Body::Prepare { entry, commit, beat } => entry.hash().0 as u64 ^ mix(commit.0 ^ mix(*beat)),
        Body::PrepareOk { op, hash } => op.0 ^ hash.0 as u64,
        Body::Commit { commit, beat, pace, heard } => {
            commit.0 ^ mix(*beat ^ mix(u64::from(*pace) ^ mix(*heard)))
        }
        Body::Request(run) => run.len() as u64,
        Body::GetState { view, after, nonce, .. } => view.0 ^ mix(after.0 ^ mix(nonce.0)),
        Body::DoViewChange(body) => body.log_view.0 ^ body.suffix.hash().0 as u64,
        Body::StartView(body) => body.commit.0 ^ body.suffix.hash().0 as u64,
        Body::NewState(body) => {
            let part = match &body.part {
                Part::Snapshot(piece) => piece.header.hash.0 as u64 ^ mix(piece.offset),
                Part::Entries(suffix) => suffix.hash().0 as u64,
            };
            body.nonce.0 ^ mix(body.commit.0) ^ part
        }
        Body::Bootstrap(body) => u64::from(body.formed) << 1 | u64::from(body.membership.is_some()),
        Body::Digests(told) => {
            told.iter().fold(0, |all, digest| mix(all ^ digest.op.0 ^ mix(digest.replies)))
        }
        Body::Recovery { nonce, boot } => nonce.0 ^ mix(*boot),
        Body::RecoveryResponse(body) => {
            let standing = match &body.standing {
                Standing::Primary { op } => op.0 + 2,
                Standing::Backup => 1,
                Standing::Recovering { boot, heard } => mix(boot ^ heard.len() as u64),
            };
            body.nonce.0 ^ mix(standing)
        }
        Body::StartViewChange | Body::Wake => 0,
        Body::Probe { id } | Body::ProbeOk { id } => *id,
        Body::ReadIndex { nonce, id } => nonce.0 ^ mix(*id),
        Body::ReadIndexOk { nonce, id, index } => nonce.0 ^ mix(*id ^ mix(index.0)),
    };
    mix(body ^ mix(message.view.0 ^ (u64::from(message.from.0) << 32) ^ ((message.body.name() as u64) << 48)))
}

/// A message as a person wants to read it: only what the protocol says, no nonces.
#[must_use]
pub fn describe(message: &Message) -> String {
    let mut text = format!("{:?} {}", message.body.name(), message.view);
    let _ = match &message.body {
        Body::Prepare { entry, commit, .. } => write!(text, " {} commit {}", describe_entry(entry), commit.0),
        Body::PrepareOk { op, .. } => write!(text, " {op}"),
        Body::Commit { commit, .. } => write!(text, " commit {}", commit.0),
        Body::Request(run) => write!(text, " {} requests", run.len()),
        Body::GetState { view, after, held, .. } => {
            let _ = write!(text, " for {view} after {after}");
            match held {
                Some(held) => write!(text, " has {} of snapshot {}", held.offset, held.op),
                None => Ok(()),
            }
        }
        Body::DoViewChange(body) => write!(text, " log {} {}", body.log_view, describe_suffix(&body.suffix)),
        Body::StartView(body) => {
            write!(
                text,
                " start {} commit {} {}",
                body.start_op,
                body.commit.0,
                describe_suffix(&body.suffix)
            )
        }
        Body::NewState(body) => {
            let normal = if body.normal { "normal" } else { "not normal" };
            let _ = write!(text, " for {} {normal} commit {}", body.view, body.commit.0);
            match &body.part {
                Part::Snapshot(Piece { header, offset, bytes }) => {
                    let (end, whole) = (offset + bytes.len(), header.bytes());
                    write!(text, " snapshot {} bytes {offset}..{end} of {whole}", header.op)
                }
                Part::Entries(suffix) => write!(text, " {}", describe_suffix(suffix)),
            }
        }
        Body::Bootstrap(body) => match (&body.membership, body.formed) {
            (None, _) => write!(text, " unformatted"),
            (Some(_), false) => write!(text, " bound"),
            (Some(_), true) => write!(text, " formed"),
        },
        Body::Digests(told) => {
            let ops: Vec<_> = told.iter().map(|digest| digest.op.to_string()).collect();
            write!(text, " of {}", ops.join(" "))
        }
        Body::RecoveryResponse(body) => match &body.standing {
            Standing::Primary { op } => write!(text, " primary {op}"),
            Standing::Backup => write!(text, " backup"),
            Standing::Recovering { heard, .. } => {
                let heard: Vec<_> = heard.iter().map(|(id, _)| format!(" {id}")).collect();
                write!(text, " recovering too, like{}", heard.concat())
            }
        },
        Body::StartViewChange | Body::Recovery { .. } | Body::Wake => Ok(()),
        Body::Probe { id } | Body::ProbeOk { id } | Body::ReadIndex { id, .. } => write!(text, " #{id}"),
        Body::ReadIndexOk { id, index, .. } => write!(text, " #{id} index {}", index.0),
    };
    text
}

/// Entries behind a point of the log.
fn describe_suffix(suffix: &Suffix) -> String {
    let mut text = format!("after {} [", suffix.base);
    for (i, entry) in suffix.entries.iter().enumerate() {
        let _ = write!(text, "{}{}", if i == 0 { "" } else { ", " }, describe_entry(entry));
    }
    text.push(']');
    text
}

/// An entry: where it is, and what it asks for.
#[must_use]
pub fn describe_entry(entry: &Entry) -> String {
    let mut text = format!("{}", entry.first());
    for index in 0..entry.len() {
        let _ = write!(text, "{}{}", if index == 0 { " " } else { "; " }, describe_operation(entry, index));
    }
    text
}

/// One operation of an entry.
#[must_use]
pub fn describe_operation(entry: &Entry, index: usize) -> String {
    match entry.origin(index) {
        Origin::Register { client } => format!("register {client}"),
        Origin::Request { .. } => String::from_utf8_lossy(&entry.operation(index)).into_owned(),
        Origin::Tick => "tick".into(),
    }
}

/// Changes the last byte of the piece of a snapshot in a message, as a source with a bad memory would: no checksum of a message can
/// find it. False: there is none in it.
pub fn damage_piece(message: &mut Message) -> bool {
    let Body::NewState(body) = &mut message.body else { return false };
    let Part::Snapshot(piece) = &mut body.part else { return false };
    let Ok(bytes) = piece.bytes.read() else { return false };
    let mut bytes = bytes.to_vec();
    let Some(last) = bytes.last_mut() else { return false };
    *last ^= 1;
    piece.bytes = bytes::Bytes::from(bytes).into();
    true
}

/// An operation as its machine reads it.
pub(crate) fn describe_executed(machine: &dyn Hosted, entry: &Entry, index: usize) -> String {
    match entry.origin(index) {
        Origin::Tick => "tick".into(),
        Origin::Register { client } => format!("register {client}"),
        Origin::Request { .. } => machine.describe_operation(&entry.operation(index)),
    }
}

/// What a write is to make durable.
pub(crate) fn describe_write(write: &Write) -> String {
    let mut text = format!("#{}", write.id.sequence);
    if let Some(record) = &write.record {
        text +=
            &format!(" view {} log view {} start {}", record.view.0, record.log_view.0, record.start_op.0);
    }
    if let Some(snapshot) = &write.snapshot {
        text += &format!(" snapshot {}", snapshot.op());
    }
    if let Some(above) = write.truncate_above {
        text += &format!(" cut above {}", above.0);
    }
    for entry in &write.entries {
        text += &format!(" [{}]", describe_entry(entry));
    }
    if let Some(through) = write.trim_through {
        text += &format!(" trim {}", through.0);
    }
    text + &format!(" commit {}", write.commit.0)
}
