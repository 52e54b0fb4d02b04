//! Three processes of etcd, and a client of its gRPC: writes go to the leader, over 16 connections, as its own benchmark does.

use super::{Door as AnyDoor, Running, eventually};
use crate::processes::{free_ports, start as start_process};
use prost::Message;
use std::path::Path;
use tonic::{client::Grpc, codegen::http::uri::PathAndQuery, transport::Channel};
use tonic_prost::ProstCodec;

const MEMBERS: usize = 3;
const CONNECTIONS: usize = 16;

/// Where the leader listens.
#[derive(Clone, Debug)]
pub(crate) struct Door(u16);

#[derive(Debug)]
pub(crate) struct Client(Grpc<Channel>);

#[derive(Clone, PartialEq, Eq, Hash, Message)]
struct PutRequest {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Message)]
struct PutResponse {}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Message)]
struct StatusRequest {}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Message)]
struct StatusResponse {
    #[prost(message, optional, tag = "1")]
    header: Option<Header>,
    #[prost(uint64, tag = "4")]
    leader: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Message)]
struct Header {
    #[prost(uint64, tag = "2")]
    member: u64,
}

pub(super) async fn start(directory: &Path) -> Result<Running, String> {
    let ports = free_ports(2 * MEMBERS)?;
    let (peers, doors) = ports.split_at(MEMBERS);
    let url = |port: u16| format!("http://127.0.0.1:{port}");
    let group = (0..MEMBERS).map(|id| format!("m{id}={}", url(peers[id]))).collect::<Vec<_>>().join(",");
    let mut processes = Vec::new();
    for id in 0..MEMBERS {
        let arguments = [
            ("--name", format!("m{id}")),
            ("--data-dir", directory.join(format!("member-{id}")).display().to_string()),
            ("--listen-peer-urls", url(peers[id])),
            ("--initial-advertise-peer-urls", url(peers[id])),
            ("--listen-client-urls", url(doors[id])),
            ("--advertise-client-urls", url(doors[id])),
            ("--initial-cluster", group.clone()),
            ("--initial-cluster-state", "new".into()),
            ("--logger", "zap".into()),
            ("--log-level", "error".into()),
        ];
        let arguments: Vec<String> =
            arguments.into_iter().flat_map(|(name, value)| [name.into(), value]).collect();
        processes.push(start_process(
            Path::new("etcd"),
            &arguments,
            &directory.join(format!("output-{id}")),
        )?);
    }
    let leader = eventually("etcd has no leader", || leader(doors)).await?;
    Ok(Running { door: AnyDoor::Etcd(Door(leader)), admin: None, _processes: processes })
}

async fn leader(doors: &[u16]) -> Result<u16, String> {
    for door in doors {
        let mut client = connect(*door).await?;
        let status: StatusResponse =
            call(&mut client, "/etcdserverpb.Maintenance/Status", StatusRequest {}).await?;
        if status.leader != 0 && status.header.map(|header| header.member) == Some(status.leader) {
            return Ok(*door);
        }
    }
    Err("nobody says that it leads".into())
}

async fn connect(port: u16) -> Result<Grpc<Channel>, String> {
    let endpoint =
        Channel::from_shared(format!("http://127.0.0.1:{port}")).map_err(|error| error.to_string())?;
    let channel = endpoint.tcp_nodelay(true).connect().await.map_err(|error| error.to_string())?;
    Ok(Grpc::new(channel))
}

async fn call<Q, R>(client: &mut Grpc<Channel>, path: &'static str, request: Q) -> Result<R, String>
where
    Q: Message + 'static,
    R: Message + Default + 'static,
{
    client.ready().await.map_err(|error| error.to_string())?;
    let path = PathAndQuery::from_static(path);
    let codec: ProstCodec<Q, R> = ProstCodec::default();
    let answer = client.unary(tonic::Request::new(request), path, codec).await;
    answer.map(tonic::Response::into_inner).map_err(|error| error.to_string())
}

impl Door {
    pub(super) async fn clients(&self, count: usize) -> Result<Vec<super::Client>, String> {
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS.min(count) {
            connections.push(connect(self.0).await?);
        }
        let client =
            |number: usize| super::Client::Etcd(Client(connections[number % connections.len()].clone()));
        Ok((0..count).map(client).collect())
    }
}

impl Client {
    pub(super) async fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        let request = PutRequest { key: key.into(), value: value.into() };
        call(&mut self.0, "/etcdserverpb.KV/Put", request).await.map(|PutResponse {}| ())
    }
}
