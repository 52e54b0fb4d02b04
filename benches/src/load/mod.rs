//! Load: clients in a closed loop. Each sends its next request when the one before is answered.
//!
//! It comes from one thread, because it shares the machine with the servers it measures: what it costs, they lack. What a request of
//! it cost is measured and printed, too.

pub(crate) mod resp;
pub(crate) mod tasks;

use hdrhistogram::Histogram;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// Keys that requests go to.
pub(crate) const KEYS: u64 = 16_384;
/// Bytes of a value.
pub(crate) const VALUE_BYTES: usize = 64;
/// Before it is measured.
const WARM_UP: Duration = Duration::from_millis(500);

/// What clients ask, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) work: Work,
    pub(crate) clients: usize,
    /// Connections that clients share at most; 0: each has its own. A client of a shared one does not wait for the others of it.
    pub(crate) connections: usize,
    pub(crate) time: Duration,
}

/// One kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Writes a value of 64 bytes to one of the keys.
    Put,
    /// Reads one of the keys, and sees all that was acknowledged before.
    Get,
    /// Reads one of the keys as the replica that is asked has it.
    StaleGet,
}

/// What a load came to.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    /// All that were answered, those of the warm-up included.
    pub(crate) answered: u64,
    pub(crate) operations_per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// What only some loads have, each with its unit in its name.
    pub(crate) more: BTreeMap<String, f64>,
}

impl Figures {
    /// As results hold them.
    pub(crate) fn named(mut self) -> BTreeMap<String, f64> {
        self.more.insert("operations_per_second".to_owned(), self.operations_per_second);
        self.more.insert("p50_ms".to_owned(), self.p50_ms);
        self.more.insert("p99_ms".to_owned(), self.p99_ms);
        self.more
    }
}

impl Load {
    /// How many connections there are, and which of them a client uses: its number modulo this.
    pub(crate) fn connection_count(&self) -> usize {
        match self.connections {
            0 => self.clients,
            most => most.min(self.clients),
        }
    }
}

/// Keys in an order that is the same in every run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keys(u64);

impl Keys {
    pub(crate) fn new(number: usize) -> Self {
        Self((number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Xorshift: spread over the keys.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % KEYS
    }
}

/// The name of a key: 16 bytes.
pub(crate) fn key(number: u64) -> String {
    format!("key:{number:012}")
}

/// Counts what is answered between the end of the warm-up and the end of the load.
#[derive(Debug)]
pub(crate) struct Recorder {
    begins: Instant,
    ends: Instant,
    answered: u64,
    histogram: Histogram<u64>,
}

impl Recorder {
    pub(crate) fn new(load: &Load, now: Instant) -> Result<Self, String> {
        // Of nanoseconds, up to a minute.
        let histogram =
            Histogram::new_with_bounds(1, 60_000_000_000, 3).map_err(|error| error.to_string())?;
        let begins = now + WARM_UP;
        Ok(Self { begins, ends: begins + load.time, answered: 0, histogram })
    }

    /// Takes note of an answer; whether the load goes on.
    pub(crate) fn answered(&mut self, asked: Instant, now: Instant) -> bool {
        self.answered += 1;
        if now >= self.begins && now < self.ends {
            self.histogram.saturating_record((now - asked).as_nanos() as u64);
        }
        now < self.ends
    }

    pub(crate) fn figures(&self) -> Figures {
        let milliseconds = |quantile| self.histogram.value_at_quantile(quantile) as f64 / 1e6;
        Figures {
            more: BTreeMap::new(),
            answered: self.answered,
            operations_per_second: self.histogram.len() as f64 / (self.ends - self.begins).as_secs_f64(),
            p50_ms: milliseconds(0.5),
            p99_ms: milliseconds(0.99),
        }
    }
}
