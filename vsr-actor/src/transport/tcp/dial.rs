//! From an id to a connection on which both sides have said hello.

use super::{
    AddressError, ConnectionError, HandshakeError,
    handshake::{self, Hello},
    shared::Shared,
    status::Peer,
};
use crate::machine::caught_future;
use std::{io, net::SocketAddr};
use tokio::{net::TcpStream, time::timeout};

/// A connection that the dialler may go with.
pub(super) struct Dialled {
    pub(super) stream: TcpStream,
    pub(super) address: SocketAddr,
    pub(super) hello: Hello,
}

/// Finds the peer's addresses, and connects to the first where somebody is. `number` counts the connections to this peer.
pub(super) async fn dial(peer: &Peer, shared: &Shared, number: u64) -> Result<Dialled, ConnectionError> {
    let mut last = AddressError::failed(peer.id, "the address book gave none").into();
    for address in addresses(peer, shared).await? {
        match connect(address, shared).await {
            Ok(stream) => return greet(stream, address, peer, shared, number).await,
            Err(error) => last = ConnectionError::Dial { address, reason: error.to_string() },
        }
    }
    Err(last)
}

/// Asks the address book, which is the user's: it may take too long, or panic.
async fn addresses(peer: &Peer, shared: &Shared) -> Result<Vec<SocketAddr>, AddressError> {
    let patience = shared.config.dial_timeout;
    match timeout(patience, caught_future(shared.book.address(peer.id))).await {
        Ok(Ok(found)) => found,
        Ok(Err(panic)) => Err(AddressError::failed(peer.id, format!("the address book panicked: {panic}"))),
        Err(_) => {
            Err(AddressError::failed(peer.id, format!("the address book took longer than {patience:?}")))
        }
    }
}

async fn connect(address: SocketAddr, shared: &Shared) -> io::Result<TcpStream> {
    let patience = shared.config.dial_timeout;
    let slow = |_| io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {patience:?}"));
    let stream = timeout(patience, TcpStream::connect(address)).await.map_err(slow)??;
    // Batches are made here; what is written is to leave at once.
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn greet(
    mut stream: TcpStream,
    address: SocketAddr,
    peer: &Peer,
    shared: &Shared,
    number: u64,
) -> Result<Dialled, ConnectionError> {
    let patience = shared.config.handshake_timeout;
    let own = shared.hello(peer.id, number);
    let greeting = timeout(patience, handshake::dial(&mut stream, &shared.identity, own)).await;
    match greeting.unwrap_or(Err(HandshakeError::TimedOut(patience))) {
        Ok(hello) => Ok(Dialled { stream, address, hello }),
        Err(error) => Err(ConnectionError::Handshake { address, error }),
    }
}
