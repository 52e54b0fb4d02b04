//! What a careless engine would do: rules of the storage that tests can switch off, as they can the protocol's.

use vsr_core::Mutations;

macro_rules! mutations {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// A rule of the storage that can be switched off, named by what is done without it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum StorageMutation { $($(#[$doc])* $name,)* }

        impl StorageMutation {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name in reports.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

mutations! {
    /// F1: say that a write is durable before it was flushed.
    IgnoreFlush = "ignore-flush",
    /// F5: cut a frame with a wrong checksum as if it had never been finished.
    CutCorruptTail = "cut-corrupt-tail",
    /// F5: cut a frame that reads as zeros although a later one knows that it was flushed.
    CutWitnessed = "cut-witnessed",
    /// F5, F8: take a lost log for an empty one.
    LostLogIsEmpty = "lost-log-is-empty",
    /// E1: name a snapshot before its file is flushed.
    SnapshotPointerFirst = "snapshot-pointer-first",
    /// F6: flush again after an error, and believe the answer.
    RetryFailedFlush = "retry-failed-flush",
    /// F4: keep the record in one place only.
    OneSlotCopy = "one-slot-copy",
    /// F4: leave the older of two copies as it is.
    SlotNotRepaired = "slot-not-repaired",
}

/// Which rules of the storage are switched off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StorageMutations(u16);

impl StorageMutations {
    /// Switches one rule off.
    #[must_use]
    pub fn with(self, mutation: StorageMutation) -> Self {
        Self(self.0 | 1 << mutation as u16)
    }

    pub(crate) fn contains(self, mutation: StorageMutation) -> bool {
        self.0 & 1 << mutation as u16 != 0
    }
}

/// All rules that are switched off: the protocol's and the storage's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Switches {
    /// Of the protocol.
    pub core: Mutations,
    /// Of the storage.
    pub storage: StorageMutations,
}

impl From<Mutations> for Switches {
    fn from(core: Mutations) -> Self {
        Self { core, ..Self::default() }
    }
}

impl From<StorageMutations> for Switches {
    fn from(storage: StorageMutations) -> Self {
        Self { storage, ..Self::default() }
    }
}
