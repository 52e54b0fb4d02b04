//! Two copies of the record, each with a checksum and the number of the write it is from. The second is written when the first
//! is flushed: a crash damages one at most, and the other says what was promised (rule F4).

use vsr_core::Record;

/// What is found where a copy should be.
#[derive(Clone, Debug, Default)]
pub(super) enum Slot {
    /// Zeros: the storage was never used.
    #[default]
    Blank,
    /// A record.
    Valid { sequence: u64, record: Record },
    /// Part of a record: a crash came in between.
    Torn,
    /// A record whose bits have turned. An engine cannot tell the two apart; we can tell whose fault it is.
    Rotten,
}

impl Slot {
    fn sequence(&self) -> Option<u64> {
        match self {
            Self::Valid { sequence, .. } => Some(*sequence),
            Self::Blank | Self::Torn | Self::Rotten => None,
        }
    }
}

/// Both copies cannot be read: nobody knows what this replica has promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

/// The two copies.
#[derive(Clone, Debug, Default)]
pub(super) struct Slots(pub(super) [Slot; 2]);

impl Slots {
    /// The newest record that can be read.
    pub(super) fn newest(&self) -> Result<Option<(u64, &Record)>, Unreadable> {
        let valid = |slot| match slot {
            &Slot::Valid { sequence, ref record } => Some((sequence, record)),
            Slot::Blank | Slot::Torn | Slot::Rotten => None,
        };
        let newest = self.0.iter().filter_map(valid).max_by_key(|(sequence, _)| *sequence);
        match (&newest, &self.0) {
            (Some(_), _) => Ok(newest),
            // The second is blank as long as the first was never flushed: nothing was promised yet.
            (None, [_, Slot::Blank]) => Ok(None),
            (None, _) => Err(Unreadable),
        }
    }

    /// Whether both copies say the same.
    pub(super) fn agree(&self) -> bool {
        self.0[0].sequence() == self.0[1].sequence() && !matches!(self.0[0], Slot::Torn | Slot::Rotten)
    }
}
