//! What members say to each other: a length of four bytes, and so many bytes of serde.

use super::Types;
use openraft_0_9::{
    SnapshotMeta, Vote,
    raft::{AppendEntriesRequest, VoteRequest},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::io;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::memory::workload::Table;

const FORM: bincode::config::Configuration = bincode::config::standard();

/// A question; each has its own kind of answer.
#[derive(Serialize, Deserialize)]
pub(super) enum Question {
    Append(AppendEntriesRequest<Types>),
    Vote(VoteRequest<u64>),
    Snapshot(Vote<u64>, SnapshotMeta<u64, ()>, Box<Table>),
}

/// In one write.
pub(super) async fn send(stream: &mut TcpStream, message: &impl Serialize) -> io::Result<()> {
    let body = bincode::serde::encode_to_vec(message, FORM).map_err(io::Error::other)?;
    let length = u32::try_from(body.len()).map_err(io::Error::other)?;
    let mut frame = Vec::with_capacity(4 + body.len());
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(&body);
    stream.write_all(&frame).await
}

pub(super) async fn receive<M: DeserializeOwned>(stream: &mut TcpStream) -> io::Result<M> {
    let mut body = vec![0; stream.read_u32_le().await? as usize];
    stream.read_exact(&mut body).await?;
    let (message, _) = bincode::serde::decode_from_slice(&body, FORM).map_err(io::Error::other)?;
    Ok(message)
}
