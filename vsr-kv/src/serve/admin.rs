//! The port for people, probes and Prometheus: HTTP, to read only.

use super::state::State;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};
use tracing::{debug, warn};
use vsr_actor::observe::prometheus::Metrics;

/// Connections at the same time; one more waits until there is a place.
const CONNECTIONS_MAX: usize = 64;
/// From the first byte of a connection to the end of its answer.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
/// Of a request, all its headers included.
const REQUEST_BYTES_MAX: usize = 16 << 10;
/// How long to wait when no connection can be taken, for want of file descriptors for instance.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PROMETHEUS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// What it answers from.
#[derive(Clone, Debug)]
pub(super) struct Admin {
    pub(super) state: Arc<State>,
    /// Nothing, where somebody else shows the metrics of this process.
    pub(super) metrics: Option<Metrics>,
}

/// Answers until it is dropped.
pub(super) async fn serve(listener: TcpListener, admin: Admin) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            // Takes ended tasks out of the set as they end.
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(timeout(CONNECTION_TIMEOUT, connection(stream, admin.clone())));
                }
                Err(error) => {
                    warn!(%error, "cannot take a connection at the admin port");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

async fn connection(stream: TcpStream, admin: Admin) {
    let answer = service_fn(|request| {
        let admin = admin.clone();
        async move { Ok::<_, Infallible>(admin.answer(&request).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(CONNECTION_TIMEOUT)
        .max_buf_size(REQUEST_BYTES_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), answer)
        .await;
    if let Err(error) = served {
        debug!(%error, "a connection at the admin port ended early");
    }
}

impl Admin {
    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        // hyper leaves the body of an answer to HEAD away.
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        match request.uri().path() {
            "/healthz" | "/readyz" | "/status" | "/metrics" if !is_read => {
                let text = "only GET and HEAD are answered here\n";
                let mut response = told(StatusCode::METHOD_NOT_ALLOWED, TEXT, text);
                response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
                response
            }
            "/healthz" => verdict(self.state.health()),
            "/readyz" => verdict(self.state.readiness().await),
            "/status" => told(StatusCode::OK, JSON, format!("{:#}\n", self.state.report().await)),
            "/metrics" => match &self.metrics {
                Some(metrics) => told(StatusCode::OK, PROMETHEUS, metrics.render()),
                None => told(StatusCode::NOT_FOUND, TEXT, "this process does not show its metrics here\n"),
            },
            _ => told(StatusCode::NOT_FOUND, TEXT, "there are /healthz, /readyz, /status and /metrics\n"),
        }
    }
}

fn verdict(verdict: Result<(), String>) -> Response<Full<Bytes>> {
    match verdict {
        Ok(()) => told(StatusCode::OK, TEXT, "ok\n"),
        Err(reason) => told(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{reason}\n")),
    }
}

fn told(status: StatusCode, kind: HeaderValue, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
