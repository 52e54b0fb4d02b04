//! The bytes of a small directory, committed: today's code reads them, and writes the same.

use super::{super::engine::Options, holds, memory::Memory, models, open, open_with, options, script};
use std::{collections::BTreeMap, fs, path::PathBuf};
use vsr_core::Restored;

fn place() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/file_log_v1")
}

/// What is in the fixture, as it is written today.
fn written() -> (BTreeMap<String, Vec<u8>>, Restored) {
    let batches = script::short_story();
    let disk = Memory::default();
    let (mut engine, _) =
        open_with(&disk, Options { segment_bytes: 2048, ..options() }).expect("it is empty");
    batches.iter().for_each(|batch| engine.write(batch).expect("the disk is good"));
    drop(engine);
    (disk.contents(), models(&batches).pop().expect("there is one"))
}

fn committed() -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(place()).expect("the fixture is committed");
    let file = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().expect("names are plain");
        (name, fs::read(entry.path()).expect("it can be read"))
    };
    entries.map(|entry| file(entry.expect("it can be read"))).collect()
}

#[test]
fn a_directory_of_version_1_is_read() {
    let disk = Memory::with(&committed());
    let (_, found) = open(&disk).expect("it was committed in order");
    holds(&found, &written().1).unwrap();
}

/// If this fails, directories of before cannot be read by after: a new format has a new version, and a fixture of its own.
#[test]
fn todays_directory_is_that_of_version_1_to_the_byte() {
    let (files, _) = written();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::create_dir_all(place()).expect("it can be made");
        files
            .iter()
            .for_each(|(name, bytes)| fs::write(place().join(name), bytes).expect("it can be written"));
    }
    let committed = committed();
    assert_eq!(files.keys().collect::<Vec<_>>(), committed.keys().collect::<Vec<_>>());
    for (name, bytes) in &files {
        let differs = bytes.iter().zip(&committed[name]).position(|(today, then)| today != then);
        assert!(*bytes == committed[name], "{name} differs at byte {differs:?}");
    }
}
