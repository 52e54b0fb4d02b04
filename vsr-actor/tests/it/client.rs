//! Sessions: order, sharing, callers that lose interest.

use crate::common::{Ask, add, cluster, read};
use vsr_actor::{Outcome, ReplicaId, RequestError};

#[tokio::test(start_paused = true)]
async fn what_one_task_submits_is_executed_in_that_order() {
    let cluster = cluster(3).await;
    for client in [cluster.client(), cluster.client_at(ReplicaId(2)).expect("it exists")] {
        let before = read(&client).await.len() as u64;
        let mut tickets = Vec::new();
        for item in 0..3000 {
            tickets.push(client.submit(Ask::Add(item)).await.expect("the window moves on"));
        }
        for (item, ticket) in (0..).zip(tickets) {
            assert_eq!(ticket.await, Ok(vec![before + item + 1]));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn clones_share_a_session_between_tasks() {
    let cluster = cluster(3).await;
    let client = cluster.client();
    let tasks: Vec<_> = (0..50)
        .map(|task| {
            let client = client.clone();
            tokio::spawn(async move {
                for item in 0..20 {
                    add(&client, task * 100 + item).await.expect("the group is healthy");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no assertion failed");
    }
    let items = read(&client).await;
    assert_eq!(items.len(), 1000);
    for task in 0..50 {
        let own: Vec<_> = items.iter().filter(|item| **item / 100 == task).map(|item| item % 100).collect();
        assert_eq!(own, (0..20).collect::<Vec<_>>());
    }
    assert_eq!(cluster.statuses()[0].protocol.sessions, 1);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_does_not_disturb_the_session() {
    let cluster = cluster(3).await;
    let client = cluster.client();
    assert_eq!(add(&client, 1).await, Ok(1));
    {
        let mut request = std::pin::pin!(client.request(Ask::Add(2)));
        // Sent with the first poll; nobody waits for the reply.
        std::future::poll_fn(|context| {
            assert!(request.as_mut().poll(context).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
    }
    drop(client.submit(Ask::Add(3)).await.expect("there is room"));
    assert_eq!(add(&client, 4).await, Ok(4));
    assert_eq!(read(&client).await, [1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn a_ticket_outlives_its_client() {
    let cluster = cluster(3).await;
    let ticket = cluster.client().submit(Ask::Add(1)).await.expect("there is room");
    assert_eq!(ticket.await, Ok(vec![1]));
}

#[tokio::test(start_paused = true)]
async fn a_client_whose_cluster_is_gone_is_told_so() {
    let cluster = cluster(3).await;
    let client = cluster.client();
    assert_eq!(add(&client, 1).await, Ok(1));
    cluster.shutdown().await.expect("nobody failed");
    let error = add(&client, 2).await.expect_err("nobody is left");
    assert_eq!(error, RequestError::Stopped { outcome: Outcome::NotExecuted });
}

#[test]
fn a_client_whose_runtime_is_gone_is_told_so() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().start_paused(true).build().expect("a runtime")
    };
    let own = runtime();
    let cluster = own.block_on(cluster(3));
    let client = cluster.client();
    assert_eq!(own.block_on(add(&client, 1)), Ok(1));
    // No task gets to run between this and the end.
    let under_way = own.block_on(client.submit(Ask::Add(2))).expect("there is room");
    drop(own);
    runtime().block_on(async {
        let hour = std::time::Duration::from_secs(3600);
        let told = tokio::time::timeout(hour, under_way).await.expect("it does not hang");
        assert!(matches!(told, Err(RequestError::Stopped { .. })), "{told:?}");
        let told = tokio::time::timeout(hour, add(&client, 3)).await.expect("it does not hang");
        assert_eq!(told, Err(RequestError::Stopped { outcome: Outcome::NotExecuted }));
    });
}

#[tokio::test]
async fn it_works_in_real_time_on_one_thread() {
    let cluster = cluster(3).await;
    let client = cluster.client();
    for item in 0..100 {
        add(&client, item).await.expect("the group is healthy");
    }
    assert_eq!(read(&client).await.len(), 100);
}
