//! Chapter 5: replicas that come back by themselves, and an orderly end.
use crate::bank::{Bank, Receipt, deposit};
use std::{error::Error, sync::Arc};
use tokio::task::JoinSet;
use tokio_stream::StreamExt;
use tokio_util::sync::CancellationToken;
use vsr_actor::{Restart, Supervisor, prelude::*};

pub async fn run() -> Result<(), Box<dyn Error>> {
    let cluster = Arc::new(Cluster::in_process(3, Bank::default).await?);
    let quit = CancellationToken::new();
    let supervisor = Supervisor::builder().until(quit.clone()).start()?;

    let mut children = Vec::new();
    for id in cluster.ids().to_vec() {
        let cluster = cluster.clone();
        let start = move || {
            let cluster = cluster.clone();
            async move { cluster.running(id).await }
        };
        children.push(supervisor.start(format!("bank {id}"), Restart::Permanent, start).await?);
    }

    let bank = cluster.client();
    bank.request(deposit("Ada", 500)).await?;

    let primary = cluster.primary().await?;
    let mut lives = children[primary.0 as usize].handles();
    lives.next().await.expect("it lives");
    cluster.crash(primary).await?;
    let again = lives.next().await.expect("it is started again");
    println!("chapter 5: {} is back", again.id());
    assert_eq!(bank.request(deposit("Ada", 20)).await?, Receipt::Balance(520));

    let mut tasks = JoinSet::new();
    supervisor.spawn_into(&mut tasks);
    quit.cancel();
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    println!("chapter 5: {}", cluster.statuses()[0]);
    Ok(())
}
