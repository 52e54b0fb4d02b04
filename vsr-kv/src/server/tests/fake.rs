//! A store without a group behind the front-end, and a client that speaks in bytes.

use super::super::*;
use crate::store::{Moment, Operation, Reply, Store};
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;
use vsr_actor::{RequestError, RequestId};

/// Executes at once, but for keys whose names say otherwise: `held` is answered when the test releases it, `refused`, `overloaded`
/// and `unknown` fail.
#[derive(Clone)]
pub(super) struct Fake {
    store: Arc<Mutex<Store>>,
    orders: Arc<Mutex<Vec<Control>>>,
    executed: Arc<AtomicUsize>,
    progress: Arc<Notify>,
    held: Arc<Semaphore>,
    released: Arc<Semaphore>,
    looks: Arc<Mutex<Vec<Freshness>>>,
    pub(super) dev: bool,
    /// Whether the group serves no reads.
    pub(super) refuses_looks: bool,
    pub(super) state: &'static str,
}

impl Default for Fake {
    fn default() -> Self {
        Self {
            store: Arc::default(),
            orders: Arc::default(),
            executed: Arc::default(),
            progress: Arc::default(),
            held: Arc::new(Semaphore::new(0)),
            released: Arc::new(Semaphore::new(0)),
            looks: Arc::default(),
            dev: true,
            refuses_looks: false,
            state: "normal",
        }
    }
}

impl Fake {
    /// Waits until a request of `held` is there, and answers it.
    pub(super) async fn release(&self) {
        self.wait_until_held().await;
        self.released.add_permits(1);
    }

    pub(super) async fn wait_until_held(&self) {
        drop(self.held.acquire().await.expect("never closed"));
    }

    pub(super) fn orders(&self) -> Vec<Control> {
        self.orders.lock().expect("no panic").clone()
    }

    /// What was looked up beside the log.
    pub(super) fn looks(&self) -> Vec<Freshness> {
        self.looks.lock().expect("no panic").clone()
    }

    /// How many operations were executed, without those that are held.
    pub(super) fn executed(&self) -> usize {
        self.executed.load(Ordering::SeqCst)
    }

    pub(super) async fn wait_until_executed(&self, count: usize) {
        loop {
            let progress = self.progress.notified();
            if self.executed() >= count {
                return;
            }
            progress.await;
        }
    }
}

impl Backend for Fake {
    type Ticket = Pin<Box<dyn Future<Output = Result<Reply, RequestError>> + Send>>;

    async fn submit(&self, operation: Operation) -> Result<Self::Ticket, RequestError> {
        let waited = Duration::from_secs(1);
        let key = match &operation {
            Operation::Get { key } | Operation::Add { key, .. } => key.clone(),
            _ => "".into(),
        };
        match &key[..] {
            b"held" => {
                self.held.add_permits(1);
                let released = self.released.clone();
                return Ok(Box::pin(async move {
                    released.acquire().await.expect("never closed").forget();
                    Ok(Reply::Nil)
                }));
            }
            b"refused" => return Err(RequestError::NoPrimary { waited, hint: None }),
            b"overloaded" => return Err(RequestError::Overloaded { waited }),
            b"unknown" => {
                return Ok(Box::pin(async move {
                    Err(RequestError::Deadline { waited, request: RequestId::default() })
                }));
            }
            _ => {}
        }
        let op = self.executed() as u64 + 1;
        let reply = self.store.lock().expect("no panic").apply(Moment { timestamp: 0, op }, &operation);
        self.executed.fetch_add(1, Ordering::SeqCst);
        self.progress.notify_one();
        Ok(Box::pin(async move { Ok(reply) }))
    }

    fn look<T: Send + 'static>(
        &self,
        freshness: Freshness,
        read: impl Fn(&Store) -> T + Send + Sync + 'static,
    ) -> impl Future<Output = Result<T, RequestError>> + Send + 'static {
        self.looks.lock().expect("no panic").push(freshness);
        let (store, refuses) = (self.store.clone(), self.refuses_looks);
        async move {
            if refuses {
                return Err(RequestError::NoPrimary { waited: Duration::from_secs(1), hint: None });
            }
            Ok(read(&store.lock().expect("no panic")))
        }
    }

    fn replica(&self) -> u64 {
        0
    }

    fn replicas(&self) -> Vec<ReplicaLine> {
        let state = self.state.to_owned();
        let progress = Some(Progress { op: 3, commit: 2, applied: 1 });
        vec![ReplicaLine { id: 0, state, view: 7, is_primary: true, progress }]
    }

    fn is_dev(&self) -> bool {
        self.dev
    }

    async fn control(&self, order: Control) -> Result<(), String> {
        if let Control::Crash(id) = order
            && id > 0
        {
            return Err(format!("there is no replica {id}"));
        }
        self.orders.lock().expect("no panic").push(order);
        Ok(())
    }
}

pub(super) struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<io::Result<()>>,
}

pub(super) async fn start(fake: &Fake) -> Server {
    start_with(fake, Settings::default()).await
}

pub(super) async fn start_with(fake: &Fake, settings: Settings) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    let (stop, stopped) = watch::channel(false);
    let task = tokio::spawn(serve(listener, fake.clone(), settings, stopped));
    Server { address, stop, task }
}

impl Server {
    pub(super) async fn connect(&self) -> Peer {
        // A test may drop the server's handle: connections live as long as the sender, which the peer keeps.
        let stream = TcpStream::connect(self.address).await.expect("a listening server");
        Peer { stream, _stop: self.stop.clone() }
    }

    pub(super) fn order_to_stop(&self) {
        self.stop.send_replace(true);
    }

    pub(super) async fn ended(self) {
        self.task.await.expect("no panic").expect("no error");
    }
}

/// A client.
pub(super) struct Peer {
    stream: TcpStream,
    _stop: watch::Sender<bool>,
}

impl Peer {
    pub(super) async fn send(&mut self, bytes: &str) {
        self.stream.write_all(bytes.as_bytes()).await.expect("an open connection");
    }

    pub(super) async fn expect(&mut self, expected: &str) {
        let mut got = vec![0; expected.len()];
        let mut length = 0;
        while length < got.len() {
            match self.stream.read(&mut got[length..]).await {
                Ok(count) if count > 0 => length += count,
                _ => break,
            }
            let same = got[..length] == expected.as_bytes()[..length];
            assert!(same, "got {}\nnot {}", got[..length].escape_ascii(), expected.escape_default());
        }
        assert_eq!(length, expected.len(), "ended after {}", got[..length].escape_ascii());
    }

    pub(super) async fn exchange(&mut self, request: &str, reply: &str) {
        self.send(&format!("{request}\r\n")).await;
        self.expect(&format!("{reply}\r\n")).await;
    }

    pub(super) async fn take(&mut self, length: usize) -> String {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).await.expect("as many bytes");
        String::from_utf8(bytes).expect("text")
    }

    /// The rest of the line.
    pub(super) async fn line(&mut self) -> String {
        let mut line = String::new();
        while !line.ends_with("\r\n") {
            line += &self.take(1).await;
        }
        line.trim_end().to_owned()
    }

    pub(super) async fn skip_to(&mut self, mark: &str) {
        let mut seen = Vec::new();
        while !seen.ends_with(mark.as_bytes()) {
            seen.push(self.stream.read_u8().await.expect("the mark before the end"));
        }
    }

    pub(super) async fn expect_end(&mut self) {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).await.expect("an orderly end");
        assert!(rest.is_empty(), "then came {}", rest.escape_ascii());
    }

    pub(super) async fn close_sending(&mut self) {
        self.stream.shutdown().await.expect("an open connection");
    }

    pub(super) async fn answers_ping(&mut self) -> bool {
        let mut reply = [0];
        let sent = self.stream.write_all(b"PING\r\n").await.is_ok();
        sent && matches!(self.stream.read(&mut reply).await, Ok(1)) && reply == *b"+"
    }
}
