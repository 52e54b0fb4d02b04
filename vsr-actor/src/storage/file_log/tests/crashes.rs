//! Every crash, at every step, with every choice of what the disk has kept of what was not flushed.

use super::{holds, memory::Memory, models, open, options, script};
use vsr_core::{LogState, Restored};

/// Which of the models it is; none if it is none of them.
fn which(found: &Restored, models: &[Restored]) -> Vec<usize> {
    (0..models.len()).filter(|index| holds(found, &models[*index]).is_ok()).collect()
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
    let mut images = 0;
    for moment in disk.moments() {
        for image in moment.images() {
            images += 1;
            let at = moment.mark;
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
    assert!(images > 1000, "{images} images");
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
