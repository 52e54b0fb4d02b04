//! Callbacks that keep the replica from its heartbeats are reported.

use super::desk::{Add, Desk, Diary, Peek, primary};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};
use vsr_actor::{
    Cluster, Config,
    observe::{Event, Record},
};

type Reported = Arc<Mutex<BTreeSet<(&'static str, &'static str)>>>;

async fn reported(config: Config) -> Reported {
    let reported = Reported::default();
    let seen = reported.clone();
    let cluster = Cluster::server_builder(3, || Desk::new(&Diary::default()))
        .config(config)
        .observer(move |record: &Record<'_>| {
            if let Event::CallbackSlow { callback, message, .. } = record.event {
                seen.lock().expect("no panic").insert((callback, message));
            }
        })
        .start()
        .await
        .expect("it starts");
    let desk = primary(&cluster).await.server();
    for add in 0..10 {
        desk.call(Add(1, add)).await.expect("the group is healthy");
    }
    desk.call(Peek).await.expect("the group is healthy");
    cluster.shutdown().await.expect("no replica failed");
    reported
}

#[tokio::test(start_paused = true)]
async fn a_callback_over_the_bound_is_reported_with_its_name_and_message() {
    let mut config = Config::default();
    // Everything takes longer than nothing.
    config.slow_callback = Duration::ZERO;
    config.limits.snapshot_interval_ops = 4;
    let reported = reported(config).await;
    let reported = reported.lock().expect("no panic");
    let has = |callback: &str, message: &str| {
        reported.iter().any(|(name, of)| *name == callback && of.rsplit("::").next() == Some(message))
    };
    assert!(has("handle_call", "Add") && has("handle_call", "Peek"), "{reported:?}");
    assert!(
        has("handle_commit", "u64") && has("snapshot", "Desk") && has("send_vsr", "Message"),
        "{reported:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn one_within_the_bound_is_not() {
    let mut config = Config::default();
    config.slow_callback = Duration::from_secs(3600);
    assert!(reported(config).await.lock().expect("no panic").is_empty());
}
