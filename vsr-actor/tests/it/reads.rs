//! Reads beside the log: what each kind promises, and what becomes of it when replicas die and networks break.

use crate::common::{Ask, Journal, Spec, add, cluster};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, sleep};
use vsr_actor::{
    Client, Cluster, OpNumber, Outcome, ReplicaId, RequestError, Token, Verdict,
    linearizability::{CallOutcome, Recorder, check},
    vsr_core::Body,
};

async fn look(client: &Client<Journal>) -> Result<Vec<u64>, RequestError> {
    client.read_linearizable(|journal| journal.items().to_vec()).await
}

fn only_at(cluster: &Cluster<Journal>, id: ReplicaId) -> Client<Journal> {
    cluster.handle(id).expect("it runs").client()
}

#[tokio::test(start_paused = true)]
async fn a_read_sees_every_write_that_was_answered_at_every_replica() {
    let cluster = cluster(3).await;
    let writer = cluster.client();
    let readers: Vec<_> = cluster.ids().iter().map(|id| only_at(&cluster, *id)).collect();
    for item in 0..30 {
        add(&writer, item).await.expect("the group is healthy");
        for reader in &readers {
            assert_eq!(look(reader).await.map(|items| items.len() as u64), Ok(item + 1));
        }
    }
    let ops = cluster.statuses()[0].protocol.op;
    // The registration of the writer and its writes: a read is no entry of the log.
    assert_eq!(ops, OpNumber(31));
}

#[tokio::test(start_paused = true)]
async fn a_backup_waits_for_what_it_lacks() {
    let cluster = cluster(3).await;
    let (writer, backup) = (cluster.client(), ReplicaId(2));
    let _slow = cluster.rule(move |_, to, message| match message.body {
        Body::Prepare { .. } | Body::NewState(_) if to == backup => Verdict::Delay(Duration::from_millis(60)),
        _ => Verdict::Deliver,
    });
    let reader = only_at(&cluster, backup);
    for item in 0..5 {
        assert_eq!(add(&writer, item).await, Ok(item + 1));
        assert_eq!(look(&reader).await.map(|items| items.len() as u64), Ok(item + 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_of_one_reads_what_it_wrote() {
    let cluster = cluster(1).await;
    let client = cluster.client();
    assert_eq!(add(&client, 1).await, Ok(1));
    assert_eq!(look(&client).await, Ok(vec![1]));
}

#[tokio::test(start_paused = true)]
async fn a_read_needs_no_session() {
    let cluster = cluster(3).await;
    assert_eq!(look(&cluster.client()).await, Ok(vec![]));
    assert_eq!(cluster.statuses()[0].protocol.sessions, 0);
}

#[tokio::test(start_paused = true)]
async fn a_primary_that_is_cut_off_serves_no_read() {
    let cluster = cluster(3).await;
    let writer = cluster.client();
    assert_eq!(add(&writer, 1).await, Ok(1));
    let old = cluster.primary().await.expect("a primary");
    let reader = only_at(&cluster, old).with_deadline(Duration::from_secs(3));
    cluster.isolate(old).expect("it exists");
    let begun = Instant::now();
    let cut_off = tokio::spawn(async move { (look(&reader).await, reader) });
    assert_eq!(add(&writer, 2).await, Ok(2));
    let (read, reader) = cut_off.await.expect("no panic");
    let error = read.expect_err("a quorum cannot be reached");
    assert!(matches!(error, RequestError::NoPrimary { .. }), "{error}");
    assert_eq!((error.outcome(), error.is_retryable()), (Outcome::NotExecuted, true));
    assert_eq!(begun.elapsed().as_secs(), 3);
    // What is promised to be outdated may be.
    let stale = reader.read_stale(|journal| journal.items().to_vec()).await.expect("it runs");
    assert_eq!((stale.value, stale.op), (vec![1], OpNumber(2)));
    cluster.heal();
    assert_eq!(look(&reader).await, Ok(vec![1, 2]));
}

#[tokio::test(start_paused = true)]
async fn a_read_survives_the_crash_of_its_replica() {
    let cluster = cluster(3).await;
    let client = cluster.client();
    assert_eq!(add(&client, 1).await, Ok(1));
    let primary = cluster.primary().await.expect("a primary");
    // Under way when its replica dies: no backup hears the question.
    let mute = cluster.rule(move |from, _, _| if from == primary { Verdict::Drop } else { Verdict::Deliver });
    let under_way = {
        let client = client.clone();
        tokio::spawn(async move { look(&client).await })
    };
    sleep(Duration::from_millis(20)).await;
    let crashed = Instant::now();
    cluster.crash(primary).await.expect("it runs");
    drop(mute);
    assert_eq!(under_way.await.expect("no panic"), Ok(vec![1]));
    assert!(crashed.elapsed().as_millis() < 1000, "{:?}", crashed.elapsed());
    assert_eq!(look(&client).await, Ok(vec![1]));
}

#[tokio::test(start_paused = true)]
async fn messages_of_reads_may_be_lost() {
    let cluster = cluster(3).await;
    let writer = cluster.client();
    assert_eq!(add(&writer, 1).await, Ok(1));
    // Of each kind on each link every other one.
    let sent = Mutex::new(HashMap::new());
    let lost = Arc::new(AtomicUsize::new(0));
    let counter = lost.clone();
    let _rule = cluster.rule(move |from, to, message| match message.body {
        Body::Probe { .. } | Body::ProbeOk { .. } | Body::ReadIndex { .. } | Body::ReadIndexOk { .. } => {
            let mut sent = sent.lock().expect("nobody panics holding it");
            let count: &mut usize = sent.entry((from, to, message.body.name() as usize)).or_default();
            *count += 1;
            if count.is_multiple_of(2) {
                return Verdict::Duplicate;
            }
            counter.fetch_add(1, Ordering::Relaxed);
            Verdict::Drop
        }
        _ => Verdict::Deliver,
    });
    for id in cluster.ids() {
        let reader = only_at(&cluster, *id);
        for _ in 0..10 {
            assert_eq!(look(&reader).await, Ok(vec![1]));
        }
    }
    assert!(lost.load(Ordering::Relaxed) > 60, "{lost:?}");
}

#[tokio::test(start_paused = true)]
async fn a_token_brings_what_was_written_to_any_replica() {
    let cluster = cluster(3).await;
    let (writer, backup) = (cluster.client(), ReplicaId(2));
    let slow =
        cluster.rule(
            move |_, to, _| {
                if to == backup { Verdict::Delay(Duration::from_millis(80)) } else { Verdict::Deliver }
            },
        );
    assert_eq!(writer.token(), Token::default());
    assert_eq!(add(&writer, 1).await, Ok(1));
    let token = writer.clone().token();
    assert_eq!(token.op(), OpNumber(2));
    // It travels as bytes.
    let bytes = bincode::serde::encode_to_vec(token, bincode::config::standard()).expect("a number");
    let (token, _) = bincode::serde::decode_from_slice::<Token, _>(&bytes, bincode::config::standard())
        .expect("it was written so");
    let reader = only_at(&cluster, backup);
    let stale = reader.read_stale(|journal| journal.items().to_vec()).await.expect("it runs");
    assert!(stale.op < token.op() && stale.value.is_empty(), "{stale:?}");
    assert_eq!(reader.read_after(token, |journal| journal.items().to_vec()).await, Ok(vec![1]));
    assert!(reader.token() >= token, "a read is part of what a client knows");
    drop(slow);
}

#[tokio::test(start_paused = true)]
async fn a_token_of_what_never_was_is_waited_for_until_the_deadline() {
    let cluster = cluster(3).await;
    let client = cluster.client().with_deadline(Duration::from_secs(4));
    let (future, _) =
        bincode::serde::decode_from_slice::<Token, _>(&[99], bincode::config::standard()).expect("a number");
    let begun = Instant::now();
    let error = client.read_after(future, |_| ()).await.expect_err("nobody has so many");
    assert!(matches!(error, RequestError::Behind { .. }), "{error}");
    assert_eq!((error.outcome(), begun.elapsed().as_secs()), (Outcome::NotExecuted, 4));
}

#[tokio::test(start_paused = true)]
async fn a_group_without_a_quorum_reads_nothing_but_what_it_has() {
    let cluster = cluster(3).await;
    let client = cluster.client().with_deadline(Duration::from_secs(2));
    assert_eq!(add(&client, 1).await, Ok(1));
    let token = client.token();
    cluster.await_convergence().await.expect("all are connected");
    cluster.crash(ReplicaId(0)).await.expect("it runs");
    cluster.crash(ReplicaId(1)).await.expect("it runs");
    let error = look(&client).await.expect_err("one of three is no quorum");
    assert!(matches!(error, RequestError::NoPrimary { .. }), "{error}");
    // What the token stands for is known to be there: whoever has it may say so.
    assert_eq!(client.read_after(token, |journal| journal.items().to_vec()).await, Ok(vec![1]));
    cluster.restart(ReplicaId(0)).await.expect("its storage is fine");
    assert_eq!(look(&client).await, Ok(vec![1]));
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_read_is_the_readers_own() {
    let cluster = cluster(3).await;
    let client = cluster.client();
    assert_eq!(add(&client, 1).await, Ok(1));
    let panicking = |journal: &Journal| -> u64 { panic!("looked at {} items", journal.items().len()) };
    for id in cluster.ids() {
        let reader = only_at(&cluster, *id);
        let told = reader.read_linearizable(panicking).await;
        assert_eq!(told, Err(RequestError::ReadPanicked { reason: "looked at 1 items".into() }));
        let error = reader.read_stale(panicking).await.expect_err("it panics here, too");
        assert_eq!((error.outcome(), error.is_retryable()), (Outcome::NotExecuted, false));
    }
    assert!(cluster.statuses().iter().all(|status| status.health.is_running()));
    assert_eq!(add(&client, 2).await, Ok(2));
    assert_eq!(look(&client).await, Ok(vec![1, 2]));
}

/// Panics when it is dropped by anybody but the reader.
struct Grenade(Arc<AtomicU64>);

impl Drop for Grenade {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
        panic!("dropped");
    }
}

#[tokio::test(start_paused = true)]
async fn what_nobody_waits_for_any_more_does_no_harm() {
    let cluster = cluster(3).await;
    let backup = ReplicaId(1);
    let reader = only_at(&cluster, backup);
    let dropped = Arc::new(AtomicU64::new(0));
    let grenade = Grenade(dropped.clone());
    cluster.pause(backup).expect("it runs");
    sleep(Duration::from_millis(200)).await;
    let read = tokio::spawn(async move {
        reader
            .read_linearizable(move |journal: &Journal| {
                let _held = &grenade;
                journal.items().len()
            })
            .await
    });
    sleep(Duration::from_millis(10)).await;
    // The caller goes; the replica has the last reference to the code.
    read.abort();
    assert!(read.await.expect_err("it was aborted").is_cancelled());
    cluster.resume(backup).expect("it runs");
    assert_eq!(look(&only_at(&cluster, backup)).await, Ok(vec![]));
    assert_eq!(dropped.load(Ordering::Relaxed), 1);
    assert!(cluster.handle(backup).expect("it was started").status().health.is_running());
}

#[tokio::test(start_paused = true)]
async fn reads_of_a_cluster_that_is_gone_say_so() {
    let cluster = cluster(3).await;
    let client = cluster.client();
    assert_eq!(look(&client).await, Ok(vec![]));
    cluster.shutdown().await.expect("nobody failed");
    assert_eq!(look(&client).await, Err(RequestError::Stopped { outcome: Outcome::NotExecuted }));
}

#[tokio::test(start_paused = true)]
async fn writes_and_reads_beside_the_log_are_one_linearizable_history() {
    let cluster = cluster(3).await;
    let recorder = Arc::new(Recorder::new());
    let people: Vec<_> = (0..6)
        .map(|person: u64| {
            let client = cluster.client_at(cluster.ids()[person as usize % 3]).expect("it exists");
            let recorder = recorder.clone();
            tokio::spawn(async move {
                let mut not_executed = Vec::new();
                for item in 0..60 {
                    let op = (item % 3 == 0).then_some(person * 1000 + item);
                    let call = recorder.invoke(op);
                    let ended = match op {
                        Some(item) => client.request(Ask::Add(item)).await,
                        None => look(&client).await,
                    };
                    match ended {
                        Ok(reply) => recorder.returned(call, reply),
                        Err(error) if error.outcome() == Outcome::NotExecuted => not_executed.push(call),
                        Err(_) => {}
                    }
                    sleep(Duration::from_millis(person * 7 + item)).await;
                }
                not_executed
            })
        })
        .collect();
    let watcher = cluster.client();
    for round in 0..6 {
        look(&watcher).await.expect("it recovers");
        let Ok(primary) = cluster.primary().await else { continue };
        if round % 2 == 0 {
            cluster.crash(primary).await.expect("it runs");
            cluster.primary().await.expect("two are left");
            cluster.restart(primary).await.expect("its storage is fine");
        } else {
            cluster.isolate(primary).expect("it exists");
            sleep(Duration::from_secs(1)).await;
            cluster.heal();
        }
    }
    let mut not_executed = Vec::new();
    for person in people {
        not_executed.extend(person.await.expect("no assertion failed"));
    }
    let calls = Arc::into_inner(recorder).expect("all tasks have ended").into_calls_without(&not_executed);
    let returned = |call: &&vsr_actor::linearizability::Call<Option<u64>, Vec<u64>>| {
        matches!(call.outcome, CallOutcome::Returned { .. })
    };
    let reads = calls.iter().filter(returned).filter(|call| call.op.is_none()).count();
    assert!(reads > 200, "{reads} reads of {} calls", calls.len());
    check::<Spec>(&calls).expect("linearizable");
}
