//! What a replica and its clients are told before they start.

use crate::backoff::Backoff;
use serde::{Deserialize, Serialize};
use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};
use vsr_core::{ClusterId, GroupId, Limits, ReplicaId, ReplicatedLimits};

/// How a replica and the clients made from it behave: the same for all replicas of a group, but for `seed`.
///
/// ```
/// use std::time::Duration;
/// use vsr_actor::{ClientConfig, Config, ConfigError, Mailboxes};
///
/// let mut config = Config::default();
/// config.heartbeat_interval = Duration::from_millis(20);
/// config.heartbeat_timeout = Duration::from_millis(100);
/// config.validate().expect("the time-out is more than twice the interval");
///
/// let client: &mut ClientConfig = &mut config.client;
/// client.deadline = Duration::from_secs(60);
/// let mailboxes: &mut Mailboxes = &mut config.mailboxes;
/// mailboxes.calls = 0;
/// assert_eq!(config.validate(), Err(ConfigError::Zero { name: "mailboxes.calls" }));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// The cluster the group belongs to.
    pub cluster: ClusterId,
    /// The group the replicas belong to.
    pub group: GroupId,
    /// How often the primary speaks, and how often what got no answer is sent again. Default: 100 ms.
    #[serde(with = "humantime_serde")]
    pub heartbeat_interval: Duration,
    /// How long a backup waits for its primary before it votes to leave the view. Default: 500 ms.
    #[serde(with = "humantime_serde")]
    pub heartbeat_timeout: Duration,
    /// How often the primary of a group speaks that has nothing to do, at least: its interval doubles step by step up to this, backups
    /// wait for it accordingly longer, and whoever wants something brings back the usual pace. With it a dead primary that nobody needs
    /// is missed later, after up to `heartbeat_timeout` times this by `heartbeat_interval`. At most 1024 times `heartbeat_interval`.
    /// Default: none, an idle group speaks like any other.
    #[serde(with = "humantime_serde")]
    pub idle_heartbeat_interval: Option<Duration>,
    /// Bounds that are each replica's own business. Only `operation_bytes_max` should be equal on all: a primary with a smaller one
    /// does not take what a backup forwards to it.
    pub limits: Limits,
    /// Bounds that shape the replicated state: equal on all replicas, and for the life of the group.
    pub replicated: ReplicatedLimits,
    /// Entropy for identities, jitter and nonces. Default: fresh at each start. With a seed, starts in one process are repeatable
    /// as far as the order of tasks is.
    pub seed: Option<u64>,
    /// How much may wait for the replica's task.
    pub mailboxes: Mailboxes,
    /// How long [`VsrServer::init`](crate::VsrServer::init) may take. Default: 10 s.
    #[serde(with = "humantime_serde")]
    pub init_timeout: Duration,
    /// How long [`VsrServer::terminate`](crate::VsrServer::terminate) may take, and the end of spawned work with it. Default: 5 s.
    #[serde(with = "humantime_serde")]
    pub terminate_timeout: Duration,
    /// A callback that takes longer than this is reported: it kept the replica from its heartbeats. Default: 50 ms.
    #[serde(with = "humantime_serde")]
    pub slow_callback: Duration,
    /// How clients behave.
    pub client: ClientConfig,
}

/// Capacity of a replica's lanes, in messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Mailboxes {
    /// Shutdown and other orders of the owner; a full lane makes the owner wait. Default: 64.
    pub control: usize,
    /// Messages of other replicas; what does not fit is dropped, and the protocol repairs it. Default: 1024.
    pub peers: usize,
    /// Clients that have requests, each once; a full lane makes them wait. Default: 4096.
    pub clients: usize,
    /// Reads of clients beside the log; a full lane makes them wait. Default: 4096.
    pub reads: usize,
    /// Calls, casts and infos of a [`VsrServer`](crate::VsrServer); a full lane makes senders wait. Default: 1024.
    pub calls: usize,
}

/// What a client does when nobody says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ClientConfig {
    /// How long a request may take before its caller gets an error. Default: 10 s.
    #[serde(with = "humantime_serde")]
    pub deadline: Duration,
    /// How long the first attempt may go without an answer before everything unanswered is sent again. Default: 100 ms.
    #[serde(with = "humantime_serde")]
    pub retry_min: Duration,
    /// Bound of the doubling of `retry_min`. Default: 1 s.
    #[serde(with = "humantime_serde")]
    pub retry_max: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            cluster: ClusterId(0),
            group: GroupId(0),
            heartbeat_interval: Duration::from_millis(100),
            heartbeat_timeout: Duration::from_millis(500),
            idle_heartbeat_interval: None,
            limits: Limits::default(),
            replicated: ReplicatedLimits::default(),
            seed: None,
            mailboxes: Mailboxes::default(),
            init_timeout: Duration::from_secs(10),
            terminate_timeout: Duration::from_secs(5),
            slow_callback: Duration::from_millis(50),
            client: ClientConfig::default(),
        }
    }
}

impl Default for Mailboxes {
    fn default() -> Self {
        Self { control: 64, peers: 1024, clients: 4096, reads: 4096, calls: 1024 }
    }
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(10),
            retry_min: Duration::from_millis(100),
            retry_max: Duration::from_secs(1),
        }
    }
}

impl ClientConfig {
    pub(crate) fn backoff(&self) -> Backoff {
        Backoff::new(self.retry_min, self.retry_max, entropy())
    }
}

impl Config {
    /// Checks every rule a configuration must keep, before anything starts.
    ///
    /// # Errors
    /// The first broken rule, by name and with the values that break it.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let lanes = [
            ("mailboxes.control", self.mailboxes.control),
            ("mailboxes.peers", self.mailboxes.peers),
            ("mailboxes.clients", self.mailboxes.clients),
            ("mailboxes.reads", self.mailboxes.reads),
            ("mailboxes.calls", self.mailboxes.calls),
        ];
        if let Some((name, _)) = lanes.into_iter().find(|(_, capacity)| *capacity == 0) {
            return Err(ConfigError::Zero { name });
        }
        if let Some((name, value)) = lanes.into_iter().find(|(_, capacity)| *capacity > LANE_MAX) {
            return Err(ConfigError::TooLarge { name, value, max: LANE_MAX });
        }
        let ClientConfig { deadline, retry_min, retry_max } = self.client;
        let times = [
            ("client.deadline", deadline),
            ("init_timeout", self.init_timeout),
            ("terminate_timeout", self.terminate_timeout),
        ];
        if let Some((name, _)) = times.into_iter().find(|(_, time)| time.is_zero()) {
            return Err(ConfigError::Zero { name });
        }
        if retry_min.is_zero() || retry_max < retry_min {
            return Err(ConfigError::Retries { retry_min, retry_max });
        }
        let only = ReplicaId(0);
        Ok(self.core(only, vec![only], 0).validate()?)
    }

    /// Lets an idle group become quiet, where nothing was said about that: as far as the rules allow.
    pub(crate) fn quiet_by_default(&mut self, interval: Duration) {
        const DOUBLINGS_MAX: u32 = 1024;
        let (usual, most) = (self.heartbeat_interval, self.heartbeat_interval.saturating_mul(DOUBLINGS_MAX));
        self.idle_heartbeat_interval.get_or_insert(interval.clamp(usual, most));
    }

    /// What the protocol is told.
    pub(crate) fn core(&self, replica: ReplicaId, members: Vec<ReplicaId>, seed: u64) -> vsr_core::Config {
        let mut core = vsr_core::Config::new(replica, members);
        core.cluster = self.cluster;
        core.group = self.group;
        core.heartbeat_interval = self.heartbeat_interval;
        core.heartbeat_timeout = self.heartbeat_timeout;
        core.idle_heartbeat_interval = self.idle_heartbeat_interval;
        core.limits = self.limits.clone();
        core.replicated = self.replicated;
        core.seed = seed;
        core
    }

    /// The seed of one start of one replica: never the same twice unless the configuration says so.
    pub(crate) fn seed_of(&self, replica: ReplicaId, start: u64) -> u64 {
        let base = self.seed.unwrap_or_else(entropy);
        mix(mix(base ^ u64::from(replica.0)) ^ start)
    }
}

/// Beyond this a mailbox is no bound.
pub(crate) const LANE_MAX: usize = 1 << 24;

/// 64 bits that differ between calls and processes. Good for identities, not for secrets.
pub(crate) fn entropy() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

/// Spreads the bits of a number: splitmix64.
pub(crate) fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Which rule a configuration breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Something is zero that must not be.
    #[error("{name} must be positive")]
    Zero {
        /// Its name.
        name: &'static str,
    },
    /// A bound that is none.
    #[error("{name} is {value}, at most {max} makes sense")]
    TooLarge {
        /// Its name.
        name: &'static str,
        /// As configured.
        value: usize,
        /// The largest value.
        max: usize,
    },
    /// The bounds of the client's retries do not fit together.
    #[error(
        "client.retry_min must be positive and at most client.retry_max; they are {retry_min:?} and {retry_max:?}"
    )]
    Retries {
        /// As configured.
        retry_min: Duration,
        /// As configured.
        retry_max: Duration,
    },
    /// The bounds of a supervisor's back-off do not fit together.
    #[error(
        "backoff_min must be positive and at most backoff_max; they are {backoff_min:?} and {backoff_max:?}"
    )]
    Backoff {
        /// As configured.
        backoff_min: Duration,
        /// As configured.
        backoff_max: Duration,
    },
    /// A rule of the protocol.
    #[error(transparent)]
    Protocol(#[from] vsr_core::ConfigError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid() {
        assert_eq!(Config::default().validate(), Ok(()));
    }

    #[test]
    fn a_broken_rule_is_named() {
        let mut config = Config { heartbeat_timeout: Duration::from_millis(150), ..Config::default() };
        let told = config.validate().expect_err("less than two intervals").to_string();
        assert!(told.contains("heartbeat_interval") && told.contains("150ms"), "{told}");
        config = Config { idle_heartbeat_interval: Some(Duration::from_millis(50)), ..Config::default() };
        let told = config.validate().expect_err("less than the usual interval").to_string();
        assert!(told.contains("idle_heartbeat_interval") && told.contains("50ms"), "{told}");
        config = Config::default();
        config.mailboxes.peers = 0;
        assert_eq!(config.validate(), Err(ConfigError::Zero { name: "mailboxes.peers" }));
        config.mailboxes.peers = usize::MAX;
        let told = config.validate().expect_err("no channel is that long").to_string();
        assert!(told.contains("mailboxes.peers"), "{told}");
        config = Config::default();
        config.client.retry_max = Duration::from_millis(1);
        assert!(matches!(config.validate(), Err(ConfigError::Retries { .. })));
    }

    #[test]
    fn seeds_differ_by_replica_and_start_and_repeat() {
        let mut config = Config::default();
        assert_ne!(config.seed_of(ReplicaId(0), 0), config.seed_of(ReplicaId(0), 0));
        config.seed = Some(7);
        assert_eq!(config.seed_of(ReplicaId(0), 0), config.seed_of(ReplicaId(0), 0));
        assert_ne!(config.seed_of(ReplicaId(0), 0), config.seed_of(ReplicaId(1), 0));
        assert_ne!(config.seed_of(ReplicaId(0), 0), config.seed_of(ReplicaId(0), 1));
    }
}
