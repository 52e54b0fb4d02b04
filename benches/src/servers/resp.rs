//! A client of the Redis protocol that can do one thing: `SET`. One connection a client, one write under way.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    request: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(port: u16) -> Result<Self, String> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        Ok(Self { stream, request: Vec::new() })
    }

    pub(crate) async fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        self.request.clear();
        self.request.extend_from_slice(b"*3\r\n$3\r\nSET\r\n");
        for word in [key, value] {
            self.request.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            self.request.extend_from_slice(word);
            self.request.extend_from_slice(b"\r\n");
        }
        self.stream.write_all(&self.request).await.map_err(|error| error.to_string())?;
        let mut answer = [0; 256];
        let mut read = 0;
        while !answer[..read].ends_with(b"\r\n") && read < answer.len() {
            match self.stream.read(&mut answer[read..]).await.map_err(|error| error.to_string())? {
                0 => return Err("the server closed the connection".into()),
                more => read += more,
            }
        }
        match &answer[..read] {
            b"+OK\r\n" => Ok(()),
            other => Err(format!("SET was answered by {}", String::from_utf8_lossy(other).trim_end())),
        }
    }
}
