//! How long to wait before something is tried again.

use crate::config::mix;
use std::time::Duration;

/// Doubles from attempt to attempt; up to a quarter shorter by chance, so that not all come at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    min: Duration,
    max: Duration,
    step: Duration,
    wait: Duration,
    random: u64,
}

impl Backoff {
    pub(crate) fn new(min: Duration, max: Duration, seed: u64) -> Self {
        let mut backoff = Self { min, max, step: min, wait: min, random: seed };
        backoff.set(min);
        backoff
    }

    /// How long to wait for the next attempt.
    pub(crate) fn wait(&self) -> Duration {
        self.wait
    }

    /// An attempt was good.
    pub(crate) fn reset(&mut self) {
        self.set(self.min);
    }

    /// One was not.
    pub(crate) fn grow(&mut self) {
        self.set(self.step.saturating_mul(2).min(self.max));
    }

    /// One was not, and none will be soon.
    pub(crate) fn exhaust(&mut self) {
        self.set(self.max);
    }

    fn set(&mut self, step: Duration) {
        self.random = mix(self.random);
        self.step = step;
        self.wait = step - step.mul_f64((self.random % 1024) as f64 / 4096.0);
    }
}
