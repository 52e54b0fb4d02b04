//! Three processes of etcd, and a client of its gRPC: writes go to the leader, over 16 connections, as its own benchmark does.

use super::{Door, Group, Running, Timers, eventually, group::Kind};
use crate::{
    load::{Figures, KEYS, Load, VALUE_BYTES, Work, key, tasks},
    processes::{Program, flags, free_ports},
};
use prost::Message;
use std::path::Path;
use tokio::task::JoinSet;
use tonic::{client::Grpc, codegen::http::uri::PathAndQuery, transport::Channel};
use tonic_prost::ProstCodec;

const MEMBERS: usize = 3;
const CONNECTIONS: usize = 16;
/// Entries of the log.
const BEHIND_MAX: u64 = 1000;
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
    #[prost(uint64, tag = "5")]
    raft_index: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Message)]
struct Header {
    #[prost(uint64, tag = "2")]
    member: u64,
}

pub(super) async fn start(directory: &Path) -> Result<Running, String> {
    let group = group(directory, None).await?;
    let leader = leader(&group.doors).await?;
    Ok(Running { door: Door::Etcd(group.doors[leader]), admin: None, processes: group.processes })
}

/// Three processes that form a group, once it has a leader.
pub(super) async fn group(directory: &Path, timers: Option<Timers>) -> Result<Group, String> {
    let ports = free_ports(2 * MEMBERS as u16)?;
    let (peers, doors) = ports.split_at(MEMBERS);
    let url = |port: u16| format!("http://127.0.0.1:{port}");
    let members = (0..MEMBERS).map(|id| format!("m{id}={}", url(peers[id]))).collect::<Vec<_>>().join(",");
    let mut programs = Vec::new();
    for id in 0..MEMBERS {
        let mut arguments = flags([
            ("--name", format!("m{id}")),
            ("--data-dir", directory.join(format!("member-{id}")).display().to_string()),
            ("--listen-peer-urls", url(peers[id])),
            ("--initial-advertise-peer-urls", url(peers[id])),
            ("--listen-client-urls", url(doors[id])),
            ("--advertise-client-urls", url(doors[id])),
            ("--initial-cluster", members.clone()),
            ("--initial-cluster-state", "new".into()),
            ("--logger", "zap".into()),
            ("--log-level", "error".into()),
        ]);
        if let Some(Timers { heartbeat_ms, timeout_ms }) = timers {
            arguments.extend(flags([
                ("--heartbeat-interval", heartbeat_ms.to_string()),
                ("--election-timeout", timeout_ms.to_string()),
            ]));
        }
        programs.push(Program {
            path: "etcd".into(),
            arguments,
            output: directory.join(format!("output-{id}")),
        });
    }
    let processes = programs.iter().map(Program::start).collect::<Result<Vec<_>, _>>()?;
    eventually("etcd has no leader", || leader(doors)).await?;
    Ok(Group { kind: Kind::Etcd, programs, processes, doors: doors.to_vec(), admin: Vec::new() })
}

/// Which member leads, by its own word.
pub(super) async fn leader(doors: &[u16]) -> Result<usize, String> {
    for (member, door) in doors.iter().enumerate() {
        let status = status(*door).await?;
        if status.leader != 0 && status.header.map(|header| header.member) == Some(status.leader) {
            return Ok(member);
        }
    }
    Err("nobody says that it leads".into())
}

/// Whether a member knows its leader, and has about all of the log.
pub(super) async fn ready(door: u16, doors: &[u16]) -> Result<(), String> {
    let its = status(door).await?;
    let of_leader = status(doors[leader(doors).await?]).await?;
    match its.leader == of_leader.leader && its.raft_index + BEHIND_MAX >= of_leader.raft_index {
        true => Ok(()),
        false => Err("a member is behind".into()),
    }
}

async fn status(door: u16) -> Result<StatusResponse, String> {
    call(&mut connect(door).await?, "/etcdserverpb.Maintenance/Status", StatusRequest {}).await
}

/// One client of its own connection.
#[derive(Debug)]
pub(crate) struct Client(Grpc<Channel>);

impl Client {
    pub(super) async fn connect(port: u16) -> Result<Self, String> {
        connect(port).await.map(Self)
    }

    pub(super) async fn put(&mut self, number: u64) -> Result<(), String> {
        ask(self.0.clone(), Work::Put, number).await.map(|_| ())
    }
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
