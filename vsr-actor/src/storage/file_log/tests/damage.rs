//! Every bit that can turn, and every length that a file can be cut to: the directory is found as it was, or its log is found lost with
//! the record as it was, or it is refused with a sentence. Never less, never another value, never a panic.

use super::{
    super::{engine::Options, format::SECTOR, slots::Slots},
    holds,
    memory::Memory,
    models, open, open_with, options, same_entries, script,
};
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};
use vsr_core::{LogState, Restored, Write};

/// A small directory: two snapshots, and a log of several segments.
fn directory() -> (BTreeMap<String, Vec<u8>>, Vec<Restored>) {
    directory_of(2048)
}

fn directory_of(segment_bytes: u64) -> (BTreeMap<String, Vec<u8>>, Vec<Restored>) {
    let batches: Vec<Vec<Write>> = script::short_story();
    let disk = Memory::default();
    let (mut engine, _) = open_with(&disk, Options { segment_bytes, ..options() }).expect("it is empty");
    batches.iter().for_each(|batch| engine.write(batch).expect("the disk is good"));
    drop(engine);
    (disk.contents(), models(&batches))
}

/// What came of a damaged directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    AsItWas,
    OlderSnapshot,
    Lost,
    Refused,
}

/// Opens it, and again: what was found once is found again.
fn judge(files: &BTreeMap<String, Vec<u8>>, models: &[Restored], what: &str) -> End {
    let disk = Memory::with(files);
    let found = match open(&disk) {
        Ok((_, found)) => found,
        Err(error) => {
            let text = error.to_string();
            assert!(
                text.contains("memory/") && text.len() > 40,
                "{what}: not much of an explanation: {text}"
            );
            assert!(open(&disk).is_err(), "{what}: refused once");
            return End::Refused;
        }
    };
    let model = models.last().expect("there is one");
    let end = end_of(&found, models).unwrap_or_else(|wrong| panic!("{what}: {wrong}: {found:?}"));
    assert_eq!(found.record, model.record, "{what}");
    let (_, again) =
        open(&disk).unwrap_or_else(|error| panic!("{what}: refused at the second time: {error}"));
    assert_eq!(end_of(&again, models), Ok(end), "{what}: the second time");
    end
}

fn end_of(found: &Restored, models: &[Restored]) -> Result<End, String> {
    let model = models.last().expect("there is one");
    if found.log == LogState::Lost {
        let empty = found.snapshot.is_none() && found.entries.is_empty();
        return if empty { Ok(End::Lost) } else { Err("lost, and not empty".into()) };
    }
    if holds(found, model).is_ok() {
        return Ok(End::AsItWas);
    }
    // With the snapshot before, the log must reach back to it.
    let snapshot = found.snapshot.as_ref().ok_or("no snapshot")?;
    let known = models.iter().any(|older| older.snapshot.as_ref() == Some(snapshot));
    let next = found.entries.iter().find(|entry| entry.last() > snapshot.op()).ok_or("no log")?;
    let meets = (next.first(), next.parent()) == (snapshot.op().next(), snapshot.hash());
    same_entries(&found.entries, &model.entries)?;
    if known && meets && found.commit == model.commit {
        Ok(End::OlderSnapshot)
    } else {
        Err("no such log".into())
    }
}

/// Counts the ends of cases 0, 1, …, on as many threads as there are.
fn all(cases: usize, case: impl Fn(usize) -> End + Sync) -> BTreeMap<String, usize> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut ends = Vec::new();
        while let index @ 0.. = next.fetch_add(1, Ordering::Relaxed)
            && index < cases
        {
            ends.push(case(index));
        }
        ends
    };
    let mut counted = BTreeMap::new();
    thread::scope(|scope| {
        let threads: Vec<_> =
            (0..thread::available_parallelism().map_or(1, usize::from)).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            for end in thread.join().expect("a case failed") {
                *counted.entry(format!("{end:?}")).or_insert(0) += 1;
            }
        }
    });
    counted
}

fn files_called<'a>(
    files: &'a BTreeMap<String, Vec<u8>>,
    prefix: &'a str,
) -> impl Iterator<Item = &'a String> {
    files.keys().filter(move |name| name.starts_with(prefix))
}

/// What can come of damage to a file.
fn expected(name: &str, files: &BTreeMap<String, Vec<u8>>) -> &'static [End] {
    match name {
        "record" => &[End::AsItWas],
        _ if name.starts_with("log-") => &[End::AsItWas, End::Lost],
        _ if Some(name) == files_called(files, "snapshot-").next().map(String::as_str) => &[End::AsItWas],
        _ => &[End::OlderSnapshot],
    }
}

#[test]
fn every_bit_of_every_file() {
    let (files, models) = directory();
    assert_eq!(judge(&files, &models, "as it is"), End::AsItWas);
    for (name, bytes) in &files {
        let ends = all(bytes.len() * 8, |bit| {
            let mut damaged = files.clone();
            damaged.get_mut(name).expect("it is there")[bit / 8] ^= 1 << (bit % 8);
            if name == "record" && bit % 8 > 0 {
                // Of this file nothing but this is used, so one bit of each byte stands for the others.
                damaged.retain(|name, _| name == "record");
                let disk = Memory::with(&damaged);
                let found = Slots::open(&disk, &["record".into()]).expect("the other copy is good");
                let record = found.newest.map(|slot| slot.record);
                assert!(!found.agree && record == models[models.len() - 1].record, "bit {bit} of {name}");
                return End::AsItWas;
            }
            let end = judge(&damaged, &models, name);
            assert!(expected(name, &files).contains(&end), "bit {bit} of {name}: {end:?}");
            let stamped = name.starts_with("log-") && bit / 8 % SECTOR < 4;
            assert!(!stamped || end == End::Lost, "bit {bit} of {name}: a stamp does not count");
            end
        });
        println!("{name}, {} bytes: {ends:?}", bytes.len());
    }
}

#[test]
fn every_length_of_every_file() {
    let (files, models) = directory();
    for (name, bytes) in &files {
        let ends = all(bytes.len(), |length| {
            let mut damaged = files.clone();
            damaged.get_mut(name).expect("it is there").truncate(length);
            let end = judge(&damaged, &models, name);
            // Without the first copy of the record the second one cannot be there.
            let refused = name == "record" && end == End::Refused && length < bytes.len() / 2;
            let lost = !name.starts_with("log-") || end == End::Lost;
            assert!(
                refused || lost && expected(name, &files).contains(&end),
                "{name} cut to {length}: {end:?}"
            );
            end
        });
        println!("{name}, {} bytes: {ends:?}", bytes.len());
    }
}

#[test]
fn every_file_that_is_gone() {
    let (files, models) = directory();
    assert!(files_called(&files, "log-").count() > 1 && files_called(&files, "snapshot-").count() > 1);
    let last = files_called(&files, "log-").last();
    for name in files.keys() {
        let mut damaged = files.clone();
        damaged.remove(name);
        let end = judge(&damaged, &models, name);
        let expected: &[_] = match expected(name, &files) {
            _ if name == "record" => &[End::Refused],
            _ if Some(name) == last => &[End::Lost],
            other => other,
        };
        assert!(expected.contains(&end), "without {name}: {end:?}");
    }
    // Nothing but one file is left.
    for name in files.keys() {
        let left = BTreeMap::from([(name.clone(), files[name].clone())]);
        let expected = if name == "record" { End::Lost } else { End::Refused };
        assert_eq!(judge(&left, &models, name), expected, "{name} alone");
    }
    // A log that has the record in it, too, does not say what was promised since.
    let (mut files, models) = directory_of(1 << 14);
    files.remove("record").expect("it is there");
    assert_eq!(judge(&files, &models, "a log from its beginning"), End::Refused);
}

#[test]
fn a_damaged_copy_of_the_record_is_written_again() {
    let (files, _) = directory();
    for byte in [600, 4096 + 600] {
        let mut damaged = files.clone();
        damaged.get_mut("record").expect("it is there")[byte] ^= 1;
        let disk = Memory::with(&damaged);
        drop(open(&disk).expect("the other copy is good"));
        let record = &disk.contents()["record"];
        assert!(record[..4096] == record[4096..], "byte {byte} is as it was");
    }
}

/// A sector that was never written is that of a write that was never finished: only the last one may be cut, be the others in segments
/// before it or beside it in one.
#[test]
fn every_sector_of_the_log_that_is_not_there() {
    let stamp = |sector: &[u8]| u32::from_le_bytes(sector[..4].try_into().expect("it is a sector"));
    for segment_bytes in [2048, 1 << 14] {
        let (files, models) = directory_of(segment_bytes);
        let logs = || files.iter().filter(|(name, _)| name.starts_with("log-"));
        let frames = || logs().flat_map(|(_, bytes)| bytes[SECTOR..].chunks(SECTOR)).map(stamp);
        let newest = frames().max().expect("there are frames");
        let mut cut = 0;
        for (name, bytes) in logs() {
            for (index, sector) in bytes.chunks(SECTOR).enumerate() {
                let mut damaged = files.clone();
                damaged.get_mut(name).expect("it is there")[index * SECTOR..][..SECTOR].fill(0);
                if index > 0 && stamp(sector) == newest {
                    let (_, found) = open(&Memory::with(&damaged)).expect("the record is good");
                    assert_eq!(end_of(&found, &models[..models.len() - 1]), Ok(End::AsItWas));
                    cut += 1;
                    continue;
                }
                let expected = if sector.iter().all(|byte| *byte == 0) { End::AsItWas } else { End::Lost };
                assert_eq!(judge(&damaged, &models, name), expected, "sector {index} of {name}");
            }
        }
        assert!(cut > 0, "no frame was cut");
    }
}

/// Whichever write was the last, the newest snapshot may be damaged: the log reaches back to the one before, or is lost.
#[test]
fn the_newest_snapshot_is_damaged_after_each_write() {
    let (story, mut alone) = (script::story(), script::Alone::new());
    // One in a segment.
    (0..40).for_each(|number| alone.ask(vec![number; 1000]));
    let steady = alone.writes().into_iter().map(|write| vec![write]).collect();
    for (batches, never_lost) in [(story, false), (steady, true)] {
        let models = models(&batches);
        let disk = Memory::default();
        let (mut engine, _) =
            open_with(&disk, Options { segment_bytes: 2048, ..options() }).expect("it is empty");
        let (mut older, mut given_up) = (0, false);
        for (index, batch) in batches.iter().enumerate() {
            engine.write(batch).expect("the disk is good");
            let mut files = disk.contents();
            let snapshots: Vec<_> = files_called(&files, "snapshot-").cloned().collect();
            if let [_, newest] = &snapshots[..] {
                *files.get_mut(newest).and_then(|bytes| bytes.last_mut()).expect("it is not empty") ^= 1;
                let end = judge(&files, &models[..=index + 1], newest);
                assert!(
                    end == End::OlderSnapshot || end == End::Lost && !never_lost,
                    "after {index}: {end:?}"
                );
                older += usize::from(end == End::OlderSnapshot);
            }
            given_up |= !files.contains_key("log-0000000000000001");
        }
        assert!(older > 0 && given_up, "{older}, {given_up}");
    }
}

#[test]
fn two_damaged_snapshots() {
    let (mut files, models) = directory();
    let snapshots: Vec<_> = files_called(&files, "snapshot-").cloned().collect();
    assert_eq!(snapshots.len(), 2);
    for name in snapshots {
        *files.get_mut(&name).and_then(|bytes| bytes.last_mut()).expect("it is not empty") ^= 1;
    }
    assert_eq!(judge(&files, &models, "two snapshots"), End::Lost);
}
