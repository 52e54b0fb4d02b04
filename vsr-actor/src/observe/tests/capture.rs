//! Listens to everything at once: as an observer, as a subscriber of tracing and as a recorder of metrics.

use crate::observe::{Observer, Record, Value};
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    span,
};

/// Held by each test that tells anything: tracing loses events where one thread tells something for the first time while another
/// begins to listen.
pub(crate) async fn alone() -> tokio::sync::MutexGuard<'static, ()> {
    static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    ALONE.lock().await
}

/// An event as somebody heard it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Heard {
    pub(super) name: &'static str,
    pub(super) target: &'static str,
    pub(super) level: Level,
    pub(super) fields: Vec<(&'static str, Value<'static>)>,
}

impl Heard {
    pub(super) fn field(&self, name: &str) -> &Value<'static> {
        let field = self.fields.iter().find(|(known, _)| *known == name);
        field.map_or_else(|| panic!("{} has no field {name}", self.name), |(_, value)| value)
    }
}

/// Shared by all that listen in one test.
#[derive(Clone, Default)]
pub(super) struct Capture {
    observed: Arc<Mutex<Vec<Heard>>>,
    traced: Arc<Mutex<Vec<Heard>>>,
    spans: Arc<Mutex<Vec<SpanHeard>>>,
    metrics: Arc<Mutex<BTreeMap<Series, Arc<Taken>>>>,
    described: Arc<Mutex<BTreeSet<String>>>,
}

/// A span as the subscriber heard it.
#[derive(Clone, Debug)]
pub(super) struct SpanHeard {
    pub(super) name: &'static str,
    pub(super) fields: Vec<(&'static str, Value<'static>)>,
    /// Handles that are left; closed at 0.
    handles: usize,
}

impl SpanHeard {
    pub(super) fn is_closed(&self) -> bool {
        self.handles == 0
    }
}

/// A metric and its labels.
pub(super) type Series = (String, BTreeMap<String, String>);

/// What a handle was told, whatever its kind.
#[derive(Default)]
struct Taken {
    /// Of a counter the sum, of a gauge the bits of the last value, of a histogram how often.
    value: AtomicU64,
    /// Of a histogram each value.
    seconds: Mutex<Vec<f64>>,
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Capture {
    pub(super) fn observed(&self) -> Vec<Heard> {
        lock(&self.observed).clone()
    }

    pub(super) fn traced(&self) -> Vec<Heard> {
        lock(&self.traced).clone()
    }

    pub(super) fn spans(&self) -> Vec<SpanHeard> {
        lock(&self.spans).clone()
    }

    pub(super) fn named(&self, name: &str) -> Vec<Heard> {
        self.observed().into_iter().filter(|heard| heard.name == name).collect()
    }

    pub(super) fn series(&self) -> BTreeMap<Series, u64> {
        let value =
            |(series, taken): (&Series, &Arc<Taken>)| (series.clone(), taken.value.load(Ordering::Relaxed));
        lock(&self.metrics).iter().map(value).collect()
    }

    /// The sum of a counter, or the count of a histogram, over all labels.
    pub(super) fn total(&self, name: &str) -> u64 {
        self.series().iter().filter(|((known, _), _)| known == name).map(|(_, value)| value).sum()
    }

    /// The last value of a gauge.
    pub(super) fn gauge(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let fits = |has: &BTreeMap<String, String>| {
            labels.iter().all(|(label, value)| has.get(*label).is_some_and(|known| known == value))
        };
        let series = self.series();
        let found = series.iter().find(|((known, has), _)| known == name && fits(has));
        found.map(|(_, bits)| f64::from_bits(*bits))
    }

    /// What a histogram was told, over all labels.
    pub(super) fn seconds(&self, name: &str) -> Vec<f64> {
        let metrics = lock(&self.metrics);
        let found = metrics.iter().filter(|((known, _), _)| known == name);
        found.flat_map(|(_, taken)| lock(&taken.seconds).clone()).collect()
    }

    pub(super) fn described(&self) -> BTreeSet<String> {
        lock(&self.described).clone()
    }

    fn handle(&self, key: &Key) -> Arc<Taken> {
        let labels = key.labels().map(|label| (label.key().to_owned(), label.value().to_owned())).collect();
        lock(&self.metrics).entry((key.name().to_owned(), labels)).or_default().clone()
    }
}

impl Observer for Capture {
    fn observe(&self, record: &Record<'_>) {
        let definition = record.definition();
        let fields = record.fields().map(|(name, value)| (name, owned(value))).collect();
        let (name, target, level) = (definition.name, definition.target, definition.level);
        lock(&self.observed).push(Heard { name, target, level, fields });
    }
}

fn owned(value: Value<'_>) -> Value<'static> {
    match value {
        Value::U64(number) => Value::U64(number),
        Value::F64(number) => Value::F64(number),
        Value::Bool(yes) => Value::Bool(yes),
        Value::Text(text) => Value::Text(text.into_owned().into()),
        Value::Absent => Value::Absent,
    }
}

#[derive(Default)]
struct Fields(Vec<(&'static str, Value<'static>)>);

impl Visit for Fields {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.push((field.name(), Value::U64(value)));
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.push((field.name(), Value::F64(value)));
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.push((field.name(), Value::Bool(value)));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push((field.name(), Value::Text(value.to_owned().into())));
    }
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.push((field.name(), Value::Text(format!("{value:?}").into())));
    }
}

impl Subscriber for Capture {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("vsr::")
    }
    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let mut spans = lock(&self.spans);
        spans.push(SpanHeard { name: attributes.metadata().name(), fields: fields.0, handles: 1 });
        span::Id::from_u64(spans.len() as u64)
    }
    fn record(&self, id: &span::Id, values: &span::Record<'_>) {
        let mut fields = Fields::default();
        values.record(&mut fields);
        lock(&self.spans)[id.into_u64() as usize - 1].fields.append(&mut fields.0);
    }
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let metadata = event.metadata();
        lock(&self.traced).push(Heard {
            name: metadata.name(),
            target: metadata.target(),
            level: *metadata.level(),
            fields: fields.0,
        });
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
    fn clone_span(&self, id: &span::Id) -> span::Id {
        lock(&self.spans)[id.into_u64() as usize - 1].handles += 1;
        id.clone()
    }
    fn try_close(&self, id: span::Id) -> bool {
        let mut spans = lock(&self.spans);
        let span = &mut spans[id.into_u64() as usize - 1];
        span.handles -= 1;
        span.is_closed()
    }
}

impl CounterFn for Taken {
    fn increment(&self, value: u64) {
        self.value.fetch_add(value, Ordering::Relaxed);
    }
    fn absolute(&self, value: u64) {
        self.value.store(value, Ordering::Relaxed);
    }
}

impl GaugeFn for Taken {
    fn increment(&self, _: f64) {
        unreachable!("gauges are set, never moved");
    }
    fn decrement(&self, _: f64) {
        unreachable!("gauges are set, never moved");
    }
    fn set(&self, value: f64) {
        self.value.store(value.to_bits(), Ordering::Relaxed);
    }
}

impl HistogramFn for Taken {
    fn record(&self, seconds: f64) {
        self.value.fetch_add(1, Ordering::Relaxed);
        lock(&self.seconds).push(seconds);
    }
}

impl Recorder for Capture {
    fn describe_counter(&self, key: KeyName, _: Option<Unit>, _: SharedString) {
        lock(&self.described).insert(key.as_str().to_owned());
    }
    fn describe_gauge(&self, key: KeyName, _: Option<Unit>, _: SharedString) {
        lock(&self.described).insert(key.as_str().to_owned());
    }
    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, _: SharedString) {
        assert_eq!(unit, Some(Unit::Seconds), "{}", key.as_str());
        lock(&self.described).insert(key.as_str().to_owned());
    }
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.handle(key))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.handle(key))
    }
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.handle(key))
    }
}
