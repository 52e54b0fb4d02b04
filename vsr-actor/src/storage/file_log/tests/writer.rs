//! What the writer's thread does, on the test's own: what it reports, and when.

use super::{
    super::{Durability, engine::Options, writer::Work},
    holds,
    memory::{Memory, Step},
    models, open, open_with, options, script,
};
use crate::Persisted;
use std::{
    io::ErrorKind,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc::Sender,
    },
    time::Duration,
};
use vsr_core::{Restored, Write, WriteId};

/// The writer of an empty directory.
fn work(disk: &Memory, options: Options) -> (Work, Sender<Write>, Persisted) {
    let (engine, _) = open_with(disk, options).expect("it is empty");
    let persisted = Persisted::default();
    let (work, writes) = Work::new(engine, persisted.clone());
    (work, writes, persisted)
}

/// The story, its writes numbered as those of one boot are; and what it comes to.
fn story() -> (Vec<Vec<Write>>, Restored) {
    let mut batches = script::story();
    for (write, sequence) in batches.iter_mut().flatten().zip(1..) {
        write.id = WriteId { boot: 1, sequence };
    }
    let model = models(&batches).pop().expect("there is one");
    (batches, model)
}

fn last(batch: &[Write]) -> u64 {
    batch.last().expect("a batch has a write").id.sequence
}

#[test]
fn a_write_is_reported_with_its_batch_when_that_was_flushed() {
    let disk = Memory::default();
    let (mut work, _writes, persisted) = work(&disk, options());
    for (batch, before) in
        story().0.iter().scan(0, |before, batch| Some((batch, std::mem::replace(before, last(batch)))))
    {
        let (told, flushes) = (Arc::new(Mutex::new(Vec::new())), persisted.clone());
        let seen = told.clone();
        disk.rule(move |step, _| {
            if step != Step::Read {
                seen.lock().expect("nothing panics here").push(flushes.sequence());
            }
            None
        });
        assert!(work.write(batch).expect("the disk is good"));
        disk.no_rule();
        let told = told.lock().expect("nothing panicked");
        assert!(!told.is_empty() && told.iter().all(|told| *told == before), "{before}: {told:?}");
        assert_eq!(persisted.sequence(), last(batch));
    }
}

#[test]
fn what_waits_is_written_in_its_order_and_a_clean_end_flushes_it() {
    let (batches, model) = story();
    for durability in [Durability::Sync, Durability::Interval(Duration::from_secs(3600)), Durability::None] {
        let disk = Memory::default();
        let (mut work, writes, persisted) = work(&disk, Options { durability, ..options() });
        let all = batches.iter().flatten();
        all.for_each(|write| writes.send(write.clone()).expect("it is taken"));
        drop(writes);
        work.run().expect("the disk is good");
        assert_eq!(persisted.sequence(), last(batches.last().expect("there are some")));
        disk.record();
        disk.mark(0);
        let left = disk.moments().first().expect("it was marked").flushed();
        let (_, found) = open_with(&left, Options { boot: None, ..options() }).expect("it was left in order");
        holds(&found, &model).unwrap_or_else(|wrong| panic!("{durability:?}: {wrong}"));
    }
}

/// It has nothing to do in between: the flush is what ends it here.
#[test]
fn what_was_not_flushed_is_flushed_after_the_interval() {
    let disk = Memory::default();
    let options = Options { durability: Durability::Interval(Duration::ZERO), ..options() };
    let (mut work, writes, _) = work(&disk, options);
    let (batches, _) = story();
    let bootstrap = batches.iter().position(|batch| batch.len() > 1).expect("some waited together");
    for batch in &batches[..=bootstrap] {
        work.write(batch).expect("the disk is good");
    }
    assert!(work.flush_at.is_some(), "it is not due");
    let mut writes = Some(writes);
    disk.rule(move |step, name| {
        if step == Step::Sync && name.starts_with("log-") {
            drop(writes.take());
        }
        None
    });
    work.run().expect("the disk is good");
}

#[test]
fn after_an_error_nothing_is_tried_again() {
    let (batches, _) = story();
    for (step, prefix) in
        [(Step::Write, "log-"), (Step::Sync, "log-"), (Step::Write, "record"), (Step::Sync, "record")]
    {
        for kind in [ErrorKind::Other, ErrorKind::StorageFull] {
            let disk = Memory::default();
            let (mut work, writes, persisted) = work(&disk, options());
            work.write(&batches[0]).expect("the disk is good");
            let tried = Arc::new(AtomicUsize::new(0));
            let count = tried.clone();
            // The first attempt fails, the next one would not.
            disk.rule(move |is, name| {
                let meant = is == step && name.starts_with(prefix);
                (meant && count.fetch_add(1, Ordering::Relaxed) == 0).then_some(kind)
            });
            batches[1..3].iter().flatten().for_each(|write| writes.send(write.clone()).expect("it is taken"));
            drop(writes);
            let told = work.run().expect_err("the disk has failed").to_string();
            assert!(told.contains(&format!("memory/{prefix}")), "{told}");
            assert_eq!((tried.load(Ordering::Relaxed), persisted.sequence()), (1, last(&batches[0])));
            assert!(persisted.why_stalled().is_none());
        }
    }
}

#[test]
fn who_waits_for_room_is_told_why_and_nothing_is_reported() {
    let disk = Memory::default();
    let (mut work, _writes, persisted) = work(&disk, options());
    let (batches, _) = story();
    let abandoned = work.abandoned.clone();
    disk.rule(move |step, name| {
        // Its owner does not wait for it.
        abandoned.tell();
        (step == Step::Create && name.starts_with("spare-")).then_some(ErrorKind::StorageFull)
    });
    assert!(!work.write(&batches[0]).expect("there may be room again"));
    let told = persisted.why_stalled().expect("it was told").to_string();
    assert!(told.contains("memory/"), "{told}");
    assert_eq!(persisted.sequence(), 0);
    disk.no_rule();
    assert_eq!(open(&disk).expect("nothing was written").1.record, None);
}
