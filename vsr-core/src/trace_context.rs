//! Which trace of its caller a request belongs to: carried along, never looked at.

use core::{
    fmt,
    num::{NonZeroU64, NonZeroU128},
    str::FromStr,
};
use serde::{Deserialize, Serialize};

/// The caller's span, in the sense of the W3C recommendation "Trace Context": whoever works for a request says in its traces on
/// whose behalf. It is part of the entry, and no part of the operation: a state machine never sees it.
///
/// As text it is the value of a `traceparent` header.
///
/// ```
/// use vsr_core::TraceContext;
///
/// let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let context: TraceContext = header.parse().expect("a traceparent");
/// assert!(context.is_sampled());
/// assert_eq!(context.to_string(), header);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TraceContext {
    // Zero is no id there; so an absent context takes no room of its own here.
    trace_id: NonZeroU128,
    span_id: NonZeroU64,
    flags: u8,
}

impl TraceContext {
    /// The flag that says: the caller keeps this trace.
    pub const SAMPLED: u8 = 1;

    /// The span `span_id` of the trace `trace_id`. `None` if one of them is zero, which means "no trace" in the recommendation.
    #[must_use]
    pub fn new(trace_id: u128, span_id: u64, flags: u8) -> Option<Self> {
        let (trace_id, span_id) = (NonZeroU128::new(trace_id)?, NonZeroU64::new(span_id)?);
        Some(Self { trace_id, span_id, flags })
    }

    /// The whole trace; never zero.
    #[must_use]
    pub fn trace_id(self) -> u128 {
        self.trace_id.get()
    }

    /// The caller's span in it; never zero.
    #[must_use]
    pub fn span_id(self) -> u64 {
        self.span_id.get()
    }

    /// All flags, unknown ones included.
    #[must_use]
    pub fn flags(self) -> u8 {
        self.flags
    }

    /// Whether the caller keeps this trace.
    #[must_use]
    pub fn is_sampled(self) -> bool {
        self.flags & Self::SAMPLED != 0
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, self.flags)
    }
}

/// A text that is no `traceparent` of version 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a traceparent: 00-, 32 and 16 lower-case hexadecimal digits that are not all zero, 2 digits of flags"
)]
pub struct TraceContextError;

impl FromStr for TraceContext {
    type Err = TraceContextError;

    fn from_str(text: &str) -> Result<Self, TraceContextError> {
        let mut fields = text.split('-');
        let mut field = |digits: usize| {
            let field = fields.next().filter(|field| field.len() == digits).ok_or(TraceContextError)?;
            let lower = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
            let value = u128::from_str_radix(field, 16).ok().filter(|_| field.bytes().all(lower));
            value.ok_or(TraceContextError)
        };
        let (version, trace_id, span_id, flags) = (field(2)?, field(32)?, field(16)?, field(2)?);
        if version != 0 || fields.next().is_some() {
            return Err(TraceContextError);
        }
        Self::new(trace_id, span_id as u64, flags as u8).ok_or(TraceContextError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn an_absent_context_takes_no_room() {
        assert_eq!(size_of::<Option<TraceContext>>(), size_of::<TraceContext>());
    }

    #[test]
    fn text_is_a_traceparent_or_an_error() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
        let context: TraceContext = good.parse().expect("as in the recommendation");
        assert_eq!((context.span_id(), context.is_sampled()), (0x00f0_67aa_0ba9_02b7, false));
        assert_eq!(context.to_string(), good);
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-00",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-00",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-",
        ] {
            assert_eq!(bad.parse::<TraceContext>(), Err(TraceContextError), "{bad}");
        }
    }
}
