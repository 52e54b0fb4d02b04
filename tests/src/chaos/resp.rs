//! A client of the Redis protocol, as small as it gets: one request, one reply.

use std::{io, net::SocketAddr};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

/// What a server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Text(String),
    Error(String),
    Int(i64),
    Bulk(Vec<u8>),
    Nil,
    Array(Vec<Reply>),
}

pub(super) struct Connection(BufReader<TcpStream>);

impl Connection {
    pub(super) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends all these commands in one piece, and returns their replies.
    pub(super) async fn ask(&mut self, commands: &[&[String]]) -> io::Result<Vec<Reply>> {
        let mut bytes = Vec::new();
        for words in commands {
            bytes.extend(format!("*{}\r\n", words.len()).bytes());
            for word in *words {
                bytes.extend(format!("${}\r\n{word}\r\n", word.len()).bytes());
            }
        }
        self.0.get_mut().write_all(&bytes).await?;
        let mut replies = Vec::new();
        for _ in commands {
            replies.push(self.reply().await?);
        }
        Ok(replies)
    }

    async fn reply(&mut self) -> io::Result<Reply> {
        let line = self.line().await?;
        let (kind, rest) = line.split_at_checked(1).ok_or_else(|| strange(&line))?;
        let number = || rest.parse::<i64>().map_err(|_| strange(&line));
        Ok(match kind {
            "+" => Reply::Text(rest.to_owned()),
            "-" => Reply::Error(rest.to_owned()),
            ":" => Reply::Int(number()?),
            "$" => match usize::try_from(number()?) {
                Ok(length) => {
                    let mut bytes = vec![0; length + 2];
                    self.0.read_exact(&mut bytes).await?;
                    bytes.truncate(length);
                    Reply::Bulk(bytes)
                }
                Err(_) => Reply::Nil,
            },
            "*" => match usize::try_from(number()?) {
                Ok(length) => {
                    let mut all = Vec::new();
                    for _ in 0..length {
                        all.push(Box::pin(self.reply()).await?);
                    }
                    Reply::Array(all)
                }
                Err(_) => Reply::Nil,
            },
            _ => return Err(strange(&line)),
        })
    }

    async fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.0.read_line(&mut line).await?;
        match line.strip_suffix("\r\n") {
            Some(whole) => Ok(whole.to_owned()),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

fn strange(line: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("a reply that is none: {line:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn every_kind_of_reply_is_read_and_an_end_in_the_middle_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let mut asked = vec![0; b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n".len() * 2];
            stream.read_exact(&mut asked).await.expect("two requests");
            stream
                .write_all(b"*4\r\n+OK\r\n-ERR no\r\n:-7\r\n$-1\r\n$4\r\na\r\nb\r\n+cut")
                .await
                .expect("it reads");
            asked
        });
        let mut connection = Connection::open(address).await.expect("somebody listens");
        let get = ["GET".to_owned(), "k".to_owned()];
        let replies = connection.ask(&[&get, &get]).await.expect("whole replies");
        let array = vec![Reply::Text("OK".into()), Reply::Error("ERR no".into()), Reply::Int(-7), Reply::Nil];
        assert_eq!(replies, [Reply::Array(array), Reply::Bulk(b"a\r\nb".to_vec())]);
        assert_eq!(server.await.expect("no panic"), b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n".repeat(2));
        let error = connection.reply().await.expect_err("it ended in the middle of a line");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
