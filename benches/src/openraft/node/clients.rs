//! Clients: `SET` of a 16-byte key and a 64-byte value, and `LEADER`, which tells who leads, in the form of Redis's protocol.
//!
//! Whoever does not lead says who does, if it knows: `-LEADER 2`.

use super::Types;
use crate::memory::workload::Put;
use openraft_0_9::{
    Raft,
    error::{ClientWriteError, ForwardToLeader, RaftError},
};
use std::io;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

pub(super) async fn serve(listener: TcpListener, raft: Raft<Types>) -> io::Result<()> {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                stream.set_nodelay(true)?;
                connections.spawn(answer(stream, raft.clone()));
            }
            // A client may go.
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One request after the other: the clients of `failover` have one under way.
async fn answer(mut stream: TcpStream, raft: Raft<Types>) -> io::Result<()> {
    let mut input = Vec::new();
    loop {
        while let Some((taken, words)) = request(&input) {
            let answer = match words.as_slice() {
                [b"LEADER"] => match raft.current_leader().await {
                    Some(leader) => format!(":{leader}\r\n"),
                    None => "-ERR nobody leads\r\n".to_owned(),
                },
                [b"SET", key, value] => set(&raft, key, value).await,
                _ => "-ERR there are SET, of 16 bytes and 64, and LEADER\r\n".to_owned(),
            };
            input.drain(..taken);
            stream.write_all(answer.as_bytes()).await?;
        }
        if stream.read_buf(&mut input).await? == 0 {
            return Ok(());
        }
    }
}

async fn set(raft: &Raft<Types>, key: &[u8], value: &[u8]) -> String {
    let (Ok(key), Some((low, high))) = (key.try_into(), value.split_first_chunk()) else {
        return "-ERR a key has 16 bytes\r\n".to_owned();
    };
    let Ok(high) = high.try_into() else { return "-ERR a value has 64 bytes\r\n".to_owned() };
    match raft.client_write(Put { key, value: (*low, high) }).await {
        Ok(_) => "+OK\r\n".to_owned(),
        Err(RaftError::APIError(ClientWriteError::ForwardToLeader(ForwardToLeader {
            leader_id: Some(leader),
            ..
        }))) => format!("-LEADER {leader}\r\n"),
        Err(error) => format!("-ERR {error}\r\n"),
    }
}

/// The first request, if it is all there: its length, and its words.
fn request(input: &[u8]) -> Option<(usize, Vec<&[u8]>)> {
    let (count, mut at) = number(input, 0)?;
    let mut words = Vec::new();
    for _ in 0..count {
        let (length, begins) = number(input, at)?;
        words.push(input.get(begins..begins + length)?);
        at = begins + length + 2;
    }
    (at <= input.len()).then_some((at, words))
}

/// The number of a line such as `$16`, and where the next line begins.
fn number(input: &[u8], at: usize) -> Option<(usize, usize)> {
    let length = input.get(at..)?.windows(2).position(|pair| pair == b"\r\n")?;
    let digits = str::from_utf8(input.get(at + 1..at + length)?).ok()?;
    Some((digits.parse().ok()?, at + length + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_understood_once_it_is_all_there() {
        let whole = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\n\r\n\r\n";
        let part = (0..whole.len()).find(|length| request(&whole[..*length]).is_some());
        assert_eq!(part, None);
        let followed = [whole.as_slice(), b"*1\r\n"].concat();
        let words: Vec<&[u8]> = vec![b"SET", b"k", b"\r\n"];
        assert_eq!(request(&followed), Some((whole.len(), words)));
    }
}
