//! Closed loop: each client sends its next operation when the reply to the one before has come.

use super::workload::{Client, Puts};
use hdrhistogram::Histogram;
use rustix::time::{ClockId, clock_gettime};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// Before it is measured.
const WARM_UP: Duration = Duration::from_millis(400);

const WARMING: u8 = 0;
const MEASURING: u8 = 1;
const OVER: u8 = 2;

/// What a load came to.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) operations: u64,
    pub(crate) took: Duration,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    /// User and system time of the whole process: replicas, clients and runtime.
    pub(crate) processor: Duration,
    /// Allocations of the whole process, if this program counts them.
    pub(crate) allocations: Option<u64>,
}

/// Lets all clients run, and measures for `time` after the warm-up.
///
/// # Errors
/// The first that a client met: a system that fails under this load is not worth a figure.
pub(crate) async fn run<C: Client>(
    clients: Vec<C>,
    time: Duration,
    allocations: Option<fn() -> u64>,
) -> Result<Load, String> {
    let phase = Arc::new(AtomicU8::new(WARMING));
    let mut tasks = JoinSet::new();
    for (number, client) in (1..).zip(clients) {
        tasks.spawn(put(client, Puts::of(number), histogram()?, phase.clone()));
    }
    tokio::time::sleep(WARM_UP).await;
    let (allocated, processor, begun) = (allocations.map(|count| count()), processor_time(), Instant::now());
    phase.store(MEASURING, Ordering::Relaxed);
    tokio::time::sleep(time).await;
    phase.store(OVER, Ordering::Relaxed);
    let (took, processor) = (begun.elapsed(), processor_time() - processor);
    let allocations = allocations.map(|count| count()).zip(allocated).map(|(after, before)| after - before);
    let mut all = histogram()?;
    while let Some(ended) = tasks.join_next().await {
        all.add(ended.map_err(|error| error.to_string())??).map_err(|error| error.to_string())?;
    }
    let quantile = |quantile| Duration::from_nanos(all.value_at_quantile(quantile));
    Ok(Load { operations: all.len(), took, p50: quantile(0.5), p99: quantile(0.99), processor, allocations })
}

/// One reading of the clock an operation: the end of one is the beginning of the next.
async fn put<C: Client>(
    mut client: C,
    puts: Puts,
    mut histogram: Histogram<u32>,
    phase: Arc<AtomicU8>,
) -> Result<Histogram<u32>, String> {
    let mut begun = Instant::now();
    for put in puts {
        client.put(put).await?;
        let ended = Instant::now();
        match phase.load(Ordering::Relaxed) {
            WARMING => {}
            MEASURING => histogram.saturating_record((ended - begun).as_nanos() as u64),
            _ => break,
        }
        begun = ended;
    }
    Ok(histogram)
}

/// Of nanoseconds, up to ten seconds, to one in a hundred: small, for a thousand of them must not fill the caches.
fn histogram() -> Result<Histogram<u32>, String> {
    Histogram::new_with_bounds(8, 10_000_000_000, 2).map_err(|error| error.to_string())
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
