//! Who is heard: by the primary itself, by the others through it (rules B15 and C11).

use super::{Mode, Replica};
use crate::{
    event::Event,
    id::{ReplicaId, Time},
    mutation::Mutation,
};

/// The members that are taken to be there, as bits by their places; this replica is none of them.
#[derive(Clone, Copy, Debug, Default, Hash)]
pub(crate) struct Peers {
    up: u64,
    /// Heard directly since the last time-out, while there is no primary to tell who is heard.
    heard: u64,
}

impl Peers {
    pub(crate) fn up(self) -> u64 {
        self.up
    }
}

/// The bit of a place.
fn bit(index: usize) -> u64 {
    1 << index
}

impl Replica {
    /// Whether `peer` is taken to be there: heard within a time-out, by this replica or by the primary it hears. An idle group finds
    /// out later, by as much as it is quieter.
    #[must_use]
    pub fn is_up(&self, peer: ReplicaId) -> bool {
        let index = self.config.members.iter().position(|member| *member == peer);
        index.is_some_and(|index| self.peers.up & bit(index) != 0)
    }

    /// A message of a member, whatever it says. In a view that has started the primary decides who is heard.
    pub(super) fn note_heard(&mut self, from: usize) {
        let direct = match &self.mode {
            Mode::Primary(_) => false,
            Mode::Backup(_) => self.votes.has(self.me),
            _ => true,
        };
        if direct {
            self.peers.heard |= bit(from);
            self.set_up(self.peers.up | bit(from));
        }
    }

    /// The primary lives, and may have said whom it hears.
    pub(super) fn heed_peers(&mut self, primary: usize, heard: Option<u64>) {
        self.peers.heard = 0;
        let told = heard.unwrap_or(self.peers.up);
        self.set_up(told | bit(primary));
    }

    /// Nobody tells who is heard: first the primary is gone, and when nothing has changed by the next time-out, all who were silent.
    pub(super) fn give_up_the_silent(&mut self) {
        let alone = self.votes.has(self.me) || matches!(self.mode, Mode::Recovering(_));
        let suspects = if alone { u64::MAX } else { bit(self.primary_of(self.view)) };
        let kept = self.peers.up & (!suspects | self.peers.heard);
        self.peers.heard = 0;
        self.set_up(kept);
    }

    /// At a heartbeat of the primary. Who was taken to be there gets a time-out to show it.
    pub(super) fn look_at_peers(&mut self) {
        let heard = self.others().filter(|index| self.is_heard(*index));
        let up = heard.fold(0, |up, index| up | bit(index));
        let Mode::Primary(primary) = &self.mode else { return };
        if !primary.announced {
            return;
        }
        let patient = self.now.monotonic < primary.listening_since.after(self.config.heartbeat_timeout);
        self.set_up(if patient { self.peers.up | up } else { up });
    }

    fn set_up(&mut self, up: u64) {
        let misses = up & self.peers.up != self.peers.up;
        if up == self.peers.up || misses && self.mutated(Mutation::NeverMissAnybody) {
            return;
        }
        let before = self.peers.up;
        self.peers.up = self.others().fold(0, |kept, index| kept | up & bit(index));
        for index in self.others() {
            let (was, is) = (before & bit(index) != 0, self.peers.up & bit(index) != 0);
            let peer = self.id_of(index);
            match (was, is) {
                (false, true) => self.observe(Event::PeerUp { peer }),
                (true, false) => self.observe(Event::PeerDown { peer }),
                _ => {}
            }
        }
    }

    /// What a heartbeat tells of whom the primary hears.
    pub(super) fn heard_peers(&self) -> u64 {
        if self.mutated(Mutation::TellOfNobody) { 0 } else { self.peers.up }
    }

    /// Whether a backup has answered within a time-out, or since the last heartbeat.
    fn is_heard(&self, index: usize) -> bool {
        let Mode::Primary(primary) = &self.mode else { return false };
        let timeout = self.config.heartbeat_timeout;
        primary.progress[index]
            .heard
            .is_some_and(|heard| self.now.monotonic < heard.after(timeout) || heard >= primary.beat_at)
    }

    /// Whether all backups that are there have answered the last heartbeat.
    pub(super) fn all_answered(&self) -> bool {
        let Mode::Primary(primary) = &self.mode else { return false };
        let answered =
            |index: usize| primary.progress[index].heard.is_some_and(|heard| heard >= primary.beat_at);
        self.others().all(|index| self.peers.up & bit(index) == 0 || answered(index))
    }

    /// How many replicas a primary hears, itself included. Patience with all of them begins anew when it announces its view, and when it
    /// has been silent itself.
    pub(super) fn heard(&self) -> usize {
        1 + self.others().filter(|index| self.is_awaited(*index)).count()
    }

    /// Whether a backup is heard, or had no time yet to make itself heard.
    pub(super) fn is_awaited(&self, index: usize) -> bool {
        let Mode::Primary(primary) = &self.mode else { return false };
        let patient = self.now.monotonic < primary.listening_since.after(self.config.heartbeat_timeout);
        patient || self.is_heard(index)
    }

    /// The wait for answers begins when the view is announced, however long the storage took until then.
    pub(super) fn hear_all_now(&mut self) {
        let now = self.now.monotonic;
        if let Mode::Primary(primary) = &mut self.mode {
            primary.listening_since = now;
        }
    }

    /// A backup that asks for the state of its view is as good as one that answers (decision 4).
    pub(super) fn heard_from(&mut self, from: usize) {
        let now: Time = self.now.monotonic;
        if let Mode::Primary(primary) = &mut self.mode {
            primary.progress[from].heard = Some(now);
        }
    }
}
