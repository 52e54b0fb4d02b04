//! The clocks of one machine: they drift, jump and stop. Safety must not care what they show.

use super::Course;
use vsr_core::{Now, Time};

/// 2026-01-01.
pub(crate) const UNIX_START: u64 = 1_767_225_600_000_000_000;

const MILLION: u64 = 1_000_000;

/// `value * by / of`, rounded down. The product alone may not fit; in two parts it does, and no wide division is needed.
fn scaled(value: u64, by: u64, of: u64) -> u64 {
    value / of * by + value % of * by / of
}

/// What clocks show, as a function of the true time: a straight line from where they were touched last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    /// They have been running since this true time; before it they stand still.
    running_since: u64,
    monotonic: u64,
    unix: u64,
    ppm: u64,
}

impl Clock {
    pub(super) fn new(monotonic: u64, unix_skew: u64, ppm: u64) -> Self {
        Self { running_since: 0, monotonic, unix: UNIX_START + unix_skew, ppm }
    }

    pub(super) fn now(&self, at: u64) -> Now {
        let elapsed = at.saturating_sub(self.running_since);
        let drift = scaled(elapsed, self.ppm, MILLION);
        Now { monotonic: Time(self.monotonic + elapsed + drift), unix: self.unix + elapsed }
    }

    /// The true time at which the monotonic clock shows `time`, or a little later; 0 if it always did.
    pub(super) fn when(&self, time: Time) -> u64 {
        match time.0.checked_sub(self.monotonic) {
            None | Some(0) => 0,
            Some(ahead) => {
                let elapsed = scaled(ahead, MILLION, MILLION + self.ppm);
                self.running_since.saturating_add(elapsed).saturating_add(1)
            }
        }
    }

    /// Goes on from what they show at `at`.
    fn settle(&mut self, at: u64) {
        let now = self.now(at);
        (self.monotonic, self.unix) = (now.monotonic.0, now.unix);
        self.running_since = self.running_since.max(at);
    }

    fn stop(&mut self, at: u64, length: u64) {
        self.settle(at);
        self.running_since = at + length;
    }

    pub(super) fn resume(&mut self, at: u64) {
        self.settle(at);
        self.running_since = at;
    }

    fn jump(&mut self, at: u64, ahead: u64) {
        self.settle(at);
        self.monotonic += ahead;
    }

    fn set_unix(&mut self, at: u64, by: i64) {
        self.settle(at);
        self.unix = self.unix.saturating_add_signed(by);
    }
}

impl Course {
    /// Something happens to the clocks of a machine: both stop for a while, the monotonic one jumps ahead, or somebody sets the
    /// time of day, forward or back.
    pub(super) fn disturb_clock(&mut self, replica: usize) {
        let (now, timeout) = (self.now, self.swarm.heartbeat_timeout);
        let clock = &mut self.sites[replica].clock;
        match self.prng.below(3) {
            0 => clock.stop(now, self.prng.delay(self.swarm.outage_mean)),
            1 => clock.jump(now, self.prng.below(timeout * 4)),
            _ => {
                let largest = timeout << (8 * self.prng.below(3));
                let size = self.prng.below(largest) as i64;
                clock.set_unix(now, if self.prng.chance(500) { size } else { -size });
            }
        }
        self.world
            .trace
            .note(|| format!("{now}: the clocks of R{replica} are now {:?}", self.sites[replica].clock));
        self.schedule_timer(replica);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_comes_when_the_clock_shows_it_and_little_later() {
        let mut clock = Clock::new(1000, 0, 20_000);
        clock.jump(500, 70);
        clock.stop(2000, 300);
        for (at, deadline) in [(0, 5000), (2100, 90_000), (2400, 3_000_000)] {
            let when = clock.when(Time(deadline));
            assert!(when > at && clock.now(when).monotonic >= Time(deadline));
            assert!(clock.now(when - 3).monotonic < Time(deadline));
        }
    }

    #[test]
    fn scaling_in_two_parts_is_exact() {
        for value in [0, 1, 999_999, 1_000_001, 1 << 40, u64::MAX] {
            let wide = u128::from(value) * 1_000_000 / 1_020_000;
            assert_eq!(u128::from(scaled(value, MILLION, MILLION + 20_000)), wide);
        }
    }

    #[test]
    fn clocks_stop_jump_and_go_on() {
        let mut clock = Clock::new(1000, 0, 0);
        clock.stop(10, 50);
        assert_eq!(clock.now(10), clock.now(60));
        assert_eq!(clock.when(clock.now(60).monotonic), 0, "what is due is due while the clock stands");
        clock.resume(20);
        assert_eq!(clock.now(25).monotonic, Time(1015));
        clock.set_unix(25, -7);
        assert_eq!(clock.now(30), Now { monotonic: Time(1020), unix: UNIX_START + 13 });
        clock.jump(30, 100);
        assert_eq!(clock.now(31).monotonic, Time(1121));
    }
}
