//! The way to the other members, and from them: a connection that stays, made anew after an error.

use super::{Types, wire, wire::Question};
use openraft_0_9::{
    OptionalSend, Raft, RaftNetwork, RaftNetworkFactory, Snapshot, Vote,
    error::{
        Fatal, NetworkError, RPCError, RaftError, RemoteError, ReplicationClosed, StreamingError, Unreachable,
    },
    network::RPCOption,
    raft::{AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse},
};
use serde::de::DeserializeOwned;
use std::{collections::BTreeMap, future::Future, io, net::SocketAddr};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// Where each member listens.
pub(super) struct Peers(pub(super) BTreeMap<u64, SocketAddr>);

impl RaftNetworkFactory<Types> for Peers {
    type Network = Peer;

    async fn new_client(&mut self, target: u64, (): &()) -> Peer {
        Peer { target, address: self.0.get(&target).copied(), stream: None }
    }
}

pub(super) struct Peer {
    target: u64,
    address: Option<SocketAddr>,
    stream: Option<TcpStream>,
}

/// Why there is no answer. After the first of these openraft waits for half a second, after the second it tries again at once.
enum Failed {
    NoConnection(io::Error),
    Broken(io::Error),
}

impl Peer {
    /// The stream is taken for the time of a call: one that is given up half-way leaves nobody with the rest of its answer.
    async fn call<A: DeserializeOwned>(&mut self, question: &Question) -> Result<A, Failed> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => connect(self.address).await.map_err(Failed::NoConnection)?,
        };
        wire::send(&mut stream, question).await.map_err(Failed::Broken)?;
        let answer = wire::receive(&mut stream).await.map_err(Failed::Broken)?;
        self.stream = Some(stream);
        Ok(answer)
    }

    async fn ask<A: DeserializeOwned>(&mut self, question: Question) -> Result<A, Refused> {
        let answer: Result<A, RaftError<u64>> = match self.call(&question).await {
            Ok(answer) => answer,
            Err(Failed::NoConnection(error)) => return Err(Unreachable::new(&error).into()),
            Err(Failed::Broken(error)) => return Err(NetworkError::new(&error).into()),
        };
        answer.map_err(|error| RPCError::RemoteError(RemoteError::new(self.target, error)))
    }
}

async fn connect(address: Option<SocketAddr>) -> io::Result<TcpStream> {
    let address = address.ok_or_else(|| io::Error::other("nobody knows where it is"))?;
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

type Refused = RPCError<u64, (), RaftError<u64>>;

impl RaftNetwork<Types> for Peer {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, Refused> {
        self.ask(Question::Append(rpc)).await
    }

    async fn vote(&mut self, rpc: VoteRequest<u64>, _: RPCOption) -> Result<VoteResponse<u64>, Refused> {
        self.ask(Question::Vote(rpc)).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote<u64>,
        snapshot: Snapshot<Types>,
        _: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<u64>, StreamingError<Types, Fatal<u64>>> {
        let question = Question::Snapshot(vote, snapshot.meta, snapshot.snapshot);
        let answer: Result<SnapshotResponse<u64>, Fatal<u64>> = match self.call(&question).await {
            Ok(answer) => answer,
            Err(Failed::NoConnection(error)) => return Err(Unreachable::new(&error).into()),
            Err(Failed::Broken(error)) => return Err(NetworkError::new(&error).into()),
        };
        answer.map_err(|error| StreamingError::RemoteError(RemoteError::new(self.target, error)))
    }
}

/// Answers the other members, each connection in its order.
pub(super) async fn serve(listener: TcpListener, raft: Raft<Types>) -> io::Result<()> {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                stream.set_nodelay(true)?;
                connections.spawn(answer(stream, raft.clone()));
            }
            // One that broke is made anew by the other side.
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn answer(mut stream: TcpStream, raft: Raft<Types>) -> io::Result<()> {
    loop {
        match wire::receive(&mut stream).await? {
            Question::Append(rpc) => wire::send(&mut stream, &raft.append_entries(rpc).await).await?,
            Question::Vote(rpc) => wire::send(&mut stream, &raft.vote(rpc).await).await?,
            Question::Snapshot(vote, meta, snapshot) => {
                let installed = raft.install_full_snapshot(vote, Snapshot { meta, snapshot }).await;
                wire::send(&mut stream, &installed).await?;
            }
        }
    }
}
