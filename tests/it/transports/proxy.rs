//! Stands between two ends of a TCP connection, and does to it what networks do.

use std::{net::SocketAddr, sync::Arc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
    task::JoinSet,
};

/// One way: whoever connects to it is connected to where it leads now, or to nothing.
pub(super) struct Proxy {
    address: SocketAddr,
    stalled: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

/// Where it leads.
type Target = Arc<dyn Fn() -> Option<SocketAddr> + Send + Sync>;

impl Proxy {
    pub(super) async fn start(target: impl Fn() -> Option<SocketAddr> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a port");
        let address = listener.local_addr().expect("it is bound");
        let stalled = watch::Sender::new(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::new(target), stalled.subscribe()));
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

async fn accept(listener: TcpListener, target: Target, stalled: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.expect("a listener on loopback goes on");
        while connections.try_join_next().is_some() {}
        connections.spawn(connect(stream, target.clone(), stalled.clone()));
    }
}

async fn connect(mut near: TcpStream, target: Target, stalled: watch::Receiver<bool>) {
    let Some(address) = target() else { return };
    let Ok(mut far) = TcpStream::connect(address).await else { return };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let (near_reader, near_writer) = near.split();
    let (far_reader, far_writer) = far.split();
    // Whichever end closes, closes both.
    tokio::select! {
        () = carry(near_reader, far_writer, stalled.clone()) => {}
        () = carry(far_reader, near_writer, stalled) => {}
    }
}

async fn carry(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, mut stalled: watch::Receiver<bool>) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let Ok(bytes @ 1..) = from.read(&mut buffer).await else { return };
        if stalled.wait_for(|stalled| !stalled).await.is_err() {
            return;
        }
        if to.write_all(&buffer[..bytes]).await.is_err() {
            return;
        }
    }
}
