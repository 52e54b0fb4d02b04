//! The first write of a server that speaks the Redis protocol: whether it is there.

use crate::load::resp::{answer, request};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

pub(super) async fn first_write(port: u16) -> Result<(), String> {
    let wrong = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.map_err(wrong)?;
    let mut output = Vec::new();
    request(&mut output, &[b"SET", b"first", b"write"]);
    stream.write_all(&output).await.map_err(wrong)?;
    let mut input = Vec::new();
    while answer(&input)?.is_none() {
        if stream.read_buf(&mut input).await.map_err(wrong)? == 0 {
            return Err("the server closed the connection".into());
        }
    }
    Ok(())
}
