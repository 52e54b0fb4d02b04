//! Who is there: said and checked before any message.
//!
//! Each packet begins with the same eight bytes in all versions, [`MAGIC`], version and length, so that any two versions can tell each
//! other which one they speak. The dialler says hello, the other side answers with its own, or refuses; then the dialler says that it
//! goes with this connection, and messages follow in both directions.

use super::status::Side;
use bincode::config;
use serde::{Deserialize, Serialize};
use std::{fmt, io};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use vsr_core::{ClusterId, FORMAT_VERSION, GroupId, Incarnation, ReplicaId};

/// What every packet begins with.
const MAGIC: [u8; 4] = *b"VSRt";

/// The version of the handshake and of the frames after it.
pub(super) const VERSION: u16 = 1;

/// No packet is longer than this after its first eight bytes: all that a stranger can make this side allocate.
const PACKET_BYTES_MAX: usize = 256;

/// Who speaks, and to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hello {
    /// The version of messages.
    pub(super) format: u8,
    pub(super) cluster: ClusterId,
    /// Nothing: messages of many groups.
    pub(super) group: Option<GroupId>,
    pub(super) from: ReplicaId,
    pub(super) to: ReplicaId,
    /// Of the sender's storage, if it has one group and has said anything yet.
    pub(super) incarnation: Option<Incarnation>,
    /// Drawn at the start of the sender's transport: tells one life from another.
    pub(super) boot: u64,
    /// Counts the connections that the sender dialled to this peer in this life; 0 of the side that was dialled.
    pub(super) dial: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Packet {
    Hello(Hello),
    /// The dialler goes with this connection. It has seen the other side go with `seen` connections that that one dialled.
    Ready {
        seen: u64,
    },
    Refused(PeerRefusal),
}

/// Why one side does not talk to the other. Each side hears it.
///
/// ```
/// use vsr_actor::{PeerRefusal, vsr_core::ClusterId};
///
/// let refusal = PeerRefusal::Cluster { wanted: ClusterId(1), offered: ClusterId(2) };
/// assert_eq!(refusal.to_string(), "it belongs to cluster-2, this is cluster-1");
/// assert_eq!(refusal.name(), "cluster");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum PeerRefusal {
    /// Another version of the handshake. Names the refusing side's, so that a later version can speak an earlier one.
    #[error("it speaks version {offered} of the transport, this is {wanted}")]
    Version {
        /// What the refusing side speaks.
        wanted: u16,
        /// What the refused side speaks.
        offered: u16,
    },
    /// Another version of messages.
    #[error("it writes messages of format {offered}, this side format {wanted}: run the same version")]
    Format {
        /// What the refusing side writes.
        wanted: u8,
        /// What the refused side writes.
        offered: u8,
    },
    /// Another cluster.
    #[error("it belongs to {offered}, this is {wanted}")]
    Cluster {
        /// That of the refusing side.
        wanted: ClusterId,
        /// That of the refused side.
        offered: ClusterId,
    },
    /// Another group.
    #[error("it speaks for {}, this is {}", group(.offered), group(.wanted))]
    Group {
        /// That of the refusing side; nothing: many.
        wanted: Option<GroupId>,
        /// That of the refused side.
        offered: Option<GroupId>,
    },
    /// It wanted somebody else: the address book is wrong.
    #[error("it looks for {offered} where {wanted} is: an address book is wrong")]
    Receiver {
        /// Who the refusing side is.
        wanted: ReplicaId,
        /// Whom the refused side wanted.
        offered: ReplicaId,
    },
    /// Its id is that of the refusing side.
    #[error("it says that it is {id}, and so is this: two have one id, or an address book is wrong")]
    OwnId {
        /// The id.
        id: ReplicaId,
    },
    /// Its id is none of those that the refusing side knows.
    #[error("it says that it is {id}, who is no member here")]
    NotAMember {
        /// The id.
        id: ReplicaId,
    },
}

impl PeerRefusal {
    /// Its name, for metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Version { .. } => "version",
            Self::Format { .. } => "format",
            Self::Cluster { .. } => "cluster",
            Self::Group { .. } => "group",
            Self::Receiver { .. } => "receiver",
            Self::OwnId { .. } => "own_id",
            Self::NotAMember { .. } => "not_a_member",
        }
    }
}

fn group(group: &Option<GroupId>) -> String {
    group.map_or_else(|| "many groups".to_owned(), |group| group.to_string())
}

/// Why a handshake came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// One side refused the other.
    #[error("{} refused: {refusal}", refused_by(.by))]
    Refused {
        /// Who refused.
        by: Side,
        /// Why.
        refusal: PeerRefusal,
    },
    /// Whatever is there does not speak this protocol, or broke it.
    #[error("no handshake: {reason}")]
    Foreign {
        /// What came instead.
        reason: String,
    },
    /// The connection broke, or was closed.
    #[error("the connection ended during the handshake: {reason}")]
    Ended {
        /// What the system says.
        reason: String,
    },
    /// It took too long.
    #[error("the handshake took longer than {0:?}")]
    TimedOut(std::time::Duration),
}

fn refused_by(side: &Side) -> &'static str {
    match side {
        Side::Here => "this side",
        Side::There => "the other side",
    }
}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> Self {
        Self::Ended { reason: error.to_string() }
    }
}

impl HandshakeError {
    fn foreign(reason: impl fmt::Display) -> Self {
        Self::Foreign { reason: reason.to_string() }
    }
}

/// What this side says and wants.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) cluster: ClusterId,
    pub(super) group: Option<GroupId>,
    pub(super) id: ReplicaId,
    /// Without the own one.
    pub(super) peers: Vec<ReplicaId>,
    pub(super) boot: u64,
}

impl Identity {
    pub(super) fn hello(&self, to: ReplicaId, incarnation: Option<Incarnation>, dial: u64) -> Hello {
        // One of many groups would say nothing about the others.
        let incarnation = incarnation.filter(|_| self.group.is_some());
        let Self { cluster, group, id, boot, .. } = *self;
        Hello { format: FORMAT_VERSION, cluster, group, from: id, to, incarnation, boot, dial }
    }

    fn check(&self, hello: &Hello) -> Result<(), PeerRefusal> {
        if hello.format != FORMAT_VERSION {
            return Err(PeerRefusal::Format { wanted: FORMAT_VERSION, offered: hello.format });
        }
        if hello.cluster != self.cluster {
            return Err(PeerRefusal::Cluster { wanted: self.cluster, offered: hello.cluster });
        }
        if hello.group != self.group {
            return Err(PeerRefusal::Group { wanted: self.group, offered: hello.group });
        }
        if hello.from == self.id {
            return Err(PeerRefusal::OwnId { id: self.id });
        }
        if hello.to != self.id {
            return Err(PeerRefusal::Receiver { wanted: self.id, offered: hello.to });
        }
        if !self.peers.contains(&hello.from) {
            return Err(PeerRefusal::NotAMember { id: hello.from });
        }
        Ok(())
    }
}

/// The dialler's first half: both have said hello. [`confirm`] is the second.
pub(super) async fn dial<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    identity: &Identity,
    own: Hello,
) -> Result<Hello, HandshakeError> {
    write(stream, &Packet::Hello(own)).await?;
    match read(stream).await? {
        Packet::Hello(hello) => {
            let checked = identity.check(&hello).and_then(|()| match hello.from == own.to {
                true => Ok(()),
                false => Err(PeerRefusal::Receiver { wanted: hello.from, offered: own.to }),
            });
            accept(stream, checked).await?;
            Ok(hello)
        }
        Packet::Refused(refusal) => Err(HandshakeError::Refused { by: Side::There, refusal }),
        Packet::Ready { .. } => Err(HandshakeError::foreign("it is ready without a hello")),
    }
}

/// The dialler goes with this connection.
pub(super) async fn confirm(stream: &mut (impl AsyncWrite + Unpin), seen: u64) -> Result<(), HandshakeError> {
    write(stream, &Packet::Ready { seen }).await
}

/// A dialler who was heard, and what it has seen of this side's connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    pub(super) hello: Hello,
    pub(super) seen: u64,
}

/// The side that was dialled, from the first byte until the dialler is ready. `answer` makes this side's hello.
///
/// With an error comes who was there, if that much was said.
pub(super) async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    identity: &Identity,
    answer: impl FnOnce(&Hello) -> Hello,
    caller: &mut Option<ReplicaId>,
) -> Result<Heard, HandshakeError> {
    let hello = match read(stream).await? {
        Packet::Hello(hello) => hello,
        Packet::Refused(refusal) => return Err(HandshakeError::Refused { by: Side::There, refusal }),
        Packet::Ready { .. } => return Err(HandshakeError::foreign("it is ready without a hello")),
    };
    *caller = Some(hello.from);
    accept(stream, identity.check(&hello)).await?;
    write(stream, &Packet::Hello(answer(&hello))).await?;
    match read(stream).await? {
        Packet::Ready { seen } => Ok(Heard { hello, seen }),
        Packet::Refused(refusal) => Err(HandshakeError::Refused { by: Side::There, refusal }),
        Packet::Hello(_) => Err(HandshakeError::foreign("it says hello twice")),
    }
}

/// Tells the other side if it is refused.
async fn accept(
    stream: &mut (impl AsyncWrite + Unpin),
    checked: Result<(), PeerRefusal>,
) -> Result<(), HandshakeError> {
    let Err(refusal) = checked else { return Ok(()) };
    // Whether it hears of it or not, it is refused.
    let _ = write(stream, &Packet::Refused(refusal.clone())).await;
    let _ = stream.shutdown().await;
    Err(HandshakeError::Refused { by: Side::Here, refusal })
}

fn format() -> impl config::Config {
    config::standard().with_fixed_int_encoding().with_limit::<PACKET_BYTES_MAX>()
}

fn encode(packet: &Packet) -> Vec<u8> {
    let body =
        bincode::serde::encode_to_vec(packet, format()).expect("a packet is short and has a binary form");
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&(body.len() as u16).to_le_bytes());
    bytes.extend_from_slice(&body);
    bytes
}

async fn write(stream: &mut (impl AsyncWrite + Unpin), packet: &Packet) -> Result<(), HandshakeError> {
    stream.write_all(&encode(packet)).await?;
    Ok(stream.flush().await?)
}

/// Reads a packet, and no byte more. One of another version is answered with the own one.
async fn read<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> Result<Packet, HandshakeError> {
    let mut head = [0; 8];
    stream.read_exact(&mut head).await?;
    let [magic @ .., version_low, version_high, length_low, length_high] = head;
    if magic != MAGIC {
        return Err(HandshakeError::foreign(format_args!(
            "it began with {:?}",
            String::from_utf8_lossy(&head)
        )));
    }
    let version = u16::from_le_bytes([version_low, version_high]);
    let length = u16::from_le_bytes([length_low, length_high]) as usize;
    if length > PACKET_BYTES_MAX {
        return Err(HandshakeError::foreign(format_args!("a packet of {length} bytes")));
    }
    let mut body = [0; PACKET_BYTES_MAX];
    let body = &mut body[..length];
    stream.read_exact(body).await?;
    if version != VERSION {
        // Whatever it says is for another version to read; that it speaks one is all that can be known here.
        accept(stream, Err(PeerRefusal::Version { wanted: VERSION, offered: version })).await?;
    }
    match bincode::serde::decode_from_slice(body, format()) {
        Ok((packet, read)) if read == length => Ok(packet),
        Ok((_, read)) => Err(HandshakeError::foreign(format_args!("{} bytes too many", length - read))),
        Err(error) => Err(HandshakeError::foreign(error)),
    }
}
