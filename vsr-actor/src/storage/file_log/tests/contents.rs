//! What writes add up to, and which files that takes.

use super::{
    super::engine::{Engine, Fault, Options},
    Memory, holds,
    memory::Step,
    models, open, open_with, options, script,
};
use std::{collections::BTreeSet, io::ErrorKind, slice};
use vsr_core::{LogState, Write};

/// What a replica alone writes when it is asked for so many bytes each time.
fn asked(sizes: impl IntoIterator<Item = usize>) -> Vec<Write> {
    let mut alone = script::Alone::new();
    sizes.into_iter().for_each(|bytes| alone.ask(vec![bytes as u8; bytes]));
    alone.writes()
}

fn write_all<'a>(engine: &mut Engine, writes: impl IntoIterator<Item = &'a Write>) {
    writes.into_iter().for_each(|write| engine.write(slice::from_ref(write)).expect("the disk is good"));
}

/// What it holds is what the simple storage holds.
fn is_kept(disk: &Memory, writes: &[Write]) {
    let model = models(&[writes.to_vec()]).pop().expect("there is one");
    let (_, found) = open(disk).expect("it was left in order");
    holds(&found, &model).unwrap();
    assert_eq!(found.entries.len(), model.entries.len(), "more than is needed");
}

fn segments(disk: &Memory) -> BTreeSet<String> {
    disk.contents().into_keys().filter(|name| name.starts_with("log-")).collect()
}

/// Without a snapshot, too, and then nothing that was there before keeps its files.
#[test]
fn a_log_that_takes_the_place_of_another_leaves_nothing_of_it() {
    let before = asked([2000, 2000, 2000]);
    let entries = asked([10, 20]).into_iter().flat_map(|write| write.entries).collect();
    let mut writes: Vec<_> = before.into_iter().filter(|write| write.snapshot.is_none()).collect();
    let disk = Memory::default();
    let (mut engine, _) = open(&disk).expect("it is empty");
    write_all(&mut engine, &writes);
    let old = segments(&disk);
    let reset = Write { reset: true, entries, ..script::nothing(90) };
    write_all(&mut engine, [&reset]);
    writes.push(reset);
    is_kept(&Memory::with(&disk.contents()), &writes);
    // What is not needed goes with the next segment.
    (0..20).for_each(|_| write_all(&mut engine, [&script::nothing(91)]));
    let kept = segments(&disk).intersection(&old).count();
    assert!(old.len() > 1 && kept <= 1, "{kept} of {old:?}");
}

/// As when a replica is so far behind that it gets the state, and the log from there on.
#[test]
fn a_snapshot_beyond_the_end_leaves_no_gap() {
    let mut writes = asked([10]);
    let after = asked([10; 20]);
    let snapshot = script::newest_snapshot(&after);
    let op = snapshot.op();
    let entries = after.iter().flat_map(|write| write.entries.clone()).filter(|entry| entry.first() > op);
    let entries: Vec<_> = entries.collect();
    assert!(!entries.is_empty());
    let write = Write {
        snapshot: Some(snapshot),
        entries: entries.into(),
        trim_through: Some(op),
        commit: op,
        ..script::nothing(90)
    };
    writes.push(write);
    let disk = Memory::default();
    let (mut engine, _) = open(&disk).expect("it is empty");
    write_all(&mut engine, &writes);
    drop(engine);
    is_kept(&disk, &writes);
}

/// Whoever wrote that, what follows the gap cannot be executed.
#[test]
fn entries_that_do_not_follow_one_another_are_no_log() {
    let mut writes = asked([10, 20]);
    let last = writes.iter().rposition(|write| !write.entries.is_empty()).expect("there are entries");
    writes.remove(last - 1);
    let disk = Memory::default();
    let (mut engine, _) = open(&disk).expect("it is empty");
    write_all(&mut engine, &writes);
    drop(engine);
    assert_eq!(open(&disk).expect("its record is good").1.log, LogState::Lost);
}

/// Operations of all sizes, so that segments are of several sizes when they are used again.
#[test]
fn a_long_log_is_kept_in_a_few_segments_of_any_size() {
    let writes = asked((0..60).map(|number| if number % 11 == 5 { 9000 } else { 300 }));
    for prepare_ahead in [false, true] {
        let options = || Options { prepare_ahead, ..options() };
        let disk = Memory::default();
        let (mut engine, _) = open_with(&disk, options()).expect("it is empty");
        for (index, write) in writes.iter().enumerate() {
            write_all(&mut engine, [write]);
            if index % 5 == 0 {
                drop(engine);
                is_kept(&Memory::with(&disk.contents()), &writes[..=index]);
                engine = open_with(&disk, options()).expect("it was left in order").0;
            }
            assert!(segments(&disk).len() <= 8, "{:?}", segments(&disk));
        }
    }
}

/// What was to be given up for a segment that there was no room for is given up with the next attempt, in its order.
#[test]
fn without_room_no_gap_is_left_between_segments() {
    let writes = asked([1500; 40]);
    for step in [Step::Remove, Step::Rename, Step::SyncNames, Step::Create, Step::Write, Step::Sync] {
        let disk = Memory::default();
        let (mut engine, _) = open(&disk).expect("it is empty");
        let mut stalls = 0;
        for write in &writes {
            let log = if matches!(step, Step::Remove | Step::Rename) { "log-" } else { "spare-" };
            disk.rule(move |is, name| {
                let of_segment = name.is_empty() || name.starts_with("spare-") || name.starts_with(log);
                (is == step && of_segment).then_some(ErrorKind::StorageFull)
            });
            let written = engine.write(slice::from_ref(write));
            disk.no_rule();
            match written {
                Ok(()) => continue,
                Err(Fault::NoRoom(_)) => stalls += 1,
                Err(Fault::Failed(error)) => panic!("{error}"),
            }
            write_all(&mut engine, [write]);
        }
        assert!(stalls > 5, "{step:?}: {stalls}");
        assert!(segments(&disk).len() <= 8, "{step:?}: {:?}", segments(&disk));
        drop(engine);
        is_kept(&disk, &writes);
    }
}
