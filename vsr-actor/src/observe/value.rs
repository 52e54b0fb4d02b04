//! Fields as tracing, observers and the page of telemetry see them.

use crate::{ConnectionError, HandshakeError, PeerRefusal, Side};
use std::{borrow::Cow, fmt, net::SocketAddr, time::Duration};
use vsr_core::{
    Asked, ClientId, GroupId, Ignored, Incarnation, MessageName, OpNumber, Refusal, ReplicaId, RequestNumber,
    SessionId, StatusName, ViewNumber,
};

/// A field's value without its type.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// A number: an op, a view, a replica, bytes, how many of something.
    U64(u64),
    /// A time in seconds.
    F64(f64),
    /// Yes or no.
    Bool(bool),
    /// A name, a reason, a client.
    Text(Cow<'a, str>),
    /// The field does not apply this time.
    Absent,
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::U64(number) => number.fmt(f),
            Self::F64(number) => number.fmt(f),
            Self::Bool(yes) => yes.fmt(f),
            Self::Text(text) => f.pad(text),
            Self::Absent => f.pad("-"),
        }
    }
}

impl From<u64> for Value<'_> {
    fn from(number: u64) -> Self {
        Self::U64(number)
    }
}

impl From<f64> for Value<'_> {
    fn from(number: f64) -> Self {
        Self::F64(number)
    }
}

impl From<bool> for Value<'_> {
    fn from(yes: bool) -> Self {
        Self::Bool(yes)
    }
}

impl<'a, 't: 'a> From<&'t str> for Value<'a> {
    fn from(text: &'t str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Absent, Into::into)
    }
}

/// A type that a field of an event may have.
pub(super) trait Field {
    /// What tracing is given.
    type Plain<'t>: tracing::Value + Into<Value<'t>>
    where
        Self: 't;

    /// What it is, and in which unit, for people.
    const WHAT: &'static str;

    /// Only called if somebody listens.
    fn plain(&self) -> Self::Plain<'_>;
}

macro_rules! field {
    ($($type:ty as $plain:ty = $what:literal, |$value:ident| $code:expr;)+) => {$(
        impl Field for $type {
            type Plain<'t> = $plain;
            const WHAT: &'static str = $what;
            fn plain(&self) -> $plain {
                let $value = self;
                $code
            }
        }
    )+};
}

field! {
    OpNumber as u64 = "op-number", |op| op.0;
    ViewNumber as u64 = "view-number", |view| view.0;
    RequestNumber as u64 = "number in the session", |request| request.0;
    GroupId as u64 = "group", |group| group.0;
    ReplicaId as u64 = "replica", |replica| u64::from(replica.0);
    // The op at which it was registered: no other session has the same.
    SessionId as u64 = "session: the op that opened it", |session| session.number.0;
    ClientId as String = "client", |client| client.to_string();
    Asked as String = "request `session#number`, or client", |of| asked(of);
    MessageName as String = "message", |message| format!("{message:?}");
    Ignored as &'static str = "reason", |reason| reason.name();
    Refusal as &'static str = "reason", |reason| reason.name();
    StatusName as &'static str = "status", |status| status_name(*status);
    TraceId as String = "32 hexadecimal digits", |trace| trace.to_string();
    SpanId as String = "16 hexadecimal digits", |span| span.to_string();
    Role as &'static str = "role", |role| role.name();
    usize as u64 = "count", |count| *count as u64;
    u64 as u64 = "number", |number| *number;
    bool as bool = "true or false", |yes| *yes;
    Duration as f64 = "seconds", |duration| duration.as_secs_f64();
    Incarnation as u64 = "incarnation", |incarnation| incarnation.0;
    SocketAddr as String = "address", |address| address.to_string();
    Side as &'static str = "`here` or `there`", |side| side.name();
    ConnectionError as String = "text", |error| error.to_string();
    HandshakeError as String = "text", |error| error.to_string();
    PeerRefusal as String = "text", |refusal| refusal.to_string();
}

impl Field for &str {
    type Plain<'t>
        = &'t str
    where
        Self: 't;
    const WHAT: &'static str = "text";
    fn plain(&self) -> &str {
        self
    }
}

impl Field for String {
    type Plain<'t> = &'t str;
    const WHAT: &'static str = "text";
    fn plain(&self) -> &str {
        self
    }
}

impl<T: Field> Field for Option<T> {
    type Plain<'t>
        = Option<T::Plain<'t>>
    where
        Self: 't;
    const WHAT: &'static str = T::WHAT;
    fn plain(&self) -> Option<T::Plain<'_>> {
        self.as_ref().map(T::plain)
    }
}

fn asked(of: &Asked) -> String {
    match of {
        Asked::Register(client) => client.to_string(),
        Asked::Request(session, request) => format!("{}{request}", session.number.0),
    }
}

/// A status as fields and labels say it.
pub(super) fn status_name(status: StatusName) -> &'static str {
    match status {
        StatusName::Bootstrapping => "bootstrapping",
        StatusName::Normal => "normal",
        StatusName::ViewChange => "view_change",
        StatusName::Recovering => "recovering",
        StatusName::Stopped => "stopped",
    }
}

/// A trace that a request belongs to; as text it is as in a `traceparent`.
///
/// ```
/// use vsr_actor::observe::{SpanId, TraceId};
///
/// assert_eq!(TraceId(0xab).to_string(), "000000000000000000000000000000ab");
/// assert_eq!(SpanId(0xab).to_string(), "00000000000000ab");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceId(pub u128);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// The caller's span in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SpanId(pub u64);

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What a replica is in its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Primary of a started view.
    Primary,
    /// Everybody else.
    Backup,
}

impl Role {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Backup => "backup",
        }
    }
}
