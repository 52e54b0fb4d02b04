//! What telemetry costs. Two groups live in one process, one with telemetry and one without; short slices of load go to the one and the
//! other in turns: what the machine does meanwhile is the same for both.

use super::throughput::{Load, Table, drive};
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};
use vsr_actor::{Cluster, Observer, Record, observe::Definition};
use vsr_test::process::cpu_seconds_of_all;

/// Who listens on the side that is compared with no telemetry at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listener {
    /// Telemetry is off here, too: what comes out is the error of the measure.
    Off,
    /// As it is shipped.
    Nobody,
    /// An observer that wants what an operator wants, INFO and above.
    Operator,
    /// An observer that counts every event.
    Everything,
    /// A recorder of metrics, whose handles are atomic numbers.
    Metrics,
}

const LISTENERS: [(Listener, &str); 5] = [
    (Listener::Off, "telemetry off on both sides: the error of the measure"),
    (Listener::Nobody, "nobody listens"),
    (Listener::Operator, "an observer of INFO and above"),
    (Listener::Metrics, "a recorder of metrics"),
    (Listener::Everything, "an observer of every event"),
];

/// What a slice came to.
#[derive(Clone, Copy)]
struct Slice {
    /// Operations a second.
    throughput: f64,
    /// Processor time for each of them, in seconds.
    processor: Option<f64>,
}

/// Prints, for each listener, throughput and processor time with it over those without telemetry.
///
/// # Errors
/// A request failed.
pub(crate) async fn telemetry(pairs: u32, operations: u64, disabled: bool) -> Result<(), Box<dyn Error>> {
    let load = Load { operations, clients: 256, one_down: false, reads: false };
    println!(
        "{pairs} pairs of {operations} operations each, 256 clients, three replicas in one process, in memory"
    );
    println!("with over without: median (95 % interval of the median)");
    for (listener, what) in LISTENERS.into_iter().take(if disabled { 2 } else { LISTENERS.len() }) {
        let counted = Arc::new(AtomicU64::new(0));
        let without = group(Listener::Off, &counted).await?;
        let with = group(listener, &counted).await?;
        // Sessions, and the first allocations.
        for group in [&with, &without] {
            slice(group, load).await?;
        }
        let mut slices = Vec::new();
        for pair in 0..pairs {
            slices.push(if pair % 2 == 0 {
                let without = slice(&without, load).await?;
                (slice(&with, load).await?, without)
            } else {
                (slice(&with, load).await?, slice(&without, load).await?)
            });
        }
        let throughput = slices.iter().map(|(with, without)| with.throughput / without.throughput).collect();
        let processor =
            slices.iter().filter_map(|(with, without)| Some(with.processor? / without.processor?));
        println!("{what}: throughput {}, processor time {}", spread(throughput), spread(processor.collect()));
        with.shutdown().await?;
        without.shutdown().await?;
        let wanted = matches!(listener, Listener::Operator | Listener::Everything);
        assert_eq!(counted.load(Ordering::Relaxed) > 0, wanted, "{listener:?}");
    }
    Ok(())
}

/// The median, and between which two of the ratios that of all such pairs lies with 95 % certainty.
fn spread(mut ratios: Vec<f64>) -> String {
    ratios.sort_by(f64::total_cmp);
    let (middle, away) = (ratios.len() / 2, (ratios.len() as f64).sqrt().ceil() as usize);
    let at = |place: usize| ratios.get(place.min(ratios.len().saturating_sub(1)));
    match (at(middle.saturating_sub(away)), at(middle), at(middle + away)) {
        (Some(lower), Some(median), Some(upper)) => format!("{median:.3} ({lower:.3} to {upper:.3})"),
        _ => "unknown".into(),
    }
}

async fn group(listener: Listener, counted: &Arc<AtomicU64>) -> Result<Cluster<Table>, Box<dyn Error>> {
    let recorder = Atomics;
    let _recorder = (listener == Listener::Metrics).then(|| metrics::set_default_local_recorder(&recorder));
    let counted = counted.clone();
    let builder = Cluster::builder(3, Table::default);
    let builder = match listener {
        Listener::Off => builder.without_telemetry(),
        Listener::Nobody | Listener::Metrics => builder,
        Listener::Operator => builder.observer(Operator(counted)),
        Listener::Everything => builder.observer(move |_: &Record<'_>| {
            counted.fetch_add(1, Ordering::Relaxed);
        }),
    };
    let cluster = builder.start().await?;
    cluster.primary().await?;
    Ok(cluster)
}

async fn slice(group: &Cluster<Table>, load: Load) -> Result<Slice, Box<dyn Error>> {
    let client = group.client();
    let (started, used) = (Instant::now(), cpu_seconds_of_all());
    drive(&client, load, |_| {}).await?;
    let throughput = load.operations as f64 / started.elapsed().as_secs_f64();
    let processor = cpu_seconds_of_all().zip(used).map(|(now, then)| (now - then) / load.operations as f64);
    Ok(Slice { throughput, processor })
}

struct Operator(Arc<AtomicU64>);

impl Observer for Operator {
    fn observe(&self, _: &Record<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
    fn wants(&self, definition: &'static Definition) -> bool {
        definition.is_for_operators()
    }
}

/// The least that a recorder can do.
struct Atomics;

#[derive(Default)]
struct Number(AtomicU64);

impl CounterFn for Number {
    fn increment(&self, value: u64) {
        self.0.fetch_add(value, Ordering::Relaxed);
    }
    fn absolute(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }
}

impl GaugeFn for Number {
    fn increment(&self, value: f64) {
        self.set(value);
    }
    fn decrement(&self, value: f64) {
        self.set(value);
    }
    fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }
}

impl HistogramFn for Number {
    fn record(&self, value: f64) {
        self.0.fetch_add(value.to_bits(), Ordering::Relaxed);
    }
}

impl Recorder for Atomics {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::new(Number::default()))
    }
    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(Arc::new(Number::default()))
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::new(Number::default()))
    }
}
