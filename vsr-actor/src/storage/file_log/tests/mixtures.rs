//! Files that are good, and not of one log.

use super::{
    super::{format::SECTOR, opening},
    Memory, open, options, script, seal,
};
use std::{collections::BTreeMap, slice, sync::Arc};
use vsr_core::{ClusterId, LogState, Restored, Write};

type Contents = BTreeMap<String, Vec<u8>>;

/// The directory that these writes leave.
fn written(batches: &[Vec<Write>]) -> Contents {
    let disk = Memory::default();
    let (mut engine, _) = open(&disk).expect("it is empty");
    batches.iter().for_each(|batch| engine.write(batch).expect("the disk is good"));
    drop(engine);
    disk.contents()
}

/// That of a replica alone that was asked as often, each time for so many bytes.
fn history(operations: u64, fill: u8, bytes: usize) -> Contents {
    let mut alone = script::Alone::new();
    (0..operations).for_each(|_| alone.ask(vec![fill; bytes]));
    written(&alone.writes().iter().map(|write| slice::from_ref(write).to_vec()).collect::<Vec<_>>())
}

/// What is found in such a directory, and what an operator is told of it.
fn noted(files: &Contents) -> (Restored, Vec<String>) {
    let opened = opening::open(Arc::new(Memory::with(files)), options()).expect("its record is good");
    (opened.restored, opened.notes)
}

/// The same header, of another cluster.
fn of_cluster_77(header: &mut [u8]) {
    header[12..20].copy_from_slice(&77_u64.to_le_bytes());
    seal(header);
}

#[test]
fn files_of_somebody_else_are_refused() {
    let files = written(&script::story());
    let refused = |mixed: &Contents| {
        let told = open(&Memory::with(mixed)).map(|_| ()).unwrap_err().to_string();
        assert!(told.contains("cluster-1,") && told.contains("cluster-77,"), "{told}");
    };
    let mut other = script::record_of(&script::story());
    other.cluster = ClusterId(77);
    let stranger = written(&[vec![Write { record: Some(other), ..script::nothing(1) }]]);
    let mut mixed = files.clone();
    mixed.insert("record".into(), stranger["record"].clone());
    refused(&mixed);
    // One segment, or nothing but the snapshot.
    let snapshot = files.keys().rfind(|name| name.starts_with("snapshot-"));
    for name in files.keys().filter(|name| name.starts_with("log-")).chain(snapshot) {
        let mut mixed = files.clone();
        of_cluster_77(&mut mixed.get_mut(name).expect("it is there")[..SECTOR]);
        refused(&mixed);
    }
}

/// A backup that was restored in part: the segments are those of one replica, and their numbers fit.
#[test]
fn segments_of_two_histories_do_not_make_a_log() {
    let (mut one, other) = (history(2, 1, 3000), history(2, 2, 3000));
    assert!(one.keys().eq(other.keys()));
    // The first has what both lives began with.
    let second = "log-0000000000000002";
    one.insert(second.into(), other[second].clone());
    let (found, notes) = noted(&one);
    assert_eq!(found.log, LogState::Lost);
    assert!(notes.iter().any(|note| note.contains("does not follow the one before it")), "{notes:?}");
}

#[test]
fn a_segment_that_is_missing_is_named() {
    let mut files = history(2, 1, 3000);
    files.remove("log-0000000000000002").expect("there are three");
    let (found, notes) = noted(&files);
    assert_eq!(found.log, LogState::Lost);
    let told = "the segment before memory/log-0000000000000003 is missing";
    assert!(notes.iter().any(|note| note.contains(told)), "{notes:?}");
}
