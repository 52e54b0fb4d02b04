//! What happens in a replica, told to tracing, to metrics and to observers of the user's own: the only place that knows them.
//!
//! [`EVENTS`] is the table of all events and [`METRICS`] that of all metrics; docs/telemetry.md shows both. An [`Observer`] gets each
//! event as a typed value, with its fields by name for those that do not care which event it is.
//!
//! ```
//! use vsr_actor::observe::{EVENTS, Event, FieldDefinition, METRICS, Metric, MetricKind, Role};
//!
//! for row in EVENTS {
//!     let fields: Vec<&FieldDefinition> = row.fields.iter().collect();
//!     println!("{}: {} ({fields:?})", row.name, row.meaning);
//! }
//! let counters = METRICS.iter().filter(|metric: &&Metric| metric.kind == MetricKind::Counter);
//! assert!(counters.count() > 0);
//!
//! fn role_of(event: &Event<'_>) -> Option<Role> {
//!     match event {
//!         Event::RoleChanged { new_role, .. } => Some(*new_role),
//!         other => {
//!             println!("{} {:?}", other.definition().name, other.fields());
//!             None
//!         }
//!     }
//! }
//! ```

mod macros;
mod meters;
mod observers;
#[cfg(feature = "prometheus-text")]
pub mod prometheus;
mod protocol;
mod record;
mod spans;
mod table;
mod telemetry;
#[cfg(test)]
pub(crate) mod tests;
mod transport;
mod value;

pub(crate) use meters::Counter;
pub use meters::{METRICS, Metric, MetricKind};
pub(crate) use observers::Listeners;
pub use observers::Observer;
pub use record::{COMMON_FIELDS, Common, Definition, FieldDefinition, Record};
pub(crate) use spans::{RequestSpan, commit_span};
pub use table::{EVENTS, Event};
pub(crate) use telemetry::Telemetry;
pub(crate) use transport::{PeerCounters, TransportTelemetry};
pub use transport::{TRANSPORT_EVENTS, TRANSPORT_METRICS, TransportEvent};
pub use value::{Role, SpanId, TraceId, Value};
