//! Streams of frames, whole, cut, damaged and hostile.

use super::message;
use crate::config::mix;
use crate::transport::tcp::frame::*;
use vsr_core::Message;

const MAX: usize = 1 << 20;

/// Everything that can be read of some bytes that arrive in pieces of this size.
async fn read(bytes: &[u8], piece: usize) -> (Vec<Message>, Result<(), FrameError>, Frames) {
    let mut frames = Frames::new(MAX);
    let mut messages = Vec::new();
    for mut piece in bytes.chunks(piece) {
        while !piece.is_empty() {
            frames.fill(&mut piece).await.expect("memory can be read");
            loop {
                match frames.next() {
                    Ok(Some(message)) => messages.push(message),
                    Ok(None) => break,
                    Err(error) => return (messages, Err(error), frames),
                }
            }
        }
    }
    (messages, Ok(()), frames)
}

#[tokio::test]
async fn messages_survive_a_stream_that_is_cut_anywhere() {
    let sent: Vec<_> =
        [0, 1, 100, READ_BYTES - 200, READ_BYTES, 3 * READ_BYTES, 500_000, 3].map(message).into();
    let mut bytes = Vec::new();
    for message in &sent {
        assert!(put(message, MAX, &mut bytes));
        bytes.extend_from_slice(&KEEP_ALIVE);
    }
    for piece in [1, 7, 1000, READ_BYTES, bytes.len()] {
        let (read, end, _) = read(&bytes, piece).await;
        assert_eq!(end, Ok(()));
        assert_eq!(read, sent, "in pieces of {piece}");
    }
}

#[tokio::test]
async fn a_hostile_length_is_refused_and_a_long_one_allocates_nothing() {
    let (read_until, end, frames) = read(&u32::MAX.to_le_bytes(), 4).await;
    assert_eq!(end, Err(FrameError::TooLong { bytes: u32::MAX as usize, bytes_max: MAX }));
    assert!(read_until.is_empty() && frames.memory() <= READ_BYTES);
    // The longest that is taken is announced, and a little of it comes.
    let mut bytes = (MAX as u32).to_le_bytes().to_vec();
    bytes.resize(1000, 0);
    let (_, end, frames) = read(&bytes, 1).await;
    assert_eq!(end, Ok(()));
    assert!(frames.memory() <= 2 * READ_BYTES, "{}", frames.memory());
    // Half of it: memory follows what came.
    bytes.resize(MAX / 2, 0);
    let (_, _, frames) = read(&bytes, READ_BYTES).await;
    assert!(frames.memory() <= MAX + 2 * READ_BYTES, "{}", frames.memory());
}

#[test]
fn a_message_that_is_too_long_leaves_no_trace() {
    let mut bytes = vec![1];
    assert!(!put(&message(2000), 1000, &mut bytes));
    assert_eq!(bytes, [1]);
}

#[tokio::test]
async fn no_bytes_do_harm() {
    let mut good = Vec::new();
    [10, 200].map(message).iter().for_each(|message| assert!(put(message, MAX, &mut good)));
    let mut random = 1;
    let mut errors = 0;
    for _ in 0..2000 {
        let mut bytes = good.clone();
        for _ in 0..4 {
            random = mix(random);
            let at = random as usize % bytes.len();
            match random >> 32 & 3 {
                0 => bytes[at] = (random >> 40) as u8,
                1 => bytes.truncate(at.max(1)),
                2 => bytes.insert(at, (random >> 40) as u8),
                _ => bytes.extend((0..50).map(|index| (mix(random + index) >> 13) as u8)),
            }
        }
        let (_, end, frames) = read(&bytes, 64).await;
        errors += usize::from(end.is_err());
        assert!(frames.memory() <= MAX + 2 * READ_BYTES);
    }
    assert!(errors > 1000, "most of it was damage: {errors}");
}
