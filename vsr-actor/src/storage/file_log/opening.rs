//! Opening a directory: what it holds, whether that can be trusted, and what must be put in order before anything is written.

use super::{
    Durability,
    engine::{Ahead, Engine, Journal, Options, Sum, Tail},
    files::{Files, failed},
    format::{Identity, SnapshotName},
    marker,
    scan::{self, Log, Scan},
    segment,
    shelf::{self, Shelf},
    slots::{Found, Slot, Slots},
    stage,
};
use crate::StorageError;
use std::{collections::VecDeque, io, sync::Arc};
use vsr_core::{Entry, LogState, OpNumber, Record, Restored, Snapshot};

/// An open directory.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) engine: Engine,
    pub(super) restored: Restored,
    /// What an operator should know.
    pub(super) notes: Vec<String>,
}

/// What was read.
struct Reading {
    slots: Slots,
    slot: Option<Slot>,
    agree: bool,
    shelf: Shelf,
    /// The log; or why it cannot be trusted.
    log: Result<Box<Log>, String>,
    notes: Vec<String>,
}

/// What the log stands on.
struct Ground {
    snapshot: Option<Arc<Snapshot>>,
    entries: Vec<Entry>,
}

/// Reads everything, and repairs what can be.
///
/// # Errors
/// What cannot be read, and what must not be used: it says what to do.
pub(super) fn open(files: Arc<dyn Files>, options: Options) -> Result<Opened, StorageError> {
    let io = |what| {
        let files = files.clone();
        move |error: io::Error| failed(&*files, what, "", error)
    };
    let names = files.list().map_err(io("list"))?;
    for name in names.iter().filter(|name| segment::is_spare(name) || stage::is_stage(name)) {
        files.remove(name).map_err(|error| failed(&*files, "remove", name, error))?;
    }
    let reading = read(&files, &names, &options)?;
    let from = reading.slot.as_ref().map_or(1, |slot| slot.log_from.max(1));
    let next_number =
        names.iter().filter_map(|name| segment::number(name)).fold(from, |next, it| next.max(it + 1));
    let mut opened = match reading.slot.is_some() || has_frames(&reading) {
        true => reading.take(files.clone(), options, next_number)?,
        false => reading.unused(files.clone(), options)?,
    };
    // An earlier process may have written what it had no time to flush.
    opened.engine.settle().map_err(io("flush"))?;
    if let (LogState::Lost, Some(_)) = (opened.restored.log, &opened.restored.record) {
        opened.notes.push("the log is got back from the other replicas".into());
    }
    Ok(opened)
}

fn has_frames(reading: &Reading) -> bool {
    reading.log.as_ref().map_or(true, |log| log.sequence > 0)
}

fn read(files: &Arc<dyn Files>, names: &[String], options: &Options) -> Result<Reading, StorageError> {
    let Found { slots, newest: slot, agree } = Slots::open(&**files, names)?;
    let from = slot.as_ref().map_or(0, |slot| slot.log_from);
    let trusted = marker::is_trusted(&**files, names, options.boot.as_deref());
    let trusted = trusted.map_err(|error| failed(&**files, "read a file in", "", error))?;
    let log = match scan::scan(&**files, names, from)? {
        Scan::Suspect(what) => Err(what),
        // Without a record nothing was reported of what there is.
        Scan::Clean(_) if !trusted && slot.is_some() => {
            Err("the machine went down, or may have, while part of the log was not flushed".into())
        }
        Scan::Clean(log) => match &slot {
            Some(slot) if slot.sequence > log.sequence => Err(format!(
                "frame {} was written to the log in {}, which ends with frame {}",
                slot.sequence,
                files.path(""),
                log.sequence
            )),
            _ => Ok(log),
        },
    };
    let shelf = Shelf::new(files.clone(), names);
    Ok(Reading { slots, slot, agree, shelf, log, notes: Vec::new() })
}

impl Reading {
    /// A directory that nothing was ever promised in.
    fn unused(self, files: Arc<dyn Files>, options: Options) -> Result<Opened, StorageError> {
        if !self.shelf.kept().is_empty() {
            return Err(no_record(&*files));
        }
        // What is left of a first write that was never finished.
        for name in files.list().map_err(|error| failed(&*files, "list", "", error))? {
            if segment::number(&name).is_some() {
                files.remove(&name).map_err(|error| failed(&*files, "remove", &name, error))?;
            }
        }
        let engine = self.engine(files, options, 1);
        Ok(Opened { engine, restored: Restored::default(), notes: Vec::new() })
    }

    fn engine(self, files: Arc<dyn Files>, options: Options, next_number: u64) -> Engine {
        Engine {
            files,
            options,
            slots: self.slots,
            record: None,
            log_from: self.slot.as_ref().map_or(0, |slot| slot.log_from),
            journal: Journal::None { lost: false },
            shelf: self.shelf,
            sequence: self.slot.as_ref().map_or(0, |slot| slot.sequence),
            now: Sum::default(),
            next_number,
            retired: Vec::new(),
            stale: true,
            begins: false,
            ahead: Ahead::None,
            unflushed: 0,
            flushed: 0,
            flushes: Vec::new(),
        }
    }

    /// A directory in use.
    fn take(
        mut self,
        files: Arc<dyn Files>,
        options: Options,
        next_number: u64,
    ) -> Result<Opened, StorageError> {
        let record = self.record(&*files)?;
        // That of the file `record`, which may be older than the log's: it has never changed.
        let identity = Identity::of(self.slot.as_ref().map_or(&record, |slot| &slot.record));
        let ground = match &self.log {
            Err(what) => Err(what.clone()),
            Ok(log) => {
                check_identity(&*files, log, &identity)?;
                find_ground(&*files, log, &mut self.shelf, &identity, &mut self.notes)?
            }
        };
        let (mut notes, agree, slot) = (std::mem::take(&mut self.notes), self.agree, self.slot.clone());
        let log = std::mem::replace(&mut self.log, Err(String::new()));
        let mut engine = self.engine(files, options, next_number);
        let mut restored = Restored { record: Some(record.clone()), ..Restored::default() };
        match (log, ground) {
            (Ok(log), Ok(ground)) => {
                (restored.snapshot, restored.entries) = (ground.snapshot, ground.entries);
                restored.commit = log.contents.commit;
                notes.extend(log.torn.map(|_| "a write that was never finished was cut".into()));
                engine
                    .continue_on(*log, restored.snapshot.as_ref().map(|snapshot| shelf::name_of(snapshot)))?;
            }
            (_, Err(what)) | (Err(what), _) => {
                // What was never part of a group has no log to lose.
                restored.log = if record.formed { LogState::Lost } else { LogState::Intact };
                engine.journal = Journal::None { lost: record.formed };
                engine.shelf.forget();
                // It stays lost, whatever is found next time.
                engine.log_from = next_number;
                notes.push(format!("the log cannot be trusted: {what}"));
            }
        }
        let slot_is_right =
            agree && slot.is_some_and(|slot| (slot.log_from, &slot.record) == (engine.log_from, &record));
        if !slot_is_right {
            let slot = Slot { sequence: engine.sequence, log_from: engine.log_from, record: record.clone() };
            let written = engine.slots.write(&*engine.files, &slot);
            written.map_err(|error| failed(&*engine.files, "write", "record", error))?;
            if !agree {
                notes.push("a damaged copy of the record was written again from the other".into());
            }
        }
        engine.record = Some(record);
        Ok(Opened { engine, restored, notes })
    }

    /// The newest record there is. Without the file only that of a first write that is whole will do: any other log had one.
    fn record(&self, files: &dyn Files) -> Result<Record, StorageError> {
        let in_log = self.log.as_ref().ok().filter(|log| log.contents.record.is_some());
        let in_log = in_log.map(|log| (log.contents.record_sequence, &log.contents.record, log.sequence));
        let found = match (&self.slot, in_log) {
            (Some(slot), Some((sequence, record, _))) if sequence > slot.sequence => record.clone(),
            (Some(slot), _) => Some(slot.record.clone()),
            (None, Some((1, record, 1))) => record.clone(),
            (None, _) => None,
        };
        found.ok_or_else(|| no_record(files))
    }
}

fn no_record(files: &dyn Files) -> StorageError {
    StorageError::new(format!(
        "{} holds a log and no record of what this replica has promised: restore the file `record`, or give a new replica an id of its \
         own and an empty directory",
        files.path("")
    ))
}

fn check_identity(files: &dyn Files, log: &Log, identity: &Identity) -> Result<(), StorageError> {
    match log.segments.iter().find(|scanned| !scanned.identity.is_same(identity)) {
        None => Ok(()),
        Some(other) => {
            let (path, found) = (files.path(&segment::name(other.segment.number)), other.identity);
            Err(StorageError::new(format!(
                "{path} is of {found}, the record beside it of {identity}: two directories were mixed up; put each file back where it \
                 belongs"
            )))
        }
    }
}

/// The newest snapshot that can be read and that the log goes on from, with what follows it. If the one that the log names is damaged,
/// the one before it will do.
fn find_ground(
    files: &dyn Files,
    log: &Log,
    shelf: &mut Shelf,
    identity: &Identity,
    notes: &mut Vec<String>,
) -> Result<Result<Ground, String>, StorageError> {
    let contents = &log.contents;
    let follow =
        |pair: (&Entry, &Entry)| pair.1.first() == pair.0.last().next() && pair.1.parent() == pair.0.hash();
    if !contents.entries.iter().zip(contents.entries.iter().skip(1)).all(follow) {
        return Ok(Err("its entries do not follow one another".into()));
    }
    let named = contents.snapshot;
    if named.op.0 == 0 {
        return Ok(stand_on(log, None).ok_or_else(|| "its beginning is missing".into()));
    }
    let mut found = shelf.get(named, identity)?;
    if let Err(what) = &found {
        let older = shelf.kept().iter().rev().find(|kept| kept.op < named.op).copied();
        let Some(older) = older else { return Ok(Err(what.clone())) };
        notes.push(format!("{what}: the snapshot before it is used, and the log from there on"));
        if shelf.kept().contains(&named) {
            shelf
                .discard(named)
                .map_err(|error| failed(files, "remove a damaged snapshot from", "", error))?;
        }
        found = shelf.get(older, identity)?;
    }
    let snapshot = match found {
        Ok(snapshot) => Arc::new(snapshot),
        Err(what) => return Ok(Err(what)),
    };
    Ok(stand_on(log, Some(snapshot))
        .ok_or_else(|| "it does not reach back to a snapshot that can be read".into()))
}

/// What follows `snapshot`, if nothing is missing up to the log's end.
fn stand_on(log: &Log, snapshot: Option<Arc<Snapshot>>) -> Option<Ground> {
    let contents = &log.contents;
    let at = snapshot.as_ref().map_or(OpNumber(0), |snapshot| snapshot.op());
    let hash = snapshot.as_ref().map_or_else(Default::default, |snapshot| snapshot.hash());
    let meets = match contents.entries.iter().find(|entry| entry.last() > at) {
        Some(next) => (next.first(), next.parent()) == (at.next(), hash),
        None => {
            at >= contents.snapshot.op
                && contents.entries.back().is_none_or(|last| last.last() < at || last.hash() == hash)
        }
    };
    let unneeded = contents.trim.min(at);
    let entries = contents.entries.iter().filter(|entry| entry.last() > unneeded).cloned().collect();
    meets.then_some(Ground { snapshot, entries })
}

impl Engine {
    /// Goes on where a good log ends.
    fn continue_on(&mut self, log: Log, snapshot: Option<SnapshotName>) -> Result<(), StorageError> {
        let Log { segments, contents, sequence, chain, end: (last, offset), torn, .. } = log;
        if let Some((index, from)) = torn {
            // So that the next frame's sectors are zero before it is written.
            let segment = &segments[index].segment;
            let zeros = vec![0; (segment.bytes - from) as usize];
            let erased = segment.file.write_at(from, &zeros).and_then(|()| segment.file.sync());
            let name = segment::name(segment.number);
            erased.map_err(|error| failed(&*self.files, "erase an unfinished write in", &name, error))?;
        }
        (self.sequence, self.flushed) = (sequence, sequence);
        self.now =
            Sum { commit: contents.commit, trim: contents.trim, snapshot: snapshot.unwrap_or_default() };
        let mut older = VecDeque::new();
        let mut tail = None;
        for (index, scanned) in segments.into_iter().enumerate() {
            if index < last {
                // It was flushed before the next one began.
                older.push_back((scanned.segment.number, scanned.op));
            } else if index == last {
                let (segment, op) = (scanned.segment, scanned.op);
                tail = Some(Tail { segment, offset, op, chain, older: std::mem::take(&mut older) });
            } else if index == last + 1 {
                // The next one, prepared.
                self.next_number = scanned.segment.number;
                self.ahead = Ahead::Ready(scanned.segment);
            } else {
                // One more, if the last process ended before it wrote to the one before.
                let name = segment::name(scanned.segment.number);
                self.files.remove(&name).map_err(|error| failed(&*self.files, "remove", &name, error))?;
            }
        }
        if let Some(tail) = tail {
            self.journal = Journal::Open(tail);
            self.stale = false;
        }
        Ok(())
    }

    /// What is there is durable, and the directory is marked as its durability asks for.
    fn settle(&mut self) -> io::Result<()> {
        self.slots.sync()?;
        if let Journal::Open(tail) = &self.journal {
            tail.segment.file.sync()?;
        }
        self.files.sync_names()?;
        marker::clear(&*self.files)?;
        if self.options.durability == Durability::Sync {
            return Ok(());
        }
        marker::set(&*self.files, self.options.boot.as_deref())
    }
}
