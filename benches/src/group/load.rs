//! Clients in a closed loop, measured in windows: the load goes on between them.

use super::{Put, Table, said};
use bytes::Bytes;
use hdrhistogram::Histogram;
use rustix::time::{ClockId, clock_gettime};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{sync::mpsc, task::JoinSet};
use vsr_actor::Client;

/// What clients write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    pub(crate) keys: u64,
    pub(crate) value_bytes: usize,
}

/// By name, as in results.
pub(crate) type Figures = BTreeMap<String, f64>;

/// Clients that write until they are stopped. Dropped, they are stopped too.
pub(crate) struct Load {
    clients: JoinSet<Result<(), String>>,
    shared: Arc<Shared>,
    /// How many operations each client has done.
    done: Vec<Arc<AtomicU64>>,
    latencies: mpsc::UnboundedReceiver<Histogram<u32>>,
}

struct Shared {
    /// The number of the window; latencies are kept in those with an odd number.
    window: AtomicU64,
    over: AtomicBool,
    latencies: mpsc::UnboundedSender<Histogram<u32>>,
}

impl Load {
    /// Starts a task for each of the clients, which may be clones of one: each sends its next operation when the one before is answered.
    pub(crate) fn start(
        clients: impl IntoIterator<Item = Client<Table>>,
        work: Work,
    ) -> Result<Self, String> {
        Self::paced(clients, work, Duration::ZERO)
    }

    /// The same with so much time between the reply and the next operation.
    pub(crate) fn paced(
        clients: impl IntoIterator<Item = Client<Table>>,
        work: Work,
        pace: Duration,
    ) -> Result<Self, String> {
        let (tell, latencies) = mpsc::unbounded_channel();
        let shared =
            Arc::new(Shared { window: AtomicU64::new(0), over: AtomicBool::new(false), latencies: tell });
        let (mut tasks, mut done) = (JoinSet::new(), Vec::new());
        for (number, client) in (1..).zip(clients) {
            let count = Arc::new(AtomicU64::new(0));
            done.push(count.clone());
            tasks.spawn(write(client, work, number, pace, histogram()?, count, shared.clone()));
        }
        Ok(Self { clients: tasks, shared, done, latencies })
    }

    /// How many operations were done so far.
    pub(crate) fn done(&self) -> u64 {
        self.done.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// What is done in the time that `while_it_takes` takes.
    pub(crate) async fn measure<T>(
        &mut self,
        while_it_takes: impl Future<Output = Result<T, String>>,
    ) -> Result<(T, Figures), String> {
        let (done, processor, begun) = (self.done(), processor_time(), Instant::now());
        self.shared.window.fetch_add(1, Ordering::Relaxed);
        let result = while_it_takes.await?;
        let took = begun.elapsed().as_secs_f64();
        let (done, processor) = (self.done() - done, processor_time() - processor);
        self.shared.window.fetch_add(1, Ordering::Relaxed);
        let mut all = histogram()?;
        for _ in 0..self.done.len() {
            tokio::select! {
                biased;
                Some(latencies) = self.latencies.recv() => all.add(latencies).map_err(said)?,
                Some(ended) = self.clients.join_next() => ended.map_err(said)??,
            }
        }
        let micros = |nanoseconds: u64| nanoseconds as f64 / 1e3;
        let figures = [
            ("operations_per_second", done as f64 / took),
            ("p50_us", micros(all.value_at_quantile(0.5))),
            ("p99_us", micros(all.value_at_quantile(0.99))),
            ("longest_us", micros(all.max())),
            ("cpu_ns_per_operation", processor.as_nanos() as f64 / done as f64),
        ];
        Ok((result, figures.map(|(name, value)| (name.to_owned(), value)).into()))
    }

    /// The same for so long.
    pub(crate) async fn measure_for(&mut self, time: Duration) -> Result<Figures, String> {
        let slept = async {
            tokio::time::sleep(time).await;
            Ok(())
        };
        self.measure(slept).await.map(|((), figures)| figures)
    }

    /// Waits until so many operations were done in all.
    ///
    /// # Errors
    /// Those of the clients: then it would wait in vain.
    pub(crate) async fn reach(&mut self, operations: u64) -> Result<(), String> {
        while self.done() < operations {
            tokio::select! {
                biased;
                Some(ended) = self.clients.join_next() => ended.map_err(said)??,
                () = tokio::time::sleep(Duration::from_millis(2)) => {}
            }
        }
        Ok(())
    }

    /// Lets each client finish what it has begun.
    pub(crate) async fn stop(mut self) -> Result<(), String> {
        self.shared.over.store(true, Ordering::Relaxed);
        while let Some(ended) = self.clients.join_next().await {
            ended.map_err(said)??;
        }
        Ok(())
    }
}

/// One reading of the clock an operation: the end of one is the beginning of the next.
async fn write(
    client: Client<Table>,
    work: Work,
    number: u64,
    pace: Duration,
    mut latencies: Histogram<u32>,
    count: Arc<AtomicU64>,
    shared: Arc<Shared>,
) -> Result<(), String> {
    let mut random = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let value = Bytes::from(vec![number as u8; work.value_bytes]);
    let (mut window, mut begun, mut done) = (0_u64, Instant::now(), 0);
    while !shared.over.load(Ordering::Relaxed) {
        // Xorshift: spread over the keys, the same in every run.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let put = Put { key: random % work.keys, value: value.clone() };
        client.request(put).await.map_err(said)?;
        let ended = Instant::now();
        done += 1;
        count.store(done, Ordering::Relaxed);
        if !window.is_multiple_of(2) {
            latencies.saturating_record((ended - begun).as_nanos() as u64);
        }
        let now = shared.window.load(Ordering::Relaxed);
        if now != window && now.is_multiple_of(2) {
            let fresh = histogram()?;
            // Nobody listens any more when the load is dropped.
            let _ = shared.latencies.send(std::mem::replace(&mut latencies, fresh));
        }
        window = now;
        begun = ended;
        if !pace.is_zero() {
            tokio::time::sleep(pace).await;
            begun = Instant::now();
        }
    }
    Ok(())
}

/// Of nanoseconds, up to a minute, to one in a hundred: small, for a thousand of them must not fill the caches.
fn histogram() -> Result<Histogram<u32>, String> {
    Histogram::new_with_bounds(8, 60_000_000_000, 2).map_err(said)
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
