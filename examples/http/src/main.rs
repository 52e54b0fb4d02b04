//! `vsr-http` starts three replicas on loopback, asks each, kills one, and goes on: it runs to its end. `vsr-http ID ADDRESS…` is one
//! replica, number ID of those at the addresses; start one for each, and `curl -d 5 -H 'content-type: application/json'
//! http://ADDRESS/request` adds 5.

use axum::{body::Bytes, http::Request};
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use std::{env, error::Error, net::SocketAddr};
use tokio::net::TcpListener;
use vsr_actor::ReplicaId;
use vsr_http::node::Node;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let Some((id, addresses)) = arguments.split_first() else { return story().await };
    let id = ReplicaId(id.parse()?);
    let addresses =
        addresses.iter().map(|address| address.parse()).collect::<Result<Vec<SocketAddr>, _>>()?;
    let addresses: Vec<_> = (0..).map(ReplicaId).zip(addresses).collect();
    let own = addresses
        .iter()
        .find(|(other, _)| *other == id)
        .ok_or("the id is the place of an address in the list")?;
    println!("replica {} at http://{}", id.0, own.1);
    Node::start(id, TcpListener::bind(own.1).await?, &addresses).await?.join().await
}

async fn story() -> Result<(), Box<dyn Error>> {
    let (mut listeners, mut addresses, mut nodes) = (Vec::new(), Vec::new(), Vec::new());
    for id in (0..3).map(ReplicaId) {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        addresses.push((id, listener.local_addr()?));
        listeners.push(listener);
    }
    for ((id, _), listener) in addresses.iter().zip(listeners) {
        nodes.push(Node::start(*id, listener, &addresses).await?);
    }
    let mut total = 0;
    for (id, address) in &addresses {
        total += 5;
        println!("5 more at {id}: {}", add(*address, 5, total).await?);
    }
    drop(nodes.remove(0));
    println!("{} was killed", addresses[0].0);
    for (id, address) in &addresses[1..] {
        total += 7;
        println!("7 more at {id}: {}", add(*address, 7, total).await?);
    }
    for node in nodes {
        node.shutdown().await?;
    }
    Ok(())
}

/// Asks over HTTP, as any client would, and checks the answer.
async fn add(at: SocketAddr, number: i64, total: i64) -> Result<String, Box<dyn Error>> {
    let request = Request::post(format!("http://{at}/request"))
        .header("content-type", "application/json")
        .body(Full::<Bytes>::from(number.to_string()))?;
    let client = Client::builder(TokioExecutor::new()).build_http();
    let response = client.request(request).await?;
    let text = String::from_utf8(response.into_body().collect().await?.to_bytes().to_vec())?;
    assert_eq!(text, format!("{{\"total\":{total}}}"));
    Ok(text)
}
