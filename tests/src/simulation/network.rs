//! Links between replicas: they lose, double, delay and reorder, and some are cut.

use super::{Course, Event};
use crate::trace::damage_piece;
use std::fmt;
use vsr_core::Message;

#[derive(Clone, Debug)]
pub(super) struct Network {
    cut: Vec<Vec<bool>>,
    /// Tells a heal of an older partition from that of this one.
    pub(super) generation: u64,
}

impl Network {
    pub(super) fn new(replicas: usize) -> Self {
        Self { cut: vec![vec![false; replicas]; replicas], generation: 0 }
    }

    pub(super) fn cut(&mut self, from: usize, to: usize) {
        self.cut[from][to] = true;
    }

    pub(super) fn heal(&mut self) {
        self.cut.iter_mut().flatten().for_each(|cut| *cut = false);
        self.generation += 1;
    }
}

impl fmt::Display for Network {
    /// The links that are cut.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (from, row) in self.cut.iter().enumerate() {
            for (to, _) in row.iter().enumerate().filter(|(_, cut)| **cut) {
                write!(f, " R{from}->R{to}")?;
            }
        }
        Ok(())
    }
}

impl Course {
    pub(super) fn transmit(&mut self, from: usize, to: usize, message: Message) {
        if self.network.cut[from][to] {
            return;
        }
        let swarm = &self.swarm;
        if !self.faults {
            let delay = self.prng.below(swarm.delay_mean + 1);
            self.queue.at(self.now + delay, Event::Deliver { replica: to, message });
            return;
        }
        if self.prng.chance(swarm.drop) {
            return;
        }
        let mut message = message;
        if swarm.damage > 0 && self.prng.chance(swarm.damage) {
            damage_piece(&mut message);
        }
        let copies = 1 + u64::from(self.prng.chance(swarm.duplicate));
        for _ in 0..copies {
            let mut delay = self.prng.delay(swarm.delay_mean);
            if self.prng.chance(swarm.straggler) {
                delay += self.prng.below(swarm.heartbeat_timeout * 8);
            }
            self.queue.at(self.now + delay, Event::Deliver { replica: to, message: message.clone() });
        }
    }
}
