//! Established connections over memory, in virtual time: whatever the other side does, they end with a reason or go on.

use super::{FROM, TO, beat, message, numbered, shared};
use crate::transport::tcp::{
    ConnectionError, Delivery, FrameError,
    connection::run,
    frame::{Frames, KEEP_ALIVE, put},
    shared::Shared,
};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split},
    task::JoinHandle,
    time::{Instant, advance},
};
use vsr_core::{DecodeError, Message, ReplicaId};

/// A connection of `TO` with `FROM`, and the other end of it.
struct Pair {
    shared: Arc<Shared>,
    running: JoinHandle<ConnectionError>,
    there: DuplexStream,
    arrived: Arc<Mutex<Vec<Message>>>,
}

fn connect(room: usize) -> Pair {
    let shared = Arc::new(shared(TO));
    let arrived = Arc::new(Mutex::new(Vec::new()));
    let inbox = arrived.clone();
    shared.deliver_to(Delivery::new(move |message| inbox.lock().expect("no panic").push(message)));
    let (here, there) = duplex(room);
    let own = shared.clone();
    let running = tokio::spawn(async move {
        let (reader, writer) = split(here);
        run(reader, writer, &own.peers[&FROM], &own).await
    });
    Pair { shared, running, there, arrived }
}

impl Pair {
    fn send(&self, message: Message) {
        self.shared.peers[&FROM].queue.push(message);
    }

    async fn ended(self) -> ConnectionError {
        self.running.await.expect("no panic")
    }
}

fn framed(messages: impl IntoIterator<Item = Message>) -> Vec<u8> {
    let mut bytes = Vec::new();
    messages.into_iter().for_each(|message| assert!(put(&message, usize::MAX, &mut bytes)));
    bytes
}

const ROOM: usize = 1 << 20;

#[tokio::test(start_paused = true)]
async fn what_is_queued_is_written_in_order_and_what_comes_is_delivered() {
    let mut pair = connect(ROOM);
    (0..100).for_each(|number| pair.send(numbered(number)));
    pair.there.write_all(&framed((0..10).map(numbered))).await.expect("there is room");
    let mut frames = Frames::new(ROOM);
    let mut read = Vec::new();
    while read.len() < 100 {
        frames.fill(&mut pair.there).await.expect("it is open");
        while let Some(message) = frames.next().expect("they are messages") {
            read.push(beat(&message));
        }
    }
    assert_eq!(read, (0..100).collect::<Vec<_>>());
    drop(pair.there);
    assert_eq!(pair.running.await.expect("no panic"), ConnectionError::Closed);
    let arrived: Vec<_> = pair.arrived.lock().expect("no panic").iter().map(beat).collect();
    assert_eq!(arrived, (0..10).collect::<Vec<_>>());
    let status = pair.shared.peers[&FROM].status();
    assert_eq!((status.messages_in, status.messages_out, status.dropped), (10, 100, 0));
    let bytes = (framed((0..10).map(numbered)).len(), framed((0..100).map(numbered)).len());
    assert_eq!((status.bytes_in, status.bytes_out), (bytes.0 as u64, bytes.1 as u64));
}

#[tokio::test(start_paused = true)]
async fn a_message_in_the_name_of_another_is_dropped_and_counted() {
    let mut pair = connect(ROOM);
    let forged = Message { from: ReplicaId(6), ..numbered(1) };
    pair.there.write_all(&framed([forged, numbered(2)])).await.expect("there is room");
    pair.there.shutdown().await.expect("it is open");
    let (shared, arrived) = (pair.shared.clone(), pair.arrived.clone());
    assert_eq!(pair.ended().await, ConnectionError::Closed);
    assert_eq!(arrived.lock().expect("no panic").iter().map(beat).collect::<Vec<_>>(), [2]);
    assert_eq!(shared.peers[&FROM].status().forged, 1);
}

#[tokio::test(start_paused = true)]
async fn bytes_that_are_no_message_end_the_connection_with_a_reason() {
    let mut pair = connect(ROOM);
    let mut bytes = framed([numbered(1), numbered(2)]);
    *bytes.last_mut().expect("there are some") ^= 1;
    pair.there.write_all(&bytes).await.expect("there is room");
    let arrived = pair.arrived.clone();
    assert_eq!(pair.ended().await, ConnectionError::Frame(FrameError::Decode(DecodeError::Damaged)));
    assert_eq!(arrived.lock().expect("no panic").len(), 1, "what came before is good");

    let mut pair = connect(ROOM);
    pair.there.write_all(&u32::MAX.to_le_bytes()).await.expect("there is room");
    let ended = pair.ended().await;
    assert!(matches!(ended, ConnectionError::Frame(FrameError::TooLong { .. })), "{ended}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_is_given_up_and_one_that_takes_little_is_not() {
    let mut pair = connect(64);
    let patience = pair.shared.config.write_timeout;
    pair.send(message(10_000));
    // One byte at a time, each just before patience ends.
    let begun = Instant::now();
    for _ in 0..100 {
        tokio::task::yield_now().await;
        advance(patience - Duration::from_secs(1)).await;
        pair.there.write_all(&KEEP_ALIVE).await.expect("it is open");
        pair.there.read_u8().await.expect("there is more");
    }
    assert!(begun.elapsed() > patience * 50 && !pair.running.is_finished());
    assert_eq!(pair.ended_while_hanging().await, ConnectionError::NotTaking(patience));
}

impl Pair {
    /// The other end stays open, says that it lives, and takes nothing.
    async fn ended_while_hanging(self) -> ConnectionError {
        let Self { running, there, .. } = self;
        let (_held, mut writer) = split(there);
        let lives = async {
            for _ in 0..3600 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                let _ = writer.write_all(&KEEP_ALIVE).await;
            }
        };
        tokio::select! {
            ended = running => ended.expect("no panic"),
            () = lives => panic!("it is waited for an hour"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_given_up_and_one_that_only_says_that_it_lives_is_not() {
    let mut pair = connect(ROOM);
    let interval = pair.shared.config.keep_alive;
    for _ in 0..20 {
        advance(interval).await;
        pair.there.write_all(&KEEP_ALIVE).await.expect("it is open");
        tokio::task::yield_now().await;
    }
    assert!(!pair.running.is_finished());
    let begun = Instant::now();
    let (running, there) = (pair.running, pair.there);
    assert_eq!(running.await.expect("no panic"), ConnectionError::Silent(interval * 3));
    assert!(begun.elapsed() >= interval * 3);
    drop(there);
}

#[tokio::test(start_paused = true)]
async fn a_side_with_nothing_to_say_says_that_it_lives() {
    let mut pair = connect(ROOM);
    let begun = Instant::now();
    let mut frame = [1; 4];
    pair.there.read_exact(&mut frame).await.expect("it is open");
    assert_eq!(frame, KEEP_ALIVE);
    let interval = pair.shared.config.keep_alive;
    assert!(begun.elapsed() >= interval && begun.elapsed() <= interval * 2, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_too_long_is_dropped_and_the_next_one_goes() {
    let mut pair = connect(ROOM);
    let max = pair.shared.config.frame_bytes_max;
    pair.send(message(max));
    pair.send(numbered(7));
    let mut frames = Frames::new(ROOM);
    frames.fill(&mut pair.there).await.expect("it is open");
    assert_eq!(frames.next().expect("it is a message").map(|message| beat(&message)), Some(7));
    assert_eq!(pair.shared.peers[&FROM].status().dropped, 1);
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_panics_ends_the_connection_with_its_words() {
    let mut pair = connect(ROOM);
    pair.shared.deliver_to(Delivery::new(|_| panic!("asked to")));
    pair.there.write_all(&framed([numbered(1)])).await.expect("there is room");
    let ended = pair.ended().await;
    assert_eq!(ended, ConnectionError::DeliveryPanicked { reason: "asked to".into() });
}

#[tokio::test(start_paused = true)]
async fn closed_it_writes_what_waits_and_ends() {
    let mut pair = connect(64);
    (0..50).for_each(|number| pair.send(numbered(number)));
    pair.shared.close();
    pair.send(numbered(99));
    let mut bytes = Vec::new();
    pair.there.read_to_end(&mut bytes).await.expect("it ends");
    assert_eq!(bytes, framed((0..50).map(numbered)));
    assert_eq!(pair.ended().await, ConnectionError::ShutDown);
}
