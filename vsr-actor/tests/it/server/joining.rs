//! The log and the group are given late: to a replica that has started and not joined.

use super::desk::{Add, Alarm, Desk, Diary, Peek, Work, desks, primary};
use crate::common::{Ask, Journal};
use std::time::Duration;
use vsr_actor::{
    Builder, Handle, Health, MemoryStorage, Message, ReplicaError, ReplicaId, Transport, prelude::*,
};

const ME: ReplicaId = ReplicaId(4);

fn already(result: Result<(), ReplicaError>) -> String {
    match result {
        Err(ReplicaError::AlreadyRunning(error)) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

async fn waiting(diary: &Diary) -> Handle<Desk> {
    Builder::server(ReplicaId(0), [], Desk::new(diary)).start().await.expect("a valid configuration")
}

#[tokio::test(start_paused = true)]
async fn a_replica_without_members_serves_its_callbacks_and_waits() {
    let handle = waiting(&Diary::default()).await;
    assert!(matches!(handle.status().health, Health::NotJoined));
    assert_eq!(handle.server().call(Peek).await, Ok(0));
    let dump = handle.dump().await.expect("it runs");
    assert_eq!((dump.members.len(), dump.protocol.replicas), (0, 0));
    handle.shutdown().await.expect("an orderly end");
    assert!(matches!(handle.status().health, Health::Stopped));
}

#[tokio::test(start_paused = true)]
async fn it_joins_when_it_is_told_its_group_and_no_second_time() {
    let handle = waiting(&Diary::default()).await;
    let early = tokio::spawn({
        let desk = handle.server();
        async move { desk.call(Add(1, 0)).await }
    });
    handle.set_cluster(ME, [ME]).await.expect("a group of one");
    assert!(handle.status().health.is_running());
    assert_eq!(handle.id(), ME);
    assert_eq!(early.await.expect("no panic"), Ok((1, 0)), "a request made before waits for the group");
    assert_eq!(handle.client().request(1).await, Ok(2));
    assert!(already(handle.set_cluster(ME, [ME]).await).contains("the cluster"));
    assert!(already(handle.set_log(MemoryStorage::default()).await).contains("the log"));
    assert_eq!(handle.dump().await.expect("it runs").members, [ME]);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_is_set_before_is_the_one_it_starts_on() {
    let storage = MemoryStorage::default();
    let first = Builder::new(ME, [ME], Journal::default()).storage(storage.clone()).start().await;
    let first = first.expect("it starts");
    for item in 1..=3 {
        first.client().request(Ask::Add(item)).await.expect("a group of one");
    }
    first.shutdown().await.expect("an orderly end");
    let second = Builder::new(ME, [], Journal::default()).start().await.expect("it starts");
    second.set_log(storage).await.expect("it has not joined");
    second.set_cluster(ME, [ME]).await.expect("the storage is its own");
    let journal = second.client().request(Ask::Read).await;
    assert_eq!(journal, Ok(vec![1, 2, 3]));
}

#[tokio::test(start_paused = true)]
async fn members_that_break_a_rule_are_refused_and_it_waits_on() {
    let handle = waiting(&Diary::default()).await;
    let error = handle.set_cluster(ME, [ReplicaId(1)]).await.expect_err("it is no member");
    assert!(matches!(error, ReplicaError::Config(_)), "{error}");
    assert!(matches!(handle.status().health, Health::NotJoined));
    handle.set_cluster(ME, [ME]).await.expect("a group of one");
}

#[tokio::test(start_paused = true)]
async fn a_storage_of_another_replica_ends_it_with_the_reason() {
    let storage = MemoryStorage::default();
    let other = Builder::new(ReplicaId(1), [ReplicaId(1)], Journal::default()).storage(storage.clone());
    let other = other.start().await.expect("it starts");
    other.client().request(Ask::Add(1)).await.expect("a group of one");
    other.shutdown().await.expect("an orderly end");
    let diary = Diary::default();
    let handle = waiting(&diary).await;
    handle.set_log(storage).await.expect("it has not joined");
    let error = handle.set_cluster(ME, [ME]).await.expect_err("it is another's");
    diary.until(&format!("terminate: {error}"), 1).await;
    assert!(matches!(error, ReplicaError::Start(_)), "{error}");
    assert!(handle.join().await.is_err(), "{:?}", handle.status());
    let error = handle.set_cluster(ME, [ME]).await.expect_err("it has ended");
    assert!(matches!(error, ReplicaError::Start(_)), "{error}");
}

/// Finds out in `init` who it is.
#[derive(Default, Serialize, Deserialize)]
struct Late {
    items: Vec<u64>,
    #[serde(skip)]
    log: Option<MemoryStorage>,
}

impl StateMachine for Late {
    type Operation = u64;
    type Reply = usize;
    fn handle_commit(&mut self, _commit: &Commit, item: u64) -> usize {
        self.items.push(item);
        self.items.len()
    }
}

impl VsrServer for Late {
    async fn init(&mut self, ctx: &mut Context<Self>) -> Result<(), Stop> {
        tokio::task::yield_now().await;
        ctx.set_log(self.log.take().ok_or(Stop::because("there is no log"))?)?;
        ctx.set_cluster(ME, [ME])?;
        Ok(())
    }
}

struct Late2;
impl HandleCall<Late2> for Late {
    type Answer = String;
    fn handle_call(&mut self, _: Late2, from: ReplyToken<String>, ctx: &mut Context<Self>) -> Next {
        let log = ctx.set_log(MemoryStorage::default()).expect_err("init is over");
        let cluster = ctx.set_cluster(ME, [ME]).expect_err("init is over");
        from.reply(format!("{log}; {cluster}; {}", ctx.node_id()));
        Next::Wait
    }
}

#[tokio::test(start_paused = true)]
async fn init_hands_over_the_log_and_the_group() {
    let storage = MemoryStorage::default();
    let start = async || {
        let late = Late { log: Some(storage.clone()), ..Late::default() };
        Builder::server(ReplicaId(0), [], late).start().await.expect("init says who it is")
    };
    let first = start().await;
    assert_eq!((first.id(), first.client().request(1).await), (ME, Ok(1)));
    first.shutdown().await.expect("an orderly end");
    let second = start().await;
    assert_eq!(second.client().request(1).await, Ok(2), "the log was the same");
    let too_late = second.server().call(Late2).await.expect("it runs");
    assert!(
        too_late.contains("the log") && too_late.contains("the cluster") && too_late.ends_with("R4"),
        "{too_late}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_dump_tells_what_is_under_way_and_can_be_written() {
    let (cluster, diary) = desks(3).await;
    let handle = primary(&cluster).await;
    let desk = handle.server();
    assert_eq!(desk.call(Add(1, 0)).await, Ok((1, 0)));
    cluster.isolate(handle.id()).expect("it exists");
    desk.cast(Add(1, 0)).await.expect("it runs");
    desk.cast(Alarm(Duration::from_secs(60))).await.expect("it runs");
    desk.cast(Work(Duration::from_secs(60))).await.expect("it runs");
    assert_eq!(desk.call(Peek).await, Ok(1));
    let dump = handle.dump().await.expect("it runs");
    assert_eq!((dump.members.as_slice(), dump.protocol), (cluster.ids(), handle.status().protocol));
    assert_eq!(dump.waiting_requests, 1);
    let callbacks = dump.callbacks.expect("it is an actor");
    assert_eq!((callbacks.timers, callbacks.spawned), (1, 1));
    assert_eq!(diary.count("alarm"), 0);
    let written = bincode::serde::encode_to_vec(&dump, bincode::config::standard());
    assert!(written.is_ok_and(|bytes| !bytes.is_empty()));
}

struct Nowhere;
impl Transport for Nowhere {
    fn send_vsr(&mut self, _to: ReplicaId, _message: Message) {}
}
#[tokio::test(start_paused = true)]
async fn a_handle_that_is_dropped_before_it_joins_leaves_nothing() {
    let handle =
        Builder::new(ME, [], Journal::default()).transport(Nowhere).start().await.expect("it starts");
    drop(handle);
    tokio::task::yield_now().await;
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0);
}
