//! What breaks: machines, links, clocks of patience.

use super::{Course, Event};
use crate::{checkers::Violation, faults::Faults};
use std::mem;
use vsr_core::Input;

impl Course {
    /// Breaks something, and decides when the next thing breaks.
    pub(super) fn fault(&mut self) -> Result<(), Violation> {
        if !self.faults {
            return Ok(());
        }
        let pause = self.prng.delay(self.swarm.fault_mean) + 1;
        self.queue.at(self.now + pause, Event::Fault);
        let Faults { crashes, partitions, pauses, .. } = self.swarm.faults;
        match self.prng.below(if self.swarm.clock_faults { 24 } else { 20 }) {
            0..9 if !crashes => {}
            9..16 if !partitions => {}
            16..20 if !pauses => {}
            0..7 => {
                let victim = self.victim();
                if self.prng.chance(500) {
                    // Somewhere in its next turns, between two effects.
                    let soon = self.prng.below(30);
                    if self.can_spare(victim) {
                        self.world.hosts[victim].crash_after = Some(soon);
                    }
                } else {
                    self.crash_if_spared(victim);
                }
            }
            7 => (0..self.swarm.replicas).for_each(|replica| self.crash_if_spared(replica)),
            8 => {
                let count = self.prng.range(2, (self.swarm.replicas as u64 - 1).max(2));
                (0..count).for_each(|_| {
                    let victim = self.victim();
                    self.crash_if_spared(victim);
                });
            }
            9..16 => self.partition(),
            16 => {
                let victim = self.victim();
                if self.world.hosts[victim].is_up() {
                    self.sites[victim].inbox.push(Input::Leave);
                    self.schedule_turn(victim);
                }
            }
            20.. => {
                let victim = self.victim();
                self.disturb_clock(victim);
            }
            _ => {
                let victim = self.victim();
                let length = self.prng.delay(self.swarm.outage_mean);
                let now = self.now;
                self.world.trace.tell(|| format!("{now}: R{victim} pauses for {length}"));
                self.sites[victim].paused_until = now + length;
            }
        }
        Ok(())
    }

    /// Often the primary: that is where it hurts.
    fn victim(&mut self) -> usize {
        let is_primary = |host: &crate::host::Host| host.status().is_some_and(|status| status.is_primary);
        match self.world.hosts.iter().position(is_primary) {
            Some(primary) if self.prng.chance(400) => primary,
            _ => self.prng.index(self.swarm.replicas),
        }
    }

    fn crash_if_spared(&mut self, replica: usize) {
        if self.can_spare(replica) {
            self.crash(replica);
        }
    }

    /// Where a crash takes the log, it may not take one too many: the others must be able to go on, and to give the lost ones back
    /// (rule F11). That begins before the group is formed: the record that says so may be on its way to the disk.
    pub(super) fn can_spare(&self, replica: usize) -> bool {
        let forgets = self.world.hosts[replica].disk().forgets();
        !self.swarm.spares || !forgets || self.world.can_bear_a_loss(replica)
    }

    pub(super) fn crash(&mut self, replica: usize) {
        let site = &mut self.sites[replica];
        if !mem::take(&mut site.running) {
            return;
        }
        self.totals.crashes += 1;
        site.inbox.clear();
        site.mailbox.clear();
        site.timer_at = None;
        site.write_done_at = 0;
        let now = self.now;
        self.world.trace.note(|| format!("{now}: crash of R{replica}"));
        let fate = self.draw_fate(replica);
        self.world.crash_with(replica, fate);
        let outage = self.prng.delay(self.swarm.outage_mean) + 1;
        self.queue.at(self.now + outage, Event::Restart { replica });
    }

    pub(super) fn restart(&mut self, replica: usize) -> Result<(), Violation> {
        if self.sites[replica].running || self.sites[replica].banned || self.is_buried(replica) {
            return Ok(());
        }
        self.sites[replica].running = true;
        let now = self.sites[replica].clock.now(self.now);
        let mut out = mem::take(&mut self.out);
        let result = self.world.start(replica, now, &mut out);
        self.dispatch(replica, &mut out)?;
        self.out = out;
        result?;
        self.after_turn(replica)
    }

    fn partition(&mut self) {
        self.network.heal();
        self.totals.partitions += 1;
        let replicas = self.swarm.replicas;
        let victim = self.victim();
        let shape = self.prng.below(5);
        let side: Vec<bool> = (0..replicas)
            .map(|replica| match shape {
                0 | 1 => replica == victim,
                _ => self.prng.chance(500),
            })
            .collect();
        let (one_way, random) = (shape == 1 || shape == 2, shape == 4);
        let flip = self.prng.chance(500);
        for from in 0..replicas {
            for to in 0..replicas {
                let across = if random { self.prng.chance(300) } else { side[from] != side[to] };
                if across && from != to && (!one_way || side[from] == flip) {
                    self.network.cut(from, to);
                }
            }
        }
        let now = self.now;
        let network = &self.network;
        self.world.trace.tell(|| format!("{now}: no way from{network}"));
        let outage = self.prng.delay(self.swarm.outage_mean * 2) + 1;
        self.queue.at(self.now + outage, Event::Heal { generation: self.network.generation });
    }

    pub(super) fn heal(&mut self, generation: u64) {
        if generation == self.network.generation {
            let now = self.now;
            self.world.trace.tell(|| format!("{now}: heal"));
            self.network.heal();
        }
    }
}
