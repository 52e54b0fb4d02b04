//! Snapshots in pieces: kept for those who fetch them, put together by those who lack them (rules D6, E2).
//!
//! Nothing changes before the last piece is here and the digest fits. Where pieces are lost or their source is gone, any other
//! replica with the very same snapshot goes on at the same byte.

use super::Replica;
use crate::{
    event::{Event, Ignored},
    id::{OpNumber, Time},
    mutation::Mutation,
    snapshot::{Arrived, Held, Piece, Snapshot, SnapshotHeader},
};
use alloc::{sync::Arc, vec, vec::Vec};
use bytes::Bytes;
use core::{
    hash::{Hash, Hasher},
    time::Duration,
};

/// The beginning of a snapshot.
#[derive(Clone, Debug)]
pub(crate) struct Incoming {
    header: SnapshotHeader,
    /// Grows with what arrives, not with what is announced.
    bytes: Vec<u8>,
    /// When the last piece came.
    since: Time,
}

impl Incoming {
    pub(crate) fn header(&self) -> &SnapshotHeader {
        &self.header
    }

    pub(crate) fn held(&self) -> u64 {
        self.bytes.len() as u64
    }
}

/// What each of the others is fetching from here.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Served(Vec<Option<Pin>>);

#[derive(Clone, Debug)]
struct Pin {
    /// The log from here on is needed.
    from: OpNumber,
    snapshot: Option<Arc<Snapshot>>,
    /// Who has not asked again until then has given up.
    until: Time,
}

impl Served {
    pub(crate) fn new(replicas: usize) -> Self {
        Self(vec![None; replicas])
    }

    /// From where on the log is needed; those who gave up are forgotten.
    pub(crate) fn lowest(&mut self, now: Time) -> Option<OpNumber> {
        self.0.iter_mut().for_each(|pin| drop(pin.take_if(|pin| pin.until <= now)));
        self.0.iter().flatten().map(|pin| pin.from).min()
    }

    /// The log is trimmed through here: who needs more must begin again.
    pub(crate) fn let_go(&mut self, through: OpNumber) {
        self.0.iter_mut().for_each(|pin| drop(pin.take_if(|pin| pin.from < through)));
    }

    fn with_digest(&self, digest: u128) -> Option<&Arc<Snapshot>> {
        let snapshots = self.0.iter().flatten().filter_map(|pin| pin.snapshot.as_ref());
        snapshots.into_iter().find(|snapshot| snapshot.header().digest == digest)
    }
}

/// The time is left out, as in all that an exhaustive search compares.
impl Hash for Incoming {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let Self { header, bytes, since: _ } = self;
        (header, bytes).hash(hasher);
    }
}

impl Hash for Pin {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let Self { from, snapshot, until: _ } = self;
        (from, snapshot).hash(hasher);
    }
}

impl Replica {
    /// How long one side of a transfer waits for the other: questions go round all replicas, one each heartbeat interval.
    fn transfer_patience(&self) -> Duration {
        let round = self.config.heartbeat_interval * 2 * self.replicas() as u32;
        self.config.heartbeat_timeout.max(round)
    }

    /// What to tell a source: how much of a snapshot is here, unless the log has got further meanwhile.
    pub(super) fn held_above(&self, op: OpNumber) -> Option<Held> {
        let incoming = self.incoming.as_ref().filter(|incoming| incoming.header.op > op)?;
        Some(Held { op: incoming.header.op, digest: incoming.header.digest, offset: incoming.held() })
    }

    /// The next piece for somebody whose log ends at `after`, if that is what it needs: of the snapshot it has begun with, if that is
    /// still here, else of the newest one.
    pub(super) fn piece_for(&mut self, from: usize, after: OpNumber, held: Option<&Held>) -> Option<Piece> {
        let begun = held.and_then(|held| {
            let same = |snapshot: &&Arc<Snapshot>| snapshot.header().digest == held.digest;
            let newest = self.snapshot.as_ref().filter(same);
            let snapshot = newest.or_else(|| self.served.with_digest(held.digest))?;
            (held.offset < snapshot.header().bytes()).then(|| (snapshot.clone(), held.offset))
        });
        let newest = || self.snapshot.clone().filter(|_| after < self.log.base()).map(|newest| (newest, 0));
        let (snapshot, offset) = begun.or_else(newest)?;
        let piece = snapshot.piece(offset, self.config.limits.transfer_bytes_max).ok()?;
        self.keep_for(from, snapshot.op(), Some(snapshot));
        Some(piece)
    }

    /// What somebody fetches stays until it is done or gives up: a transfer slower than two snapshots would never end.
    pub(super) fn keep_for(&mut self, to: usize, from: OpNumber, snapshot: Option<Arc<Snapshot>>) {
        let until = self.now.monotonic.after(self.transfer_patience());
        let forgetful = self.mutated(Mutation::TrimWhatIsFetched);
        self.served.0[to] = (!forgetful).then_some(Pin { from, snapshot, until });
    }

    /// Takes a piece in. `Some`: it was the last one, and the snapshot is what it was said to be.
    pub(super) fn take_piece(&mut self, from: usize, piece: &Piece) -> Result<Option<Arrived>, Ignored> {
        self.check_piece(piece)?;
        let patience = self.transfer_patience();
        let now = self.now.monotonic;
        let mixed = self.mutated(Mutation::MixSnapshots);
        let other = |incoming: &&mut Incoming| {
            incoming.header != piece.header && !(mixed && piece.offset == incoming.held())
        };
        if let Some(incoming) = self.incoming.as_mut().filter(other) {
            // A source that still has the first one may answer yet.
            if now < incoming.since.after(patience) {
                return Err(Ignored::OtherSnapshot);
            }
            self.incoming = None;
        }
        let fresh = || Incoming { header: piece.header, bytes: Vec::new(), since: now };
        if self.incoming.is_none() && piece.offset > 0 {
            return Err(Ignored::NothingNew);
        }
        let incoming = self.incoming.get_or_insert_with(fresh);
        if piece.offset != incoming.held() {
            return Err(Ignored::NothingNew);
        }
        incoming.bytes.extend_from_slice(piece.bytes.bytes());
        incoming.since = now;
        let (op, held, bytes) = (incoming.header.op, incoming.held(), incoming.header.bytes());
        self.observe(Event::PieceReceived { from: self.id_of(from), op, held, bytes });
        let partial = self.mutated(Mutation::InstallPartialSnapshot);
        if held < bytes && !partial {
            return Ok(None);
        }
        let Some(incoming) = self.incoming.take() else { return Ok(None) };
        let arrived = self.put_together(incoming);
        if let Err(reason) = arrived {
            self.observe(Event::PiecesDiscarded { from: self.id_of(from), op, reason });
        }
        arrived.map(Some)
    }

    /// Nothing is allocated for what is out of bounds (D5).
    fn check_piece(&self, piece: &Piece) -> Result<(), Ignored> {
        let Piece { header, offset, bytes } = piece;
        let announced = header.protocol_bytes.checked_add(header.state_bytes).ok_or(Ignored::Malformed)?;
        let end = offset.checked_add(bytes.bytes().len() as u64).ok_or(Ignored::Malformed)?;
        if !bytes.is_complete() || bytes.bytes().is_empty() || end > announced {
            Err(Ignored::Malformed)
        } else if announced > self.config.limits.snapshot_bytes_max {
            Err(Ignored::TooLarge)
        } else {
            Ok(())
        }
    }

    /// All pieces are here: are they what was announced, and of this group?
    fn put_together(&self, incoming: Incoming) -> Result<Arrived, Ignored> {
        let Incoming { header, bytes, .. } = incoming;
        let mut state = Bytes::from(bytes);
        let protocol = state.split_to(state.len().min(header.protocol_bytes as usize));
        #[cfg(feature = "inject")]
        if self.mutated(Mutation::SkipSnapshotDigest) || self.mutated(Mutation::InstallPartialSnapshot) {
            let snapshot = Snapshot::unchecked(header, protocol, state.into());
            let replicated = snapshot.replicated().ok_or(Ignored::Malformed)?;
            return Ok(Arrived { snapshot: Arc::new(snapshot), replicated });
        }
        let snapshot = Snapshot::assemble(header, protocol, state.into()).ok_or(Ignored::Malformed)?;
        let replicated = snapshot.replicated().ok_or(Ignored::Malformed)?;
        if Some(&replicated.membership) != self.membership.as_ref() {
            return Err(Ignored::OtherMembership);
        }
        Ok(Arrived { snapshot: Arc::new(snapshot), replicated })
    }

    /// A piece of a snapshot that reaches further than what is held (rule D6).
    pub(super) fn on_piece(&mut self, from: usize, commit: OpNumber, piece: &Piece) -> Result<(), Ignored> {
        let own = self.in_own_view();
        let Some(transfer) = &self.transfer else { return Err(Ignored::StaleNonce) };
        let (view, reached) = (transfer.view, if own { self.log.op() } else { transfer.reached() });
        if piece.header.op <= reached {
            return Err(Ignored::NothingNew);
        }
        self.incoming.take_if(|incoming| incoming.header.op <= reached);
        let arrived = self.take_piece(from, piece)?;
        self.note_progress(view);
        match arrived {
            None => self.fetch(),
            Some(arrived) if own => {
                self.replace_log(arrived);
                self.end_transfer_or(true, commit);
            }
            Some(arrived) => {
                self.stage_snapshot(arrived);
                self.use_what_is_staged(true);
            }
        }
        Ok(())
    }

    /// What the own log has overtaken is of no use.
    pub(super) fn forget_overtaken_snapshots(&mut self) {
        let commit = self.commit;
        self.incoming.take_if(|incoming| incoming.header.op <= commit);
        self.arrived.take_if(|arrived| arrived.snapshot.op() <= commit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{Config, ReplicatedLimits},
        configuration::{Member, Membership},
        id::{EpochNumber, Hash as LogHash, Incarnation, Now, ReplicaId},
        input::Restored,
        log::Point,
        session::Sessions,
        snapshot::Replicated,
    };

    fn membership(incarnation: u64) -> Membership {
        let limits = ReplicatedLimits::default();
        let member = |id| Member { id: ReplicaId(id), incarnation: Incarnation(incarnation) };
        Membership { epoch: EpochNumber(0), members: (0..3).map(member).collect(), limits }
    }

    /// One that belongs to the group of incarnation 1.
    fn replica() -> Replica {
        let mut config = Config::new(ReplicaId(0), (0..3).map(ReplicaId).collect());
        config.limits.snapshot_bytes_max = 1 << 30;
        let started = Replica::start(Now::default(), config, Restored::default(), &mut Vec::new());
        let mut replica = started.expect("the configuration is valid");
        replica.membership = Some(membership(1));
        replica
    }

    fn snapshot(incarnation: u64) -> Snapshot {
        let sessions = Sessions::new(ReplicatedLimits::default());
        let protocol = Replicated { membership: membership(incarnation), sessions, replies: 0 }.encode();
        let at = Point { op: OpNumber(7), hash: LogHash(8), timestamp: 9 };
        Snapshot::new(at, protocol, Bytes::from_static(b"state").into())
    }

    fn piece(snapshot: &Snapshot, offset: u64, bytes_max: usize) -> Piece {
        snapshot.piece(offset, bytes_max).expect("it is in memory")
    }

    /// Takes all pieces of a snapshot, and says what the last one led to.
    fn take_all(replica: &mut Replica, snapshot: &Snapshot) -> Result<bool, Ignored> {
        let first = piece(snapshot, 0, 1 << 20);
        assert!(matches!(replica.take_piece(1, &first), Ok(None)));
        let last = piece(snapshot, snapshot.header().protocol_bytes, 1 << 20);
        replica.take_piece(2, &last).map(|arrived| arrived.is_some())
    }

    #[test]
    fn a_snapshot_of_another_membership_is_not_taken() {
        let mut replica = replica();
        assert_eq!(take_all(&mut replica, &snapshot(2)), Err(Ignored::OtherMembership));
        assert!(replica.incoming.is_none(), "and its pieces are gone");
        assert_eq!(take_all(&mut replica, &snapshot(1)), Ok(true));
    }

    #[test]
    fn what_is_announced_allocates_nothing() {
        let mut replica = replica();
        let mut piece = piece(&snapshot(1), 0, 10);
        piece.header.state_bytes = (1 << 30) - piece.header.protocol_bytes;
        assert!(matches!(replica.take_piece(1, &piece), Ok(None)));
        let incoming = replica.incoming.take().expect("it has begun");
        assert!(incoming.bytes.capacity() < 1 << 10);
        piece.header.state_bytes += 1;
        assert_eq!(replica.take_piece(1, &piece).err(), Some(Ignored::TooLarge));
        piece.header.state_bytes = u64::MAX;
        assert_eq!(replica.take_piece(1, &piece).err(), Some(Ignored::Malformed));
    }

    #[test]
    fn a_piece_that_reaches_beyond_its_snapshot_or_is_empty_is_malformed() {
        let mut replica = replica();
        let whole = snapshot(1);
        let bytes = whole.header().bytes();
        let mut beyond = piece(&whole, bytes - 2, 10);
        beyond.offset += 1;
        assert_eq!(replica.take_piece(1, &beyond).err(), Some(Ignored::Malformed));
        beyond.offset = u64::MAX;
        assert_eq!(replica.take_piece(1, &beyond).err(), Some(Ignored::Malformed));
        assert_eq!(replica.take_piece(1, &piece(&whole, bytes, 10)).err(), Some(Ignored::Malformed));
        assert_eq!(replica.take_piece(1, &piece(&whole, 5, 10)).err(), Some(Ignored::NothingNew));
        assert!(replica.incoming.is_none());
    }
}
