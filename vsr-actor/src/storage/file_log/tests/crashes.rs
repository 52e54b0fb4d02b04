//! Every crash, at every step, with every choice of what the disk has kept of what was not flushed.

use super::{
    super::{Durability, engine::Options},
    holds,
    memory::{Memory, Moment, Step},
    models, open, open_with, options, script,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::ErrorKind,
};
use vsr_core::{LogState, Restored, Write};

/// Which of the models it is; none if it is none of them.
fn which(found: &Restored, models: &[Restored]) -> Vec<usize> {
    (0..models.len()).filter(|index| holds(found, &models[*index]).is_ok()).collect()
}

/// The directories that crashes at these moments can leave, each once.
fn different(moments: &[Moment]) -> BTreeSet<BTreeMap<String, Vec<u8>>> {
    moments.iter().flat_map(Moment::images).map(|image| image.contents()).collect()
}

/// After a crash all that was reported is there, and nothing that was not asked for; and no crash is damage.
#[test]
fn no_crash_loses_what_was_reported() {
    let batches = script::story();
    let models = models(&batches);
    let disk = Memory::default();
    disk.record();
    let (mut engine, _) = open(&disk).expect("it is empty");
    for (index, batch) in batches.iter().enumerate() {
        // The write of this batch is under way, and all before it are done.
        disk.mark(index);
        engine.write(batch).expect("the disk is good");
    }
    disk.mark(batches.len());
    drop(engine);
    let mut seen = BTreeSet::new();
    for moment in disk.moments() {
        for image in moment.images() {
            let at = moment.mark;
            if !seen.insert((at, image.contents())) {
                continue;
            }
            let found = match open(&image) {
                Ok((_, found)) => found,
                Err(error) => panic!("a crash in batch {at} was taken for damage: {error}"),
            };
            assert_eq!(found.log, LogState::Intact, "a crash in batch {at} cost the log");
            let which = which(&found, &models);
            assert!(
                which.contains(&at) || which.contains(&(at + 1)),
                "a crash in batch {at} left {which:?}: {found:?}"
            );
            // What it has put in order is in order.
            let (_, again) = open(&image).expect("it was just opened");
            holds(&again, &found).unwrap();
        }
    }
    assert!(seen.len() > 200, "{} different images", seen.len());
}

/// Nor does a crash while a directory is opened that a crash has left.
#[test]
fn no_crash_while_opening_loses_anything() {
    let batches = script::story();
    let models = models(&batches);
    let disk = Memory::default();
    let (mut engine, _) = open(&disk).expect("it is empty");
    let upto = batches.len() - 4;
    batches[..upto].iter().for_each(|batch| engine.write(batch).expect("the disk is good"));
    disk.record();
    engine.write(&batches[upto]).expect("the disk is good");
    drop(engine);
    for moment in disk.moments() {
        for image in moment.images() {
            image.record();
            let (_, found) = open(&image).expect("a crash is no damage");
            for again in image.moments().iter().flat_map(|moment| moment.images()) {
                let (_, after) = open(&again).expect("a crash is no damage");
                let which = which(&after, &models);
                assert!(which.contains(&upto) || which.contains(&(upto + 1)), "{which:?} after {found:?}");
            }
        }
    }
}

/// What a crash leaves of a frame is not mixed with the one that takes its place, be it as long or shorter.
#[test]
fn no_crash_in_the_frame_that_replaces_an_unfinished_one_loses_anything() {
    let batches = script::story();
    let models = models(&batches);
    let large =
        |batch: &Vec<Write>| batch.iter().flat_map(|write| &write.entries).any(|it| it.bytes() > 1024);
    let at = batches.iter().position(large).expect("there is one of several sectors");
    let disk = Memory::default();
    let (mut engine, _) = open(&disk).expect("it is empty");
    batches[..at].iter().for_each(|batch| engine.write(batch).expect("the disk is good"));
    disk.record();
    engine.write(&batches[at]).expect("the disk is good");
    let mut unfinished = 0;
    for left in different(&disk.moments()) {
        for next in [&batches[at], &vec![script::nothing(50)]] {
            let again = Memory::with(&left);
            let (mut engine, found) = open(&again).expect("a crash is no damage");
            if which(&found, &models) != [at] {
                continue;
            }
            unfinished += 1;
            again.record();
            engine.write(next).expect("the disk is good");
            for left in different(&again.moments()) {
                let (_, after) = open(&Memory::with(&left)).expect("a crash is no damage");
                let which = which(&after, &models);
                assert!(which == [at] || which == [at + 1], "{which:?}: {after:?}");
            }
        }
    }
    assert!(unfinished > 10, "{unfinished}");
}

/// What a dead process has not flushed is still with the operating system. The next one builds on it, so it flushes all of that first;
/// then the machine goes down.
#[test]
fn what_a_dead_process_has_left_is_flushed_before_it_counts() {
    let batches = script::story();
    let models = models(&batches);
    let mut steps = 0;
    while let Some((disk, at)) = died(&batches, steps) {
        steps += 1;
        let (mut engine, found) = open(&disk).expect("the machine is up");
        disk.record();
        disk.mark(0);
        let found = which(&found, &models);
        let next = found.iter().rev().copied().find(|it| [at, at + 1].contains(it));
        let next = next.unwrap_or_else(|| panic!("step {steps} in batch {at}: {found:?}"));
        if let Some(batch) = batches.get(next) {
            engine.write(batch).expect("the disk is good");
        }
        for left in different(&disk.moments()) {
            let (_, after) = open(&Memory::with(&left)).expect("a crash is no damage");
            let which = which(&after, &models);
            assert!(
                which.contains(&next) || which.contains(&(next + 1)),
                "step {steps} in batch {at}: {next} was found, then {which:?}: {after:?}"
            );
        }
    }
    assert!(steps > 50, "{steps}");
}

/// The directory of a process that died after so many steps, and the batch it was about to write; none if it came to its end.
fn died(batches: &[Vec<Write>], steps: usize) -> Option<(Memory, usize)> {
    let disk = Memory::default();
    let (mut engine, _) = open(&disk).expect("it is empty");
    let mut done = 0;
    disk.rule(move |_, _| {
        done += 1;
        (done > steps).then_some(ErrorKind::Other)
    });
    let at = batches.iter().position(|batch| engine.write(batch).is_err())?;
    drop(engine);
    disk.no_rule();
    Some((disk, at))
}

/// Of a segment without entries nobody needs anything, but for the frame that is the log's end until the next one is flushed.
#[test]
fn the_end_of_the_log_is_not_given_up_before_there_is_another() {
    let disk = Memory::default();
    let ahead = Options { prepare_ahead: true, ..options() };
    let (mut engine, _) = open_with(&disk, ahead).expect("it is empty");
    let bootstrap = &script::story()[..3];
    bootstrap.iter().for_each(|batch| engine.write(batch).expect("the disk is good"));
    disk.rule(|step, name| {
        (step == Step::Write && name == "log-0000000000000002").then_some(ErrorKind::Other)
    });
    // The process dies before the first frame of the second segment is there, and the next one has been prepared.
    while engine.write(&[script::nothing(9)]).is_ok() {}
    drop(engine);
    disk.no_rule();
    assert!(disk.contents().contains_key("log-0000000000000003"), "none was prepared");
    let (_, found) = open(&disk).expect("a crash is no damage");
    holds(&found, models(bootstrap).last().expect("there is one")).unwrap();
}

/// Where flushes are left out, a crash of the machine costs the log, never a promise; after a clean end it costs nothing. Be the
/// directory new, or one in which all was flushed so far.
#[test]
fn a_crash_of_the_machine_after_flushes_were_left_out_costs_no_promise() {
    let batches = script::story();
    let (models, end) = (models(&batches), batches.len());
    let lazy = |boot: &str| Options { durability: Durability::None, boot: Some(boot.into()), ..options() };
    for begin in 0..end {
        let disk = Memory::default();
        let (mut engine, _) = open(&disk).expect("it is empty");
        batches[..begin].iter().for_each(|batch| engine.write(batch).expect("the disk is good"));
        drop(engine);
        disk.record();
        disk.mark(begin);
        let (mut engine, _) = open_with(&disk, lazy("one")).expect("it was left in order");
        for (batch, index) in batches[begin..].iter().zip(begin..) {
            disk.mark(index);
            engine.write(batch).expect("the disk is good");
        }
        disk.mark(end);
        engine.close().expect("the disk is good");
        disk.mark(end + 1);
        for moment in disk.moments() {
            // A choice of what the disk has kept makes no difference before the end, when the log is lost in any case.
            let images = if moment.mark < end { vec![moment.flushed()] } else { moment.images() };
            for image in images {
                let (_, found) = open_with(&image, lazy("another")).expect("a crash is no damage");
                let told = moment.mark.min(end)..=(moment.mark + 1).min(end);
                let at = format!("{begin}, {}: {found:?}", moment.mark);
                match found.log {
                    LogState::Lost => {
                        assert!(models[told].iter().any(|model| model.record == found.record), "{at}");
                        assert!(moment.mark <= end, "a clean end cost the log: {at}");
                    }
                    LogState::Intact => {
                        assert!(told.into_iter().any(|it| which(&found, &models).contains(&it)), "{at}")
                    }
                }
            }
        }
    }
}

/// The options of a test and of a program differ in nothing that matters here.
#[test]
fn the_segments_of_these_tests_hold_several_frames_and_are_used_again() {
    let disk = Memory::default();
    let (mut engine, _) = open(&disk).expect("it is empty");
    let mut sizes = Vec::new();
    for batch in script::story() {
        engine.write(&batch).expect("the disk is good");
        sizes.push(
            disk.contents().keys().filter(|name| name.starts_with("log-")).cloned().collect::<Vec<_>>(),
        );
    }
    let first = &sizes[0][0];
    assert!(sizes.iter().any(|names| names.len() > 1), "one segment was enough");
    assert!(!sizes.last().expect("there are some").contains(first), "none was given up");
    assert!(options().segment_bytes > 2048);
}
