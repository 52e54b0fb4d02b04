//! What happens in a replica, told to tracing, to metrics and to observers of the user's own: the only place that knows them.
//!
//! [`EVENTS`] is the table of all events and [`METRICS`] that of all metrics; docs/telemetry.md shows both. An [`Observer`] gets each
//! event as a typed value, with its fields by name for those that do not care which event it is.

mod macros;
mod meters;
mod observers;
#[cfg(feature = "prometheus")]
pub mod prometheus;
mod protocol;
mod record;
mod table;
mod telemetry;
#[cfg(test)]
mod tests;
mod value;

pub use meters::{METRICS, Metric, MetricKind};
pub(crate) use observers::Listeners;
pub use observers::Observer;
pub use record::{COMMON_FIELDS, Common, Definition, FieldDefinition, Record};
pub use table::{EVENTS, Event};
pub(crate) use telemetry::Telemetry;
pub use value::{Role, Value};
