//! Tests a storage of your own: a [`LogStorage`], and what it leaves when it is dropped.
//!
//! The protocol is safe only if a storage keeps its word: what it reported is there when it is opened again, in order, and each write
//! whole or not at all. [`Check`] has one name for each of its duties, and the macro
//! [`storage_conformance!`](crate::storage_conformance!) makes a test of each, so that a failure has its name:
//!
//! ```
//! # // The macro makes tests; they are run in tests/it/storages.
//! use vsr_actor::MemoryStorage;
//! use vsr_test::storage_conformance::Place;
//!
//! #[derive(Default)]
//! struct Memory(MemoryStorage);
//!
//! impl Place for Memory {
//!     type Storage = MemoryStorage;
//!     fn storage(&mut self) -> MemoryStorage { self.0.clone() }
//!     fn lose_log(&mut self) -> bool { self.0.lose_log(); true }
//! }
//!
//! vsr_test::storage_conformance!(|| Memory::default());
//! # fn main() {}
//! ```
//!
//! A drop is what a crash of the process is to a storage: the checks drop it between its writes and in the middle of them. What a crash of
//! the machine leaves of a file, and what a disk may do to it, they cannot know: docs/storage.md tells how the project tests its own.

mod any;
mod bench;
mod checks;
mod writes;

pub use crate::transport_conformance::Failure;

use vsr_actor::LogStorage;

/// What is tested: where a storage keeps what it is given.
pub trait Place: Send {
    /// The storage.
    type Storage: LogStorage;

    /// A storage on this place, as the next process makes it: the one before was dropped.
    fn storage(&mut self) -> Self::Storage;

    /// Takes the log away, or part of it, but not the record; nobody uses it meanwhile. A storage that cannot lose one without the other
    /// leaves that out, and is not checked for what it says then.
    fn lose_log(&mut self) -> bool {
        false
    }
}

/// Calls a macro with all checks.
#[doc(hidden)]
#[macro_export]
macro_rules! __each_storage_check {
    ($then:ident!($($arguments:tt)*)) => {
        $crate::$then! {
            ($($arguments)*)
            WhatWasWrittenIsThere what_was_written_is_there
            "What was reported as durable is there when the storage is opened again: record, snapshot, entries, commit-number. Entries above `truncate_above` are gone; those up to `trim_through` may be.",
            AllAtOnce all_at_once
            "Writes may be handed over one after the other without waiting. They count in their order.",
            EveryWriteIsReported every_write_is_reported
            "Each write is reported, one that holds nothing, too: `Appended::Done`, or `Persisted::advance` later. Numbers begin again with each start.",
            DroppedAtAnyPoint dropped_at_any_point
            "Dropped at any moment, each write is there whole or not at all, none without those before it, and all that were reported. The place can be opened again at once.",
            AResetTakesThePlaceOfAll a_reset_takes_the_place_of_all
            "A write with `reset` makes everything void but the record, before the rest of it is added.",
            ALostLogIsLostUntilItIsReplaced a_lost_log_is_lost_until_it_is_replaced
            "A log that may have lost something is `LogState::Lost` at each start until a write with `reset` is durable. The record stays, and so do promises that are written meanwhile.",
            SnapshotsAreStagedAndKept snapshots_are_staged_and_kept
            "A stage gives the state that was written to it, several at a time do not mix, and one that is dropped leaves nothing. A snapshot comes back with its state, and can be read in pieces.",
            LargeAndMany large_and_many
            "A write may hold an operation of `Limits::operation_bytes_max`, 4 MiB by default, and hundreds of writes may wait.",
        }
    };
}

/// Makes a `#[tokio::test]` of each [`Check`](crate::storage_conformance::Check) of a storage. The first argument makes a new
/// [`Place`](crate::storage_conformance::Place): `Fn() -> impl Place`. What follows it is given to `#[tokio::test]`.
#[macro_export]
macro_rules! storage_conformance {
    ($make:expr $(, $($settings:tt)*)?) => {
        $crate::__each_storage_check! { __conformance_tests!(
            $crate::storage_conformance::run, $crate::storage_conformance::Check, $make, ($($($settings)*)?)
        ) }
    };
}

crate::__each_storage_check! { __conformance_checks!(
    /// What a storage is checked for.
    Check
) }

/// Runs one check of storages on the places that `make` makes, each a new and empty one.
///
/// # Errors
/// What is wrong with the storage.
pub async fn run<P: Place>(check: Check, make: impl Fn() -> P) -> Result<(), Failure> {
    let make = || -> Box<dyn any::AnyPlace + '_> { Box::new(make()) };
    every_place(check, &make).await
}

async fn every_place(check: Check, make: any::Make<'_>) -> Result<(), Failure> {
    let result = match check {
        Check::WhatWasWrittenIsThere => checks::what_was_written_is_there(make()).await,
        Check::AllAtOnce => checks::all_at_once(make()).await,
        Check::EveryWriteIsReported => checks::every_write_is_reported(make()).await,
        Check::DroppedAtAnyPoint => checks::dropped_at_any_point(make).await,
        Check::AResetTakesThePlaceOfAll => checks::a_reset_takes_the_place_of_all(make()).await,
        Check::ALostLogIsLostUntilItIsReplaced => {
            checks::a_lost_log_is_lost_until_it_is_replaced(make()).await
        }
        Check::SnapshotsAreStagedAndKept => checks::snapshots_are_staged_and_kept(make()).await,
        Check::LargeAndMany => checks::large_and_many(make()).await,
    };
    result.map_err(|what| Failure { check: check.name(), what, duty: check.duty() })
}
