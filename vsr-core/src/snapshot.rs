//! Everything at one op: state, sessions, place in the chain (rule E1).

use crate::{
    id::{Hash, OpNumber},
    run::{from_hex, to_hex},
    session::Sessions,
};
use alloc::string::String;
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// The replicated state after `op`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Snapshot {
    /// The last operation in it: the end of an entry.
    pub op: OpNumber,
    /// The hash there.
    pub hash: Hash,
    /// Time of that operation.
    pub timestamp: u64,
    /// Over the replies of all operations up to there (decision 14).
    pub digest: u64,
    /// The session table, replies included (rule H6).
    pub sessions: Sessions,
    /// What the state machine wrote.
    pub state: State,
}

/// The state machine's own bytes. In a binary format only their length is encoded: they travel raw behind the message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    bytes: Bytes,
    trailing: u64,
}

impl State {
    /// What the state machine wrote.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    pub(crate) fn trailing_len(&self) -> u64 {
        self.trailing
    }

    pub(crate) fn attach(&mut self, bytes: Bytes) {
        self.bytes = bytes;
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.bytes.len() as u64 == self.trailing
    }
}

impl From<Bytes> for State {
    fn from(bytes: Bytes) -> Self {
        Self { trailing: bytes.len() as u64, bytes }
    }
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            to_hex(&self.bytes).serialize(serializer)
        } else {
            self.trailing.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for State {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            from_hex(&text).map(Self::from).ok_or_else(|| D::Error::custom("the state is not hexadecimal"))
        } else {
            Ok(Self { bytes: Bytes::new(), trailing: u64::deserialize(deserializer)? })
        }
    }
}
