//! Snapshots for those who fetch them in pieces: kept until they are done or give up (rule E2).
//!
//! Where pieces are lost or their source is gone, any other replica with the very same snapshot goes on at the same byte.

use super::Replica;
use crate::{
    id::{OpNumber, Time},
    mutation::Mutation,
    snapshot::{Held, Piece, Snapshot},
};
use alloc::{sync::Arc, vec, vec::Vec};
use core::{
    hash::{Hash, Hasher},
    time::Duration,
};

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
impl Hash for Pin {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let Self { from, snapshot, until: _ } = self;
        (from, snapshot).hash(hasher);
    }
}

impl Replica {
    /// How long one side of a transfer waits for the other: questions go round all replicas, one each heartbeat interval.
    pub(super) fn transfer_patience(&self) -> Duration {
        let round = self.config.heartbeat_interval * 2 * self.replicas() as u32;
        self.config.heartbeat_timeout.max(round)
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
        let piece = snapshot.piece(offset, self.config.limits.transfer_bytes_max);
        self.keep_for(from, snapshot.op(), Some(snapshot));
        Some(piece)
    }

    /// What somebody fetches stays until it is done or gives up: a transfer slower than two snapshots would never end.
    pub(super) fn keep_for(&mut self, to: usize, from: OpNumber, snapshot: Option<Arc<Snapshot>>) {
        let until = self.now.monotonic.after(self.transfer_patience());
        let forgetful = self.mutated(Mutation::TrimWhatIsFetched);
        self.served.0[to] = (!forgetful).then_some(Pin { from, snapshot, until });
    }
}
