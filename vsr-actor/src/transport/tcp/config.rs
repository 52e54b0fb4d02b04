//! What a TCP transport is told before it starts.

use crate::Config;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use vsr_core::{ClusterId, GroupId, Limits, ReplicaId};

/// Who a [`Tcp`](crate::Tcp) is, whom it talks to, and its bounds.
///
/// ```
/// use std::time::Duration;
/// use vsr_actor::{Config, ReplicaId, TcpConfig};
///
/// let ids = [0, 1, 2].map(ReplicaId);
/// let mut tcp = TcpConfig::new(ids[0], ids);
/// tcp.dial_timeout = Duration::from_secs(1);
/// tcp.validate().expect("nothing is zero, and the queue holds the largest frame");
///
/// // With the cluster, the group, the limits and the seed that the replica is given:
/// let same = TcpConfig::of(&Config::default(), ids[0], ids);
/// // For the connections of a `Node`, which hosts many groups:
/// let many = TcpConfig::new(ids[0], ids).many_groups();
/// assert!(same.group.is_some() && many.group.is_none());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TcpConfig {
    /// This replica, or node.
    pub id: ReplicaId,
    /// All that may be talked to; this one may be among them. Whoever has another id is refused.
    pub members: Vec<ReplicaId>,
    /// The cluster: a peer of another one is refused. Default: 0, as in [`Config`].
    pub cluster: ClusterId,
    /// The group: a peer of another one is refused. Nothing: the connections carry messages of many groups, and so must the peer's; what
    /// a message is for is for the [`Node`](crate::Node) to know. Default: 0, as in [`Config`].
    pub group: Option<GroupId>,
    /// The largest message, in bytes as `Message::encode` writes it. A larger one is neither sent nor taken. Default: that of [`Limits`].
    pub frame_bytes_max: usize,
    /// How many messages wait for one peer at most; the oldest make room. Default: 4096.
    pub queue_messages_max: usize,
    /// How many bytes they have together at most, about. Default: twice the largest frame.
    pub queue_bytes_max: usize,
    /// How long an address may take to be found, and then to be connected. Default: 3 s.
    #[serde(with = "humantime_serde")]
    pub dial_timeout: Duration,
    /// How long the handshake of a connection may take. Default: 3 s.
    #[serde(with = "humantime_serde")]
    pub handshake_timeout: Duration,
    /// How long a peer may take nothing of what is written to it before its connection is given up. Default: 10 s.
    #[serde(with = "humantime_serde")]
    pub write_timeout: Duration,
    /// A connection on which nothing was written for this long carries an empty frame; one on which nothing came for three times as long
    /// is given up. Default: 5 s.
    #[serde(with = "humantime_serde")]
    pub keep_alive: Duration,
    /// How long to wait after the first attempt to connect that failed; doubled from attempt to attempt, a quarter shorter by chance.
    /// Default: 50 ms.
    #[serde(with = "humantime_serde")]
    pub retry_min: Duration,
    /// Bound of that doubling, and the wait after a peer refused. Default: 5 s.
    #[serde(with = "humantime_serde")]
    pub retry_max: Duration,
    /// How many connections that have not said yet who they are may be open; the oldest makes room for the next. Default: 64.
    pub strangers_max: usize,
    /// How long [`Tcp::shutdown`](crate::Tcp::shutdown) lets what is queued be written. Default: 1 s.
    #[serde(with = "humantime_serde")]
    pub flush_timeout: Duration,
    /// Entropy for the waits between attempts. Default: fresh at each start.
    pub seed: Option<u64>,
}

impl TcpConfig {
    /// The defaults for `id` among `members`.
    #[must_use]
    pub fn new(id: ReplicaId, members: impl IntoIterator<Item = ReplicaId>) -> Self {
        Self::of(&Config::default(), id, members)
    }

    /// The same with what the configuration of a replica says: cluster, group, the largest frame, and the seed.
    #[must_use]
    pub fn of(config: &Config, id: ReplicaId, members: impl IntoIterator<Item = ReplicaId>) -> Self {
        let Limits { frame_bytes_max, .. } = config.limits;
        Self {
            id,
            members: members.into_iter().collect(),
            cluster: config.cluster,
            group: Some(config.group),
            frame_bytes_max,
            queue_messages_max: 4096,
            queue_bytes_max: frame_bytes_max.saturating_mul(2),
            dial_timeout: Duration::from_secs(3),
            handshake_timeout: Duration::from_secs(3),
            write_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(5),
            retry_min: Duration::from_millis(50),
            retry_max: Duration::from_secs(5),
            strangers_max: 64,
            flush_timeout: Duration::from_secs(1),
            seed: config.seed,
        }
    }

    /// For the connections between nodes.
    #[must_use]
    pub fn many_groups(self) -> Self {
        Self { group: None, ..self }
    }

    /// Checks every rule it must keep.
    ///
    /// # Errors
    /// The first broken rule, by name and with the values that break it.
    pub fn validate(&self) -> Result<(), TcpConfigError> {
        let times = [
            ("dial_timeout", self.dial_timeout),
            ("handshake_timeout", self.handshake_timeout),
            ("write_timeout", self.write_timeout),
            ("keep_alive", self.keep_alive),
            ("retry_min", self.retry_min),
        ];
        let zero = times.into_iter().find(|(_, time)| time.is_zero()).map(|(name, _)| name);
        let counts = [
            ("frame_bytes_max", self.frame_bytes_max),
            ("queue_messages_max", self.queue_messages_max),
            ("strangers_max", self.strangers_max),
        ];
        let zero = zero.or(counts.into_iter().find(|(_, count)| *count == 0).map(|(name, _)| name));
        if let Some(name) = zero {
            return Err(TcpConfigError::Zero { name });
        }
        if self.frame_bytes_max > super::frame::LENGTH_MAX {
            return Err(TcpConfigError::Frame { frame_bytes_max: self.frame_bytes_max });
        }
        if self.queue_bytes_max < self.frame_bytes_max {
            let Self { queue_bytes_max, frame_bytes_max, .. } = *self;
            return Err(TcpConfigError::Queue { queue_bytes_max, frame_bytes_max });
        }
        if self.retry_max < self.retry_min {
            let Self { retry_min, retry_max, .. } = *self;
            return Err(TcpConfigError::Retries { retry_min, retry_max });
        }
        Ok(())
    }
}

/// Which rule a [`TcpConfig`] breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TcpConfigError {
    /// Something is zero that must not be.
    #[error("{name} must be positive")]
    Zero {
        /// Its name.
        name: &'static str,
    },
    /// No frame can be that long.
    #[error(
        "frame_bytes_max is {frame_bytes_max}, at most {} can be said in 32 bits",
        super::frame::LENGTH_MAX
    )]
    Frame {
        /// As configured.
        frame_bytes_max: usize,
    },
    /// The largest message would never fit into the queue.
    #[error(
        "queue_bytes_max must be at least frame_bytes_max; they are {queue_bytes_max} and {frame_bytes_max}"
    )]
    Queue {
        /// As configured.
        queue_bytes_max: usize,
        /// As configured.
        frame_bytes_max: usize,
    },
    /// The bounds of the waits do not fit together.
    #[error("retry_min must be at most retry_max; they are {retry_min:?} and {retry_max:?}")]
    Retries {
        /// As configured.
        retry_min: Duration,
        /// As configured.
        retry_max: Duration,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_a_broken_rule_is_named() {
        let valid = TcpConfig::new(ReplicaId(0), [ReplicaId(0), ReplicaId(1)]);
        assert_eq!(valid.validate(), Ok(()));
        let told = |config: TcpConfig| config.validate().expect_err("it breaks a rule").to_string();
        assert!(told(TcpConfig { keep_alive: Duration::ZERO, ..valid.clone() }).contains("keep_alive"));
        assert!(told(TcpConfig { strangers_max: 0, ..valid.clone() }).contains("strangers_max"));
        let frame = told(TcpConfig { frame_bytes_max: usize::MAX, ..valid.clone() });
        assert!(frame.contains("frame_bytes_max") && frame.contains(&usize::MAX.to_string()), "{frame}");
        let queue = told(TcpConfig { queue_bytes_max: 7, ..valid.clone() });
        assert!(queue.contains("queue_bytes_max") && queue.contains("are 7 and"), "{queue}");
        let retries = told(TcpConfig { retry_max: Duration::from_millis(1), ..valid });
        assert!(retries.contains("50ms and 1ms"), "{retries}");
    }
}
