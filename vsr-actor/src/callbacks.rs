//! What a user implements.

use crate::config::mix;
use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use std::{fmt, io, ops::Range};
use vsr_core::{Entry, OpNumber, Origin, RequestNumber, SessionId, ViewNumber};

/// All that a commit may depend on beside the state and the operation: equal on every replica (D7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Commit {
    /// Place of the operation in the log.
    pub op: OpNumber,
    /// The view in which it was proposed.
    pub view: ViewNumber,
    /// Nanoseconds since 1970 by the clock of the primary that proposed it; grows with every operation.
    pub timestamp: u64,
    /// Whose request it is; `None` for a tick.
    pub request: Option<(SessionId, RequestNumber)>,
    /// A number to draw other numbers from, equal on every replica.
    pub seed: u64,
}

impl Commit {
    /// What goes with the operation at `index` of a committed entry: for the runtime, and for whoever drives a state machine
    /// without it.
    ///
    /// # Panics
    /// When the entry has no such operation.
    #[must_use]
    pub fn of(entry: &Entry, index: usize) -> Self {
        let op = OpNumber(entry.first().0 + index as u64);
        let timestamp = entry.timestamp(index);
        let request = match entry.origin(index) {
            Origin::Request { session, request, .. } => Some((session, request)),
            Origin::Tick | Origin::Register { .. } => None,
        };
        Self { op, view: entry.view(), timestamp, request, seed: mix(timestamp ^ mix(op.0)) }
    }
}

/// A deterministic state machine: the same operations in the same order give the same replies and the same state.
///
/// Only [`handle_commit`](Self::handle_commit) must be written. No clock, no randomness, no input but the arguments; a `HashMap` is
/// fine as long as its order does not reach a reply. Business errors belong into the reply type. A panic stops the replica.
///
/// ```
/// use std::time::Duration;
/// use vsr_actor::prelude::*;
///
/// /// A lease that ends by itself.
/// #[derive(Default, Serialize, Deserialize)]
/// struct Lease { until: Option<u64> }
///
/// impl StateMachine for Lease {
///     type Operation = u64; // for how many nanoseconds
///     type Reply = bool;
///     fn handle_commit(&mut self, commit: &Commit, nanoseconds: u64) -> bool {
///         let free = self.until.is_none();
///         if free { self.until = Some(commit.timestamp + nanoseconds); }
///         free
///     }
///     fn next_tick(&self) -> Option<u64> { self.until }
///     fn handle_tick(&mut self, _commit: &Commit) { self.until = None; }
/// }
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cluster = Cluster::in_process(3, Lease::default).await?;
/// let lease = cluster.client();
/// assert!(lease.request(1_000_000_000).await?);
/// assert!(!lease.request(1_000_000_000).await?);
/// tokio::time::sleep(Duration::from_secs(2)).await;
/// assert!(lease.request(1_000_000_000).await?);
/// # Ok(cluster.shutdown().await?)
/// # }
/// ```
pub trait StateMachine: Snapshot + Sized {
    /// What clients ask for.
    type Operation: Payload;
    /// What they get.
    type Reply: Payload;

    /// Applies one committed operation. Called on every replica, once for each operation, in log order. It must not block: it
    /// runs on the replica's task.
    fn handle_commit(&mut self, commit: &Commit, operation: Self::Operation) -> Self::Reply;

    /// The earliest replicated time, in nanoseconds since 1970, at which [`handle_tick`](Self::handle_tick) has something to do.
    fn next_tick(&self) -> Option<u64> {
        None
    }

    /// Replicated time has reached what [`next_tick`](Self::next_tick) asked for. Committed like an operation.
    fn handle_tick(&mut self, commit: &Commit) {
        let _ = commit;
    }
}

/// Operations and replies as bytes. Free for everything that serde can write and read; [`Raw`] carries bytes as they are.
///
/// ```
/// use vsr_actor::{Payload, PayloadError, Raw};
///
/// let mut bytes = Vec::new();
/// 7_u32.encode(&mut bytes);
/// assert_eq!(u32::decode(bytes.clone().into())?, 7);
/// assert_eq!(Raw::decode(bytes.clone().into())?.0, bytes);
/// let too_short: Result<u64, PayloadError> = u64::decode(bytes.into());
/// assert!(too_short.is_err());
/// # Ok::<(), PayloadError>(())
/// ```
///
/// A format of one's own, which copies what it reads and so needs no [`Bytes`] of its own:
///
/// ```
/// use bytes::Bytes;
/// use std::ops::Range;
/// use vsr_actor::{Payload, PayloadError};
///
/// struct Key([u8; 4]);
///
/// impl Payload for Key {
///     fn encode(&self, into: &mut Vec<u8>) {
///         into.extend_from_slice(&self.0);
///     }
///     fn decode(from: Bytes) -> Result<Self, PayloadError> {
///         Self::decode_part(&from, 0..from.len())
///     }
///     fn decode_part(body: &Bytes, part: Range<usize>) -> Result<Self, PayloadError> {
///         let key = body[part].try_into();
///         key.map(Self).map_err(|_| PayloadError { wanted: "Key", why: "it has not four bytes".into() })
///     }
/// }
///
/// assert_eq!(Key::decode_part(&Bytes::from("abcdefgh"), 2..6)?.0, *b"cdef");
/// # Ok::<(), PayloadError>(())
/// ```
pub trait Payload: Sized + Send + 'static {
    /// Appends the value to `into`, which may hold other values already: what is there is not to be changed.
    fn encode(&self, into: &mut Vec<u8>);

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// When the bytes are not such a value.
    fn decode(from: Bytes) -> Result<Self, PayloadError>;

    /// [`decode`](Self::decode), from a part of a buffer that holds other values, too: this is what replicas call. It hands
    /// `decode` a slice, whose reference is counted by all threads of all replicas in the process. A type that copies what it needs
    /// can spare that, and read `body[part]`.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    fn decode_part(body: &Bytes, part: Range<usize>) -> Result<Self, PayloadError> {
        Self::decode(body.slice(part))
    }
}

/// Bytes that are no value of the type they were decoded as.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these bytes are no {wanted}: {why}")]
pub struct PayloadError {
    /// The type that was wanted.
    pub wanted: &'static str,
    /// What is wrong.
    pub why: String,
}

const DECODED_BYTES_MAX: usize = 64 << 20;

fn format() -> impl bincode::config::Config {
    bincode::config::standard().with_fixed_int_encoding().with_limit::<DECODED_BYTES_MAX>()
}

impl<T: Serialize + DeserializeOwned + Send + 'static> Payload for T {
    fn encode(&self, into: &mut Vec<u8>) {
        bincode::serde::encode_into_std_write(self, into, format())
            .expect("a Vec takes all, and serde types of operations can be written");
    }

    fn decode(from: Bytes) -> Result<Self, PayloadError> {
        decode_slice(&from)
    }

    fn decode_part(body: &Bytes, part: Range<usize>) -> Result<Self, PayloadError> {
        decode_slice(&body[part])
    }
}

fn decode_slice<T: DeserializeOwned>(from: &[u8]) -> Result<T, PayloadError> {
    let wrong = |why: String| PayloadError { wanted: std::any::type_name::<T>(), why };
    match bincode::serde::decode_from_slice(from, format()) {
        Ok((value, read)) if read == from.len() => Ok(value),
        Ok((_, read)) => Err(wrong(format!("{} bytes follow it", from.len() - read))),
        Err(error) => Err(wrong(error.to_string())),
    }
}

/// Bytes as they are, without serde and without a copy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Raw(pub Bytes);

impl Payload for Raw {
    fn encode(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.0);
    }

    fn decode(from: Bytes) -> Result<Self, PayloadError> {
        Ok(Self(from))
    }
}

/// A consistent view of the state, taken between two operations. It is written out on a thread of its own while the state changes.
pub struct Frozen(Box<WriteState>);

type WriteState = dyn FnOnce(&mut dyn io::Write) -> io::Result<()> + Send;

impl Frozen {
    /// A view that is written by calling `write` once.
    pub fn new(write: impl FnOnce(&mut dyn io::Write) -> io::Result<()> + Send + 'static) -> Self {
        Self(Box::new(write))
    }

    /// Writes the state.
    ///
    /// # Errors
    /// Those of `to`, and those of the user's code.
    pub fn write(self, to: &mut dyn io::Write) -> io::Result<()> {
        (self.0)(to)
    }
}

impl fmt::Debug for Frozen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Frozen")
    }
}

/// The state as bytes. Free for a type that is `Serialize + DeserializeOwned`; a type with a format of its own implements this and
/// must not derive both serde traits.
///
/// The free one encodes the whole state in [`snapshot`](Self::snapshot), on the replica's task, which does nothing else meanwhile: no
/// heartbeat, no commit. A state that takes a good part of a heartbeat interval to encode should implement this trait itself and freeze
/// what it shares: keep its parts in `Arc`s, clone those in `snapshot`, write them out in the [`Frozen`], and change them with
/// `Arc::make_mut`, which copies a part only while a snapshot holds it.
///
/// A state may be larger than memory where the storage keeps it elsewhere ([`LogStorage::stage`](crate::LogStorage::stage)): what a
/// [`Frozen`] writes goes there as it comes, and `restore` reads it from there a part at a time. So write and read in parts, too. A write that
/// fails for lack of room is not the [`Frozen`]'s fault: pass the error on, and the snapshot is taken again later.
///
/// ```
/// use std::{io, sync::Arc};
/// use vsr_actor::{Frozen, Snapshot};
///
/// struct Book { text: Arc<String> }
///
/// impl Snapshot for Book {
///     fn snapshot(&self) -> Frozen {
///         let text = self.text.clone();
///         Frozen::new(move |to| to.write_all(text.as_bytes()))
///     }
///     fn restore(&mut self, from: &mut dyn io::Read) -> io::Result<()> {
///         self.text = Arc::new(io::read_to_string(from)?);
///         Ok(())
///     }
///     fn digest(&self) -> Option<u128> {
///         Some(self.text.bytes().fold(0, |digest, byte| digest.wrapping_mul(0x1_0000_01b3) ^ u128::from(byte)))
///     }
/// }
///
/// let mut book = Book { text: Arc::new("once".into()) };
/// let frozen = book.snapshot();
/// Arc::make_mut(&mut book.text).push_str(" upon a time"); // the snapshot keeps what it froze
/// let mut bytes = Vec::new();
/// frozen.write(&mut bytes)?;
/// book.restore(&mut bytes.as_slice())?;
/// assert_eq!(*book.text, "once");
/// # Ok::<(), io::Error>(())
/// ```
pub trait Snapshot: Send + 'static {
    /// A view of the state as it is now. Called on the replica's task: it should cost next to nothing.
    fn snapshot(&self) -> Frozen;

    /// Takes over a state that [`snapshot`](Self::snapshot) wrote, in place: what is not state (handles, caches) may stay. The replica does
    /// nothing else meanwhile; a state of more than 64 KiB is restored on a thread of tokio's that may block, so that whoever shares the
    /// runtime goes on.
    ///
    /// # Errors
    /// When the bytes are not such a state; the replica then stops.
    fn restore(&mut self, from: &mut dyn io::Read) -> io::Result<()>;

    /// A digest of the state: equal states must give equal digests. Replicas compare it every
    /// [`digest_interval_ops`](crate::ReplicatedLimits::digest_interval_ops), as they compare their replies: one that differs from a
    /// quorum stops with [`ReplicaError::Fenced`](crate::ReplicaError::Fenced), which names the first differing range of operations. Called on
    /// the replica's task. `None`: replicas are compared by their replies alone.
    fn digest(&self) -> Option<u128> {
        None
    }
}

impl<T: Serialize + DeserializeOwned + Send + 'static> Snapshot for T {
    fn snapshot(&self) -> Frozen {
        let bytes =
            bincode::serde::encode_to_vec(self, bincode::config::standard()).map_err(io::Error::other);
        Frozen::new(move |to| to.write_all(&bytes?))
    }

    fn restore(&mut self, mut from: &mut dyn io::Read) -> io::Result<()> {
        *self = bincode::serde::decode_from_std_read(&mut from, bincode::config::standard())
            .map_err(io::Error::other)?;
        Ok(())
    }
}
