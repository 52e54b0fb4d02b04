//! Who is connected to this door, for `CLIENT LIST`.

use crate::resp::Protocol;
use std::{
    collections::BTreeMap,
    fmt::Write,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

/// What others may know of a connection.
#[derive(Clone, Debug)]
pub(super) struct Client {
    /// Never given twice by this door.
    pub(super) id: u64,
    pub(super) peer: SocketAddr,
    pub(super) since: Instant,
    pub(super) protocol: Protocol,
    pub(super) name: String,
    pub(super) library: String,
    pub(super) library_version: String,
}

#[derive(Debug, Default)]
struct Known {
    last_id: u64,
    clients: BTreeMap<u64, Client>,
}

/// The connections by their numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Clients(Arc<Mutex<Known>>);

/// The place of a connection in the list, for as long as it lives.
#[derive(Debug)]
pub(super) struct Registered {
    clients: Clients,
    id: u64,
}

impl Clients {
    fn known(&self) -> MutexGuard<'_, Known> {
        // Nothing panics between two changes that belong together.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn register(&self, peer: SocketAddr) -> (Registered, Client) {
        let mut known = self.known();
        known.last_id += 1;
        let id = known.last_id;
        let client = Client {
            id,
            peer,
            since: Instant::now(),
            protocol: Protocol::default(),
            name: String::new(),
            library: String::new(),
            library_version: String::new(),
        };
        known.clients.insert(id, client.clone());
        (Registered { clients: self.clone(), id }, client)
    }

    /// Shows the others what a connection is now.
    pub(super) fn publish(&self, client: &Client) {
        if let Some(place) = self.known().clients.get_mut(&client.id) {
            place.clone_from(client);
        }
    }

    /// A line for each connection that is wanted, the oldest first.
    pub(super) fn list(&self, address: SocketAddr, wanted: impl Fn(u64) -> bool) -> String {
        let mut text = String::new();
        for client in self.known().clients.values().filter(|client| wanted(client.id)) {
            client.write(address, &mut text);
        }
        text
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.clients.known().clients.remove(&self.id);
    }
}

impl Client {
    pub(super) fn write(&self, address: SocketAddr, text: &mut String) {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "id={} addr={} laddr={address} name={} age={} flags=N db=0 user=default lib-name={} lib-ver={} resp={}",
            self.id,
            self.peer,
            self.name,
            self.since.elapsed().as_secs(),
            self.library,
            self.library_version,
            if self.protocol == Protocol::Resp3 { 3 } else { 2 },
        );
    }
}
