//! Timers and spawned work.

use super::desk::{Add, Alarm, BadWork, Metronome, Peek, Restless, Silence, Work, desks, primary};
use std::time::Duration;
use tokio::time::{Instant, advance};
use vsr_actor::ReplicaError;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn send_after_fires_once_when_it_is_due() {
    let (cluster, diary) = desks(3).await;
    let desk = primary(&cluster).await.server();
    let began = Instant::now();
    desk.cast(Alarm(3 * SECOND)).await.expect("it runs");
    diary.until("alarm", 1).await;
    assert!((3 * SECOND..4 * SECOND).contains(&began.elapsed()), "{:?}", began.elapsed());
    advance(10 * SECOND).await;
    assert_eq!((desk.call(Peek).await, diary.count("alarm")), (Ok(0), 1));
}

#[tokio::test(start_paused = true)]
async fn send_interval_fires_until_it_is_cancelled_and_catches_no_ticks_up() {
    let (cluster, diary) = desks(1).await;
    let handle = primary(&cluster).await;
    let desk = handle.server();
    let timer = desk.call(Metronome(SECOND)).await.expect("it runs");
    diary.until("tick", 3).await;
    cluster.pause(handle.id()).expect("it runs");
    advance(10 * SECOND).await;
    tokio::task::yield_now().await;
    cluster.resume(handle.id()).expect("it runs");
    assert_eq!(desk.call(Peek).await, Ok(0));
    assert!(diary.count("tick") <= 5, "what was missed is missed: {}", diary.count("tick"));
    assert_eq!(desk.call(Silence(timer)).await, Ok(true));
    let heard = diary.count("tick");
    advance(10 * SECOND).await;
    assert_eq!(desk.call(Peek).await, Ok(0));
    assert_eq!(diary.count("tick"), heard);
    assert_eq!(desk.call(Silence(timer)).await, Ok(false), "it is cancelled already");
}

#[tokio::test(start_paused = true)]
async fn timers_that_are_always_due_shut_nobody_out() {
    let (cluster, _) = desks(3).await;
    let desk = primary(&cluster).await.server();
    for _ in 0..1000 {
        desk.info(Restless).await.expect("it runs");
    }
    assert_eq!(desk.call(Add(5, 1)).await, Ok((5, 1)), "neither calls nor the protocol");
}

#[tokio::test(start_paused = true)]
async fn timers_and_work_end_with_their_actor() {
    let (cluster, diary) = desks(3).await;
    let handle = primary(&cluster).await;
    let desk = handle.server();
    desk.call(Metronome(SECOND)).await.expect("it runs");
    desk.cast(Work(100 * SECOND)).await.expect("it runs");
    diary.until("tick", 1).await;
    cluster.crash(handle.id()).await.expect("it runs");
    diary.until("work is gone", 1).await;
    let heard = diary.count("tick");
    cluster.restart(handle.id()).await.expect("it starts");
    advance(200 * SECOND).await;
    cluster.await_convergence().await.expect("it comes back");
    assert_eq!((diary.count("tick"), diary.count("worked")), (heard, 0));
}

#[tokio::test(start_paused = true)]
async fn spawned_work_comes_back_as_an_info() {
    let (cluster, diary) = desks(3).await;
    let desk = primary(&cluster).await.server();
    desk.cast(Work(2 * SECOND)).await.expect("it runs");
    assert_eq!(desk.call(Peek).await, Ok(0), "the actor goes on meanwhile");
    diary.until("worked", 1).await;
}

#[tokio::test(start_paused = true)]
async fn spawned_work_that_panics_ends_the_replica() {
    let (cluster, _) = desks(3).await;
    let handle = primary(&cluster).await;
    handle.server().cast(BadWork).await.expect("it runs");
    let Err(ReplicaError::Callback { callback, reason }) = handle.join().await else { panic!("it goes on") };
    assert_eq!(callback, "spawn");
    assert!(reason.contains("the work was asked to"), "{reason}");
}
