//! How long a client waits before it sends everything again.

use crate::{
    ClientConfig,
    config::{entropy, mix},
};
use std::time::Duration;

/// Doubles from attempt to attempt; up to a quarter shorter by chance, so that clients do not come all at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    config: ClientConfig,
    step: Duration,
    wait: Duration,
    random: u64,
}

impl Backoff {
    pub(super) fn new(config: ClientConfig) -> Self {
        let mut backoff = Self { config, step: config.retry_min, wait: config.retry_min, random: entropy() };
        backoff.set(config.retry_min);
        backoff
    }

    /// How long the next attempt may go without an answer.
    pub(super) fn wait(&self) -> Duration {
        self.wait
    }

    /// There was an answer.
    pub(super) fn reset(&mut self) {
        self.set(self.config.retry_min);
    }

    /// There was none.
    pub(super) fn grow(&mut self) {
        self.set(self.step.saturating_mul(2).min(self.config.retry_max));
    }

    fn set(&mut self, step: Duration) {
        self.random = mix(self.random);
        self.step = step;
        self.wait = step - step.mul_f64((self.random % 1024) as f64 / 4096.0);
    }
}
