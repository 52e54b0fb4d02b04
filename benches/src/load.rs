//! Clients in a closed loop: each sends its next write when the one before is acknowledged.

use crate::servers::Client;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// Keys that writes go to.
const KEYS: u64 = 16_384;
/// Bytes of a value.
pub(crate) const VALUE_BYTES: usize = 64;
/// Before it is measured.
const WARM_UP: Duration = Duration::from_millis(500);

const WARMING: u8 = 0;
const MEASURING: u8 = 1;
const OVER: u8 = 2;

/// What a load of writes came to.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figures {
    pub(crate) clients: usize,
    /// All that were acknowledged, those of the warm-up included.
    pub(crate) writes: u64,
    pub(crate) operations_per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

/// Lets all clients write for `time`.
///
/// Errors end the run: a server that fails under this load is not worth a figure.
pub(crate) async fn run(clients: Vec<Client>, time: Duration) -> Result<Figures, String> {
    let count = clients.len();
    let phase = Arc::new(AtomicU8::new(WARMING));
    let mut tasks = JoinSet::new();
    for (number, client) in clients.into_iter().enumerate() {
        tasks.spawn(write(client, number as u64, phase.clone()));
    }
    tokio::time::sleep(WARM_UP).await;
    phase.store(MEASURING, Ordering::Relaxed);
    let begun = Instant::now();
    tokio::time::sleep(time).await;
    phase.store(OVER, Ordering::Relaxed);
    let took = begun.elapsed();
    let mut all = histogram()?;
    let mut writes = 0;
    while let Some(ended) = tasks.join_next().await {
        let (histogram, done) = ended.map_err(|error| error.to_string())??;
        writes += done;
        all.add(histogram).map_err(|error| error.to_string())?;
    }
    let milliseconds = |quantile| all.value_at_quantile(quantile) as f64 / 1e6;
    Ok(Figures {
        clients: count,
        writes,
        operations_per_second: all.len() as f64 / took.as_secs_f64(),
        p50_ms: milliseconds(0.5),
        p99_ms: milliseconds(0.99),
    })
}

async fn write(
    mut client: Client,
    number: u64,
    phase: Arc<AtomicU8>,
) -> Result<(Histogram<u64>, u64), String> {
    let mut histogram = histogram()?;
    let mut random = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let value = [b'v'; VALUE_BYTES];
    let mut writes = 0;
    loop {
        // Xorshift: spread over the keys, the same in every run.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let key = format!("key:{:012}", random % KEYS);
        let begun = Instant::now();
        client.put(key.as_bytes(), &value).await?;
        writes += 1;
        match phase.load(Ordering::Relaxed) {
            WARMING => {}
            MEASURING => histogram.saturating_record(begun.elapsed().as_nanos() as u64),
            _ => return Ok((histogram, writes)),
        }
    }
}

/// Of nanoseconds, up to a minute.
fn histogram() -> Result<Histogram<u64>, String> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).map_err(|error| error.to_string())
}
