//! Messages as JSON over HTTP: `POST /vsr` at the address of the replica they are for.

use axum::{
    Json, Router,
    body::Bytes,
    extract::DefaultBodyLimit,
    http::{Request, StatusCode, header::CONTENT_TYPE},
    routing::post,
};
use http_body_util::Full;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use std::{collections::BTreeMap, net::SocketAddr, time::Duration};
use tokio::{sync::mpsc, task::JoinSet, time::timeout};
use vsr_actor::{Message, ReplicaId, Transport};

/// Messages that wait for one peer; what comes on top is dropped, as networks do.
const QUEUE: usize = 1024;

/// How long a peer may take for one message. The largest have some ten megabytes: time enough, and an end for a peer that hangs.
const PATIENCE: Duration = Duration::from_secs(10);

/// The way to the other replicas. Each has a queue and a task of its own: one that is gone or hangs does not hold up the others.
/// The tasks end when this is dropped.
pub struct Peers {
    queues: BTreeMap<ReplicaId, mpsc::Sender<Message>>,
    _tasks: JoinSet<()>,
}

impl Peers {
    /// The way to the replicas at these addresses.
    pub fn new(addresses: &[(ReplicaId, SocketAddr)]) -> Self {
        let mut tasks = JoinSet::new();
        let mut queues = BTreeMap::new();
        for (id, address) in addresses {
            let (queue, waiting) = mpsc::channel(QUEUE);
            queues.insert(*id, queue);
            tasks.spawn(post_all(*address, waiting));
        }
        Self { queues, _tasks: tasks }
    }
}

impl Transport for Peers {
    fn send_vsr(&mut self, to: ReplicaId, message: Message) {
        if let Some(queue) = self.queues.get(&to) {
            // Never waits. It is encoded on the peer's task, not on the replica's.
            let _ = queue.try_send(message);
        }
    }
}

/// Posts one message after the other over a connection that is kept, and made again when it broke.
async fn post_all(address: SocketAddr, mut waiting: mpsc::Receiver<Message>) {
    let client: Client<HttpConnector, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    while let Some(message) = waiting.recv().await {
        let body = serde_json::to_vec(&message).expect("messages have a JSON form");
        let request = Request::post(format!("http://{address}/vsr"))
            .header(CONTENT_TYPE, "application/json")
            .body(Full::from(body))
            .expect("an address makes a valid URI");
        // Whether it arrived is the protocol's business: it sends again what matters.
        let _ = timeout(PATIENCE, client.request(request)).await;
    }
}

/// The route that takes in what the others post, and hands it to `deliver`.
pub fn route(deliver: impl Fn(Message) + Clone + Send + Sync + 'static) -> Router {
    let take = move |Json(message): Json<Message>| async move {
        deliver(message);
        StatusCode::NO_CONTENT
    };
    // A message has up to `Limits::frame_bytes_max` bytes, about twice as many as JSON: the framework's limit of 2 MB would lose the
    // largest ones each time.
    Router::new().route("/vsr", post(take)).layer(DefaultBodyLimit::max(80 << 20))
}
