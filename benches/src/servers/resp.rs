//! A client of the Redis protocol for what is asked once, or seldom.

use super::group::Failed;
use crate::load::{
    VALUE_BYTES, key,
    resp::{answer, request},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

#[derive(Debug)]
pub(crate) struct Client(TcpStream);

impl Client {
    pub(super) async fn connect(port: u16) -> Result<Self, String> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        Ok(Self(stream))
    }

    /// Writes a key, and waits for the acknowledgement.
    pub(super) async fn put(&mut self, number: u64) -> Result<(), Failed> {
        let asked = self.ask(&[b"SET", key(number).as_bytes(), &[b'v'; VALUE_BYTES]]).await;
        asked.map(|_| ()).map_err(|why| Failed { leader: leader(&why), why })
    }

    /// Asks what is answered by a number.
    pub(super) async fn number(&mut self, question: &str) -> Result<usize, String> {
        let answer = self.ask(&[question.as_bytes()]).await?;
        let number = answer.strip_prefix(':').and_then(|number| number.trim_end().parse().ok());
        number.ok_or_else(|| format!("{answer:?} is no number"))
    }

    async fn ask(&mut self, words: &[&[u8]]) -> Result<String, String> {
        let mut output = Vec::new();
        request(&mut output, words);
        self.0.write_all(&output).await.map_err(|error| error.to_string())?;
        let mut input = Vec::new();
        while answer(&input)?.is_none() {
            if self.0.read_buf(&mut input).await.map_err(|error| error.to_string())? == 0 {
                return Err("the server closed the connection".into());
            }
        }
        Ok(String::from_utf8_lossy(&input).into_owned())
    }
}

/// The member that leads, where the error says so: `-LEADER 2`.
fn leader(why: &str) -> Option<usize> {
    why.rsplit_once("-LEADER ")?.1.parse().ok()
}

/// Whether a server is there.
pub(super) async fn first_write(port: u16) -> Result<(), String> {
    Client::connect(port).await?.put(0).await.map_err(|failed| failed.why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_may_say_who_leads() {
        let of = |line: &[u8]| leader(&answer(line).expect_err("it is an error"));
        assert_eq!(of(b"-LEADER 2\r\n"), Some(2));
        assert_eq!(of(b"-ERR nobody leads\r\n"), None);
    }
}
