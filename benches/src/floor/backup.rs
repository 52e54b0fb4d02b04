//! A backup: everything that has come is written and flushed at once, and acknowledged by one number.

use super::{Log, Map};
use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener},
};

const READ_BYTES: usize = 256 << 10;

pub(super) fn run(listen: SocketAddr, mut log: Log) -> io::Result<()> {
    let (mut primary, _) = TcpListener::bind(listen)?.accept()?;
    primary.set_nodelay(true)?;
    let mut map = Map::default();
    let (mut input, mut buffer) = (Vec::new(), vec![0; READ_BYTES]);
    let mut stored: u64 = 0;
    loop {
        let read = primary.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        input.extend_from_slice(&buffer[..read]);
        let (complete, batches) = complete(&input);
        if batches == 0 {
            continue;
        }
        log.write(&input[..complete])?;
        log.flush()?;
        stored += batches;
        primary.write_all(&stored.to_le_bytes())?;
        apply(&mut map, &input[..complete]);
        input.drain(..complete);
    }
}

/// How many bytes of batches that are all there, and how many batches.
fn complete(input: &[u8]) -> (usize, u64) {
    let (mut bytes, mut batches) = (0, 0);
    while let Some((length, rest)) = input[bytes..].split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length) as usize;
        if rest.len() < length {
            break;
        }
        bytes += 4 + length;
        batches += 1;
    }
    (bytes, batches)
}

fn apply(map: &mut Map, mut batches: &[u8]) {
    while let Some((length, rest)) = batches.split_first_chunk::<4>() {
        let (entries, rest) = rest.split_at(u32::from_le_bytes(*length) as usize);
        map.apply(entries);
        batches = rest;
    }
}
