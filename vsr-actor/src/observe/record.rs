//! What an observer is given, and what the table says of it.

use super::{Event, Value, value::status_name};
use std::cell::OnceCell;
use tracing::Level;
use vsr_core::{GroupId, OpNumber, Replica, ReplicaId, Status, StatusName, ViewNumber};

/// One row of the table of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Definition {
    /// Its stable name; what follows `vsr.` is its topic.
    pub name: &'static str,
    /// The target of the tracing event.
    pub target: &'static str,
    /// Who should hear of it: an operator (INFO and above), who looks for a fault (DEBUG), who wants every operation (TRACE).
    pub level: Level,
    /// What it says.
    pub meaning: &'static str,
    /// The event of the Elixir library that it stands for.
    pub original: Option<&'static str>,
    /// The fields that only this event has.
    pub fields: &'static [FieldDefinition],
    /// The metrics it changes.
    pub metrics: &'static [&'static str],
}

impl Definition {
    /// Whether it is at INFO or above: nothing that happens with every operation is.
    ///
    /// ```
    /// let heard = vsr_actor::observe::EVENTS.iter().filter(|definition| definition.is_for_operators());
    /// assert!(heard.clone().any(|definition| definition.name == "vsr.leadership.start"));
    /// assert!(!heard.clone().any(|definition| definition.name == "vsr.protocol.prepare.sent"));
    /// ```
    #[must_use]
    pub fn is_for_operators(&self) -> bool {
        self.level <= Level::INFO
    }
}

/// A field of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldDefinition {
    /// Its name.
    pub name: &'static str,
    /// What it is, and in which unit.
    pub what: &'static str,
}

/// What every event tells of its replica: as it was at the end of the step in which the event happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Common {
    /// The replica's group.
    pub group: GroupId,
    /// The replica.
    pub node_id: ReplicaId,
    /// Its view.
    pub view_number: ViewNumber,
    /// What it is doing.
    pub status: StatusName,
    /// Whether it is the primary of a started view.
    pub is_primary: bool,
    /// How many replicas the group has.
    pub cluster_size: usize,
    /// The end of its log.
    pub op_number: OpNumber,
    /// What it knows to be committed.
    pub commit_number: OpNumber,
}

/// The names of the fields that all events have.
pub const COMMON_FIELDS: [&str; 8] =
    ["group", "node_id", "view_number", "status", "is_primary", "cluster_size", "op_number", "commit_number"];

impl Common {
    pub(super) fn of(group: GroupId, status: &Status) -> Self {
        Self {
            group,
            node_id: status.replica,
            view_number: status.view,
            status: status.status,
            is_primary: status.is_primary,
            cluster_size: status.replicas,
            op_number: status.op,
            commit_number: status.commit,
        }
    }

    fn values(&self) -> [Value<'static>; 8] {
        [
            self.group.0.into(),
            u64::from(self.node_id.0).into(),
            self.view_number.0.into(),
            status_name(self.status).into(),
            self.is_primary.into(),
            (self.cluster_size as u64).into(),
            self.op_number.0.into(),
            self.commit_number.0.into(),
        ]
    }
}

/// The common fields, computed when the first listener wants them.
pub(super) struct Lazy<'a> {
    group: GroupId,
    source: Source<'a>,
    common: OnceCell<Common>,
}

/// Where they come from.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    /// The replica as it is.
    Now(&'a Replica),
    /// The replica is gone; this is what it was.
    Last(&'a Status),
}

impl<'a> Lazy<'a> {
    pub(super) fn new(group: GroupId, source: Source<'a>) -> Self {
        Self { group, source, common: OnceCell::new() }
    }

    pub(super) fn get(&self) -> &Common {
        self.common.get_or_init(|| match self.source {
            Source::Now(replica) => Common::of(self.group, &replica.status()),
            Source::Last(status) => Common::of(self.group, status),
        })
    }
}

/// What an observer is told: what happened, and what all events have in common.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Record<'a> {
    /// What happened.
    pub event: &'a Event<'a>,
    /// The replica it happened to.
    pub common: &'a Common,
}

impl Record<'_> {
    /// The event's row in the table.
    #[must_use]
    pub fn definition(&self) -> &'static Definition {
        self.event.definition()
    }

    /// The event's stable name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.definition().name
    }

    /// All fields by name: the common ones, then those of the event.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, Value<'_>)> {
        COMMON_FIELDS.into_iter().zip(self.common.values()).chain(self.event.fields())
    }
}
