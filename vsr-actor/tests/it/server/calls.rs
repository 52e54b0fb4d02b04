//! Calls, casts and infos, and every way a call can end.

use super::desk::{
    Add, AddAndTell, Break, Desk, Forget, Line, Peek, Rest, Sleep, Steps, Wake, desks, desks_with, primary,
};
use crate::common::cluster;
use std::{collections::HashSet, time::Duration};
use tokio::task::JoinSet;
use vsr_actor::{CallError, Cluster, Config, Outcome, ReplicaError, ReplicaId, RequestError};

#[tokio::test(start_paused = true)]
async fn a_call_is_answered_at_once_or_when_its_request_is_committed() {
    let (cluster, _) = desks(3).await;
    let desk = primary(&cluster).await.server();
    assert_eq!(desk.call(Peek).await, Ok(0));
    assert_eq!(desk.call(Add(5, 77)).await, Ok((5, 77)));
    assert_eq!(desk.call(Peek).await, Ok(5));
    cluster.shutdown().await.expect("no replica failed");
}

#[tokio::test(start_paused = true)]
async fn a_request_of_a_backup_is_executed_too() {
    let (cluster, _) = desks(3).await;
    let primary = cluster.primary().await.expect("there is one");
    let backup = cluster.ids().iter().copied().find(|id| *id != primary).expect("there are three");
    let desk = cluster.handle(backup).expect("it runs").server();
    assert_eq!(desk.call(Add(5, 1)).await, Ok((5, 1)));
    assert_eq!(cluster.client().request(1).await, Ok(6));
}

#[tokio::test(start_paused = true)]
async fn a_call_is_answered_later_from_another_callback() {
    let (cluster, diary) = desks(3).await;
    let desk = primary(&cluster).await.server();
    let sleeper = tokio::spawn({
        let desk = desk.clone();
        async move { desk.call(Sleep).await }
    });
    diary.until("kept", 1).await;
    assert_eq!(desk.call(Add(3, 0)).await, Ok((3, 0)), "the actor does other things meanwhile");
    desk.info(Wake).await.expect("it runs");
    assert_eq!(sleeper.await.expect("no panic"), Ok(3));
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_token_is_dropped_is_unanswered_and_nothing_else_happens() {
    let (cluster, _) = desks(1).await;
    let desk = primary(&cluster).await.server();
    let error = desk.call(Forget).await.expect_err("nobody answers");
    assert_eq!((&error, error.outcome()), (&CallError::Unanswered, Outcome::Unknown));
    assert_eq!(desk.call(Peek).await, Ok(0));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_answered_too_late_says_how_long_it_waited() {
    let (cluster, _) = desks(1).await;
    let desk = primary(&cluster).await.server();
    let time = Duration::from_millis(300);
    let error = desk.call_timeout(Sleep, time).await.expect_err("nobody wakes it");
    assert_eq!((&error, error.outcome()), (&CallError::Timeout { waited: time }, Outcome::Unknown));
    desk.info(Wake).await.expect("the late answer is nobody's");
    assert_eq!(desk.call(Peek).await, Ok(0));
}

#[tokio::test(start_paused = true)]
async fn casts_and_infos_are_handled_in_the_order_of_their_sender() {
    let (cluster, diary) = desks(3).await;
    let desk = primary(&cluster).await.server();
    for add in 1..=10 {
        desk.cast(Add(add, 0)).await.expect("it runs");
    }
    desk.info(Line("behind them")).await.expect("it runs");
    diary.until("behind them", 1).await;
    assert_eq!(desk.call(Add(0, 0)).await, Ok((55, 0)), "a detached request is executed, too");
}

#[tokio::test(start_paused = true)]
async fn the_outcome_of_a_request_comes_back_as_an_info() {
    let (cluster, diary) = desks(3).await;
    let desk = primary(&cluster).await.server();
    desk.cast(AddAndTell(4)).await.expect("it runs");
    diary.until("told 4", 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_request_that_fails_is_the_callers_error_with_its_outcome() {
    let mut config = Config::default();
    config.client.deadline = Duration::from_secs(3);
    let (cluster, diary) = desks_with(3, config).await;
    let primary = primary(&cluster).await;
    let desk = primary.server();
    let long = Duration::from_secs(60);
    cluster.isolate(primary.id()).expect("it exists");
    // The replica's session is not open yet, so nothing can have been proposed.
    let Err(CallError::Request(error)) = desk.call_timeout(Add(1, 0), long).await else { panic!("a reply") };
    assert!(matches!(error, RequestError::NoPrimary { .. }), "{error}");
    assert_eq!(CallError::Request(error).outcome(), Outcome::NotExecuted);
    cluster.heal();
    assert_eq!(desk.call(Add(1, 0)).await, Ok((1, 0)));
    cluster.isolate(primary.id()).expect("it exists");
    desk.cast(AddAndTell(1)).await.expect("it runs");
    let Err(CallError::Request(error)) = desk.call_timeout(Add(1, 0), long).await else { panic!("a reply") };
    assert!(matches!(error, RequestError::Deadline { .. }), "{error}");
    diary.until(&format!("told: {error}"), 1).await;
    assert_eq!(CallError::Request(error).outcome(), Outcome::Unknown);
}

#[tokio::test(start_paused = true)]
async fn a_window_that_is_full_is_said_at_once_and_definitely() {
    let mut config = Config::default();
    config.replicated.window = 2;
    let (cluster, _) = desks_with(3, config).await;
    let primary = primary(&cluster).await;
    cluster.isolate(primary.id()).expect("it exists");
    let desk = primary.server();
    for _ in 0..2 {
        desk.cast(Add(1, 0)).await.expect("it runs");
    }
    let error = desk.call(Add(1, 0)).await.expect_err("there is no room");
    assert_eq!(error, CallError::Request(RequestError::Overloaded { waited: Duration::ZERO }));
    assert_eq!((error.outcome(), error.is_retryable()), (Outcome::NotExecuted, true));
}

#[tokio::test(start_paused = true)]
async fn a_full_mailbox_makes_senders_wait_or_says_so() {
    let mut config = Config::default();
    config.mailboxes.calls = 2;
    let (cluster, diary) = desks_with(1, config).await;
    let handle = primary(&cluster).await;
    let desk = handle.server();
    cluster.pause(handle.id()).expect("it runs");
    // The first message is what it wakes up with, and stands still with.
    desk.info(Line("1")).await.expect("it runs");
    tokio::task::yield_now().await;
    while desk.try_info(Line("2")).is_ok() {}
    assert_eq!(desk.try_info(Line("x")), Err(CallError::Full));
    assert_eq!(desk.try_call(Peek).await, Err(CallError::Full));
    let time = Duration::from_millis(50);
    assert_eq!(desk.cast_timeout(Add(1, 1), time).await, Err(CallError::NoRoom { waited: time }));
    assert_eq!(desk.info_timeout(Line("x"), time).await, Err(CallError::NoRoom { waited: time }));
    assert_eq!(desk.call_timeout(Peek, time).await, Err(CallError::NoRoom { waited: time }));
    let waits = tokio::spawn({
        let desk = desk.clone();
        async move { desk.info(Line("waited")).await }
    });
    cluster.resume(handle.id()).expect("it runs");
    assert_eq!(waits.await.expect("no panic"), Ok(()));
    diary.until("waited", 1).await;
    assert_eq!(diary.count("x"), 0, "what was refused was not handled");
    assert_eq!(desk.call(Peek).await, Ok(0));
}

#[tokio::test(start_paused = true)]
async fn continue_comes_before_everything_else() {
    let (cluster, diary) = desks(1).await;
    let handle = primary(&cluster).await;
    let desk = handle.server();
    cluster.pause(handle.id()).expect("it runs");
    desk.cast(Steps(3)).await.expect("it runs");
    desk.info(Line("behind")).await.expect("it runs");
    cluster.resume(handle.id()).expect("it runs");
    diary.until("behind", 1).await;
    let lines: Vec<_> = diary.lines().into_iter().skip_while(|line| line == "init").collect();
    assert_eq!(lines, ["continue", "continue", "continue", "behind"]);
}

#[tokio::test(start_paused = true)]
async fn an_idle_actor_is_told_once_and_a_message_begins_the_wait_anew() {
    let (cluster, diary) = desks(1).await;
    let desk = primary(&cluster).await.server();
    let time = Duration::from_secs(5);
    desk.cast(Rest(time)).await.expect("it runs");
    tokio::time::advance(time - Duration::from_millis(1)).await;
    desk.cast(Rest(time)).await.expect("it runs");
    assert_eq!(desk.call(Peek).await, Ok(0), "a message that asks for no wait ends it");
    tokio::time::advance(2 * time).await;
    assert_eq!((desk.call(Peek).await, diary.count("idle")), (Ok(0), 0));
    desk.cast(Rest(time)).await.expect("it runs");
    diary.until("idle", 1).await;
    tokio::time::advance(2 * time).await;
    assert_eq!((desk.call(Peek).await, diary.count("idle")), (Ok(0), 1));
}

#[tokio::test(start_paused = true)]
async fn a_callback_that_panics_ends_its_replica_and_no_other() {
    let (cluster, diary) = desks(3).await;
    let handle = primary(&cluster).await;
    let error = handle.server().call(Break).await.expect_err("it panics");
    assert_eq!(error, CallError::Unanswered);
    let Err(ReplicaError::Callback { callback, reason }) = handle.join().await else { panic!("it goes on") };
    assert_eq!(callback, "handle_call");
    assert!(reason.contains("the call was asked to"), "{reason}");
    diary.until(&format!("terminate: {callback} failed: {reason}"), 1).await;
    assert_eq!(handle.server().call(Peek).await, Err(CallError::Stopped));
    assert_eq!(cluster.client().request(2).await, Ok(2), "the others take over");
    cluster.restart(handle.id()).await.expect("the panic was not about the log");
    cluster.await_convergence().await.expect("it catches up");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_handle_ends_the_replica_and_its_callers_hear_of_it() {
    let id = ReplicaId(0);
    let diary = super::desk::Diary::default();
    let handle =
        vsr_actor::Builder::server(id, [id], Desk::new(&diary)).start().await.expect("a valid configuration");
    let desk = handle.server();
    let sleeper = tokio::spawn({
        let desk = desk.clone();
        async move { desk.call(Sleep).await }
    });
    diary.until("kept", 1).await;
    drop(handle);
    assert_eq!(sleeper.await.expect("no panic"), Err(CallError::Unanswered));
    assert_eq!(desk.call(Peek).await, Err(CallError::Stopped));
    assert_eq!(desk.cast(Add(1, 1)).await, Err(CallError::Stopped));
    assert!(!diary.lines().iter().any(|line| line.starts_with("terminate")), "an abort has no last words");
}

/// A journal with callbacks that was started without them.
#[tokio::test(start_paused = true)]
async fn a_plain_state_machine_takes_no_calls_and_says_so() {
    let plain =
        Cluster::in_process(1, || Desk::new(&super::desk::Diary::default())).await.expect("it starts");
    let handle = plain.handle(ReplicaId(0)).expect("it runs");
    assert_eq!(handle.server().call(Peek).await, Err(CallError::NotAServer));
    assert_eq!(handle.server().try_cast(Add(1, 1)), Err(CallError::NotAServer));
    assert_eq!(handle.dump().await.expect("it runs").callbacks, None);
    drop(cluster(1).await);
}

/// Each caller gets its own tag back, and no total twice: replies match their callers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_calls_of_64_tasks_get_each_their_own_reply() {
    const TASKS: u64 = 64;
    const CALLS: u64 = 100_000;
    let (cluster, _) = desks(3).await;
    let desk = primary(&cluster).await.server();
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let desk = desk.clone();
        tasks.spawn(async move {
            let mut totals = Vec::new();
            for call in (task..CALLS).step_by(TASKS as usize) {
                let (total, tag) = desk.call(Add(1, call)).await.expect("the group is healthy");
                assert_eq!(tag, call, "the reply is another caller's");
                totals.push(total);
            }
            assert!(totals.is_sorted_by(|a, b| a < b), "one caller's calls are executed in order");
            totals
        });
    }
    let totals: Vec<u64> = tasks.join_all().await.into_iter().flatten().collect();
    let different: HashSet<u64> = totals.iter().copied().collect();
    assert_eq!((totals.len(), different.len()), (CALLS as usize, CALLS as usize));
    assert_eq!(different.into_iter().max(), Some(CALLS), "each was executed exactly once");
    cluster.shutdown().await.expect("no replica failed");
}
