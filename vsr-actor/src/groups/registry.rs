//! Replicas by name.

use super::RegistryError;
use crate::{Handle, StateMachine, handle::WeakHandle};
use std::{
    any::{Any, type_name},
    collections::BTreeMap,
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

/// Finds the replicas of this process by name. Clones are the same registry.
///
/// It does not keep a replica alive: an entry goes when its replica ends, or when its last handle is dropped, and the name is free
/// again.
///
/// ```
/// use vsr_actor::{Cluster, Handle, Registry, RegistryError, prelude::*};
///
/// # #[derive(Default, Serialize, Deserialize)]
/// # struct Bank(i64);
/// # impl StateMachine for Bank {
/// #     type Operation = i64;
/// #     type Reply = i64;
/// #     fn handle_commit(&mut self, _commit: &Commit, add: i64) -> i64 { self.0 += add; self.0 }
/// # }
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let registry = Registry::default();
/// let cluster = Cluster::in_process(3, Bank::default).await?;
/// registry.register("accounts", &cluster.handle(cluster.ids()[0])?)?;
///
/// let bank: Handle<Bank> = registry.get("accounts")?; // anywhere in the process
/// assert_eq!(bank.client().request(5).await?, 5);
/// drop(bank);
/// assert_eq!(registry.names(), ["accounts"]);
/// registry.register("more", &cluster.handle(cluster.ids()[1])?)?;
/// assert!(registry.unregister("more"));
///
/// cluster.shutdown().await?;
/// assert!(matches!(registry.get::<Bank>("accounts"), Err(RegistryError::NotRegistered { .. })));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Registry(Arc<RwLock<BTreeMap<String, Entry>>>);

struct Entry {
    machine: &'static str,
    handle: Box<dyn Named>,
}

/// A weak handle whose state machine is found out when somebody asks.
trait Named: Send + Sync {
    fn runs(&self) -> bool;
    fn as_any(&self) -> &dyn Any;
}

impl<M: StateMachine> Named for WeakHandle<M> {
    fn runs(&self) -> bool {
        self.upgrade().is_some_and(|handle| !handle.has_ended())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Registry {
    /// Gives a running replica a name.
    ///
    /// # Errors
    /// [`NameTaken`](RegistryError::NameTaken) by another replica that runs, of whatever type.
    pub fn register<M: StateMachine>(
        &self,
        name: impl Into<String>,
        handle: &Handle<M>,
    ) -> Result<(), RegistryError> {
        let name = name.into();
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        // Names of replicas that have ended do not pile up.
        entries.retain(|_, entry| entry.handle.runs());
        if entries.contains_key(&name) {
            return Err(RegistryError::NameTaken { name });
        }
        entries.insert(name, Entry { machine: type_name::<M>(), handle: Box::new(handle.downgrade()) });
        Ok(())
    }

    /// The replica of that name.
    ///
    /// # Errors
    /// [`NotRegistered`](RegistryError::NotRegistered), also if it has ended, and [`OtherType`](RegistryError::OtherType), if it is one of
    /// another state machine.
    pub fn get<M: StateMachine>(&self, name: &str) -> Result<Handle<M>, RegistryError> {
        let not_registered = || RegistryError::NotRegistered { name: name.to_owned() };
        let entries = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.get(name).filter(|entry| entry.handle.runs()).ok_or_else(not_registered)?;
        let Some(handle) = entry.handle.as_any().downcast_ref::<WeakHandle<M>>() else {
            let (wanted, found) = (type_name::<M>(), entry.machine);
            return Err(RegistryError::OtherType { name: name.to_owned(), wanted, found });
        };
        handle.upgrade().ok_or_else(not_registered)
    }

    /// Takes a name away; whether it was in use. The replica runs on.
    pub fn unregister(&self, name: &str) -> bool {
        let removed = self.0.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        removed.is_some_and(|entry| entry.handle.runs())
    }

    /// The names in use, in order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let entries = self.0.read().unwrap_or_else(PoisonError::into_inner);
        entries.iter().filter(|(_, entry)| entry.handle.runs()).map(|(name, _)| name.clone()).collect()
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Registry").field(&self.names()).finish()
    }
}
