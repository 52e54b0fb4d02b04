//! What the log says about an operation beside its bytes, and what the store remembers of that.

use vsr_actor::Commit;

/// Where and when an operation is executed: the same on every replica.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Nanoseconds since 1970 by the log's time.
    pub timestamp: u64,
    /// Its place in the log.
    pub op: u64,
}

const NANOSECONDS: u64 = 1_000_000;

impl Moment {
    /// The time in milliseconds, as deadlines are kept.
    #[must_use]
    pub fn milliseconds(self) -> u64 {
        self.timestamp / NANOSECONDS
    }

    /// The first timestamp that reaches a deadline in milliseconds.
    pub(super) fn timestamp_of(milliseconds: u64) -> u64 {
        milliseconds.saturating_mul(NANOSECONDS)
    }
}

impl From<&Commit> for Moment {
    fn from(commit: &Commit) -> Self {
        Self { timestamp: commit.timestamp, op: commit.op.0 }
    }
}

/// What a key was when it was watched. Whatever happens to the key gives it another one, for good: a key that was removed and written
/// again, or written and removed again, does not pass for unchanged.
///
/// It is the op of the last change, and whether the key was there. Of keys that are gone a shard keeps the latest such op, one number for
/// all of them: so nothing is kept of a single one, at the price that a missing key may, once in many thousand removals of others, seem
/// changed though it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version(u64);

impl Version {
    pub(super) fn present(changed: u64) -> Self {
        Self(changed << 1 | 1)
    }

    pub(super) fn absent(changed: u64) -> Self {
        Self(changed << 1)
    }

    pub(super) fn number(self) -> u64 {
        self.0
    }

    pub(super) fn from_number(number: u64) -> Self {
        Self(number)
    }
}
