//! One replica of a counter, and its HTTP server.

use crate::transport::{Peers, route};
use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::json;
use std::{error::Error, io, net::SocketAddr};
use tokio::{net::TcpListener, sync::oneshot, task::JoinSet};
use vsr_actor::{Builder, Client, Handle, ReplicaId, prelude::*, vsr_core::Status};

/// What is replicated.
#[derive(Default, Serialize, Deserialize)]
pub struct Counter {
    total: i64,
}

impl StateMachine for Counter {
    type Operation = i64;
    type Reply = i64;
    fn handle_commit(&mut self, _commit: &Commit, add: i64) -> i64 {
        self.total += add;
        self.total
    }
}

/// A replica that runs, and its server. Dropping it ends both without handing the view over: the server at once, the replica with the
/// last connection, which is told to close.
pub struct Node {
    replica: Handle<Counter>,
    server: Server,
}

impl Node {
    /// Starts replica `id` of those at `addresses`. It listens before it speaks.
    pub async fn start(
        id: ReplicaId,
        listener: TcpListener,
        addresses: &[(ReplicaId, SocketAddr)],
    ) -> Result<Self, Box<dyn Error>> {
        let members = addresses.iter().map(|(id, _)| *id);
        let builder = Builder::new(id, members, Counter::default()).transport(Peers::new(addresses));
        let replica = builder.start().await?;
        let deliver = {
            let replica = replica.clone();
            move |message| replica.deliver(message)
        };
        let server = Server::start(listener, route(deliver).merge(routes(&replica)));
        Ok(Self { replica, server })
    }

    /// Stops in good order: the replica hands its view over, then the server ends.
    pub async fn shutdown(self) -> Result<(), Box<dyn Error>> {
        self.replica.shutdown().await?;
        Ok(self.server.shutdown().await?)
    }

    /// Ends when the server does: never, unless it fails.
    pub async fn join(self) -> Result<(), Box<dyn Error>> {
        Ok(self.server.join().await?)
    }
}

/// What the replica's clients use.
fn routes(replica: &Handle<Counter>) -> Router {
    Router::new()
        .route("/request", post(request).with_state(replica.client()))
        .route("/status", get(status).with_state(replica.clone()))
}

/// Adds a number. The client forwards to the primary, tries again, and has everything executed at most once.
async fn request(State(client): State<Client<Counter>>, Json(add): Json<i64>) -> Response {
    match client.request(add).await {
        Ok(total) => Json(json!({ "total": total })).into_response(),
        Err(error) => {
            let told = json!({ "error": error.to_string(), "outcome": format!("{:?}", error.outcome()) });
            (StatusCode::SERVICE_UNAVAILABLE, Json(told)).into_response()
        }
    }
}

async fn status(State(replica): State<Handle<Counter>>) -> Json<Status> {
    Json(replica.status().protocol)
}

/// An HTTP server that ends with its connections.
pub struct Server {
    stop: Option<oneshot::Sender<()>>,
    /// One task; aborted if it is not joined.
    task: JoinSet<io::Result<()>>,
}

impl Server {
    /// Serves these routes from now on.
    pub fn start(listener: TcpListener, routes: Router) -> Self {
        let (stop, stopped) = oneshot::channel();
        // A sender that is dropped stops the server, too.
        let stopped = async move { drop(stopped.await) };
        let mut task = JoinSet::new();
        task.spawn(async { axum::serve(listener, routes).with_graceful_shutdown(stopped).await });
        Self { stop: Some(stop), task }
    }

    /// Lets requests under way end, and closes all connections.
    pub async fn shutdown(mut self) -> io::Result<()> {
        drop(self.stop.take());
        self.join().await
    }

    /// Ends when the server does.
    pub async fn join(mut self) -> io::Result<()> {
        self.task
            .join_next()
            .await
            .expect("it is joined once")
            .unwrap_or_else(|error| Err(io::Error::other(error)))
    }
}
