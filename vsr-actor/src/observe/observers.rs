//! The user's own handlers of events.

use super::{EVENTS, Event, record::Lazy};
use crate::{
    ReplicaError,
    machine::caught,
    observe::{Definition, Record},
};
use std::sync::Arc;
use tracing::Level;

/// Hears of everything that happens in the replicas it is attached to: see [`Builder::observer`](crate::Builder::observer) and
/// [`ClusterBuilder::observer`](crate::ClusterBuilder::observer). A function of a record is one:
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use std::sync::Arc;
/// use vsr_actor::{observe::Event, prelude::*};
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
/// let committed = Arc::new(AtomicU64::new(0));
/// let seen = committed.clone();
/// let cluster = Cluster::builder(3, Counter::default)
///     .observer(move |record: &Record<'_>| {
///         if let Event::CommitAdvanced { operations_committed, .. } = record.event {
///             seen.fetch_add(*operations_committed, Ordering::Relaxed);
///         }
///     })
///     .start()
///     .await?;
/// cluster.client().request(5).await?;
/// cluster.await_convergence().await?;
/// assert!(committed.load(Ordering::Relaxed) >= 3, "once at each replica, and the opening of the session, too");
/// # Ok(cluster.shutdown().await?)
/// # }
/// ```
///
/// It is called on the replica's task, in the order in which things happened: it must not block, or heartbeats wait for it. What it
/// hears of many replicas comes from many threads at once. A panic in it ends the replica with
/// [`ReplicaError::Callback`](crate::ReplicaError::Callback) of `observe`; it is not called again by that replica.
///
/// ```
/// use vsr_actor::{Observer, Record, observe::{Common, Definition, Value}};
///
/// /// Writes down what an operator should hear of, field by field.
/// struct Journal;
///
/// impl Observer for Journal {
///     fn observe(&self, record: &Record<'_>) {
///         let replica: &Common = record.common;
///         println!("{} in {}: {}", replica.node_id, replica.view_number, record.definition().meaning);
///         for (name, value) in record.fields().filter(|(_, value)| *value != Value::Absent) {
///             println!("    {}: {name} = {value}", record.name());
///         }
///     }
///
///     fn wants(&self, definition: &'static Definition) -> bool {
///         definition.level <= tracing::Level::INFO
///     }
/// }
/// ```
pub trait Observer: Send + Sync + 'static {
    /// Something happened.
    fn observe(&self, record: &Record<'_>);

    /// Whether events of this row are wanted. Asked once for each row when a replica starts; what nobody wants costs nothing.
    /// Default: all of them.
    fn wants(&self, definition: &'static Definition) -> bool {
        let _ = definition;
        true
    }
}

impl<F: Fn(&Record<'_>) + Send + Sync + 'static> Observer for F {
    fn observe(&self, record: &Record<'_>) {
        self(record);
    }
}

/// Whom a replica is to tell what happens.
#[derive(Clone, Default)]
pub(crate) struct Listeners {
    pub(crate) observers: Vec<Arc<dyn Observer>>,
    /// Nobody at all, tracing and metrics included.
    pub(crate) off: bool,
}

/// Those of one replica.
#[derive(Default)]
pub(super) struct Observers {
    attached: Vec<Attached>,
    /// Whether one of them wants to hear of single operations and messages.
    want_all: bool,
    panicked: Option<String>,
}

struct Attached {
    observer: Arc<dyn Observer>,
    /// By the event's place in the table.
    wanted: Vec<bool>,
}

impl Observers {
    pub(super) fn new(observers: Vec<Arc<dyn Observer>>) -> Self {
        let attach = |observer: Arc<dyn Observer>| {
            let wanted = EVENTS.iter().map(|definition| observer.wants(definition)).collect();
            Attached { observer, wanted }
        };
        let attached: Vec<_> = observers.into_iter().map(attach).collect();
        let frequent =
            |(definition, wanted): (&Definition, &bool)| *wanted && definition.level == Level::TRACE;
        let want_all = attached.iter().any(|a| EVENTS.iter().zip(&a.wanted).any(frequent));
        Self { attached, want_all, panicked: None }
    }

    pub(super) fn are_there(&self) -> bool {
        !self.attached.is_empty()
    }

    pub(super) fn want_all(&self) -> bool {
        self.want_all
    }

    pub(super) fn tell(&mut self, event: &Event<'_>, common: &Lazy<'_>) {
        let index = event.index();
        let mut panicked = None;
        self.attached.retain(|Attached { observer, wanted }| {
            if !wanted[index] {
                return true;
            }
            let told = caught(|| observer.observe(&Record { event, common: common.get() }));
            told.map_err(|reason| panicked = Some(reason)).is_ok()
        });
        if panicked.is_some() {
            self.panicked = panicked;
        }
    }

    /// Whether all of them are alive.
    pub(super) fn check(&mut self) -> Result<(), ReplicaError> {
        match self.panicked.take() {
            Some(reason) => Err(ReplicaError::Callback { callback: "observe", reason }),
            None => Ok(()),
        }
    }
}
