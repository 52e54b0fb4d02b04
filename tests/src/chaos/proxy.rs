//! The network between replicas: for each pair, and each of them that may dial the other, a proxy that does to the bytes what a bad network
//! does. No privileges, no network namespaces: it works on every machine.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinSet,
    time::sleep,
};
use vsr_test::Prng;

/// What happens to the bytes from one replica to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Link {
    /// They arrive.
    #[default]
    Open,
    /// Connections break, and none can be made.
    Cut,
    /// Nothing arrives, and nobody is told: what was sent arrives when the link is open again.
    Hole,
    /// They arrive so much later.
    Slow(Duration),
    /// So many of a thousand pieces are late, as after a loss, and some break the connection.
    Lossy(u64),
}

/// How long a lost piece takes to be sent again.
const RESENT_AFTER: Duration = Duration::from_millis(200);
/// Of a thousand lost pieces so many are lost for good, with their connection.
const BROKEN_PER_MILLE: u64 = 100;

/// All links, by sender and receiver.
type Links = Vec<Vec<Link>>;

/// Owns the proxies: dropped, they end.
pub(super) struct Network {
    links: watch::Sender<Links>,
    addresses: Vec<Vec<SocketAddr>>,
    bytes: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

impl Network {
    /// Proxies between replicas that listen at `targets`.
    pub(super) async fn start(targets: &[SocketAddr], seed: u64) -> io::Result<Self> {
        let n = targets.len();
        let (links, seen) = watch::channel(vec![vec![Link::Open; n]; n]);
        let bytes = Arc::new(AtomicU64::new(0));
        let (mut addresses, mut tasks) = (Vec::new(), JoinSet::new());
        for from in 0..n {
            let mut row = Vec::new();
            for (to, target) in targets.iter().enumerate() {
                let listener = TcpListener::bind("127.0.0.1:0").await?;
                row.push(listener.local_addr()?);
                let proxy = Proxy { from, to, target: *target, links: seen.clone(), bytes: bytes.clone() };
                tasks.spawn(proxy.run(listener, Prng::new(seed ^ (from * n + to) as u64)));
            }
            addresses.push(row);
        }
        Ok(Self { links, addresses, bytes, _tasks: tasks })
    }

    /// Where `from` finds `to`.
    pub(super) fn address(&self, from: usize, to: usize) -> SocketAddr {
        self.addresses[from][to]
    }

    /// Sets the links that `choose` says something about.
    pub(super) fn set(&self, choose: impl Fn(usize, usize) -> Option<Link>) {
        self.links.send_modify(|links| {
            for (from, row) in links.iter_mut().enumerate() {
                for (to, link) in row.iter_mut().enumerate() {
                    *link = choose(from, to).unwrap_or(*link);
                }
            }
        });
    }

    pub(super) fn heal(&self) {
        self.set(|_, _| Some(Link::Open));
    }

    /// Bytes that were carried.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

struct Proxy {
    from: usize,
    to: usize,
    target: SocketAddr,
    links: watch::Receiver<Links>,
    bytes: Arc<AtomicU64>,
}

impl Proxy {
    async fn run(self, listener: TcpListener, mut random: Prng) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                Some(_) = connections.join_next() => {}
                accepted = listener.accept() => {
                    let Ok((dialler, _)) = accepted else { continue };
                    if self.is_cut() {
                        continue;
                    }
                    let (there, back) = (self.pipe(self.from, self.to, &mut random), self.pipe(self.to, self.from, &mut random));
                    connections.spawn(connect(dialler, self.target, there, back));
                }
            }
        }
    }

    fn is_cut(&self) -> bool {
        let links = self.links.borrow();
        links[self.from][self.to] == Link::Cut || links[self.to][self.from] == Link::Cut
    }

    fn pipe(&self, from: usize, to: usize, random: &mut Prng) -> Pipe {
        Pipe {
            from,
            to,
            links: self.links.clone(),
            bytes: self.bytes.clone(),
            random: Prng::new(random.bits()),
        }
    }
}

/// Both directions, until one of them ends.
async fn connect(dialler: TcpStream, target: SocketAddr, there: Pipe, back: Pipe) {
    let Ok(listener) = TcpStream::connect(target).await else { return };
    // Only a matter of latency.
    let _ = dialler.set_nodelay(true).and(listener.set_nodelay(true));
    let ((from_dialler, to_dialler), (from_listener, to_listener)) =
        (dialler.into_split(), listener.into_split());
    tokio::select! {
        () = there.carry(from_dialler, to_listener) => {}
        () = back.carry(from_listener, to_dialler) => {}
    }
}

/// One direction of one connection.
struct Pipe {
    from: usize,
    to: usize,
    links: watch::Receiver<Links>,
    bytes: Arc<AtomicU64>,
    random: Prng,
}

impl Pipe {
    fn link(&mut self) -> Link {
        self.links.borrow_and_update()[self.from][self.to]
    }

    async fn carry(mut self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut piece = vec![0; 64 << 10];
        loop {
            match self.link() {
                Link::Cut => return,
                // Not read: the sender notices by time-outs only.
                Link::Hole => {
                    if self.links.changed().await.is_err() {
                        return;
                    }
                    continue;
                }
                Link::Open | Link::Slow(_) | Link::Lossy(_) => {}
            }
            let read = tokio::select! {
                read = from.read(&mut piece) => read,
                changed = self.links.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return,
                },
            };
            let Ok(length @ 1..) = read else { return };
            match self.link() {
                Link::Slow(time) => sleep(time).await,
                Link::Lossy(per_mille) if self.random.chance(per_mille) => {
                    sleep(RESENT_AFTER).await;
                    if self.random.chance(BROKEN_PER_MILLE) {
                        return;
                    }
                }
                _ => {}
            }
            // The link may have changed meanwhile: what it is now decides what becomes of this piece.
            while self.link() == Link::Hole {
                if self.links.changed().await.is_err() {
                    return;
                }
            }
            if self.link() == Link::Cut || to.write_all(&piece[..length]).await.is_err() {
                return;
            }
            self.bytes.fetch_add(length as u64, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn pair(network: &Network, target: &TcpListener) -> (TcpStream, TcpStream) {
        let dialled = TcpStream::connect(network.address(0, 1)).await.expect("the proxy listens");
        let (accepted, _) = target.accept().await.expect("it is forwarded");
        (dialled, accepted)
    }

    #[tokio::test]
    async fn bytes_arrive_or_wait_or_their_connection_breaks() {
        let target = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = target.local_addr().expect("it is bound");
        let network = Network::start(&[address, address], 1).await.expect("free ports");
        let (mut near, mut far) = pair(&network, &target).await;
        near.write_all(b"one").await.expect("it is read");
        let mut got = [0; 3];
        far.read_exact(&mut got).await.expect("it arrives");
        assert_eq!(&got, b"one");
        // A hole in one direction: the other one goes on.
        network.set(|from, to| (from == 0 && to == 1).then_some(Link::Hole));
        near.write_all(b"two").await.expect("it is not noticed");
        far.write_all(b"ack").await.expect("the other direction is open");
        near.read_exact(&mut got).await.expect("it arrives");
        assert_eq!(far.try_read(&mut got).map_err(|error| error.kind()), Err(io::ErrorKind::WouldBlock));
        network.heal();
        far.read_exact(&mut got).await.expect("it was only late");
        assert_eq!(&got, b"two");
        network.set(|_, _| Some(Link::Cut));
        assert_eq!(near.read(&mut got).await.unwrap_or(0), 0, "broken");
        let mut refused = TcpStream::connect(network.address(0, 1)).await.expect("the proxy listens");
        assert_eq!(refused.read(&mut got).await.unwrap_or(0), 0, "and nobody gets through");
        assert_eq!(network.bytes(), 9);
    }
}
