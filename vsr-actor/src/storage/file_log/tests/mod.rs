//! The engine on a directory that forgets what was not flushed, and on one whose bits turn.

mod contents;
mod crashes;
mod damage;
mod faults;
mod fixture;
mod memory;
mod mixtures;
mod script;
mod stages;
mod writer;

use super::{
    Durability,
    engine::{Engine, Options},
    files::Files,
    opening,
};
use crate::{LogStorage, MemoryStorage, Persisted, StorageError};
use memory::Memory;
use std::sync::Arc;
use vsr_core::{Entry, LogState, Restored, Write};

/// Small enough to look at every bit: a header and a few frames.
const SEGMENT: u64 = 8 * 512;

fn options() -> Options {
    let boot = Some("this boot".into());
    Options { durability: Durability::Sync, segment_bytes: SEGMENT, prepare_ahead: false, boot }
}

fn open(disk: &Memory) -> Result<(Engine, Restored), StorageError> {
    open_with(disk, options())
}

fn open_with(disk: &Memory, options: Options) -> Result<(Engine, Restored), StorageError> {
    let files: Arc<dyn Files> = Arc::new(disk.clone());
    opening::open(files, options).map(|opened| (opened.engine, opened.restored))
}

/// What a storage holds after each of some writes, the first time before any: by the storage that is simple enough to be right.
fn models(batches: &[Vec<Write>]) -> Vec<Restored> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("it needs nothing");
    let mut storage = MemoryStorage::default();
    let mut models = vec![runtime.block_on(storage.open(Persisted::default())).expect("it is empty")];
    for batch in batches {
        for write in batch {
            storage.append(write.clone()).expect("memory takes it");
        }
        models.push(runtime.block_on(storage.open(Persisted::default())).expect("it is open"));
    }
    models
}

/// Whether two storages hold the same, as far as a replica can tell: one may hold more at the beginning.
fn holds(found: &Restored, model: &Restored) -> Result<(), String> {
    let same = |what: &str, equal: bool| if equal { Ok(()) } else { Err(format!("another {what}")) };
    same("record", found.record == model.record)?;
    same("state of the log", found.log == model.log)?;
    same("commit-number", found.commit == model.commit)?;
    same("snapshot", found.snapshot == model.snapshot)?;
    same_entries(&found.entries, &model.entries)
}

/// The model's entries are the last ones.
fn same_entries(found: &[Entry], model: &[Entry]) -> Result<(), String> {
    let extra = found.len().checked_sub(model.len()).ok_or("entries are missing")?;
    if found[extra..] != *model {
        return Err("other entries".into());
    }
    let follow =
        |pair: &[Entry]| pair[1].first() == pair[0].last().next() && pair[1].parent() == pair[0].hash();
    if found.windows(2).all(follow) { Ok(()) } else { Err("entries with a gap".into()) }
}

/// Gives a header that was changed the checksum that it ought to have.
fn seal(header: &mut [u8]) {
    let end = header.len() - 8;
    let sum = vsr_core::checksum(&header[..end]);
    header[end..].copy_from_slice(&sum.to_le_bytes());
}

#[test]
fn what_was_written_is_there_after_each_write() {
    let disk = Memory::default();
    let batches = script::story();
    let models = models(&batches);
    for (batch, model) in batches.iter().zip(&models[1..]) {
        let (mut engine, _) = open(&disk).expect("it was left in order");
        engine.write(batch).expect("the disk is good");
        drop(engine);
        let (_, found) = open(&disk).expect("it was left in order");
        holds(&found, model).unwrap();
    }
    // And without an end in between.
    let disk = Memory::default();
    let (mut engine, found) = open(&disk).expect("it is empty");
    assert!(found.record.is_none() && found.log == LogState::Intact);
    for batch in &batches {
        engine.write(batch).expect("the disk is good");
    }
    drop(engine);
    let (_, found) = open(&disk).expect("it was left in order");
    holds(&found, models.last().expect("there are some")).unwrap();
}
