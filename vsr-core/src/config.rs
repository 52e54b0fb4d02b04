//! What a replica is told before it starts. Every bound has a name here.

use crate::id::{ClusterId, GroupId, ReplicaId};
use alloc::vec::Vec;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// How one replica behaves. The same on all replicas of a group but for `replica` and `seed`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// The cluster the group belongs to.
    pub cluster: ClusterId,
    /// The group this replica belongs to.
    pub group: GroupId,
    /// This replica.
    pub replica: ReplicaId,
    /// All replicas of the group, in an order all agree on: the primary of view v is number v mod N.
    pub members: Vec<ReplicaId>,
    /// How often the primary speaks, and how often what got no answer is sent again.
    pub heartbeat_interval: Duration,
    /// How long a backup waits for its primary before it votes to leave the view.
    pub heartbeat_timeout: Duration,
    /// How often the primary of a group speaks that has nothing to do, at least; backups then wait for it accordingly longer, until
    /// somebody wants something. `None`: as often as ever.
    pub idle_heartbeat_interval: Option<Duration>,
    /// Bounds that are this replica's own business.
    pub limits: Limits,
    /// Bounds that shape the replicated state: equal everywhere, kept in the membership record (decision 10).
    pub replicated: ReplicatedLimits,
    /// Entropy for incarnation, nonces and timer jitter: different for each replica and each start.
    pub seed: u64,
    /// Rules that are switched off, to show that tests notice.
    #[cfg(feature = "inject")]
    pub mutations: crate::mutation::Mutations,
}

impl Config {
    /// The defaults for `replica` among `members`.
    #[must_use]
    pub fn new(replica: ReplicaId, members: Vec<ReplicaId>) -> Self {
        Self {
            cluster: ClusterId(0),
            group: GroupId(0),
            replica,
            members,
            heartbeat_interval: Duration::from_millis(100),
            heartbeat_timeout: Duration::from_millis(500),
            idle_heartbeat_interval: None,
            limits: Limits::default(),
            replicated: ReplicatedLimits::default(),
            seed: 0,
            #[cfg(feature = "inject")]
            mutations: crate::mutation::Mutations::default(),
        }
    }

    /// Checks every rule a configuration must keep.
    ///
    /// # Errors
    /// The first broken rule, by name and with the values that break it.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let n = self.members.len();
        if n == 0 || n > 63 {
            return Err(ConfigError::MemberCount { members: n });
        }
        for (i, member) in self.members.iter().enumerate() {
            if self.members[..i].contains(member) {
                return Err(ConfigError::MemberTwice { member: *member });
            }
        }
        if !self.members.contains(&self.replica) {
            return Err(ConfigError::NotAMember { replica: self.replica });
        }
        if self.heartbeat_interval.is_zero()
            || self.heartbeat_timeout < self.heartbeat_interval.saturating_mul(2)
            || self.heartbeat_timeout > HEARTBEAT_TIMEOUT_MAX
        {
            return Err(ConfigError::Timers {
                heartbeat_interval: self.heartbeat_interval,
                heartbeat_timeout: self.heartbeat_timeout,
            });
        }
        let longest = self.heartbeat_interval.saturating_mul(1 << PACE_MAX);
        if let Some(idle) = self.idle_heartbeat_interval
            && !(self.heartbeat_interval..=longest).contains(&idle)
        {
            return Err(ConfigError::IdleTimer {
                idle_heartbeat_interval: idle,
                heartbeat_interval: self.heartbeat_interval,
            });
        }
        self.limits.validate()?;
        self.replicated.validate()
    }

    /// How often the heartbeat interval may double in an idle group.
    pub(crate) fn pace_max(&self) -> u8 {
        let idle = self.idle_heartbeat_interval.unwrap_or(self.heartbeat_interval);
        (0..PACE_MAX).find(|pace| self.heartbeat_interval * (1 << pace) >= idle).unwrap_or(PACE_MAX)
    }

    /// The heartbeat interval after so many doublings.
    pub(crate) fn interval_at(&self, pace: u8) -> Duration {
        let idle = self.idle_heartbeat_interval.unwrap_or(self.heartbeat_interval);
        (self.heartbeat_interval * (1 << pace)).min(idle)
    }
}

/// Bounds of one replica. Nothing it keeps grows beyond them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Limits {
    /// Operations between commit-number and op-number.
    pub pipeline_ops_max: u64,
    /// Bytes of those operations: a do-view-change carries all of them in one frame (decision 3).
    pub pipeline_bytes_max: usize,
    /// Operations in one entry.
    pub entry_ops_max: usize,
    /// Bytes in one entry, unless a single operation is larger.
    pub entry_bytes_max: usize,
    /// Bytes of one operation.
    pub operation_bytes_max: usize,
    /// Bytes of one encoded message.
    pub frame_bytes_max: usize,
    /// Requests of this replica's own clients that wait at the primary for room in the pipeline.
    pub queue_ops_max: usize,
    /// Bytes of those requests.
    pub queue_bytes_max: usize,
    /// Requests a backup may have forwarded and not seen committed: its credits at the primary.
    pub forward_ops_max: usize,
    /// Bytes of those requests.
    pub forward_bytes_max: usize,
    /// Reads beside the log that wait here, those of backups for an index included.
    pub reads_max: usize,
    /// Operations committed in one turn before the host gets a chance to look at its mailbox.
    pub turn_ops_max: u64,
    /// A snapshot is due when this many operations were committed since the last.
    pub snapshot_interval_ops: u64,
    /// A snapshot is due when operations of this many bytes were committed since the last.
    pub snapshot_interval_bytes: u64,
    /// Operations kept in the log behind a snapshot, so that a replica a little behind needs no snapshot.
    pub log_keep_ops: u64,
    /// Bytes of those operations.
    pub log_keep_bytes: u64,
    /// Operations the log may hold: a snapshot that takes long, or a replica that fetches slowly, keeps it from being trimmed. When it
    /// is full, what others fetch is trimmed; then requests wait for the snapshot.
    pub log_ops_max: u64,
    /// Bytes of those operations.
    pub log_bytes_max: u64,
    /// Bytes of entries, or of a snapshot's piece, in one answer to a request for state.
    pub transfer_bytes_max: usize,
    /// Bytes of a snapshot this replica takes from another.
    pub snapshot_bytes_max: u64,
    /// Bytes of entries sent again to one backup at one heartbeat.
    pub retransmit_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pipeline_ops_max: 16_384,
            pipeline_bytes_max: 16 << 20,
            entry_ops_max: 1024,
            entry_bytes_max: 256 << 10,
            operation_bytes_max: 4 << 20,
            frame_bytes_max: 32 << 20,
            queue_ops_max: 16_384,
            queue_bytes_max: 16 << 20,
            forward_ops_max: 4096,
            forward_bytes_max: 8 << 20,
            reads_max: 16_384,
            turn_ops_max: 4096,
            snapshot_interval_ops: 131_072,
            snapshot_interval_bytes: 64 << 20,
            log_keep_ops: 16_384,
            log_keep_bytes: 32 << 20,
            log_ops_max: 1 << 20,
            log_bytes_max: 512 << 20,
            transfer_bytes_max: 1 << 20,
            snapshot_bytes_max: 16 << 30,
            retransmit_bytes_max: 1 << 20,
        }
    }
}

impl Limits {
    fn validate(&self) -> Result<(), ConfigError> {
        let positive = [
            ("pipeline_ops_max", self.pipeline_ops_max),
            ("pipeline_bytes_max", self.pipeline_bytes_max as u64),
            ("entry_ops_max", self.entry_ops_max as u64),
            ("entry_bytes_max", self.entry_bytes_max as u64),
            ("operation_bytes_max", self.operation_bytes_max as u64),
            ("queue_ops_max", self.queue_ops_max as u64),
            ("queue_bytes_max", self.queue_bytes_max as u64),
            ("forward_ops_max", self.forward_ops_max as u64),
            ("forward_bytes_max", self.forward_bytes_max as u64),
            ("reads_max", self.reads_max as u64),
            ("turn_ops_max", self.turn_ops_max),
            ("snapshot_interval_ops", self.snapshot_interval_ops),
            ("snapshot_interval_bytes", self.snapshot_interval_bytes),
            ("transfer_bytes_max", self.transfer_bytes_max as u64),
            ("snapshot_bytes_max", self.snapshot_bytes_max),
            ("retransmit_bytes_max", self.retransmit_bytes_max as u64),
        ];
        if let Some((limit, _)) = positive.into_iter().find(|(_, value)| *value == 0) {
            return Err(ConfigError::Zero { limit });
        }
        at_most("entry_ops_max", self.entry_ops_max as u64, "pipeline_ops_max", self.pipeline_ops_max)?;
        at_most(
            "operation_bytes_max",
            self.operation_bytes_max as u64,
            "pipeline_bytes_max",
            self.pipeline_bytes_max as u64,
        )?;
        at_most(
            "entry_bytes_max",
            self.entry_bytes_max as u64,
            "pipeline_bytes_max",
            self.pipeline_bytes_max as u64,
        )?;
        let log_ops = self.log_keep_ops.saturating_add(self.snapshot_interval_ops);
        at_most("log_keep_ops and snapshot_interval_ops", log_ops, "log_ops_max", self.log_ops_max)?;
        let log_bytes = self.log_keep_bytes.saturating_add(self.snapshot_interval_bytes);
        at_most(
            "log_keep_bytes and snapshot_interval_bytes",
            log_bytes,
            "log_bytes_max",
            self.log_bytes_max,
        )?;
        // A do-view-change holds the bytes of the pipeline and, for each operation, a head.
        let frame = self.frame_bytes_max as u64;
        let heads = self.pipeline_ops_max.saturating_mul(HEAD_BYTES);
        let pipeline = heads.saturating_add(self.pipeline_bytes_max as u64);
        at_most("pipeline_bytes_max with the heads of pipeline_ops_max", pipeline, "frame_bytes_max", frame)?;
        at_most("transfer_bytes_max", self.transfer_bytes_max as u64, "half of frame_bytes_max", frame / 2)?;
        at_most(
            "retransmit_bytes_max",
            self.retransmit_bytes_max as u64,
            "half of frame_bytes_max",
            frame / 2,
        )?;
        at_most("frame_bytes_max", frame, "the largest 32-bit number", u32::MAX.into())
    }
}

/// Doublings of the heartbeat interval that a backup believes in: a promise beyond that could silence the detection of failures.
pub(crate) const PACE_MAX: u8 = 10;

const HEARTBEAT_TIMEOUT_MAX: Duration = Duration::from_secs(86_400);

/// Upper bound of an encoded head with its share of the entry around it.
const HEAD_BYTES: u64 = 160;

fn at_most(small: &'static str, value: u64, large: &'static str, bound: u64) -> Result<(), ConfigError> {
    if value <= bound { Ok(()) } else { Err(ConfigError::Order { small, value, large, bound }) }
}

/// Bounds that shape the replicated state (decision 10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ReplicatedLimits {
    /// Sessions alive at once; one more evicts the one that was used longest ago.
    pub sessions_max: u32,
    /// Requests of one session that may be unanswered at once.
    pub window: u32,
    /// Bytes of replies kept for one session; the oldest go first. All sessions together may keep at most 256 MiB: a snapshot has
    /// them in one value.
    pub session_reply_bytes_max: u32,
    /// Every so many operations the replicas compare what their state machines came to (decision 14).
    pub digest_interval_ops: u32,
}

impl Default for ReplicatedLimits {
    fn default() -> Self {
        Self {
            sessions_max: 1024,
            window: 1024,
            session_reply_bytes_max: 256 << 10,
            digest_interval_ops: 1024,
        }
    }
}

impl ReplicatedLimits {
    fn validate(&self) -> Result<(), ConfigError> {
        let positive = [
            ("sessions_max", self.sessions_max),
            ("window", self.window),
            ("session_reply_bytes_max", self.session_reply_bytes_max),
            ("digest_interval_ops", self.digest_interval_ops),
        ];
        match positive.into_iter().find(|(_, value)| *value == 0) {
            Some((limit, _)) => Err(ConfigError::Zero { limit }),
            None => {
                let kept = u64::from(self.sessions_max).saturating_mul(self.session_reply_bytes_max.into());
                at_most(
                    "sessions_max times session_reply_bytes_max",
                    kept,
                    "what a snapshot carries",
                    256 << 20,
                )
            }
        }
    }
}

/// Which rule a configuration breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Too few or too many members.
    #[error("a group has 1 to 63 members, not {members}")]
    MemberCount {
        /// How many there are.
        members: usize,
    },
    /// One member is listed twice.
    #[error("{member} is listed twice among the members")]
    MemberTwice {
        /// Which one.
        member: ReplicaId,
    },
    /// The replica is not among the members.
    #[error("{replica} is not among the members: add it, or start it under the id that is")]
    NotAMember {
        /// Which one.
        replica: ReplicaId,
    },
    /// The timers do not fit together.
    #[error(
        "heartbeat_interval must be positive and at most half of heartbeat_timeout, and that at most a day; they are {heartbeat_interval:?} and {heartbeat_timeout:?}"
    )]
    Timers {
        /// As configured.
        heartbeat_interval: Duration,
        /// As configured.
        heartbeat_timeout: Duration,
    },
    /// The interval of an idle group does not fit the usual one.
    #[error(
        "idle_heartbeat_interval must be at least heartbeat_interval and at most 1024 times that; they are {idle_heartbeat_interval:?} and {heartbeat_interval:?}"
    )]
    IdleTimer {
        /// As configured.
        idle_heartbeat_interval: Duration,
        /// As configured.
        heartbeat_interval: Duration,
    },
    /// A limit is zero.
    #[error("{limit} must be positive")]
    Zero {
        /// Its name.
        limit: &'static str,
    },
    /// Two limits contradict each other.
    #[error("{small} ({value}) must be at most {large} ({bound})")]
    Order {
        /// The limit that is too large.
        small: &'static str,
        /// Its value.
        value: u64,
        /// The limit that bounds it.
        large: &'static str,
        /// The value of that.
        bound: u64,
    },
}
