//! What both drivers of openraft are made of: its users bring log, state and network. Log and state are in memory.
//!
//! Upstream's benchmark keeps its log in a `BTreeMap` under tokio's lock; here it is a deque under a plain one, for it is never held across
//! a wait. The types of the two versions differ, what is kept of them does not.

mod entries;
pub mod node;
pub(crate) mod v0_10;
pub(crate) mod v0_9;

use crate::memory::workload::Table;
use entries::Entries;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What several handles of a replica share.
pub(crate) struct Shared<T>(Arc<Mutex<T>>);

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Default> Default for Shared<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

/// Entries, and the vote that belongs to them.
pub(crate) struct Kept<E, V, I> {
    entries: Entries<E>,
    vote: Option<V>,
    /// The last entry that is forgotten.
    purged: Option<I>,
}

impl<E, V, I> Default for Kept<E, V, I> {
    fn default() -> Self {
        Self { entries: Entries::default(), vote: None, purged: None }
    }
}

/// The state machine, and how far it is.
pub(crate) struct State<I, M, S> {
    table: Table,
    applied: Option<I>,
    membership: M,
    snapshot: Option<S>,
}

impl<I, M: Default, S> Default for State<I, M, S> {
    fn default() -> Self {
        Self { table: Table::default(), applied: None, membership: M::default(), snapshot: None }
    }
}
