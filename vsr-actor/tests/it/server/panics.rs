//! User code that the replica runs for a callback, later: when it panics, that ends the replica, which says so.

use std::time::Duration;
use tokio::time::timeout;
use vsr_actor::{Builder, Config, Handle, ReplicaError, ReplicaId, prelude::*};

/// Thinks that nothing goes wrong.
#[derive(Default, Serialize, Deserialize)]
struct Hasty;

impl StateMachine for Hasty {
    type Operation = u64;
    type Reply = u64;
    fn handle_commit(&mut self, _commit: &Commit, number: u64) -> u64 {
        number
    }
}

impl VsrServer for Hasty {}

struct Ask;
struct Got(u64);
struct Tick;

impl Clone for Tick {
    fn clone(&self) -> Self {
        panic!("there is but one of me")
    }
}

impl HandleCast<Ask> for Hasty {
    fn handle_cast(&mut self, _: Ask, ctx: &mut Context<Self>) -> Next {
        ctx.request_info(1, |reply| Got(reply.expect("there is always a reply")))
    }
}

impl HandleInfo<Got> for Hasty {
    fn handle_info(&mut self, Got(number): Got, _: &mut Context<Self>) -> Next {
        assert_eq!(number, 1);
        Next::Wait
    }
}

impl HandleCast<Tick> for Hasty {
    fn handle_cast(&mut self, tick: Tick, ctx: &mut Context<Self>) -> Next {
        ctx.send_interval(Duration::from_secs(1), tick);
        Next::Wait
    }
}

impl HandleInfo<Tick> for Hasty {
    fn handle_info(&mut self, _: Tick, _: &mut Context<Self>) -> Next {
        Next::Wait
    }
}

/// One of three replicas: no request gets a reply.
async fn alone() -> Handle<Hasty> {
    let mut config = Config::default();
    config.client.deadline = Duration::from_millis(300);
    let ids = [0, 1, 2].map(ReplicaId);
    Builder::server(ids[0], ids, Hasty).config(config).start().await.expect("it starts")
}

async fn end(handle: &Handle<Hasty>) -> (&'static str, String) {
    match timeout(Duration::from_secs(60), handle.join()).await {
        Ok(Err(ReplicaError::Callback { callback, reason })) => (callback, reason),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn what_becomes_of_an_outcome_may_panic() {
    let handle = alone().await;
    // Several at once: the panic of one must not meet that of another.
    for _ in 0..3 {
        handle.server().cast(Ask).await.expect("it runs");
    }
    let (callback, reason) = end(&handle).await;
    assert_eq!(callback, "spawn");
    assert!(reason.contains("there is always a reply"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn the_clone_of_an_info_may_panic() {
    let handle = alone().await;
    handle.server().cast(Tick).await.expect("it runs");
    assert_eq!(end(&handle).await, ("send_interval", "there is but one of me".into()));
}
