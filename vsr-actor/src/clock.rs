//! The clocks a replica is given.

use std::time::{SystemTime, UNIX_EPOCH};
use tokio::time::Instant;
use vsr_core::{Now, Time};

/// Both clocks, bound together at one instant: the time of day moves on with tokio's clock, so that a paused clock stops both.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    epoch: Instant,
    unix: u64,
}

impl Clock {
    pub(crate) fn new() -> Self {
        let unix =
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| nanoseconds(since.as_nanos()));
        Self { epoch: Instant::now(), unix }
    }

    pub(crate) fn now(&self) -> Now {
        let elapsed = nanoseconds(self.epoch.elapsed().as_nanos());
        Now { monotonic: Time(elapsed), unix: self.unix.saturating_add(elapsed) }
    }

    /// The instant of a time of the replica; far ones are a day away.
    pub(crate) fn instant(&self, time: Time) -> Instant {
        const FAR: u64 = 24 * 3600 * 1_000_000_000;
        let now = nanoseconds(self.epoch.elapsed().as_nanos());
        self.epoch + std::time::Duration::from_nanos(time.0.min(now.saturating_add(FAR)))
    }
}

fn nanoseconds(wide: u128) -> u64 {
    u64::try_from(wide).unwrap_or(u64::MAX)
}
