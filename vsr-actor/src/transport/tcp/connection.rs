//! An established connection: messages in both directions, until it ends.

use super::{
    ConnectionError, TcpConfig,
    frame::{self, Frames},
    shared::Shared,
    status::Peer,
};
use crate::machine::caught;
use std::{io, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    select,
    time::{Instant, Interval, MissedTickBehavior, interval_at, timeout},
};

/// About so much is written at once.
const WRITE_BYTES: usize = 64 << 10;

/// A buffer that a large message made larger than this does not stay so.
const BUFFER_BYTES_MAX: usize = 1 << 20;

/// A connection is silent when nothing came for so many intervals of keep-alives.
const SILENT_INTERVALS: u32 = 3;

/// Reads and writes until the connection ends; why it did. Dropped, it ends at once.
pub(super) async fn run(
    reader: impl AsyncRead + Unpin,
    writer: impl AsyncWrite + Unpin,
    peer: &Peer,
    shared: &Shared,
) -> ConnectionError {
    select! {
        ended = read(reader, peer, shared) => ended,
        ended = write(writer, peer, &shared.config) => ended,
    }
}

fn ticks(period: Duration) -> Interval {
    let mut ticks = interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

async fn read(mut stream: impl AsyncRead + Unpin, peer: &Peer, shared: &Shared) -> ConnectionError {
    let keep_alive = shared.config.keep_alive;
    let mut frames = Frames::new(shared.config.frame_bytes_max);
    let mut ticks = ticks(keep_alive);
    let mut silent = 0;
    loop {
        let read = select! {
            biased;
            read = frames.fill(&mut stream) => read,
            _ = ticks.tick() => {
                silent += 1;
                if silent > SILENT_INTERVALS {
                    return ConnectionError::Silent(keep_alive * SILENT_INTERVALS);
                }
                continue;
            }
        };
        match read {
            Ok(0) => return ConnectionError::Closed,
            Ok(bytes) => peer.bytes_in.add(bytes),
            Err(error) => return broken(&error),
        }
        silent = 0;
        if let Err(ended) = deliver(&mut frames, peer, shared) {
            return ended;
        }
    }
}

/// Hands in all messages that have arrived whole.
fn deliver(frames: &mut Frames, peer: &Peer, shared: &Shared) -> Result<(), ConnectionError> {
    let delivery = shared.delivery();
    while let Some(message) = frames.next()? {
        peer.messages_in.add(1);
        // The core trusts that a message is from whom it says (rule A1).
        if message.from != peer.id {
            peer.forged.add(1);
            continue;
        }
        let Some(delivery) = &delivery else { continue };
        caught(|| delivery.deliver(message))
            .map_err(|reason| ConnectionError::DeliveryPanicked { reason })?;
    }
    Ok(())
}

async fn write(mut stream: impl AsyncWrite + Unpin, peer: &Peer, config: &TcpConfig) -> ConnectionError {
    let mut ticks = ticks(config.keep_alive);
    let mut quiet = false;
    let (mut batch, mut buffer) = (Vec::new(), Vec::new());
    loop {
        select! {
            biased;
            more = peer.queue.pop(WRITE_BYTES, &mut batch) => if !more {
                let _ = timeout(config.write_timeout, stream.shutdown()).await;
                return ConnectionError::ShutDown;
            },
            _ = ticks.tick() => {
                if std::mem::replace(&mut quiet, true) {
                    buffer.extend_from_slice(&frame::KEEP_ALIVE);
                }
            }
        }
        for message in batch.drain(..) {
            if frame::put(&message, config.frame_bytes_max, &mut buffer) {
                peer.messages_out.add(1);
            } else {
                peer.queue.count_dropped();
            }
        }
        if buffer.is_empty() {
            continue;
        }
        quiet = false;
        if let Err(ended) = write_out(&mut stream, &buffer, peer, config.write_timeout).await {
            return ended;
        }
        buffer.clear();
        if buffer.capacity() > BUFFER_BYTES_MAX {
            buffer.shrink_to(WRITE_BYTES);
        }
    }
}

/// Writes everything. A peer that takes something, however little, is waited for.
async fn write_out(
    stream: &mut (impl AsyncWrite + Unpin),
    mut bytes: &[u8],
    peer: &Peer,
    patience: Duration,
) -> Result<(), ConnectionError> {
    while !bytes.is_empty() {
        match timeout(patience, stream.write(bytes)).await {
            Ok(Ok(0)) => return Err(ConnectionError::Closed),
            Ok(Ok(written)) => {
                peer.bytes_out.add(written);
                bytes = &bytes[written..];
            }
            Ok(Err(error)) => return Err(broken(&error)),
            Err(_) => return Err(ConnectionError::NotTaking(patience)),
        }
    }
    Ok(())
}

fn broken(error: &io::Error) -> ConnectionError {
    ConnectionError::Broken { reason: error.to_string() }
}
