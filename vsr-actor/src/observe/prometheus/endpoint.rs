//! An endpoint that Prometheus scrapes: the feature `prometheus`.

use super::{PrometheusError, buckets};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use std::{fmt, net::SocketAddr};
use tokio::runtime::{Builder, Runtime};

/// Takes the metrics of this process, and shows them at an address. Its work is done on a thread of its own: a scrape holds up no
/// replica. Dropped, it shows nothing any more, but metrics are still taken: keep it for as long as the process runs.
#[must_use = "dropped, it shows nothing"]
pub struct Exporter {
    handle: PrometheusHandle,
    /// Owns the tasks of the exporter.
    _thread: Thread,
}

/// A runtime that may be dropped on another one. There until the drop.
struct Thread(Option<Runtime>);

impl Drop for Thread {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // Waiting for its end is not allowed on another runtime.
            runtime.shutdown_background();
        }
    }
}

/// Takes the metrics of everything that starts from now on in this process, and shows them at `http://<address>/metrics`, in the text
/// format of Prometheus, durations as histograms. Call it before the first replica starts.
///
/// ```
/// use vsr_actor::{observe::prometheus::{self, Exporter, PrometheusError}, prelude::*};
///
/// # #[derive(Default, Serialize, Deserialize)]
/// # struct Counter(i64);
/// # impl StateMachine for Counter {
/// #     type Operation = i64;
/// #     type Reply = i64;
/// #     fn handle_commit(&mut self, _commit: &Commit, add: i64) -> i64 { self.0 += add; self.0 }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let any = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?; // in place of a fixed one
/// let exporter: Result<Exporter, PrometheusError> = prometheus::install(any); // "0.0.0.0:9100".parse()? in earnest
/// let exporter = exporter?;
/// let cluster = Cluster::in_process(3, Counter::default).await?;
/// cluster.client().request(5).await?;
/// assert!(exporter.render().contains("vsr_is_primary"));
/// # Ok(cluster.shutdown().await?)
/// # }
/// ```
///
/// # Errors
/// The address cannot be listened at, or another recorder of metrics is installed already.
pub fn install(address: SocketAddr) -> Result<Exporter, PrometheusError> {
    let (recorder, exporter) = build(address)?;
    metrics::set_global_recorder(recorder).map_err(|_| PrometheusError::AnotherRecorder)?;
    Ok(exporter)
}

/// The same without taking anything yet.
pub(in super::super) fn build(
    address: SocketAddr,
) -> Result<(PrometheusRecorder, Exporter), PrometheusError> {
    let mut thread = Builder::new_multi_thread();
    thread.worker_threads(1).thread_name("vsr-prometheus").enable_all();
    let runtime = thread.build().map_err(PrometheusError::Thread)?;
    let (tasks, thread) = (runtime.handle().clone(), Thread(Some(runtime)));
    // What it spawns belongs to this runtime, and ends with it.
    let entered = tasks.enter();
    let (recorder, serving) = buckets(PrometheusBuilder::new().with_http_listener(address))
        .and_then(PrometheusBuilder::build)
        .map_err(|source| PrometheusError::Listen { address, source })?;
    drop(entered);
    drop(tasks.spawn(serving));
    let exporter = Exporter { handle: recorder.handle(), _thread: thread };
    Ok((recorder, exporter))
}

impl Exporter {
    /// All metrics as text, for those who show them somewhere else.
    #[must_use]
    pub fn render(&self) -> String {
        self.handle.render()
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exporter").finish_non_exhaustive()
    }
}
