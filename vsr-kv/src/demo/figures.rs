//! What is measured while the clients work.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Durations in classes, each about 6 % wider than the one before: percentiles from a fixed amount of memory.
#[derive(Debug)]
pub(super) struct Histogram {
    classes: Vec<AtomicU64>,
}

/// Sixteen classes for each doubling, from 1 µs up to more than an hour.
const CLASSES_PER_DOUBLING: u64 = 16;
const CLASSES: usize = 33 * CLASSES_PER_DOUBLING as usize;

impl Default for Histogram {
    fn default() -> Self {
        Self { classes: (0..CLASSES).map(|_| AtomicU64::new(0)).collect() }
    }
}

impl Histogram {
    pub(super) fn add(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX).clamp(1, u32::MAX.into());
        let doublings = u64::from(micros.ilog2());
        // The bits below the highest one, as far as they tell classes apart.
        let rest = ((micros - (1 << doublings)) * CLASSES_PER_DOUBLING) >> doublings;
        let class = (doublings * CLASSES_PER_DOUBLING + rest) as usize;
        self.classes[class.min(CLASSES - 1)].fetch_add(1, Ordering::Relaxed);
    }

    fn counts(&self) -> Vec<u64> {
        self.classes.iter().map(|class| class.load(Ordering::Relaxed)).collect()
    }

    /// The duration that `percent` of all stay below.
    pub(super) fn percentile(&self, percent: f64) -> Duration {
        percentile(&self.counts(), percent)
    }
}

fn percentile(counts: &[u64], percent: f64) -> Duration {
    let total: u64 = counts.iter().sum();
    let wanted = (total as f64 * percent / 100.0).ceil() as u64;
    let mut seen = 0;
    for (class, count) in counts.iter().enumerate() {
        seen += count;
        if seen >= wanted.max(1) {
            return end_of(class as u64);
        }
    }
    Duration::ZERO
}

fn end_of(class: u64) -> Duration {
    let (doublings, rest) = (class / CLASSES_PER_DOUBLING, class % CLASSES_PER_DOUBLING);
    Duration::from_micros((1 << doublings) + (((rest + 1) << doublings) / CLASSES_PER_DOUBLING))
}

/// Of all clients together.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) latencies: Histogram,
    pub(super) done: AtomicU64,
    pub(super) unknown: AtomicU64,
    pub(super) refused: AtomicU64,
    /// How many requests to registers were begun.
    pub(super) register_requests: AtomicU64,
    last_reply: AtomicU64,
    longest_pause: AtomicU64,
    shown: Mutex<Shown>,
}

/// What the bar showed last, to show what came since.
#[derive(Debug, Default)]
struct Shown {
    at: Duration,
    counts: Vec<u64>,
}

impl Figures {
    /// A reply came `since_start`, after `took`.
    pub(super) fn reply(&self, since_start: Duration, took: Duration) {
        self.latencies.add(took);
        self.done.fetch_add(1, Ordering::Relaxed);
        let now = u64::try_from(since_start.as_micros()).unwrap_or(u64::MAX);
        let last = self.last_reply.fetch_max(now, Ordering::Relaxed);
        self.longest_pause.fetch_max(now.saturating_sub(last), Ordering::Relaxed);
    }

    /// The longest time in which no client got a reply.
    pub(super) fn longest_pause(&self) -> Duration {
        Duration::from_micros(self.longest_pause.load(Ordering::Relaxed))
    }

    /// Replies a second, and their 99th percentile, since this was asked last.
    pub(super) fn recent(&self, now: Duration) -> (f64, Duration) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = self.latencies.counts();
        let old = |class: usize| shown.counts.get(class).copied().unwrap_or(0);
        let new: Vec<u64> = counts.iter().enumerate().map(|(class, count)| count - old(class)).collect();
        let seconds = now.saturating_sub(shown.at).as_secs_f64().max(0.001);
        *shown = Shown { at: now, counts };
        (new.iter().sum::<u64>() as f64 / seconds, percentile(&new, 99.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_right_within_a_class() {
        let histogram = Histogram::default();
        (1..=1000).for_each(|millis| histogram.add(Duration::from_millis(millis)));
        for (percent, millis) in [(50.0, 500.0), (99.0, 990.0), (100.0, 1000.0)] {
            let got = histogram.percentile(percent).as_secs_f64() * 1000.0;
            assert!((millis..millis * 1.07).contains(&got), "{percent} %: {got} ms");
        }
        histogram.add(Duration::MAX);
        histogram.add(Duration::ZERO);
        assert_eq!(Histogram::default().percentile(99.0), Duration::ZERO);
    }

    #[test]
    fn a_pause_is_a_time_without_any_reply() {
        let figures = Figures::default();
        let millis = Duration::from_millis;
        // Clients race: replies come in a little out of order.
        for at in [1, 3, 2, 10, 110, 111] {
            figures.reply(millis(at), millis(1));
        }
        assert_eq!(figures.longest_pause(), millis(100));
        let (rate, _) = figures.recent(millis(1000));
        assert!((5.9..6.1).contains(&rate), "{rate}");
        assert!(figures.recent(millis(2000)).0 < 0.1);
    }
}
