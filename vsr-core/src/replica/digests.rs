//! Whether the user's code is deterministic: replicas compare digests of what it answered (decision 14).
//!
//! The digest rolls over (op, reply), so one that differs stays different: that the last few are told, now and then, is enough.

use super::{Mode, Replica};
use crate::{
    event::{Event, Ignored},
    id::OpNumber,
    message::{Body, Digest},
    mutation::Mutation,
    stop::StopReason,
};
use alloc::{collections::VecDeque, vec, vec::Vec};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Digests that are remembered, told and compared.
const KEPT_MAX: usize = 32;

/// How often the newest digest is told: messages get lost.
const TELLINGS: u8 = 3;

#[derive(Clone, Debug)]
pub(crate) struct Digests {
    /// Over the replies of all operations so far.
    rolling: u64,
    /// The host owes the state's digest at these ops.
    due: VecDeque<OpNumber>,
    /// The newest, in order of their ops.
    own: VecDeque<Digest>,
    /// What each replica told last, in order of the ops.
    peers: Vec<Peer>,
    tellings_left: u8,
}

#[derive(Clone, Debug, Default)]
struct Peer {
    told: Vec<Digest>,
    /// The highest op at which it was seen to agree.
    agreed: OpNumber,
    /// Nobody wants to hear of the same difference twice.
    alarmed: bool,
}

impl Digests {
    pub(crate) fn new(replicas: usize, rolling: u64) -> Self {
        Self {
            rolling,
            due: VecDeque::new(),
            own: VecDeque::new(),
            peers: vec![Peer::default(); replicas],
            tellings_left: 0,
        }
    }

    /// The digest over all replies so far: part of every snapshot, or who installs one would differ from then on.
    pub(crate) fn rolling(&self) -> u64 {
        self.rolling
    }

    /// Goes on from a snapshot.
    pub(crate) fn resume(&mut self, rolling: u64) {
        self.rolling = rolling;
        self.own.clear();
    }

    pub(crate) fn roll(&mut self, op: OpNumber, reply: &[u8]) {
        self.rolling = xxh3_64_with_seed(reply, self.rolling.rotate_left(1) ^ op.0);
    }

    pub(crate) fn expect(&mut self, op: OpNumber) {
        self.due.push_back(op);
    }

    /// Whether somebody may not have heard of the newest.
    pub(crate) fn are_to_be_told(&self) -> bool {
        self.tellings_left > 0
    }

    pub(crate) fn are_owed(&self) -> bool {
        !self.due.is_empty()
    }

    fn keep(&mut self, op: OpNumber, state: Option<u128>) {
        assert_eq!(self.due.pop_front(), Some(op), "digests are handed in once, in the order of the effects");
        if self.own.len() == KEPT_MAX {
            self.own.pop_front();
        }
        self.own.push_back(Digest { op, replies: self.rolling, state });
        self.tellings_left = TELLINGS;
    }

    /// Who agrees with whom at an op of this replica: how many say something else together, at most, and who differs.
    fn others_at(&self, own: &Digest) -> (usize, Vec<usize>) {
        let said: Vec<_> = self.peers.iter().map(|peer| peer.at(own.op)).collect();
        let differ = |found: &Option<&Digest>| found.is_some_and(|found| found != own);
        let together = |found: &Option<&Digest>| said.iter().filter(|other| *other == found).count();
        let most = said.iter().filter(|found| differ(found)).map(together).max().unwrap_or(0);
        (most, (0..said.len()).filter(|index| differ(&said[*index])).collect())
    }
}

impl Peer {
    fn at(&self, op: OpNumber) -> Option<&Digest> {
        let index = self.told.binary_search_by_key(&op, |digest| digest.op).ok()?;
        Some(&self.told[index])
    }
}

impl Replica {
    /// Hands in the state machine's own digest, if it has one, after [`TakeDigest`](crate::Effect::TakeDigest) and before the next
    /// input.
    ///
    /// # Panics
    /// When `op` is not the one whose digest is due.
    pub fn digested(&mut self, op: OpNumber, state: Option<u128>) {
        self.digests.keep(op, state);
    }

    /// Tells the others, while there is something they may not have heard.
    pub(super) fn tell_digests(&mut self) {
        let may_speak = self.durability.view() >= self.view && !self.mutated(Mutation::KeepDigestsSecret);
        if self.digests.tellings_left > 0 && may_speak {
            self.digests.tellings_left -= 1;
            let body = Body::Digests(self.digests.own.iter().copied().collect());
            self.broadcast(&body);
            self.compare_digests();
        }
    }

    pub(super) fn on_digests(&mut self, from: usize, told: Vec<Digest>) -> Result<(), Ignored> {
        if told.len() > KEPT_MAX || !told.windows(2).all(|pair| pair[0].op < pair[1].op) {
            return Err(Ignored::Malformed);
        }
        self.digests.peers[from].told = told;
        self.compare_digests();
        Ok(())
    }

    /// Where a quorum says something else this replica is the one whose state cannot be trusted; where it does not, nobody knows.
    fn compare_digests(&mut self) {
        if matches!(self.mode, Mode::Stopped) {
            return;
        }
        let needed = if self.mutated(Mutation::StopForOneDigest) { 1 } else { self.quorum() };
        let Digests { own, peers, .. } = &mut self.digests;
        for peer in peers.iter_mut() {
            let newest = own.iter().rev().find(|digest| peer.at(digest.op).is_some());
            let agreed = own.iter().rev().find(|digest| peer.at(digest.op) == Some(*digest));
            if let Some(digest) = agreed {
                peer.agreed = peer.agreed.max(digest.op);
                peer.alarmed &= agreed != newest;
            }
        }
        let mut first = vec![None; peers.len()];
        let mut outvoted = None;
        let Digests { own, peers, .. } = &self.digests;
        let in_doubt = |digest: &&Digest| {
            peers.iter().any(|peer| peer.at(digest.op).is_some_and(|said| said != *digest))
        };
        for digest in own.iter().filter(in_doubt) {
            let (together, differ) = self.digests.others_at(digest);
            for peer in differ {
                first[peer].get_or_insert(digest.op);
            }
            if together >= needed && outvoted.is_none() {
                outvoted = Some(digest.op);
            }
        }
        if let Some(until) = outvoted {
            let after = self.digests.peers.iter().map(|peer| peer.agreed).filter(|agreed| *agreed < until);
            let after = after.max().unwrap_or_default();
            return self.stop(StopReason::NotDeterministic { after, until });
        }
        for (index, until) in first.into_iter().enumerate() {
            let (Some(until), peer) = (until, &mut self.digests.peers[index]) else { continue };
            let after = peer.agreed.min(OpNumber(until.0 - 1));
            if !core::mem::replace(&mut peer.alarmed, true) {
                self.observe(Event::DigestsDiffer { from: self.id_of(index), after, until });
            }
        }
    }
}
