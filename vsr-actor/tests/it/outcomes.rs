//! What a client is told when there is no reply, and that it is true.

use crate::common::{Ask, add, cluster, cluster_with, read};
use std::time::Duration;
use tokio::time::Instant;
use vsr_actor::{Config, Outcome, ReplicaId, RequestError, Verdict};

#[tokio::test(start_paused = true)]
async fn without_a_quorum_a_request_that_nobody_took_was_not_executed() {
    let cluster = cluster(3).await;
    let client = cluster.client();
    assert_eq!(add(&client, 1).await, Ok(1));
    cluster.partition(&[&[ReplicaId(0)], &[ReplicaId(1)], &[ReplicaId(2)]]);
    // The primary takes this one before it knows that it is alone.
    let taken = add(&client, 2).await.expect_err("nobody can commit it");
    assert_eq!(taken.outcome(), Outcome::Unknown, "{taken}");
    cluster.heal();
    cluster.await_convergence().await.expect("all are connected");
    assert!(read(&client).await.starts_with(&[1]));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_only_refused_was_not_executed_and_its_number_is_free() {
    let cluster = cluster(3).await;
    let primary = cluster.primary().await.expect("a primary");
    // Two clients that know this replica only.
    let [first, second] = [(); 2].map(|()| cluster.handle(primary).expect("it runs").client());
    assert_eq!(add(&first, 1).await, Ok(1));
    assert_eq!(add(&second, 2).await, Ok(2));
    cluster.isolate(primary).expect("it exists");
    // Proposed, for all that the client can know; by its deadline the primary has found out that it is alone.
    let error = add(&first, 3).await.expect_err("nobody can commit it");
    assert!(matches!(error, RequestError::Deadline { .. }), "{error}");
    let tickets: Vec<_> = [4, 5].map(|item| second.try_submit(Ask::Add(item)).expect("there is room")).into();
    for ticket in tickets {
        let error = ticket.await.expect_err("the primary takes nothing any more");
        assert!(matches!(error, RequestError::NoPrimary { .. }), "{error}");
        assert_eq!(error.outcome(), Outcome::NotExecuted);
    }
    cluster.heal();
    assert!(add(&second, 6).await.is_ok(), "the numbers of what was withdrawn are used again");
    cluster.await_convergence().await.expect("all are connected");
    let items = read(&second).await;
    assert!(items == [1, 2, 6] || items == [1, 2, 3, 6] || items == [1, 2, 6, 3], "{items:?}");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_request_is_executed_once_when_the_network_heals() {
    let cluster = cluster(3).await;
    let client = cluster.client();
    assert_eq!(add(&client, 1).await, Ok(1));
    let rule = cluster.rule(|_, _, _| Verdict::Drop);
    let error = client.with_deadline(Duration::from_millis(50)).request(Ask::Add(2)).await;
    assert!(matches!(error, Err(RequestError::Deadline { .. })), "{error:?}");
    drop(rule);
    // The session still sends it: what comes after it waits for it.
    assert_eq!(add(&client, 3).await, Ok(3));
    assert_eq!(read(&client).await, [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_is_too_large_is_refused_before_it_gets_a_number() {
    let mut config = Config::default();
    config.limits.operation_bytes_max = 1000;
    let cluster = cluster_with(3, config).await;
    let client = cluster.client();
    let error =
        client.request(Ask::Pad(vec![0; 1000])).await.expect_err("more than 1000 bytes with its length");
    assert!(matches!(error, RequestError::TooLarge { bytes_max: 1000, .. }), "{error}");
    assert_eq!(error.outcome(), Outcome::NotExecuted);
    assert_eq!(add(&client, 1).await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn a_full_window_makes_callers_wait_or_says_so() {
    let mut config = Config::default();
    config.replicated.window = 4;
    let cluster = cluster_with(3, config).await;
    let client = cluster.client();
    assert_eq!(add(&client, 0).await, Ok(1));
    let rule = cluster.rule(|_, _, _| Verdict::Drop);
    let tickets: Vec<_> =
        (1..=4).map(|item| client.try_submit(Ask::Add(item)).expect("room for four")).collect();
    assert!(matches!(client.try_submit(Ask::Add(5)), Err(RequestError::Overloaded { .. })));
    let waits = client.with_deadline(Duration::from_millis(200)).submit(Ask::Add(5)).await;
    assert!(matches!(waits, Err(RequestError::Overloaded { .. })));
    drop(rule);
    for ticket in tickets {
        ticket.await.expect("the group is healthy again");
    }
    assert_eq!(read(&client).await, [0, 1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_that_is_full_makes_clients_wait() {
    let mut config = Config::default();
    config.mailboxes.clients = 4;
    let cluster = cluster_with(3, config).await;
    let clients: Vec<_> = (0..20).map(|_| cluster.client()).collect();
    let mut tickets = Vec::new();
    for (item, client) in (0..).zip(&clients) {
        for _ in 0..20 {
            tickets.push(client.submit(Ask::Add(item)).await.expect("room in the window"));
        }
    }
    for ticket in tickets {
        ticket.await.expect("the mailbox drains");
    }
    assert_eq!(read(&clients[0]).await.len(), 400);
}

#[tokio::test(start_paused = true)]
async fn an_evicted_session_makes_what_was_sent_unknown_and_the_client_goes_on() {
    let mut config = Config::default();
    config.replicated.sessions_max = 2;
    for n in [1, 3] {
        let cluster = cluster_with(n, config.clone()).await;
        let primary = cluster.handle(cluster.primary().await.expect("a primary")).expect("it runs");
        // Clients of the group find another door; those of one replica must be told at this one.
        let client = |of_group: bool| if of_group { cluster.client() } else { primary.client() };
        for of_group in [true, false] {
            let [first, second, third] = [(); 3].map(|()| client(of_group));
            let before = read(&first).await;
            let begun = Instant::now();
            for client in [&second, &third] {
                add(client, 1).await.expect("the group is healthy");
            }
            let error = add(&first, 2).await.expect_err("its session had to go");
            assert_eq!(error, RequestError::SessionEvicted);
            assert_eq!(error.outcome(), Outcome::Unknown);
            assert_eq!(add(&first, 3).await, Ok(before.len() as u64 + 3), "a new session was opened");
            assert_eq!(read(&first).await, [&before[..], &[1, 1, 3]].concat());
            assert!(
                begun.elapsed() < config.client.retry_min / 2,
                "nothing was tried twice: {:?}",
                begun.elapsed()
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_evicted_session_is_told_so_where_its_slot_is_in_use_again() {
    let mut config = Config::default();
    config.replicated.sessions_max = 2;
    let cluster = cluster_with(1, config).await;
    let replica = cluster.handle(ReplicaId(0)).expect("it runs");
    let clients = [(); 3].map(|()| replica.client());
    // Round and round: each takes the slot of the next one, and uses it.
    let mut executed = Vec::new();
    for item in 0..12 {
        let begun = Instant::now();
        match add(&clients[item as usize % 3], item).await {
            Ok(_) => executed.push(item),
            Err(error) => assert_eq!(error, RequestError::SessionEvicted),
        }
        assert!(begun.elapsed() < Duration::from_millis(50), "{item}: {:?}", begun.elapsed());
    }
    assert_eq!(executed[..3], [0, 1, 2]);
    let reader = replica.client();
    assert_eq!(read(&reader).await, executed);
}

#[tokio::test(start_paused = true)]
async fn whoever_wants_no_deadline_may_say_so() {
    let cluster = cluster(3).await;
    assert_eq!(add(&cluster.client().with_deadline(Duration::MAX), 1).await, Ok(1));
    let mut config = Config::default();
    config.client.deadline = Duration::MAX;
    config.client.retry_min = Duration::MAX;
    config.client.retry_max = Duration::MAX;
    let patient = cluster_with(3, config.clone()).await;
    assert_eq!(add(&patient.client(), 1).await, Ok(1));
    config.client.retry_min = Duration::from_millis(100);
    let cluster = cluster_with(3, config).await;
    let client = cluster.client();
    let rule = cluster.rule(|_, _, _| Verdict::Drop);
    let mut waits = tokio::spawn(async move { add(&client, 1).await });
    let answered = tokio::time::timeout(Duration::from_secs(600), &mut waits).await;
    assert!(answered.is_err(), "nothing is answered while no message arrives");
    drop(rule);
    // The next attempt is minutes away by now; a new view is an occasion, too.
    cluster.crash(cluster.primary().await.expect("a primary")).await.expect("it runs");
    assert_eq!(waits.await.expect("no panic"), Ok(1));
}

#[tokio::test(start_paused = true)]
async fn registrations_of_clients_that_are_gone_make_room() {
    let mut config = Config::default();
    config.replicated.sessions_max = 4;
    let cluster = cluster_with(3, config).await;
    let primary = cluster.primary().await.expect("a primary");
    let backup = *cluster.ids().iter().find(|id| **id != primary).expect("three of them");
    let handle = cluster.handle(backup).expect("it runs");
    cluster.isolate(backup).expect("it exists");
    for item in 0..8 {
        let client = handle.client().with_deadline(Duration::from_millis(500));
        assert!(add(&client, item).await.is_err(), "it reaches nobody");
    }
    cluster.heal();
    cluster.await_convergence().await.expect("all are connected");
    assert_eq!(add(&handle.client(), 8).await, Ok(1));
}
