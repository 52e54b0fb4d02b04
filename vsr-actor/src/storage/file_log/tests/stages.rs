//! A state on its way to the disk.

use super::{
    super::stage::{BUFFER, FileStage, UNFLUSHED_MAX},
    memory::{Memory, Step},
};
use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

#[test]
fn a_large_state_is_flushed_as_it_is_written() {
    let (disk, most) = (Memory::default(), Arc::new(AtomicU64::new(0)));
    let (seen, mut unflushed) = (most.clone(), 0);
    let flushed = disk.clone();
    disk.rule(move |step, name| {
        match step {
            Step::Write if name.starts_with("stage-") => unflushed += BUFFER as u64,
            Step::Sync if name.starts_with("stage-") => unflushed = 0,
            _ => {}
        }
        seen.fetch_max(unflushed, Ordering::Relaxed);
        None
    });
    let mut stage = FileStage::new(Arc::new(disk));
    // And some more than what is flushed together.
    stage.write_all(&[7]).expect("no rule forbids it");
    for _ in 0..5 * UNFLUSHED_MAX / BUFFER as u64 {
        stage.write_all(&[7; BUFFER]).expect("no rule forbids it");
    }
    let state = stage.finish_file().expect("no rule forbids it");
    assert_eq!(state.len(), 5 * UNFLUSHED_MAX + 1);
    flushed.record();
    flushed.mark(0);
    assert_eq!(flushed.moments()[0].images().len(), 2, "only its name is not flushed");
    assert_eq!(most.load(Ordering::Relaxed), UNFLUSHED_MAX);
}
