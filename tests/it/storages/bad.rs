//! Storages with one fault each: the check that is there for it finds it, and says so.

use std::{
    io,
    sync::{Arc, Mutex},
};
use vsr_actor::{
    Appended, LogStorage, MemoryStage, MemoryStorage, Persisted, Stage, StorageError,
    vsr_core::{Entries, LogState, OpNumber, Restored, State, Write},
};
use vsr_test::storage_conformance::{Check, Place, run};

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// Keeps the record that it has.
    KeepsFirstRecord,
    /// Keeps entries that another view has replaced.
    LeavesOldTail,
    /// Gives up one entry more than it may.
    TrimsTooMuch,
    /// Forgets the commit-number.
    ForgetsCommit,
    /// Does not replace the log that was there.
    IgnoresReset,
    /// Says that a write is durable when it has it.
    TellsTooSoon,
    /// Says nothing of writes that hold nothing.
    SilentAboutNothing,
    /// Makes durable the record, and later the rest.
    TearsWrites,
    /// The latest of two that wait goes first.
    LastFirst,
    /// Takes a lost log for an empty one.
    LostIsEmpty,
    /// Has its log back after the second start.
    LostOnce,
    /// Has one place for all stages.
    MixesStages,
    /// Cuts what is large.
    CutsLarge,
    /// Cannot be opened again while a write is under way.
    StaysLocked,
}

/// What a crash leaves.
#[derive(Clone, Default)]
struct Kept {
    storage: MemoryStorage,
    starts_since_loss: Arc<Mutex<Option<u32>>>,
    locked: Arc<Mutex<bool>>,
}

struct BadPlace {
    fault: Fault,
    kept: Kept,
}

/// Holds the latest write back until another one comes, or until all are waited for.
struct Bad {
    fault: Fault,
    kept: Kept,
    held: Arc<Mutex<Vec<Write>>>,
    persisted: Persisted,
    mixed: Arc<Mutex<Vec<u8>>>,
}

impl BadPlace {
    fn with(fault: Fault) -> impl Fn() -> Self {
        move || Self { fault, kept: Kept::default() }
    }
}

impl Place for BadPlace {
    type Storage = Bad;

    fn storage(&mut self) -> Bad {
        let (fault, kept) = (self.fault, self.kept.clone());
        Bad { fault, kept, held: Arc::default(), persisted: Persisted::default(), mixed: Arc::default() }
    }

    fn lose_log(&mut self) -> bool {
        self.kept.storage.lose_log();
        *self.kept.starts_since_loss.lock().unwrap() = Some(0);
        true
    }
}

impl Bad {
    /// Makes durable what is held. It happens when the test waits, in a task of its own.
    fn later(&self) {
        let (fault, mut storage, held) = (self.fault, self.kept.storage.clone(), self.held.clone());
        let (persisted, locked) = (self.persisted.clone(), self.kept.locked.clone());
        *locked.lock().unwrap() = true;
        let alive = Arc::downgrade(&self.held);
        drop(held);
        tokio::spawn(async move {
            if fault == Fault::TearsWrites
                && let Some(held) = alive.upgrade()
            {
                let records: Vec<_> =
                    held.lock().unwrap().iter().filter_map(|write| write.record.clone()).collect();
                for record in records {
                    storage.append(Write { record: Some(record), ..empty() }).unwrap();
                }
                drop(held);
                tokio::task::yield_now().await;
            }
            // Gone with its owner.
            let Some(held) = alive.upgrade() else { return };
            let mut writes = std::mem::take(&mut *held.lock().unwrap());
            if fault == Fault::LastFirst {
                writes.reverse();
            }
            for write in writes {
                let id = write.id;
                storage.append(write).unwrap();
                persisted.advance(id);
            }
            *locked.lock().unwrap() = false;
        });
    }

    fn spoil(&self, mut write: Write) -> Write {
        match self.fault {
            Fault::LeavesOldTail => write.truncate_above = None,
            Fault::TrimsTooMuch => {
                write.trim_through = write.trim_through.map(|through| OpNumber(through.0 + 1));
            }
            Fault::ForgetsCommit => write.commit = OpNumber(0),
            Fault::IgnoresReset => write.reset = false,
            Fault::CutsLarge => write.entries.retain(|entry| entry.bytes() < 1 << 20),
            _ => {}
        }
        write
    }
}

fn empty() -> Write {
    Write {
        id: Default::default(),
        record: None,
        reset: false,
        snapshot: None,
        truncate_above: None,
        entries: Entries::new(),
        trim_through: None,
        commit: OpNumber(0),
    }
}

#[async_trait::async_trait]
impl LogStorage for Bad {
    async fn open(&mut self, persisted: Persisted) -> Result<Restored, StorageError> {
        if self.fault == Fault::StaysLocked && *self.kept.locked.lock().unwrap() {
            return Err(StorageError::new("somebody is still writing"));
        }
        let mut restored = self.kept.storage.open(persisted.clone()).await?;
        self.persisted = persisted;
        let mut starts = self.kept.starts_since_loss.lock().unwrap();
        if let Some(starts) = &mut *starts {
            *starts += 1;
            if self.fault == Fault::LostIsEmpty || self.fault == Fault::LostOnce && *starts > 1 {
                restored.log = LogState::Intact;
            }
        }
        Ok(restored)
    }

    fn append(&mut self, write: Write) -> Result<Appended, StorageError> {
        let mut write = self.spoil(write);
        if self.fault == Fault::KeepsFirstRecord && write.id.boot > 1 {
            write.record = None;
        }
        let nothing = write.record.is_none() && write.entries.is_empty() && write.snapshot.is_none();
        if self.fault == Fault::SilentAboutNothing && nothing {
            return Ok(Appended::Pending);
        }
        self.held.lock().unwrap().push(write);
        self.later();
        Ok(if self.fault == Fault::TellsTooSoon { Appended::Done } else { Appended::Pending })
    }

    fn stage(&mut self) -> Box<dyn Stage> {
        match self.fault {
            Fault::MixesStages => Box::new(Mixed(self.mixed.clone())),
            _ => Box::new(MemoryStage::default()),
        }
    }
}

struct Mixed(Arc<Mutex<Vec<u8>>>);

impl io::Write for Mixed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stage for Mixed {
    fn finish(self: Box<Self>) -> io::Result<State> {
        Ok(self.0.lock().unwrap().clone().into())
    }
}

/// The check fails with that in its message; the same storage without the fault passes it.
async fn catches(check: Check, fault: Fault, told: &str) {
    run(check, BadPlace::with(Fault::None)).await.expect("nothing is wrong");
    let failure = run(check, BadPlace::with(fault)).await.expect_err("it is broken");
    assert_eq!(failure.check, check.name());
    let text = failure.to_string();
    assert!(text.contains(told) && text.contains(check.duty()), "{text}");
}

macro_rules! caught {
    ($($name:ident: $check:ident $fault:ident $told:literal,)*) => {
        $(
            #[tokio::test(start_paused = true)]
            async fn $name() {
                catches(Check::$check, Fault::$fault, $told).await;
            }
        )*
    };
}

caught! {
    one_that_keeps_the_first_record: WhatWasWrittenIsThere KeepsFirstRecord "was reported, and only",
    one_that_leaves_an_old_tail: WhatWasWrittenIsThere LeavesOldTail "the entries are",
    one_that_trims_too_much: WhatWasWrittenIsThere TrimsTooMuch "the entries are",
    one_that_forgets_the_commit_number: WhatWasWrittenIsThere ForgetsCommit "the commit-number is",
    one_that_swaps_writes: AllAtOnce LastFirst "not what",
    one_that_says_nothing_of_nothing: EveryWriteIsReported SilentAboutNothing "nothing after write",
    one_that_speaks_too_soon: DroppedAtAnyPoint TellsTooSoon "was reported, and only",
    one_that_tears_writes: DroppedAtAnyPoint TearsWrites "dropped with",
    one_that_stays_locked: DroppedAtAnyPoint StaysLocked "somebody is still writing",
    one_that_adds_to_the_old_log: AResetTakesThePlaceOfAll IgnoresReset "do not follow one another",
    one_that_takes_a_lost_log_for_an_empty_one: ALostLogIsLostUntilItIsReplaced LostIsEmpty "the log is Intact, and not Lost",
    one_whose_lost_log_comes_back: ALostLogIsLostUntilItIsReplaced LostOnce "the log is Intact, and not Lost",
    one_that_mixes_stages: SnapshotsAreStagedAndKept MixesStages "not what was written to the stage",
    one_that_cuts_what_is_large: LargeAndMany CutsLarge "the entries are",
}
