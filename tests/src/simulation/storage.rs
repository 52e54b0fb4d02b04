//! What disks do to their replicas: they are slow, they stand still, they fail, they are full, they rot, they are replaced.

use super::{Course, Event};
use crate::{
    disk::{Fate, Rot},
    faults::Faults,
    prng::Prng,
};
use vsr_core::WriteId;

/// How bad the disks of a run are. Odds are per mille.
#[derive(Clone, Debug)]
pub(super) struct DiskFaults {
    /// Odds that a write takes very long, …
    pub(super) stall: u64,
    /// … at most so long.
    pub(super) stall_max: u64,
    /// Odds that a flush fails.
    flush_error: u64,
    /// Mean time between other faults.
    mean: u64,
    /// Whether bits turn.
    rot: bool,
    /// Whether a replica may lose all it has for ever.
    fatal: bool,
}

impl DiskFaults {
    pub(super) fn draw(prng: &mut Prng, timeout: u64, every: u64) -> Self {
        Self {
            stall: prng.pick(&[0, 0, 2, 10]),
            stall_max: timeout * 6,
            flush_error: prng.pick(&[0, 0, 1, 5]),
            mean: timeout * every * prng.pick(&[2, 5, 20]),
            rot: prng.chance(500),
            fatal: prng.chance(400),
        }
    }
}

impl Course {
    /// Something happens to a disk, and to the next one later.
    pub(super) fn disk_fault(&mut self) {
        let Faults { disk, crashes, .. } = self.swarm.faults;
        if !(self.faults && disk && crashes) {
            return;
        }
        let pause = self.prng.delay(self.swarm.disk.mean) + 1;
        self.queue.at(self.now + pause, Event::DiskFault);
        let victim = self.prng.index(self.swarm.replicas);
        if self.world.hosts[victim].is_out() {
            return;
        }
        match self.prng.below(8) {
            0..2 if self.can_spare(victim) => {
                self.world.fill(victim, true);
                let outage = self.prng.delay(self.swarm.outage_mean) + 1;
                self.queue.at(self.now + outage, Event::DiskHasRoom { replica: victim });
            }
            2..4 if self.swarm.disk.rot => {
                // The other copy is still there.
                let copy = self.prng.index(2);
                if self.world.hosts[victim].disk().has_copy(1 - copy) {
                    self.world.rot(victim, Rot::Slot(copy));
                }
            }
            4..6 if self.swarm.disk.rot && self.world.may_lose_memory(victim) => {
                let index = self.prng.index(self.world.hosts[victim].disk().frames());
                let zeroed = self.prng.chance(300);
                let rot = if self.prng.chance(300) { Rot::Snapshot } else { Rot::Frame { index, zeroed } };
                self.world.rot(victim, rot);
            }
            6.. if self.swarm.disk.fatal && self.world.may_lose_memory(victim) => {
                self.lose_everything(victim)
            }
            _ => {}
        }
    }

    /// The end of a storage: replaced by an empty one, or unreadable.
    fn lose_everything(&mut self, victim: usize) {
        self.crash(victim);
        if self.prng.chance(500) {
            self.world.wipe(victim);
        } else {
            self.world.rot(victim, Rot::Slot(0));
            self.world.rot(victim, Rot::Slot(1));
        }
    }

    /// Whether the flush of a write fails; then the process ends.
    pub(super) fn flush_fails(&mut self, replica: usize, id: WriteId) -> bool {
        let waits = self.world.hosts[replica].is_up() && self.world.hosts[replica].disk().is_pending(id);
        if !waits
            || !self.faults
            || !self.swarm.faults.crashes
            || !self.prng.chance(self.swarm.disk.flush_error)
            || !self.can_spare(replica)
        {
            return false;
        }
        self.world.fail_flush(replica);
        !self.world.hosts[replica].is_up()
    }

    /// What a crash leaves of what was not flushed.
    pub(super) fn draw_fate(&mut self, replica: usize) -> Fate {
        let may_mangle = self.swarm.disk.rot && self.faults && self.world.may_lose_memory(replica);
        Fate::Drawn { seed: self.prng.bits(), may_mangle }
    }

    /// Whether a replica was refused for good: there is no use in starting it again.
    pub(super) fn is_buried(&self, replica: usize) -> bool {
        let host = &self.world.hosts[replica];
        host.is_out() && (host.stopped.is_some() || host.failed().is_some())
    }
}
