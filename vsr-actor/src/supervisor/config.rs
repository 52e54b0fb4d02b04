//! When a supervisor restarts a child, how soon, and when it stops doing so.

use crate::{ConfigError, backoff::Backoff, config::entropy};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use vsr_core::checksum;

/// Which ends of a child are to be followed by a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Restart {
    /// Every end: a child that must be there as long as its supervisor.
    #[default]
    Permanent,
    /// Ends by an error: a child that may come to a good end, by [`Handle::shutdown`](crate::Handle::shutdown) or by itself.
    Transient,
    /// None: a child that is tried once.
    Temporary,
}

impl Restart {
    /// Whether a child is started again that ended well, or with an error.
    pub(super) fn follows(self, failed: bool) -> bool {
        match self {
            Self::Permanent => true,
            Self::Transient => failed,
            Self::Temporary => false,
        }
    }
}

/// How patient a supervisor is. The limits hold for each child by itself.
///
/// ```
/// use std::time::Duration;
/// use vsr_actor::SupervisorConfig;
///
/// let mut config = SupervisorConfig::default();
/// config.restarts_max = 3;
/// config.period = Duration::from_secs(10);
/// config.validate().expect("nothing is zero");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SupervisorConfig {
    /// The wait before the first restart; it doubles with each further one, and begins anew after a `period` without any. Up to a
    /// quarter of it is taken off by chance. Default: 100 ms.
    #[serde(with = "humantime_serde")]
    pub backoff_min: Duration,
    /// Bound of the doubling. Default: 10 s.
    #[serde(with = "humantime_serde")]
    pub backoff_max: Duration,
    /// How many restarts of a child within `period` are followed by another try. Zero: its first end is its last. Default: 5.
    pub restarts_max: u32,
    /// What is longer ago is forgiven. It should be longer than all the waits that `restarts_max` allows, or the limit is never met.
    /// Default: 60 s.
    #[serde(with = "humantime_serde")]
    pub period: Duration,
    /// How long an orderly shutdown of one child may take before it is aborted. Handing a view over takes up to two heartbeat time-outs,
    /// an actor's `terminate` up to [`Config::terminate_timeout`](crate::Config::terminate_timeout). Default: 10 s.
    #[serde(with = "humantime_serde")]
    pub shutdown_timeout: Duration,
    /// Where the chance in the waits comes from. Default: fresh at each start.
    pub seed: Option<u64>,
}

impl Default for SupervisorConfig {
    fn default() -> Self {
        Self {
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(10),
            restarts_max: 5,
            period: Duration::from_secs(60),
            shutdown_timeout: Duration::from_secs(10),
            seed: None,
        }
    }
}

impl SupervisorConfig {
    /// Checks every rule.
    ///
    /// # Errors
    /// The first broken rule, by name and with the values that break it.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let Self { backoff_min, backoff_max, period, shutdown_timeout, .. } = *self;
        if backoff_min.is_zero() || backoff_max < backoff_min {
            return Err(ConfigError::Backoff { backoff_min, backoff_max });
        }
        let times = [("period", period), ("shutdown_timeout", shutdown_timeout)];
        match times.into_iter().find(|(_, time)| time.is_zero()) {
            Some((name, _)) => Err(ConfigError::Zero { name }),
            None => Ok(()),
        }
    }

    /// Children with one seed do not come at once, either.
    pub(super) fn backoff(&self, child: &str) -> Backoff {
        let seed = self.seed.unwrap_or_else(entropy) ^ checksum(child.as_bytes());
        Backoff::new(self.backoff_min, self.backoff_max, seed)
    }
}
