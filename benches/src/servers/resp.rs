//! A client of the Redis protocol for what is asked once, or seldom.

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
    pub(super) async fn put(&mut self, number: u64) -> Result<(), String> {
        let mut output = Vec::new();
        request(&mut output, &[b"SET", key(number).as_bytes(), &[b'v'; VALUE_BYTES]]);
        self.0.write_all(&output).await.map_err(|error| error.to_string())?;
        let mut input = Vec::new();
        while answer(&input)?.is_none() {
            if self.0.read_buf(&mut input).await.map_err(|error| error.to_string())? == 0 {
                return Err("the server closed the connection".into());
            }
        }
        Ok(())
    }
}

/// Whether a server is there.
pub(super) async fn first_write(port: u16) -> Result<(), String> {
    Client::connect(port).await?.put(0).await
}
