//! Where replicas are found: ids are not addresses.

use async_trait::async_trait;
use std::{collections::BTreeMap, io, net::SocketAddr, sync::Arc};
use vsr_core::ReplicaId;

/// Knows at which addresses a replica may be found now. Asked before each attempt to connect, so that a replica may move.
///
/// ```
/// use std::{net::SocketAddr, sync::Mutex};
/// use vsr_actor::{AddressBook, AddressError, ReplicaId};
///
/// /// Somebody else keeps it up to date.
/// #[derive(Default)]
/// struct Registry(Mutex<std::collections::BTreeMap<ReplicaId, SocketAddr>>);
///
/// #[async_trait::async_trait]
/// impl AddressBook for Registry {
///     async fn address(&self, id: ReplicaId) -> Result<Vec<SocketAddr>, AddressError> {
///         let known = self.0.lock().unwrap().get(&id).copied();
///         known.map(|address| vec![address]).ok_or(AddressError::Unknown { id })
///     }
/// }
/// ```
#[async_trait]
pub trait AddressBook: Send + Sync + 'static {
    /// The addresses of a replica; they are tried one after the other. May be dropped before it is ready: it is given
    /// [`dial_timeout`](crate::TcpConfig::dial_timeout).
    ///
    /// # Errors
    /// Why there are none. It is told, and asked again later.
    async fn address(&self, id: ReplicaId) -> Result<Vec<SocketAddr>, AddressError>;
}

#[async_trait]
impl<T: AddressBook + ?Sized> AddressBook for Arc<T> {
    async fn address(&self, id: ReplicaId) -> Result<Vec<SocketAddr>, AddressError> {
        (**self).address(id).await
    }
}

/// Why an address book has no address.
///
/// ```
/// use vsr_actor::{AddressError, ReplicaId};
///
/// let error = AddressError::failed(ReplicaId(1), "the registry does not answer");
/// assert_eq!(error.to_string(), "no address of R1: the registry does not answer");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// It is not in the book.
    #[error("{id} is not in the address book")]
    Unknown {
        /// Who was asked for.
        id: ReplicaId,
    },
    /// The book could not be read, or a name could not be resolved.
    #[error("no address of {id}: {reason}")]
    Failed {
        /// Who was asked for.
        id: ReplicaId,
        /// What went wrong.
        reason: String,
    },
}

impl AddressError {
    /// With this reason.
    pub fn failed(id: ReplicaId, reason: impl Into<String>) -> Self {
        Self::Failed { id, reason: reason.into() }
    }
}

/// Addresses that never change.
///
/// ```
/// use vsr_actor::{ReplicaId, StaticAddresses};
///
/// let addresses = StaticAddresses::new([
///     (ReplicaId(0), "127.0.0.1:7400".parse().unwrap()),
///     (ReplicaId(1), "127.0.0.1:7401".parse().unwrap()),
/// ]);
/// # let _ = addresses;
/// ```
#[derive(Clone, Debug)]
pub struct StaticAddresses(BTreeMap<ReplicaId, Vec<SocketAddr>>);

impl StaticAddresses {
    /// These. An id that is given several times has several addresses.
    pub fn new(addresses: impl IntoIterator<Item = (ReplicaId, SocketAddr)>) -> Self {
        let mut book: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (id, address) in addresses {
            book.entry(id).or_default().push(address);
        }
        Self(book)
    }
}

#[async_trait]
impl AddressBook for StaticAddresses {
    async fn address(&self, id: ReplicaId) -> Result<Vec<SocketAddr>, AddressError> {
        self.0.get(&id).cloned().ok_or(AddressError::Unknown { id })
    }
}

/// Names with ports, resolved anew before each attempt by the resolver of the system: for replicas whose addresses change while their
/// names stay.
///
/// ```
/// use vsr_actor::{AddressBook, DnsAddresses, ReplicaId};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), vsr_actor::AddressError> {
/// let names = DnsAddresses::new([(ReplicaId(0), "localhost:7400"), (ReplicaId(1), "[::1]:7401")]);
/// assert!(names.address(ReplicaId(0)).await?.iter().all(|address| address.port() == 7400));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct DnsAddresses(BTreeMap<ReplicaId, String>);

impl DnsAddresses {
    /// These, each as `host:port`.
    pub fn new<T: Into<String>>(names: impl IntoIterator<Item = (ReplicaId, T)>) -> Self {
        Self(names.into_iter().map(|(id, name)| (id, name.into())).collect())
    }
}

#[async_trait]
impl AddressBook for DnsAddresses {
    async fn address(&self, id: ReplicaId) -> Result<Vec<SocketAddr>, AddressError> {
        let name = self.0.get(&id).ok_or(AddressError::Unknown { id })?;
        let told = |error: io::Error| AddressError::failed(id, format!("{name:?}: {error}"));
        let found: Vec<_> = tokio::net::lookup_host(name).await.map_err(told)?.collect();
        if found.is_empty() {
            return Err(AddressError::failed(id, format!("{name:?} has none")));
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_is_not_in_the_book_is_told_by_id() {
        let book = StaticAddresses::new([(ReplicaId(0), ([127, 0, 0, 1], 1).into())]);
        assert_eq!(book.address(ReplicaId(0)).await, Ok(vec![([127, 0, 0, 1], 1).into()]));
        assert_eq!(book.address(ReplicaId(7)).await, Err(AddressError::Unknown { id: ReplicaId(7) }));
    }

    #[tokio::test]
    async fn a_name_that_is_none_is_told() {
        let book = DnsAddresses::new([(ReplicaId(1), "no port"), (ReplicaId(2), "127.0.0.1:9")]);
        assert_eq!(book.address(ReplicaId(2)).await, Ok(vec![([127, 0, 0, 1], 9).into()]));
        let told = book.address(ReplicaId(1)).await.expect_err("it has no port").to_string();
        assert!(told.starts_with("no address of R1: \"no port\": "), "{told}");
        assert_eq!(book.address(ReplicaId(7)).await, Err(AddressError::Unknown { id: ReplicaId(7) }));
    }
}
