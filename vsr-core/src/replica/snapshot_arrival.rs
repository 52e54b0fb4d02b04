//! A snapshot arrives in pieces (rule D6). What the protocol keeps of it gathers here; the state, which may be larger than memory, goes
//! to the host part by part, and the next piece is asked for when the host has the last one.
//!
//! Nothing changes before the host has the whole state and the digest fits. What cannot be kept is fetched anew, after a while.

use super::Replica;
use crate::{
    effect::Effect,
    event::{Event, Ignored},
    id::{OpNumber, StageId, Time},
    input::Staged,
    mutation::Mutation,
    snapshot::{Arrived, Held, Piece, Snapshot, SnapshotHeader, StagePart},
    state::{BlobError, State},
};
use alloc::{boxed::Box, sync::Arc, vec::Vec};
use bytes::Bytes;
use core::hash::{Hash, Hasher};

/// The beginning of a snapshot.
#[derive(Clone, Debug)]
pub(crate) struct Incoming {
    header: SnapshotHeader,
    /// What the protocol keeps. Grows with what arrives, not with what is announced.
    protocol: Vec<u8>,
    state: Progress,
    /// Who sent the last piece.
    from: usize,
    /// When the last piece came.
    since: Time,
}

/// How far the host is with the state.
#[derive(Clone, Debug)]
enum Progress {
    /// It has so many bytes, and waits for more.
    Through(u64),
    /// It has so many, and is busy with those up to `end`.
    UnderWay { id: StageId, through: u64, end: u64 },
    /// It has all of them. They wait here while nothing is fetched.
    Whole(State),
}

impl Progress {
    fn through(&self) -> u64 {
        match self {
            Self::Through(through) | Self::UnderWay { through, .. } => *through,
            Self::Whole(state) => state.len(),
        }
    }
}

impl Incoming {
    pub(crate) fn header(&self) -> &SnapshotHeader {
        &self.header
    }

    /// Whether the host is busy with a part of it.
    fn is_under_way(&self) -> bool {
        matches!(self.state, Progress::UnderWay { .. })
    }

    pub(crate) fn held(&self) -> u64 {
        self.protocol.len() as u64 + self.state.through()
    }
}

/// The time is left out, as in all that an exhaustive search compares, and names.
impl Hash for Incoming {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let Self { header, protocol, state, from, since: _ } = self;
        (header, protocol, state.through(), self.is_under_way(), from).hash(hasher);
    }
}

impl Replica {
    /// What to tell a source: how much of a snapshot is here, unless the log has got further meanwhile.
    pub(super) fn held_above(&self, op: OpNumber) -> Option<Held> {
        let incoming = self.incoming.as_ref().filter(|incoming| incoming.header.op > op)?;
        Some(Held { op: incoming.header.op, digest: incoming.header.digest, offset: incoming.held() })
    }

    /// A piece of a snapshot that reaches further than what is held.
    pub(super) fn on_piece(&mut self, from: usize, piece: &Piece) -> Result<(), Ignored> {
        let Some((view, reached)) = self.fetched_so_far() else { return Err(Ignored::StaleNonce) };
        if piece.header.op <= reached {
            return Err(Ignored::NothingNew);
        }
        self.forget_incoming(|incoming| incoming.header.op <= reached);
        self.check_piece(piece)?;
        self.make_room_for(piece)?;
        self.take_piece(from, piece)?;
        self.note_progress(view);
        if !self.incoming.as_ref().is_some_and(Incoming::is_under_way) {
            self.fetch();
        }
        Ok(())
    }

    /// The view whose log is fetched, and how far it is here.
    fn fetched_so_far(&self) -> Option<(crate::id::ViewNumber, OpNumber)> {
        let transfer = self.transfer.as_ref()?;
        Some((transfer.view, if self.in_own_view() { self.log.op() } else { transfer.reached() }))
    }

    /// Nothing is allocated for what is out of bounds (D5).
    fn check_piece(&self, piece: &Piece) -> Result<(), Ignored> {
        let Piece { header, offset, bytes } = piece;
        let announced = header.protocol_bytes.checked_add(header.state_bytes).ok_or(Ignored::Malformed)?;
        let end = offset.checked_add(bytes.len()).ok_or(Ignored::Malformed)?;
        let crosses = *offset < header.protocol_bytes && end > header.protocol_bytes;
        if !bytes.is_complete() || bytes.is_empty() || end > announced || crosses {
            Err(Ignored::Malformed)
        } else if announced > self.config.limits.snapshot_bytes_max {
            Err(Ignored::TooLarge)
        } else {
            Ok(())
        }
    }

    /// One snapshot at a time: what was begun goes only if nothing came of it for a while, for a source that still has it may answer yet.
    fn make_room_for(&mut self, piece: &Piece) -> Result<(), Ignored> {
        let (now, patience) = (self.now.monotonic, self.transfer_patience());
        let mixed = self.mutated(Mutation::MixSnapshots);
        let other = |incoming: &&Incoming| {
            incoming.header != piece.header && !(mixed && piece.offset == incoming.held())
        };
        if let Some(incoming) = self.incoming.as_ref().filter(other) {
            if now < incoming.since.after(patience) {
                return Err(Ignored::OtherSnapshot);
            }
            self.forget_incoming(|_| true);
        }
        Ok(())
    }

    fn take_piece(&mut self, from: usize, piece: &Piece) -> Result<(), Ignored> {
        let now = self.now.monotonic;
        if self.incoming.is_none() && piece.offset > 0 {
            return Err(Ignored::NothingNew);
        }
        let two_at_once = self.mutated(Mutation::StageTwoAtOnce);
        let incoming = self.incoming.get_or_insert_with(|| Incoming {
            header: piece.header,
            protocol: Vec::new(),
            state: Progress::Through(0),
            from,
            since: now,
        });
        let busy = !matches!(incoming.state, Progress::Through(_)) && !two_at_once;
        if piece.offset != incoming.held() || busy {
            return Err(Ignored::NothingNew);
        }
        (incoming.from, incoming.since) = (from, now);
        if piece.offset < incoming.header.protocol_bytes {
            incoming.protocol.extend_from_slice(&piece.bytes.read().map_err(|_| Ignored::Malformed)?);
            self.note_arrived();
        } else {
            self.stage_part(piece);
        }
        Ok(())
    }

    /// A part of the state goes to the host; what comes next waits until the host has it.
    fn stage_part(&mut self, piece: &Piece) {
        let Some(incoming) = &mut self.incoming else { return };
        self.staged.0 += 1;
        let (id, through) = (self.staged, incoming.state.through());
        incoming.state = Progress::UnderWay { id, through, end: through + piece.bytes.len() };
        let (header, bytes) = (piece.header, piece.bytes.clone());
        self.out.push(Effect::Stage(Box::new(StagePart { id, header, offset: through, bytes })));
    }

    /// The host has done with a part of the state, or has failed to.
    pub(super) fn on_staged(&mut self, id: StageId, result: Result<Staged, BlobError>) {
        let any = self.mutated(Mutation::StagedOfAnyName);
        let keep = self.mutated(Mutation::KeepFailedStage);
        let now = self.now.monotonic;
        let Some(incoming) = &mut self.incoming else { return };
        let Progress::UnderWay { id: asked, end, .. } = incoming.state else { return };
        if asked != id && !any {
            return;
        }
        match result {
            Ok(Staged::Part) => incoming.state = Progress::Through(end),
            Ok(Staged::Whole(state)) => incoming.state = Progress::Whole(state),
            Err(reason) => {
                let op = incoming.header.op;
                incoming.state = Progress::Through(if keep { end } else { 0 });
                self.incoming.take_if(|_| !keep);
                // The source is asked again at the next interval, not at once: a full disk stays full for a while.
                return self.observe(Event::StagingFailed { op, reason });
            }
        }
        incoming.since = now;
        self.note_arrived();
        if let Some((view, _)) = self.fetched_so_far() {
            self.note_progress(view);
        }
        self.fetch();
    }

    fn note_arrived(&mut self) {
        let Some(incoming) = &mut self.incoming else { return };
        if incoming.held() == incoming.header.protocol_bytes && incoming.header.state_bytes == 0 {
            incoming.state = Progress::Whole(Bytes::new().into());
        }
        let (from, op, held, bytes) =
            (incoming.from, incoming.header.op, incoming.held(), incoming.header.bytes());
        self.observe(Event::PieceReceived { from: self.id_of(from), op, held, bytes });
    }

    /// Installs a snapshot that is whole, instead of asking for more. False: there is none.
    pub(super) fn use_whole_snapshot(&mut self) -> bool {
        let Some((_, reached)) = self.fetched_so_far() else { return false };
        self.forget_incoming(|incoming| incoming.header.op <= reached);
        let partial = self.mutated(Mutation::InstallPartialSnapshot);
        let is_whole = |incoming: &mut Incoming| match incoming.state {
            Progress::Whole(_) => true,
            _ => partial && incoming.held() >= incoming.header.protocol_bytes,
        };
        let Some(incoming) = self.incoming.take_if(is_whole) else { return false };
        let (from, op) = (self.id_of(incoming.from), incoming.header.op);
        match self.put_together(incoming) {
            Ok(arrived) => self.use_arrived(arrived),
            // Somebody else is asked at the next interval.
            Err(reason) => self.observe(Event::PiecesDiscarded { from, op, reason }),
        }
        true
    }

    /// All pieces are here: are they what was announced, and of this group?
    fn put_together(&self, incoming: Incoming) -> Result<Arrived, Ignored> {
        let Incoming { header, protocol, state, .. } = incoming;
        let protocol = Bytes::from(protocol);
        #[cfg(feature = "inject")]
        if self.mutated(Mutation::SkipSnapshotDigest) || self.mutated(Mutation::InstallPartialSnapshot) {
            let state = if let Progress::Whole(state) = state { state } else { Bytes::new().into() };
            let snapshot = Snapshot::unchecked(header, protocol, state);
            let replicated = snapshot.replicated().ok_or(Ignored::Malformed)?;
            return Ok(Arrived { snapshot: Arc::new(snapshot), replicated });
        }
        let Progress::Whole(state) = state else { return Err(Ignored::Malformed) };
        let snapshot = Snapshot::assemble(header, protocol, state).ok_or(Ignored::Malformed)?;
        let replicated = snapshot.replicated().ok_or(Ignored::Malformed)?;
        if Some(&replicated.membership) != self.membership.as_ref() {
            return Err(Ignored::OtherMembership);
        }
        Ok(Arrived { snapshot: Arc::new(snapshot), replicated })
    }

    fn use_arrived(&mut self, arrived: Arrived) {
        if self.in_own_view() {
            let commit = self.transfer.as_ref().map_or(OpNumber(0), |transfer| transfer.commit);
            self.replace_log(arrived);
            self.end_transfer_or(true, commit);
        } else {
            self.stage_snapshot(arrived);
            self.use_what_is_staged(true);
        }
    }

    /// What the own log has overtaken is of no use.
    pub(super) fn forget_overtaken_snapshots(&mut self) {
        let commit = self.commit;
        self.forget_incoming(|incoming| incoming.header.op <= commit);
        self.arrived.take_if(|arrived| arrived.snapshot.op() <= commit);
    }

    /// The host need not keep what nobody waits for.
    fn forget_incoming(&mut self, useless: impl FnOnce(&Incoming) -> bool) {
        let gone = self.incoming.take_if(|incoming| useless(incoming));
        let is_kept = |incoming: &Incoming| match incoming.state {
            Progress::Through(through) => through > 0,
            Progress::UnderWay { .. } => true,
            Progress::Whole(_) => false,
        };
        if gone.as_ref().is_some_and(is_kept) {
            self.out.push(Effect::Unstage);
        }
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

    /// Takes pieces in, as those that a transfer asked for.
    fn take(replica: &mut Replica, from: usize, piece: &Piece) -> Result<(), Ignored> {
        replica.check_piece(piece)?;
        replica.make_room_for(piece)?;
        replica.take_piece(from, piece)
    }

    /// The part that was handed to the host.
    fn part(replica: &mut Replica) -> StagePart {
        match replica.out.pop() {
            Some(Effect::Stage(part)) => *part,
            other => panic!("a part is to be staged, but {other:?}"),
        }
    }

    /// Takes all pieces of a snapshot, and says what they make.
    fn take_all(replica: &mut Replica, snapshot: &Snapshot) -> Result<Arrived, Ignored> {
        take(replica, 1, &snapshot.piece(0, 1 << 20))?;
        take(replica, 2, &snapshot.piece(snapshot.header().protocol_bytes, 1 << 20))?;
        let part = part(replica);
        assert!(part.is_last() && part.offset == 0);
        replica.on_staged(part.id, Ok(Staged::Whole(snapshot.state().clone())));
        let incoming = replica.incoming.take().expect("it waits for a transfer");
        replica.put_together(incoming)
    }

    #[test]
    fn a_snapshot_of_another_membership_is_not_taken() {
        let mut replica = replica();
        assert_eq!(take_all(&mut replica, &snapshot(2)).err(), Some(Ignored::OtherMembership));
        let arrived = take_all(&mut replica, &snapshot(1)).expect("it is of this group");
        assert_eq!(*arrived.snapshot, snapshot(1));
    }

    #[test]
    fn what_is_announced_allocates_nothing() {
        let mut replica = replica();
        let mut piece = snapshot(1).piece(0, 10);
        piece.header.state_bytes = (1 << 30) - piece.header.protocol_bytes;
        assert_eq!(take(&mut replica, 1, &piece), Ok(()));
        let incoming = replica.incoming.take().expect("it has begun");
        assert!(incoming.protocol.capacity() < 1 << 10);
        piece.header.state_bytes += 1;
        assert_eq!(take(&mut replica, 1, &piece), Err(Ignored::TooLarge));
        piece.header.state_bytes = u64::MAX;
        assert_eq!(take(&mut replica, 1, &piece), Err(Ignored::Malformed));
    }

    #[test]
    fn a_piece_that_reaches_beyond_its_snapshot_or_part_or_is_empty_is_malformed() {
        let mut replica = replica();
        let whole = snapshot(1);
        let bytes = whole.header().bytes();
        let mut beyond = whole.piece(bytes - 2, 10);
        beyond.offset += 1;
        assert_eq!(take(&mut replica, 1, &beyond), Err(Ignored::Malformed));
        beyond.offset = u64::MAX;
        assert_eq!(take(&mut replica, 1, &beyond), Err(Ignored::Malformed));
        beyond.offset = whole.header().protocol_bytes - 1;
        assert_eq!(take(&mut replica, 1, &beyond), Err(Ignored::Malformed));
        assert_eq!(take(&mut replica, 1, &whole.piece(bytes, 10)), Err(Ignored::Malformed));
        assert_eq!(take(&mut replica, 1, &whole.piece(5, 10)), Err(Ignored::NothingNew));
        assert!(replica.incoming.is_none());
    }

    #[test]
    fn one_part_at_a_time_is_handed_to_the_host() {
        let mut replica = replica();
        let whole = snapshot(1);
        let start = whole.header().protocol_bytes;
        assert_eq!(take(&mut replica, 1, &whole.piece(0, 1 << 20)), Ok(()));
        assert_eq!(take(&mut replica, 1, &whole.piece(start, 2)), Ok(()));
        let first = part(&mut replica);
        assert_eq!((first.offset, first.bytes.len(), first.is_last()), (0, 2, false));
        assert_eq!(take(&mut replica, 1, &whole.piece(start, 2)), Err(Ignored::NothingNew));
        assert_eq!(take(&mut replica, 1, &whole.piece(start + 2, 2)), Err(Ignored::NothingNew));
        replica.on_staged(StageId(first.id.0 + 1), Ok(Staged::Part));
        assert_eq!(take(&mut replica, 1, &whole.piece(start + 2, 2)), Err(Ignored::NothingNew));
        replica.on_staged(first.id, Ok(Staged::Part));
        assert_eq!(take(&mut replica, 1, &whole.piece(start + 2, 100)), Ok(()));
        assert!(part(&mut replica).is_last());
    }

    #[test]
    fn what_cannot_be_kept_begins_anew() {
        let mut replica = replica();
        let whole = snapshot(1);
        let start = whole.header().protocol_bytes;
        assert_eq!(take(&mut replica, 1, &whole.piece(0, 1 << 20)), Ok(()));
        assert_eq!(take(&mut replica, 1, &whole.piece(start, 2)), Ok(()));
        let first = part(&mut replica);
        replica.on_staged(first.id, Err(BlobError::new("no room")));
        assert!(matches!(replica.out.pop(), Some(Effect::Observe(Event::StagingFailed { .. }))));
        assert_eq!(take(&mut replica, 1, &whole.piece(start, 2)), Err(Ignored::NothingNew));
        assert!(take_all(&mut replica, &whole).is_ok());
    }

    #[test]
    fn what_was_begun_in_vain_is_not_kept() {
        let mut replica = replica();
        let whole = snapshot(1);
        assert_eq!(take(&mut replica, 1, &whole.piece(0, 1 << 20)), Ok(()));
        replica.forget_incoming(|_| true);
        assert!(!matches!(replica.out.pop(), Some(Effect::Unstage)), "the host has nothing of it");
        assert_eq!(take(&mut replica, 1, &whole.piece(0, 1 << 20)), Ok(()));
        assert_eq!(take(&mut replica, 1, &whole.piece(whole.header().protocol_bytes, 2)), Ok(()));
        replica.forget_incoming(|_| true);
        assert!(matches!(replica.out.pop(), Some(Effect::Unstage)));
    }
}
