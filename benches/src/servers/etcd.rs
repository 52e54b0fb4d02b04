//! Three processes of etcd, and a client of its gRPC: writes go to the leader, over 16 connections, as its own benchmark does.

use super::{Door, Running, eventually};
use crate::{
    load::{Figures, KEYS, Load, VALUE_BYTES, Work, key, tasks},
    processes::{free_ports, start as start_process},
};
use prost::Message;
use std::path::Path;
use tokio::task::JoinSet;
use tonic::{client::Grpc, codegen::http::uri::PathAndQuery, transport::Channel};
use tonic_prost::ProstCodec;

const MEMBERS: usize = 3;
const CONNECTIONS: usize = 16;
/// Of those who fill the store.
const WRITERS: u64 = 256;

#[derive(Clone, PartialEq, Eq, Hash, Message)]
struct PutRequest {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Message)]
struct PutResponse {}

#[derive(Clone, PartialEq, Eq, Hash, Message)]
struct RangeRequest {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bool, tag = "7")]
    serializable: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Message)]
struct RangeResponse {}

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
    Ok(Running { door: Door::Etcd(leader), admin: None, processes })
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

/// The same load, over the connections that its own benchmark has.
pub(super) fn sharing(load: Load) -> Load {
    Load { connections: CONNECTIONS, ..load }
}

/// Each client has its own requests under way, on one of the connections.
pub(super) fn load(port: u16, load: Load) -> Result<Figures, String> {
    on_one_thread(async {
        let load = sharing(load);
        let mut connections = Vec::new();
        for _ in 0..load.connection_count() {
            connections.push(connect(port).await?);
        }
        let clients =
            (0..load.clients).map(|number| connections[number % connections.len()].clone()).collect();
        tasks::run(clients, load, move |client, number| ask(client, load.work, number)).await
    })
}

/// Gives every key a value.
pub(super) fn fill(port: u16) -> Result<(), String> {
    on_one_thread(async {
        let client = connect(port).await?;
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            let mut client = client.clone();
            writers.spawn(async move {
                for number in (writer..KEYS).step_by(WRITERS as usize) {
                    client = ask(client, Work::Put, number).await?;
                }
                Ok::<(), String>(())
            });
        }
        while let Some(ended) = writers.join_next().await {
            ended.map_err(|error| error.to_string())??;
        }
        Ok(())
    })
}

fn on_one_thread<T>(run: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(run)
}

async fn ask(mut client: Grpc<Channel>, work: Work, number: u64) -> Result<Grpc<Channel>, String> {
    let key = key(number).into_bytes();
    match work {
        Work::Put => {
            let request = PutRequest { key, value: vec![b'v'; VALUE_BYTES] };
            let PutResponse {} = call(&mut client, "/etcdserverpb.KV/Put", request).await?;
        }
        Work::Get | Work::StaleGet => {
            let request = RangeRequest { key, serializable: work == Work::StaleGet };
            let RangeResponse {} = call(&mut client, "/etcdserverpb.KV/Range", request).await?;
        }
    }
    Ok(client)
}
