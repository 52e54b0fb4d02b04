//! Stands between two ends of a TCP connection, and does to it what networks do.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
    task::JoinSet,
};
use vsr_test::Prng;

/// One way: whoever connects to it is connected to where it leads now, or to nothing.
pub(super) struct Proxy {
    address: SocketAddr,
    stalled: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

/// After how many bytes each direction of a connection is cut.
#[derive(Clone, Debug)]
pub(super) struct Cuts(Arc<Mutex<Prng>>);

impl Cuts {
    pub(super) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Prng::new(seed))))
    }

    /// In the middle of the handshake at times, mostly a few messages later.
    fn draw(&self) -> usize {
        self.0.lock().expect("no panic holds it").range(20, 4000) as usize
    }
}

/// Where it leads.
type Target = Arc<dyn Fn() -> Option<SocketAddr> + Send + Sync>;

impl Proxy {
    pub(super) async fn start(
        target: impl Fn() -> Option<SocketAddr> + Send + Sync + 'static,
        cuts: Option<Cuts>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a port");
        let address = listener.local_addr().expect("it is bound");
        let stalled = watch::Sender::new(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::new(target), stalled.subscribe(), cuts));
        Self { address, stalled, tasks }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on connections are made, and no byte passes.
    pub(super) fn stall(&self) {
        self.stalled.send_replace(true);
    }

    pub(super) fn resume(&self) {
        self.stalled.send_replace(false);
    }

    pub(super) async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

async fn accept(listener: TcpListener, target: Target, stalled: watch::Receiver<bool>, cuts: Option<Cuts>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.expect("a listener on loopback goes on");
        while connections.try_join_next().is_some() {}
        let cut = || cuts.as_ref().map_or(usize::MAX, Cuts::draw);
        connections.spawn(connect(stream, target.clone(), stalled.clone(), [cut(), cut()]));
    }
}

async fn connect(
    mut near: TcpStream,
    target: Target,
    stalled: watch::Receiver<bool>,
    [out, back]: [usize; 2],
) {
    let Some(address) = target() else { return };
    let Ok(mut far) = TcpStream::connect(address).await else { return };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let (near_reader, near_writer) = near.split();
    let (far_reader, far_writer) = far.split();
    // Whichever end closes, closes both.
    tokio::select! {
        () = carry(near_reader, far_writer, stalled.clone(), out) => {}
        () = carry(far_reader, near_writer, stalled, back) => {}
    }
}

/// Carries bytes until so many have passed.
async fn carry(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut stalled: watch::Receiver<bool>,
    mut left: usize,
) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let Ok(bytes @ 1..) = from.read(&mut buffer).await else { return };
        if stalled.wait_for(|stalled| !stalled).await.is_err() {
            return;
        }
        let bytes = bytes.min(left);
        left -= bytes;
        if to.write_all(&buffer[..bytes]).await.is_err() || left == 0 {
            return;
        }
    }
}
