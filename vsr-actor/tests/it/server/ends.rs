//! How an actor begins badly, and how it ends.

use super::desk::{Add, Begin, Desk, Diary, End, Peek, Sleep, Work, desks, primary};
use std::time::Duration;
use vsr_actor::{
    Builder, CallError, Cluster, ClusterError, Config, Handle, Health, ReplicaError, ReplicaId, prelude::*,
};

async fn start(begin: Begin, diary: &Diary) -> Result<Handle<Desk>, ReplicaError> {
    let id = ReplicaId(0);
    Builder::server(id, [id], Desk::beginning(diary, begin)).start().await
}

#[tokio::test(start_paused = true)]
async fn an_init_that_fails_is_the_error_of_the_start() {
    let error = start(Begin::Fail, &Diary::default()).await.expect_err("it fails");
    assert!(error.to_string().contains("invalid digit"), "{error}");
    let ReplicaError::Init { stop } = error else { panic!("{error}") };
    assert!(!stop.is_normal());
    let error = start(Begin::Nothing, &Diary::default()).await.expect_err("there is nothing to do");
    let ReplicaError::Init { stop } = error else { panic!("{error}") };
    assert_eq!(stop, Stop::Normal, "no fault");
}

#[tokio::test(start_paused = true)]
async fn an_init_that_panics_is_the_error_of_the_start() {
    let error = start(Begin::Panic, &Diary::default()).await.expect_err("it panics");
    let ReplicaError::Callback { callback, reason } = error else { panic!("{error}") };
    assert_eq!((callback, reason.as_str()), ("init", "init was asked to"));
}

#[tokio::test(start_paused = true)]
async fn an_init_that_never_returns_is_given_up_after_its_time() {
    let began = tokio::time::Instant::now();
    let error = start(Begin::Hang, &Diary::default()).await.expect_err("it hangs");
    let bound = Config::default().init_timeout;
    assert!(matches!(error, ReplicaError::InitTimedOut { after } if after == bound), "{error}");
    assert_eq!(began.elapsed().as_secs(), bound.as_secs());
    tokio::task::yield_now().await;
    let alive = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    assert_eq!(alive, 0, "nothing of it is left");
}

#[tokio::test(start_paused = true)]
async fn a_factory_whose_actor_does_not_begin_fails_the_cluster_and_names_the_replica() {
    let started = Cluster::servers(3, || Desk::beginning(&Diary::default(), Begin::Fail)).await;
    let Err(ClusterError::Replica { id, error: ReplicaError::Init { .. } }) = started else {
        panic!("{started:?}")
    };
    assert_eq!(id, ReplicaId(0));
}

#[tokio::test(start_paused = true)]
async fn init_may_leave_work_to_continue() {
    let diary = Diary::default();
    let handle = start(Begin::Continue, &diary).await.expect("it begins");
    diary.until("continue", 2).await;
    assert_eq!(handle.server().call(Peek).await, Ok(0));
    assert_eq!(diary.lines(), ["init", "continue", "continue"]);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_hands_over_then_ends_the_work_then_terminates() {
    let (cluster, diary) = desks(3).await;
    let handle = primary(&cluster).await;
    let desk = handle.server();
    assert_eq!(desk.call(Add(1, 0)).await, Ok((1, 0)));
    desk.cast(Work(Duration::from_secs(100))).await.expect("it runs");
    let sleeper = tokio::spawn({
        let desk = desk.clone();
        async move { desk.call(Sleep).await }
    });
    diary.until("kept", 1).await;
    // The view has moved on by the time the actor hears of the end.
    let successor = tokio::spawn({
        let others: Vec<_> = cluster.ids().iter().copied().filter(|id| *id != handle.id()).collect();
        let others: Vec<_> = others.into_iter().map(|id| cluster.handle(id).expect("it runs")).collect();
        let diary = diary.clone();
        async move {
            let mut watches: Vec<_> = others.iter().map(Handle::watch_status).collect();
            let [one, two] = &mut watches[..] else { panic!("there are two") };
            loop {
                let status = tokio::select! { status = one.next() => status, status = two.next() => status };
                if status.expect("they run").protocol.is_primary {
                    diary.write("another is primary");
                    return;
                }
            }
        }
    });
    handle.shutdown().await.expect("an orderly end");
    successor.await.expect("no panic");
    assert_eq!(sleeper.await.expect("no panic"), Ok(0), "terminate answers who was kept");
    let lines = diary.lines();
    let last: Vec<_> =
        lines.iter().map(String::as_str).filter(|line| !["init", "kept"].contains(line)).collect();
    let at = |line: &str| last.iter().position(|written| *written == line).expect("it was written");
    assert!(at("another is primary") < at("terminate: it was shut down"), "{last:?}");
    assert!(at("work is gone") < at("terminate: it was shut down"), "{last:?}");
    assert!(matches!(handle.status().health, Health::Stopped));
    assert_eq!(cluster.client().request(1).await, Ok(2));
}

#[tokio::test(start_paused = true)]
async fn an_actor_that_stops_itself_hands_over_and_ends_well() {
    let (cluster, diary) = desks(3).await;
    let handle = primary(&cluster).await;
    let view = handle.status().protocol.view;
    handle.server().cast(End(Stop::Normal)).await.expect("it runs");
    handle.join().await.expect("no failure");
    diary.until("terminate: its work is done", 1).await;
    assert!(handle.status().protocol.view > view, "it waited for its successor");
    assert_eq!(handle.server().call(Peek).await, Err(CallError::Stopped));
    assert_eq!(cluster.client().request(1).await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn an_actor_that_stops_itself_handles_nothing_more_and_waits_for_its_successor_in_peace() {
    let (cluster, diary) = desks(3).await;
    let handle = primary(&cluster).await;
    cluster.isolate(handle.id()).expect("it exists");
    let desk = handle.server();
    cluster.pause(handle.id()).expect("it runs");
    desk.cast(End(Stop::Normal)).await.expect("it runs");
    let behind = tokio::spawn(async move { desk.call(Peek).await });
    tokio::task::yield_now().await;
    cluster.resume(handle.id()).expect("it runs");
    let began = tokio::time::Instant::now();
    handle.join().await.expect("no failure");
    // A replica that spun meanwhile would have stopped the paused clock.
    assert_eq!(began.elapsed().as_millis(), 2 * Config::default().heartbeat_timeout.as_millis());
    assert_eq!(behind.await.expect("no panic"), Err(CallError::Stopped), "it was not handled");
    diary.until("terminate: its work is done", 1).await;
}

#[tokio::test(start_paused = true)]
async fn an_actor_that_says_it_failed_ends_with_its_reason() {
    let (cluster, diary) = desks(3).await;
    let handle = primary(&cluster).await;
    handle.server().cast(End(Stop::because("the socket is gone"))).await.expect("it runs");
    let error = handle.join().await.expect_err("it failed");
    assert!(matches!(&error, ReplicaError::Stopped { reason } if reason == "the socket is gone"), "{error}");
    diary.until("terminate: the actor stopped: the socket is gone", 1).await;
    assert!(matches!(handle.status().health, Health::Failed(ReplicaError::Stopped { .. })));
}

/// Ends only when it is told to.
#[derive(Default, Serialize, Deserialize)]
struct Stubborn;

impl StateMachine for Stubborn {
    type Operation = u8;
    type Reply = ();
    fn handle_commit(&mut self, _commit: &Commit, panic: u8) {
        assert!(panic == 0, "the operation was asked to");
    }
}

impl VsrServer for Stubborn {
    async fn terminate(&mut self, why: &Stop) {
        if why.is_normal() {
            std::future::pending::<()>().await;
        }
        panic!("terminate was asked to");
    }
}

#[tokio::test(start_paused = true)]
async fn a_terminate_that_never_returns_is_given_up_after_its_time() {
    let cluster = Cluster::servers(1, Stubborn::default).await.expect("it starts");
    let began = tokio::time::Instant::now();
    cluster.shutdown().await.expect("it ends all the same");
    assert_eq!(began.elapsed(), Config::default().terminate_timeout);
}

struct Rush;
impl HandleCast<Rush> for Stubborn {
    fn handle_cast(&mut self, _: Rush, _: &mut Context<Self>) -> Next {
        Next::Stop(Stop::Normal)
    }
}

/// A call whose drop may panic.
struct Late(bool);
impl Drop for Late {
    fn drop(&mut self) {
        assert!(!self.0, "the drop was asked to");
    }
}
impl HandleCall<Late> for Stubborn {
    type Answer = ();
    fn handle_call(&mut self, _: Late, from: ReplyToken<()>, _: &mut Context<Self>) -> Next {
        from.reply(());
        Next::Wait
    }
}

/// More calls than one turn takes: some were taken out of the mailbox, some were not.
#[tokio::test(start_paused = true)]
async fn callers_hear_of_the_end_before_terminate_has_its_say() {
    let cluster = Cluster::servers(1, Stubborn::default).await.expect("it starts");
    let handle = cluster.handle(ReplicaId(0)).expect("it runs");
    cluster.pause(handle.id()).expect("it runs");
    handle.server().cast(Rush).await.expect("it runs");
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..300 {
        let server = handle.server();
        callers.spawn(async move { server.call(Late(false)).await });
    }
    tokio::task::yield_now().await;
    let began = tokio::time::Instant::now();
    cluster.resume(handle.id()).expect("it runs");
    for answer in callers.join_all().await {
        assert_eq!(answer, Err(CallError::Stopped));
    }
    assert_eq!(began.elapsed(), Duration::ZERO, "terminate takes its whole time");
    handle.join().await.expect("no failure");
    assert_eq!(began.elapsed(), Config::default().terminate_timeout);
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_drop_panics_does_not_hide_how_the_replica_ended() {
    let cluster = Cluster::servers(1, Stubborn::default).await.expect("it starts");
    let handle = cluster.handle(ReplicaId(0)).expect("it runs");
    cluster.pause(handle.id()).expect("it runs");
    handle.server().cast(Rush).await.expect("it runs");
    let caller = tokio::spawn({
        let server = handle.server();
        async move { server.call(Late(true)).await }
    });
    tokio::task::yield_now().await;
    cluster.resume(handle.id()).expect("it runs");
    assert_eq!(caller.await.expect("no panic"), Err(CallError::Stopped));
    handle.join().await.expect("it stopped by itself");
}

#[tokio::test(start_paused = true)]
async fn a_terminate_that_panics_does_not_hide_why_the_replica_ended() {
    let cluster = Cluster::servers(1, Stubborn::default).await.expect("it starts");
    let _ = cluster.client().request(1).await;
    let error = cluster.handle(ReplicaId(0)).expect("it was started").join().await.expect_err("poisoned");
    assert!(
        matches!(&error, ReplicaError::Poisoned { reason, .. } if reason.contains("operation")),
        "{error}"
    );
}
