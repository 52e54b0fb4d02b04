//! Numbers with types: what the paper counts, and who the messages are from.

use core::fmt;
use serde::{Deserialize, Serialize};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty), $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
    };
}

number!(
    /// A view: the period during which one replica is primary. Never 2^62 or more (rule A5).
    ViewNumber(u64), "v"
);
number!(
    /// The place of one operation in the log. The first operation is 1; 0 is "nothing yet".
    OpNumber(u64), "op"
);
number!(
    /// The place of one request in its session. The first request is 1.
    RequestNumber(u64), "#"
);
number!(
    /// The configuration a message belongs to. Always 0 until reconfiguration exists.
    EpochNumber(u64), "e"
);
number!(
    /// The name of a replica. It is not an address, and it is never reused for another machine.
    ReplicaId(u32), "R"
);
number!(
    /// A cluster: groups of one cluster may share transports, replicas of different clusters never talk.
    ClusterId(u64), "cluster-"
);
number!(
    /// One replicated actor among those that share a cluster.
    GroupId(u64), "group-"
);
number!(
    /// One life of a replica's storage: drawn when it is formatted, so that a wiped replica is a stranger.
    Incarnation(u64), "i"
);
number!(
    /// Drawn by a client for one session; a new session draws a new one.
    ClientId(u128), "c"
);
number!(
    /// Binds the answers of a state transfer to the question.
    Nonce(u64), "n"
);
number!(
    /// Names a read at one replica: given by its host, never used twice.
    ReadId(u64), "read-"
);
number!(
    /// Hash of an entry and, through its parent, of the whole log up to it.
    Hash(u128), "h"
);

impl ViewNumber {
    /// Views from here on are refused, whoever names them (rule A5).
    pub const MAX: Self = Self(1 << 62);

    /// The view after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl OpNumber {
    /// The operation after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// An established session: a dense slot, and the op-number of the registration that filled it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionId {
    /// Index into the session table.
    pub slot: u32,
    /// Op-number of the registration: an evicted session's number never comes back (rule H7).
    pub number: OpNumber,
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}/{}", self.slot, self.number.0)
    }
}

/// Names a write: writes of one boot are numbered from 1 and done in order, so one number says how far they are (decision 11).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WriteId {
    /// Drawn afresh at every start: an answer that belongs to an earlier start is dropped.
    pub boot: u64,
    /// 1, 2, 3, … within the boot.
    pub sequence: u64,
}

/// Names a part of a snapshot's state that is on its way to where the host keeps it; counts up from each start of the replica.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StageId(pub u64);

/// Monotonic nanoseconds since an instant of the host's choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(pub u64);

impl Time {
    /// This instant plus `duration`.
    #[must_use]
    pub fn after(self, duration: core::time::Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// The clocks of the host, read once for a step (decision 16).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Drives timers.
    pub monotonic: Time,
    /// Nanoseconds since 1970: the primary stamps entries with it.
    pub unix: u64,
}
