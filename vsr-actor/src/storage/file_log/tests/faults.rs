//! What a disk, a person or a machine does to a log, and what becomes of it.

use super::{
    super::{
        Durability,
        engine::{Engine, Fault, Options},
        files::Files,
        format::Plate,
        opening,
    },
    Memory, SEGMENT, holds,
    memory::Step,
    models, open, open_with, options, script, seal,
};
use bytes::BufMut;
use std::{
    collections::BTreeMap,
    io::ErrorKind,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use vsr_core::{LogState, Record, ViewNumber, Write};

/// A directory with the whole story in it.
fn written() -> (Memory, Engine) {
    let disk = Memory::default();
    let (mut engine, _) = open(&disk).expect("it is empty");
    script::story().iter().for_each(|batch| engine.write(batch).expect("the disk is good"));
    (disk, engine)
}

fn failed(result: Result<(), Fault>) -> String {
    match result {
        Err(Fault::Failed(error)) => error.to_string(),
        other => panic!("{other:?} where a failure was expected"),
    }
}

#[test]
fn an_error_of_the_disk_is_final() {
    for step in [Step::Write, Step::Sync] {
        let (disk, mut engine) = written();
        disk.rule(move |is, name| (is == step && name.starts_with("log-")).then_some(ErrorKind::Other));
        let told = failed(engine.write(&[script::nothing(1)]));
        assert!(told.contains("memory/log-"), "{told}");
    }
    let (disk, mut engine) = written();
    disk.rule(|is, name| (is == Step::Sync && name == "record").then_some(ErrorKind::Other));
    let mut record = script::record_of(&script::story());
    record.view = ViewNumber(9);
    let told = failed(engine.write(&[Write { record: Some(record), ..script::nothing(1) }]));
    assert!(told.contains("memory/record"), "{told}");
}

#[test]
fn without_room_nothing_is_written_and_with_room_it_goes_on() {
    let batches = script::story();
    let models = models(&batches);
    // For a segment, and for a snapshot; when the file is made, when it is filled, when that is flushed.
    for prefix in ["spare-", "stage-"] {
        for step in [Step::Create, Step::Write, Step::Sync] {
            let disk = Memory::default();
            let (mut engine, _) = open(&disk).expect("it is empty");
            let mut stalls = 0;
            for batch in &batches {
                disk.rule(move |is, name| {
                    (is == step && name.starts_with(prefix)).then_some(ErrorKind::StorageFull)
                });
                for _ in 0..2 {
                    match engine.write(batch) {
                        Ok(()) => break,
                        Err(Fault::NoRoom(error)) => {
                            assert!(error.to_string().contains("memory/"), "{error}");
                            let left = disk.contents().into_keys().find(|name| name.starts_with(prefix));
                            assert_eq!(left, None, "it takes the room that is missing");
                            stalls += 1;
                        }
                        Err(Fault::Failed(error)) => panic!("{error}"),
                    }
                    if stalls % 2 == 0 {
                        disk.no_rule();
                        engine.write(batch).expect("there is room");
                        break;
                    }
                }
                disk.no_rule();
            }
            assert!(stalls >= 2, "{prefix} {step:?}: {stalls}");
            drop(engine);
            let (_, found) = open(&disk).expect("it was left in order");
            holds(&found, models.last().expect("there is one")).unwrap();
        }
    }
}

#[test]
fn a_full_disk_at_the_first_start_is_told_at_once() {
    let disk = Memory::default();
    disk.rule(|is, _| (is == Step::Write).then_some(ErrorKind::StorageFull));
    let told = open(&disk).map(|_| ()).unwrap_err().to_string();
    assert!(told.contains("memory/record"), "{told}");
}

#[test]
fn the_record_only_grows() {
    let (disk, mut engine) = written();
    let fall_back: [fn(&mut Record); 4] = [
        |record| record.view = ViewNumber(record.view.0 - 1),
        |record| record.log_view = ViewNumber(record.log_view.0 - 1),
        |record| record.formed = false,
        |record| record.incarnation.0 += 1,
    ];
    for change in fall_back {
        let mut older = script::record_of(&script::story());
        change(&mut older);
        let told = failed(engine.write(&[Write { record: Some(older), ..script::nothing(1) }]));
        assert!(told.contains("fall back"), "{told}");
    }
    drop(engine);
    let (_, found) = open(&disk).expect("nothing was written");
    assert_eq!(found.record, Some(*script::record_of(&script::story())));
    let mut empty = open(&Memory::default()).expect("it is empty").0;
    let told = failed(empty.write(&[script::nothing(1)]));
    assert!(told.contains("first write"), "{told}");
}

#[test]
fn a_lost_log_is_lost_until_another_takes_its_place() {
    let batches = script::story();
    let model = models(&batches).pop().expect("there is one");
    let (disk, engine) = written();
    drop(engine);
    let good = disk.contents();
    let mut damaged = good.clone();
    let log = good.keys().find(|name| name.starts_with("log-")).expect("there is one").clone();
    damaged.get_mut(&log).expect("it is there")[600] ^= 1;
    let disk = Memory::with(&damaged);
    let (_, found) = open(&disk).expect("its record is good");
    assert_eq!((found.log, &found.record), (LogState::Lost, &model.record));
    // Whatever is found next time: the replica may have begun to ask for it.
    let mut healed = disk.contents();
    healed.insert(log.clone(), good[&log].clone());
    let disk = Memory::with(&healed);
    let (mut engine, found) = open(&disk).expect("its record is good");
    assert_eq!(found.log, LogState::Lost);
    // Promises are kept meanwhile.
    let mut record = found.record.expect("it is kept");
    record.view = ViewNumber(record.view.0 + 1);
    engine
        .write(&[Write { record: Some(Box::new(record.clone())), ..script::nothing(1) }])
        .expect("the disk is good");
    drop(engine);
    let (mut engine, found) = open(&disk).expect("its record is good");
    assert_eq!((found.log, &found.record), (LogState::Lost, &Some(record.clone())));
    let (snapshot, entries) = (model.snapshot.clone(), model.entries.clone().into());
    let reset = Write { reset: true, snapshot, entries, commit: model.commit, ..script::nothing(2) };
    engine.write(&[reset]).expect("the disk is good");
    drop(engine);
    assert!(!disk.contents().contains_key(&log), "the damaged log is not needed any more");
    let (_, found) = open(&disk).expect("it was left in order");
    let model = vsr_core::Restored { record: Some(record), ..model };
    holds(&found, &model).unwrap();
}

/// Half of the story without a flush; the other half of the options is the durability.
fn unflushed(durability: Durability) -> (Memory, Engine, Options) {
    let options = Options { durability, ..options() };
    let disk = Memory::default();
    let (mut engine, _) = open_with(&disk, options.clone()).expect("it is empty");
    script::story().iter().for_each(|batch| engine.write(batch).expect("the disk is good"));
    (disk, engine, options)
}

#[test]
fn what_was_not_flushed_counts_only_as_long_as_the_machine_is_up() {
    let model = models(&script::story()).pop().expect("there is one");
    for durability in [Durability::Interval(Duration::from_secs(1)), Durability::None] {
        let (disk, engine, options) = unflushed(durability);
        drop(engine);
        let other_boot = |boot: Option<&str>| Options { boot: boot.map(Into::into), ..options.clone() };
        let again = || Memory::with(&disk.contents());
        // The process died.
        let (_, found) = open_with(&again(), options.clone()).expect("it was left in order");
        holds(&found, &model).unwrap();
        // The machine did, or it does not say.
        for boot in [Some("another boot"), Some(""), None] {
            let (_, found) = open_with(&again(), other_boot(boot)).expect("its record is good");
            assert_eq!((found.log, found.record), (LogState::Lost, model.record.clone()), "{boot:?}");
        }
        // Whoever asks for more finds what was flushed at the start, whatever happens then.
        let strict = again();
        drop(open_with(&strict, self::options()).expect("it was left in order"));
        let later = Options { boot: None, ..self::options() };
        holds(&open_with(&strict, later).expect("it was left in order").1, &model).unwrap();
        // A clean end.
        let (disk, mut engine, _) = unflushed(durability);
        engine.close().expect("the disk is good");
        drop(engine);
        let (_, found) = open_with(&disk, other_boot(None)).expect("it was left in order");
        holds(&found, &model).unwrap();
    }
}

#[test]
fn a_flush_is_for_all_that_waits_and_a_later_one_only_where_it_is_wanted() {
    let flushes = |durability, record: bool| {
        let options = Options { durability, segment_bytes: 1 << 20, ..options() };
        let disk = Memory::default();
        let (mut engine, _) = open_with(&disk, options).expect("it is empty");
        let story = script::story();
        let bootstrap = story.iter().position(|batch| batch.len() > 1).expect("some waited together");
        story[..bootstrap].iter().for_each(|batch| engine.write(batch).expect("the disk is good"));
        let count = Arc::new(AtomicUsize::new(0));
        let counted = count.clone();
        disk.rule(move |is, name| {
            let flush = is == Step::Sync && name.starts_with("log-");
            counted.fetch_add(usize::from(flush), Ordering::Relaxed);
            None
        });
        let mut batch = story[bootstrap].clone();
        assert!(batch.len() > 1);
        batch[0].record = record.then(|| script::record_of(&story[..bootstrap]));
        engine.write(&batch).expect("the disk is good");
        count.load(Ordering::Relaxed)
    };
    assert_eq!(flushes(Durability::Sync, false), 1);
    assert_eq!(flushes(Durability::None, false), 0);
    // A promise is flushed with the frame that it is in.
    assert_eq!(flushes(Durability::None, true), 1);
}

/// The same header, of the next version.
fn newer(block: &[u8]) -> Vec<u8> {
    let magic = block[..8].try_into().expect("it is a header");
    let mut newer = Plate::encode(magic, block.len(), |out| out.put_slice(&block[12..block.len() - 8]));
    newer[8] += 1;
    seal(&mut newer);
    newer
}

#[test]
fn a_newer_version_is_refused_and_left_alone() {
    let (disk, engine) = written();
    drop(engine);
    let files = disk.contents();
    let size = |name: &str| if name == "record" { 4096 } else { 512 };
    for name in files.keys() {
        let mut changed: BTreeMap<_, _> = files.clone();
        let copies = if name == "record" { 2 } else { 1 };
        let bytes = changed.get_mut(name).expect("it is there");
        for header in bytes.chunks_mut(size(name)).take(copies) {
            header.copy_from_slice(&newer(header));
        }
        let disk = Memory::with(&changed);
        match open(&disk) {
            Err(error) => assert!(error.to_string().contains("version 2"), "{error}"),
            // An older snapshot that nobody needs is not looked at.
            Ok(_) => assert!(name.starts_with("snapshot-"), "{name}"),
        }
    }
}

#[test]
fn what_a_crash_left_of_unfinished_files_is_removed() {
    let (disk, engine) = written();
    drop(engine);
    let mut files = disk.contents();
    let whole: Vec<_> = files.keys().cloned().collect();
    for name in ["spare-0000000000000009", "stage-7"] {
        files.insert(name.into(), vec![1; SEGMENT as usize]);
    }
    let disk = Memory::with(&files);
    let opened = opening::open(Arc::new(disk.clone()), options()).expect("it was left in order");
    assert!(opened.notes.is_empty(), "{:?}", opened.notes);
    assert_eq!(disk.list().expect("it can be read"), whole);
    // A snapshot that no frame names is none of the two that are kept.
    let snapshot = whole.iter().rfind(|name| name.starts_with("snapshot-")).expect("there is one");
    let mut files = disk.contents();
    files.insert(format!("snapshot-{:016x}-{:032x}", u64::MAX, 7), files[snapshot].clone());
    let disk = Memory::with(&files);
    let (mut engine, _) = open(&disk).expect("it was left in order");
    engine.write(&[script::nothing(1)]).expect("the disk is good");
    assert_eq!(disk.list().expect("it can be read"), whole);
}
