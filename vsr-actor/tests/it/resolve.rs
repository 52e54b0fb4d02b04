//! An unknown outcome becomes known, and nothing is executed for that.

use crate::common::{Ask, Journal, add, cluster, cluster_with, is_pending, read};
use std::time::Duration;
use tokio::time::Instant;
use vsr_actor::{Client, Cluster, Config, Outcome, ReplicaId, RequestError, RequestId, Verdict};

const SOON: Duration = Duration::from_millis(50);

/// Adds an item while no message gets through.
async fn add_in_vain(cluster: &Cluster<Journal>, client: &Client<Journal>, item: u64) -> RequestId {
    let _cut = cluster.rule(|_, _, _| Verdict::Drop);
    let error = client.with_deadline(SOON).request(Ask::Add(item)).await.expect_err("nobody can commit it");
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    error.request().unwrap_or_else(|| panic!("{error:?} names no request"))
}

#[tokio::test(start_paused = true)]
async fn what_a_partition_left_unknown_is_known_when_it_heals() {
    let cluster = cluster(3).await;
    let client = cluster.client();
    assert_eq!(add(&client, 1).await, Ok(1));
    cluster.partition(&[&[ReplicaId(0)], &[ReplicaId(1)], &[ReplicaId(2)]]);
    // The primary takes both before it knows that it is alone.
    let hasty = client.with_deadline(SOON);
    let error = hasty.request(Ask::Add(2)).await.expect_err("nobody can commit it");
    let request = error.request().expect("its outcome may be known later");
    let next = hasty.request(Ask::Add(3)).await.expect_err("nor this one");
    // Not yet: it is still unknown, still under the same name, and that takes as long as the deadline says.
    let asked = Instant::now();
    let still = hasty.resolve(request).await;
    assert_eq!(still, Err(RequestError::Deadline { waited: SOON, request }));
    assert_eq!(asked.elapsed(), SOON);
    cluster.heal();
    // By a clone, too: it is the same session.
    assert_eq!(client.clone().resolve(request).await, Ok(vec![2]));
    assert_eq!(client.resolve(next.request().expect("unknown, too")).await, Ok(vec![3]));
    assert_eq!(read(&client).await, [1, 2, 3], "executed once");
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_came_meanwhile_is_kept_and_handed_out_once() {
    let cluster = cluster(3).await;
    let client = cluster.client();
    assert_eq!(add(&client, 1).await, Ok(1));
    let request = add_in_vain(&cluster, &client, 2).await;
    assert_eq!(add(&client, 3).await, Ok(3), "behind it, so it is answered");
    // The group is not needed for what is known.
    for id in cluster.ids() {
        cluster.crash(*id).await.expect("it runs");
    }
    assert_eq!(client.resolve(request).await, Ok(vec![2]));
    assert_eq!(client.resolve(request).await, Err(RequestError::ReplyGone));
}

#[tokio::test(start_paused = true)]
async fn a_ticket_that_was_dropped_can_be_resolved_if_somebody_knows_its_name() {
    let cluster = cluster(3).await;
    let client = cluster.client();
    let ticket = client.submit(Ask::Add(1)).await.expect("room");
    let id = ticket.id();
    drop(ticket);
    assert_eq!(client.resolve(id).await, Ok(vec![1]), "dropped before the reply came");

    let ticket = client.submit(Ask::Add(2)).await.expect("room");
    let id = ticket.id();
    assert_eq!(read(&client).await, [1, 2]);
    drop(ticket);
    assert_eq!(client.resolve(id).await, Ok(vec![2]), "dropped after the reply came");

    let ticket = client.submit(Ask::Add(3)).await.expect("room");
    let id = ticket.id();
    assert_eq!(ticket.await, Ok(vec![3]));
    assert_eq!(client.resolve(id).await, Err(RequestError::ReplyGone), "it was handed out");

    let mut ticket = std::pin::pin!(client.submit(Ask::Add(4)).await.expect("room"));
    assert!(is_pending(ticket.as_mut()).await);
    let id = ticket.id();
    assert_eq!(client.resolve(id).await, Err(RequestError::Awaited { request: id }), "the ticket is there");
    assert_eq!(ticket.await, Ok(vec![4]));
    assert_eq!(read(&client).await, [1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn of_two_who_resolve_at_once_one_gets_the_reply_and_a_cancelled_one_gives_way() {
    let cluster = cluster(3).await;
    let client = cluster.client();
    assert_eq!(add(&client, 1).await, Ok(1));
    let request = add_in_vain(&cluster, &client, 2).await;
    {
        let mut first = std::pin::pin!(client.resolve(request));
        assert!(is_pending(first.as_mut()).await);
        assert_eq!(client.resolve(request).await, Err(RequestError::Awaited { request }));
    }
    assert_eq!(client.resolve(request).await, Ok(vec![2]));
    assert_eq!(read(&client).await, [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn what_was_not_executed_stays_not_executed() {
    let cluster = cluster(3).await;
    let primary = cluster.primary().await.expect("a primary");
    let [first, second] = [(); 2].map(|()| cluster.handle(primary).expect("it runs").client());
    assert_eq!(add(&first, 1).await, Ok(1));
    assert_eq!(add(&second, 2).await, Ok(2));
    cluster.isolate(primary).expect("it exists");
    // The primary finds out that it is alone.
    let taken = add(&first, 3).await.expect_err("nobody can commit it").request().expect("unknown");
    let ticket = second.submit(Ask::Add(4)).await.expect("room");
    let refused = ticket.id();
    let error = ticket.await.expect_err("the primary takes nothing any more");
    assert_eq!(error.outcome(), Outcome::NotExecuted, "{error}");
    cluster.heal();
    for _ in 0..2 {
        assert_eq!(second.resolve(refused).await, Err(error.clone()), "the same, as often as one likes");
    }
    let executed = first.resolve(taken).await;
    assert!(executed.is_ok(), "{executed:?}");
    assert_eq!(read(&second).await, [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn an_evicted_session_answers_honestly() {
    let mut config = Config::default();
    config.replicated.sessions_max = 2;
    let cluster = cluster_with(3, config).await;
    let primary = cluster.primary().await.expect("the group has formed");
    let first = cluster.handle(primary).expect("it runs").client();
    let [second, third] = [(); 2].map(|()| cluster.client_at(ReplicaId(2)).expect("it exists"));
    assert_eq!(add(&first, 1).await, Ok(1));
    let known = add_in_vain(&cluster, &first, 2).await;
    assert_eq!(add(&first, 3).await, Ok(3));
    // Taken by a primary that is alone, while the others give its session away.
    cluster.isolate(primary).expect("it exists");
    let error = first.with_deadline(SOON).request(Ask::Add(4)).await.expect_err("nobody can commit it");
    let lost = error.request().expect("unknown");
    for client in [&second, &third] {
        add(client, 0).await.expect("a quorum is there");
    }
    cluster.heal();
    for _ in 0..2 {
        assert_eq!(first.resolve(lost).await, Err(RequestError::SessionEvicted));
    }
    assert_eq!(first.resolve(known).await, Ok(vec![2]), "it was answered before");
    assert_eq!(add(&first, 5).await, Ok(6), "in a new session");
    assert_eq!(read(&first).await, [1, 2, 3, 0, 0, 5]);
    // Numbers start over in the new session, names do not.
    assert_eq!(first.resolve(known).await, Err(RequestError::ReplyGone));
    assert_eq!(first.resolve(lost).await, Err(RequestError::SessionEvicted));
}

#[tokio::test(start_paused = true)]
async fn another_clients_request_is_refused() {
    let cluster = cluster(3).await;
    let [own, other] = [(); 2].map(|()| cluster.client());
    assert_eq!(add(&own, 1).await, Ok(1));
    assert_eq!(add(&other, 2).await, Ok(2));
    let request = add_in_vain(&cluster, &own, 3).await;
    let error = other.resolve(request).await.expect_err("it is not its own");
    assert_eq!(error, RequestError::Foreign { request });
    assert!(error.to_string().contains("only the client that sent a request"), "{error}");
    assert_eq!(own.resolve(request).await, Ok(vec![3]));
}

#[tokio::test(start_paused = true)]
async fn replies_that_nobody_asks_for_are_bounded_by_the_window_and_the_newest_stay() {
    let mut config = Config::default();
    config.replicated.window = 4;
    let cluster = cluster_with(3, config).await;
    let client = cluster.client();
    assert_eq!(add(&client, 0).await, Ok(1));
    let mut requests = Vec::new();
    for round in 0..3 {
        let cut = cluster.rule(|_, _, _| Verdict::Drop);
        let hasty = client.with_deadline(SOON);
        let tickets: Vec<_> = (1..=4)
            .map(|item| hasty.try_submit(Ask::Add(4 * round + item)).expect("room for four"))
            .collect();
        for ticket in tickets {
            let error = ticket.await.expect_err("nobody can commit it");
            requests.push(error.request().expect("unknown"));
        }
        // Unknown requests hold their places in the window: no more than `window` are under way.
        assert!(matches!(client.try_submit(Ask::Add(99)), Err(RequestError::Overloaded { .. })));
        drop(cut);
        assert!(client.request(Ask::Pad(Vec::new())).await.is_ok(), "behind them, so they are answered");
    }
    for (request, count) in requests.iter().zip(2..) {
        let told = client.resolve(*request).await;
        let kept = count >= 10;
        assert_eq!(told, if kept { Ok(vec![count]) } else { Err(RequestError::ReplyGone) }, "{request}");
    }
    assert_eq!(read(&client).await, (0..=12).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_nobody_can_answer_any_more_says_so() {
    let cluster = cluster(3).await;
    let client = cluster.client();
    assert_eq!(add(&client, 1).await, Ok(1));
    let kept = add_in_vain(&cluster, &client, 2).await;
    assert_eq!(add(&client, 3).await, Ok(3));
    let unknown = add_in_vain(&cluster, &client, 4).await;
    cluster.shutdown().await.expect("nobody failed");
    let stopped = RequestError::Stopped { outcome: Outcome::Unknown };
    for _ in 0..2 {
        assert_eq!(client.resolve(unknown).await, Err(stopped.clone()));
    }
    assert_eq!(client.resolve(kept).await, Ok(vec![2]));
    assert_eq!(client.resolve(kept).await, Err(stopped), "less than it knew, but true");
}
