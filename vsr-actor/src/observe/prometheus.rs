//! Metrics as the text that Prometheus reads: the feature `prometheus-text`; and an endpoint that it scrapes: `prometheus`.

#[cfg(feature = "prometheus")]
mod endpoint;

#[cfg(all(feature = "prometheus", test))]
pub(super) use endpoint::build;
#[cfg(feature = "prometheus")]
pub use endpoint::{Exporter, install};

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use std::{fmt, io, net::SocketAddr};

/// Bounds of the buckets of durations, in seconds: from a commit in memory to a view change in a bad network.
const BUCKETS: [f64; 16] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Of the times as primary: from a second to a month.
const LONG_BUCKETS: [f64; 7] = [1.0, 10.0, 60.0, 600.0, 3600.0, 86_400.0, 2_592_000.0];

/// The metrics of this process as text, for programs that show them at a port of their own.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

/// Takes the metrics of everything that starts from now on in this process. Call it before the first replica starts.
///
/// ```
/// use vsr_actor::{observe::prometheus::{self, Metrics}, prelude::*};
///
/// # #[derive(Default, Serialize, Deserialize)]
/// # struct Counter(i64);
/// # impl StateMachine for Counter {
/// #     type Operation = i64;
/// #     type Reply = i64;
/// #     fn handle_commit(&mut self, _commit: &Commit, add: i64) -> i64 { self.0 += add; self.0 }
/// # }
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let metrics: Metrics = prometheus::record()?;
/// let cluster = Cluster::in_process(3, Counter::default).await?;
/// cluster.client().request(5).await?;
/// metrics.upkeep(); // every few seconds
/// assert!(metrics.render().contains("vsr_is_primary"));
/// # Ok(cluster.shutdown().await?)
/// # }
/// ```
///
/// # Errors
/// Another recorder of metrics is installed already.
pub fn record() -> Result<Metrics, PrometheusError> {
    let recorder = buckets(PrometheusBuilder::new()).map_err(PrometheusError::Settings)?.build_recorder();
    let metrics = Metrics(recorder.handle());
    metrics::set_global_recorder(recorder).map_err(|_| PrometheusError::AnotherRecorder)?;
    Ok(metrics)
}

impl Metrics {
    /// All metrics, in the text format of Prometheus, durations as histograms.
    #[must_use]
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Counts the durations that were measured since the last time into their histograms. To be called every few seconds: until then each
    /// of them takes memory.
    pub fn upkeep(&self) {
        self.0.run_upkeep();
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

fn buckets(builder: PrometheusBuilder) -> Result<PrometheusBuilder, BuildError> {
    let long = Matcher::Full("vsr_leadership_duration_seconds".into());
    let builder = builder.set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &BUCKETS)?;
    builder.set_buckets_for_metric(long, &LONG_BUCKETS)
}

/// Why metrics are not taken, or not shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrometheusError {
    /// The address cannot be listened at.
    #[error("metrics cannot be shown at {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: BuildError,
    },
    /// The thread cannot be started.
    #[error("the exporter of metrics cannot start: {0}")]
    Thread(#[source] io::Error),
    /// The exporter does not take its settings.
    #[error("the exporter of metrics cannot be set up: {0}")]
    Settings(#[source] BuildError),
    /// There is one recorder of metrics in a process.
    #[error(
        "another recorder of metrics is installed in this process: install only one, before anything is measured"
    )]
    AnotherRecorder,
}
