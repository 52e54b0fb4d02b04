//! The parts of the transport, without sockets: over memory, in virtual time.

mod connection;
mod frame;
mod handshake;
mod keeper;
mod queue;

use super::{TcpConfig, book::StaticAddresses, shared::Shared};
use bytes::Bytes;
use vsr_core::{
    Body, ClusterId, EpochNumber, GroupId, Hash, Incarnation, Message, NewState, Nonce, OpNumber, Part,
    Piece, ReplicaId, SnapshotHeader, ViewNumber,
};

/// Who the messages of these tests are from.
const FROM: ReplicaId = ReplicaId(4);
/// Whom they are for.
const TO: ReplicaId = ReplicaId(5);

fn signed(body: Body) -> Message {
    Message {
        cluster: ClusterId(1),
        group: GroupId(2),
        epoch: EpochNumber(0),
        view: ViewNumber(3),
        from: FROM,
        incarnation: Incarnation(5),
        body,
    }
}

pub(super) fn numbered(number: u64) -> Message {
    signed(Body::Commit { commit: OpNumber(number), beat: number, pace: 0, heard: 0 })
}

fn beat(message: &Message) -> u64 {
    match &message.body {
        Body::Commit { beat, .. } => *beat,
        other => panic!("{other:?}"),
    }
}

/// One that carries so many bytes.
pub(super) fn message(bytes: usize) -> Message {
    let state_bytes = bytes as u64;
    let header = SnapshotHeader {
        op: OpNumber(1),
        hash: Hash(2),
        timestamp: 3,
        protocol_bytes: 0,
        state_bytes,
        digest: 4,
    };
    let piece = Piece { header, offset: 0, bytes: Bytes::from(vec![7; bytes]).into() };
    let answer = NewState {
        view: ViewNumber(3),
        nonce: Nonce(4),
        normal: true,
        start_op: OpNumber(0),
        commit: OpNumber(1),
        part: Part::Snapshot(piece),
    };
    signed(Body::NewState(Box::new(answer)))
}

/// One side of the two, as a transport keeps it.
fn shared(id: ReplicaId) -> Shared {
    Shared::new(TcpConfig::new(id, [FROM, TO]), StaticAddresses::new([]))
}
