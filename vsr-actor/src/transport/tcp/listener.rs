//! Who dials this side: strangers, until they have said who they are.

use super::{
    ConnectionError, HandshakeError,
    handshake::{self, Heard},
    peer::Accepted,
    shared::Shared,
};
use crate::observe::TransportEvent;
use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    select,
    sync::mpsc,
    task::{AbortHandle, JoinSet},
    time::{sleep, timeout},
};
use vsr_core::ReplicaId;

/// After an error of the listener itself, as when there are no more descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Where each peer's connections go that it has dialled.
pub(super) type Doors = BTreeMap<ReplicaId, mpsc::Sender<Accepted>>;

/// Lets in who dials, until the transport is shut down.
pub(super) async fn listen(listener: TcpListener, shared: Arc<Shared>, doors: Doors) {
    let doors = Arc::new(doors);
    let mut strangers = Strangers::new(shared.config.strangers_max);
    loop {
        let accepted = select! {
            biased;
            () = shared.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => strangers.add(meet(stream, address, shared.clone(), doors.clone())),
            Err(error) => {
                shared.telemetry.tell(&TransportEvent::AcceptFailed { reason: error.to_string() });
                sleep(PAUSE).await;
            }
        }
    }
}

/// A bounded number of handshakes; the oldest makes room, for those that mean well are short.
struct Strangers {
    max: usize,
    tasks: JoinSet<()>,
    by_age: VecDeque<AbortHandle>,
}

impl Strangers {
    fn new(max: usize) -> Self {
        Self { max, tasks: JoinSet::new(), by_age: VecDeque::new() }
    }

    fn add(&mut self, handshake: impl Future<Output = ()> + Send + 'static) {
        while self.tasks.try_join_next().is_some() {}
        self.by_age.retain(|task| !task.is_finished());
        while self.by_age.len() >= self.max {
            if let Some(oldest) = self.by_age.pop_front() {
                oldest.abort();
            }
        }
        self.by_age.push_back(self.tasks.spawn(handshake));
    }
}

/// Hears who it is, and gives the connection to whoever keeps that peer's.
async fn meet(mut stream: TcpStream, address: SocketAddr, shared: Arc<Shared>, doors: Arc<Doors>) {
    let patience = shared.config.handshake_timeout;
    let mut caller = None;
    let result = match stream.set_nodelay(true) {
        Ok(()) => {
            let own = |hello: &handshake::Hello| shared.hello(hello.from, 0);
            let answer = handshake::answer(&mut stream, &shared.identity, own, &mut caller);
            timeout(patience, answer).await.unwrap_or(Err(HandshakeError::TimedOut(patience)))
        }
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(heard) => admit(&doors, Accepted { stream, address, heard }),
        Err(error) => turn_away(caller, address, error, &shared),
    }
}

fn admit(doors: &Doors, accepted: Accepted) {
    let Heard { hello, .. } = accepted.heard;
    // A peer that dials faster than it is looked at loses a connection, and dials again.
    let door = doors.get(&hello.from).expect("the handshake takes only peers");
    let _ = door.try_send(accepted);
}

fn turn_away(caller: Option<ReplicaId>, address: SocketAddr, error: HandshakeError, shared: &Shared) {
    let refused = ConnectionError::Handshake { address, error: error.clone() };
    shared.telemetry.refused(caller, &refused);
    shared.telemetry.tell(&TransportEvent::CallerLost { address, caller, reason: error });
    if let Some(peer) = caller.and_then(|id| shared.peers.get(&id)) {
        peer.turned_away(refused);
    }
}
