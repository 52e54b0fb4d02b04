//! The spans of one request: at its client, and where it is executed.

use super::{SpanId, TraceId};
use crate::config::entropy;
use std::sync::Arc;
use tracing::{Level, Span};
use vsr_core::{OpNumber, TraceContext, ViewNumber};

/// A request at its client: from the call to the reply, `vsr.request`.
#[derive(Debug)]
pub(crate) struct RequestSpan {
    span: Span,
    /// What goes with the request: the caller's context; if there is none, a fresh one.
    pub(crate) trace: Option<Arc<TraceContext>>,
}

impl RequestSpan {
    /// Nothing, if nobody listens.
    #[inline]
    pub(crate) fn new(trace: Option<&Arc<TraceContext>>) -> Option<Self> {
        tracing::enabled!(target: "vsr::request", Level::DEBUG).then(|| Self::begin(trace))
    }

    fn begin(trace: Option<&Arc<TraceContext>>) -> Self {
        let trace = trace.cloned().or_else(fresh);
        let ids = trace.as_ref().map(|trace| (TraceId(trace.trace_id()), SpanId(trace.span_id())));
        let (trace_id, span_id) = ids.unzip();
        let span = tracing::debug_span!(
            target: "vsr::request",
            "vsr.request",
            trace_id = trace_id.map(|id| id.to_string()),
            span_id = span_id.map(|id| id.to_string()),
        );
        Self { span, trace }
    }

    /// What the caller's code tells meanwhile is in the span.
    pub(crate) fn in_scope<T>(&self, code: impl FnOnce() -> T) -> T {
        self.span.in_scope(code)
    }
}

fn fresh() -> Option<Arc<TraceContext>> {
    let trace_id = u128::from(entropy()) << 64 | u128::from(entropy());
    TraceContext::new(trace_id, entropy(), TraceContext::SAMPLED).map(Arc::new)
}

/// The execution of an operation that belongs to a trace: what the state machine tells meanwhile is in it.
pub(crate) fn commit_span(trace: TraceContext, op: OpNumber, view: ViewNumber) -> Span {
    tracing::debug_span!(
        target: "vsr::trace",
        "vsr.commit",
        trace_id = %TraceId(trace.trace_id()),
        span_id = %SpanId(trace.span_id()),
        op = op.0,
        view = view.0,
    )
}
