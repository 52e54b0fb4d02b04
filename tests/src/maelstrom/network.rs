//! Latency and partitions between nodes.

use std::time::Duration;
use vsr_test::Prng;

/// Which nodes hear which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Network {
    /// By receiver, then by sender.
    deaf: Vec<Vec<bool>>,
}

impl Network {
    pub(super) fn whole(nodes: usize) -> Self {
        Self { deaf: vec![vec![false; nodes]; nodes] }
    }

    /// Whether `dest` hears `src` now. Asked when a message arrives, not when it is sent.
    pub(super) fn hears(&self, dest: usize, src: usize) -> bool {
        !self.deaf[dest][src]
    }

    pub(super) fn is_whole(&self) -> bool {
        !self.deaf.iter().flatten().any(|deaf| *deaf)
    }

    /// A partition of two nodes or more: one alone; two parts; or, from three on, a ring in which each hears a majority, and no two hear
    /// the same.
    pub(super) fn partition(nodes: usize, random: &mut Prng) -> Self {
        match random.below(if nodes > 2 { 3 } else { 2 }) {
            0 => {
                let alone = random.index(nodes);
                Self::split(nodes, |node| node == alone)
            }
            1 => {
                // At least one on each side.
                let in_part = random.range(1, (1 << (nodes - 1)) - 1);
                Self::split(nodes, |node| in_part >> node & 1 == 1)
            }
            _ => {
                let majority = nodes / 2 + 1;
                Self::cut(nodes, |dest, src| (src + nodes - dest) % nodes >= majority)
            }
        }
    }

    fn split(nodes: usize, part: impl Fn(usize) -> bool) -> Self {
        Self::cut(nodes, |dest, src| part(dest) != part(src))
    }

    fn cut(nodes: usize, deaf: impl Fn(usize, usize) -> bool) -> Self {
        Self { deaf: (0..nodes).map(|dest| (0..nodes).map(|src| deaf(dest, src)).collect()).collect() }
    }
}

/// Mostly short, sometimes very long: a constant latency would keep messages in order and hide what disorder does.
pub(super) fn exponential(random: &mut Prng, mean: Duration) -> Duration {
    let share = (random.bits() >> 11) as f64 / (1_u64 << 53) as f64;
    mean.mul_f64(-(1.0 - share).ln())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_cut_somebody_off_and_nobody_from_itself() {
        let mut random = Prng::new(1);
        for nodes in [2, 3, 4, 5, 7] {
            let (mut minorities, mut rings) = (0, 0);
            for _ in 0..300 {
                let network = Network::partition(nodes, &mut random);
                assert!(!network.is_whole(), "{nodes} nodes: {network:?}");
                assert!((0..nodes).all(|node| network.hears(node, node)));
                let heard = |dest| (0..nodes).filter(|src| network.hears(dest, *src)).count();
                let majorities = (0..nodes).filter(|dest| heard(*dest) * 2 > nodes).count();
                minorities += usize::from(majorities < nodes);
                rings += usize::from(majorities == nodes);
            }
            assert!(minorities > 150, "{nodes} nodes: {minorities} of 300 leave somebody without a majority");
            assert_eq!(rings > 50, nodes > 2, "{nodes} nodes: {rings} of 300 leave everybody with one");
        }
    }

    #[test]
    fn latencies_have_the_mean_they_are_given_and_vary() {
        let mut random = Prng::new(1);
        let mean = Duration::from_millis(10);
        let drawn: Vec<_> = (0..10_000).map(|_| exponential(&mut random, mean)).collect();
        let average = drawn.iter().sum::<Duration>() / 10_000;
        assert!(average > mean.mul_f64(0.95) && average < mean.mul_f64(1.05), "{average:?}");
        let above = |bound: Duration| drawn.iter().filter(|latency| **latency > bound).count();
        assert!((3400..4000).contains(&above(mean)), "{} above the mean", above(mean));
        assert!((300..700).contains(&above(3 * mean)), "{} above three times the mean", above(3 * mean));
    }
}
