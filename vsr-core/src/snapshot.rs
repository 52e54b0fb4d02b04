//! Everything at one op: membership, sessions, state, place in the chain (rule E1). Flat, so that it can be sent in pieces.

use crate::{
    codec,
    configuration::Membership,
    id::{Hash, OpNumber, StageId},
    log::Point,
    session::Sessions,
    state::{State, slice},
    trailing::Trailing,
};
use alloc::sync::Arc;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

/// The replicated state after one operation. What the protocol keeps comes first, then what the state machine wrote.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Snapshot {
    header: SnapshotHeader,
    protocol: Bytes,
    state: State,
}

/// Which snapshot: two with the same digest are the same to the byte, whoever wrote them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SnapshotHeader {
    /// The last operation in it: the end of an entry.
    pub op: OpNumber,
    /// The hash there.
    pub hash: Hash,
    /// Time of that operation.
    pub timestamp: u64,
    /// Bytes of what the protocol keeps.
    pub protocol_bytes: u64,
    /// Bytes of what the state machine wrote.
    pub state_bytes: u64,
    /// Of all that.
    pub digest: u128,
}

/// What the protocol itself keeps in a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Replicated {
    /// Whose snapshot it is, the lives of their storages included.
    pub(crate) membership: Membership,
    /// The session table, replies included (rule H6).
    pub(crate) sessions: Sessions,
    /// Over the replies of all operations up to there (decision 14).
    pub(crate) replies: u64,
}

/// Part of a snapshot, on its way to a replica that lacks it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// Of which snapshot.
    pub header: SnapshotHeader,
    /// Where it begins.
    pub offset: u64,
    /// What it holds; at least one byte.
    pub bytes: Trailing,
}

/// How much of a snapshot somebody has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Held {
    /// The snapshot's op.
    pub op: OpNumber,
    /// The snapshot's digest.
    pub digest: u128,
    /// So many bytes from its beginning.
    pub offset: u64,
}

/// Part of a state that arrives, for the host to keep where a state has room.
#[derive(Clone, Debug)]
pub struct StagePart {
    /// Its name.
    pub id: StageId,
    /// Of which snapshot.
    pub header: SnapshotHeader,
    /// Where in the state it begins: where the last part ended, or at 0, and then whatever was staged before is of no use any more.
    pub offset: u64,
    /// What it holds; at least one byte.
    pub bytes: Trailing,
}

impl StagePart {
    /// Whether the state is whole with it.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.offset + self.bytes.len() == self.header.state_bytes
    }
}

impl SnapshotHeader {
    /// Bytes in all.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.protocol_bytes.saturating_add(self.state_bytes)
    }

    fn compute_digest(&self, protocol: &[u8], state: &State) -> u128 {
        let mut hasher = Xxh3::new();
        for number in [self.op.0, self.timestamp, protocol.len() as u64, state.len()] {
            hasher.update(&number.to_le_bytes());
        }
        hasher.update(&self.hash.0.to_le_bytes());
        hasher.update(&state.digest().to_le_bytes());
        hasher.update(protocol);
        hasher.digest128()
    }
}

impl Snapshot {
    pub(crate) fn new(at: Point, protocol: Bytes, state: State) -> Self {
        let mut header = SnapshotHeader {
            op: at.op,
            hash: at.hash,
            timestamp: at.timestamp,
            protocol_bytes: protocol.len() as u64,
            state_bytes: state.len(),
            digest: 0,
        };
        header.digest = header.compute_digest(&protocol, &state);
        Self { header, protocol, state }
    }

    /// Puts a snapshot together from what a storage kept or pieces brought. `None` if these parts are not what the header says; of the
    /// state only length and digest are looked at.
    #[must_use]
    pub fn assemble(header: SnapshotHeader, protocol: Bytes, state: State) -> Option<Self> {
        let sizes = (protocol.len() as u64, state.len());
        let whole = sizes == (header.protocol_bytes, header.state_bytes)
            && header.digest == header.compute_digest(&protocol, &state);
        whole.then_some(Self { header, protocol, state })
    }

    /// What a replica without rule D6 would take.
    #[cfg(feature = "inject")]
    pub(crate) fn unchecked(header: SnapshotHeader, protocol: Bytes, state: State) -> Self {
        Self { header, protocol, state }
    }

    /// What tells it from others.
    #[must_use]
    pub fn header(&self) -> &SnapshotHeader {
        &self.header
    }

    /// The last operation in it.
    #[must_use]
    pub fn op(&self) -> OpNumber {
        self.header.op
    }

    /// The hash there.
    #[must_use]
    pub fn hash(&self) -> Hash {
        self.header.hash
    }

    /// What the protocol keeps, encoded.
    #[must_use]
    pub fn protocol(&self) -> &Bytes {
        &self.protocol
    }

    /// What the state machine wrote.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The session table in it, if it can be read.
    #[must_use]
    pub fn sessions(&self) -> Option<Sessions> {
        self.replicated().map(|replicated| replicated.sessions)
    }

    pub(crate) fn point(&self) -> Point {
        let SnapshotHeader { op, hash, timestamp, .. } = self.header;
        Point { op, hash, timestamp }
    }

    /// What the protocol keeps, if that is what it must be: a checksum says nothing about who computed it.
    pub(crate) fn replicated(&self) -> Option<Replicated> {
        let replicated: Replicated = codec::decode_value(&self.protocol).ok()?;
        let limits = replicated.membership.limits;
        replicated.sessions.is_well_formed(limits, self.header.op).then_some(replicated)
    }

    /// What follows `offset`, at most `bytes_max` bytes. No piece reaches from one part into the other.
    pub(crate) fn piece(&self, offset: u64, bytes_max: usize) -> Piece {
        let bytes = match offset.checked_sub(self.header.protocol_bytes) {
            None => slice(&self.protocol, offset, bytes_max).into(),
            Some(start) => Trailing::of(&self.state, start, bytes_max),
        };
        Piece { header: self.header, offset, bytes }
    }
}

impl Replicated {
    pub(crate) fn encode(&self) -> Bytes {
        codec::encode_value(self)
    }
}

/// A snapshot that is here, with what the protocol reads in it.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Arrived {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) replicated: Replicated,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::ReplicatedLimits,
        id::{ClientId, EpochNumber},
    };
    use alloc::vec::Vec;

    fn snapshot() -> Snapshot {
        let limits = ReplicatedLimits::default();
        let mut sessions = Sessions::new(limits);
        sessions.register(ClientId(1), OpNumber(3));
        let membership = Membership { epoch: EpochNumber(0), members: Vec::new(), limits };
        let at = Point { op: OpNumber(7), hash: Hash(8), timestamp: 9 };
        let protocol = Replicated { membership, sessions, replies: 5 }.encode();
        Snapshot::new(at, protocol, Bytes::from_static(b"the state").into())
    }

    /// From all its bytes, the protocol's first.
    fn assemble(header: SnapshotHeader, mut bytes: Bytes) -> Option<Snapshot> {
        let protocol = bytes.split_to(bytes.len().min(header.protocol_bytes as usize));
        Snapshot::assemble(header, protocol, bytes.into())
    }

    #[test]
    fn pieces_of_any_size_make_it_whole_again() {
        let snapshot = snapshot();
        let whole = snapshot.header.bytes();
        for bytes_max in [1, 7, 1000] {
            let mut bytes = Vec::new();
            while (bytes.len() as u64) < whole {
                let piece = snapshot.piece(bytes.len() as u64, bytes_max);
                assert!(piece.bytes.is_complete() && (1..=bytes_max as u64).contains(&piece.bytes.len()));
                bytes.extend_from_slice(piece.bytes.here());
            }
            assert_eq!(assemble(snapshot.header, bytes.into()).as_ref(), Some(&snapshot));
        }
    }

    #[test]
    fn any_other_byte_or_header_is_noticed() {
        let snapshot = snapshot();
        let state = snapshot.state.read(0, usize::MAX).expect("it is in memory");
        let bytes: Vec<u8> = snapshot.protocol.iter().chain(&state).copied().collect();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(assemble(snapshot.header, damaged.into()), None, "byte {at}");
        }
        let assemble = |header| assemble(header, bytes.clone().into());
        assert_eq!(assemble(SnapshotHeader { op: OpNumber(6), ..snapshot.header }), None);
        assert_eq!(assemble(SnapshotHeader { hash: Hash(1), ..snapshot.header }), None);
        assert_eq!(assemble(SnapshotHeader { timestamp: 1, ..snapshot.header }), None);
        let SnapshotHeader { protocol_bytes, state_bytes, .. } = snapshot.header;
        let moved = SnapshotHeader {
            protocol_bytes: protocol_bytes + 1,
            state_bytes: state_bytes - 1,
            ..snapshot.header
        };
        assert_eq!(assemble(moved), None);
        let endless = SnapshotHeader { protocol_bytes: u64::MAX, ..snapshot.header };
        assert_eq!(assemble(endless), None);
    }
}
