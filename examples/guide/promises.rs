//! Chapter 2: what a reply promises, and what an error says.
use crate::bank::{Bank, Receipt, deposit, transfer};
use std::{error::Error, time::Duration};
use vsr_actor::{Outcome, Verdict, prelude::*};

pub async fn run() -> Result<(), Box<dyn Error>> {
    let cluster = Cluster::in_process(3, Bank::default).await?;
    let bank = cluster.client();

    assert_eq!(bank.request(deposit("Ada", 500)).await?, Receipt::Balance(500));
    assert_eq!(bank.request(transfer("Ada", "Bob", 900)).await?, Receipt::TooPoor { has: 500 });

    let primary = cluster.primary().await?;
    let (paid, crashed) = tokio::join!(bank.request(transfer("Ada", "Bob", 200)), cluster.crash(primary));
    crashed?;
    assert_eq!(paid?, Receipt::Balance(200)); // once, whichever of the two came first

    let network_is_down = cluster.rule(|_from, _to, _message| Verdict::Drop);
    let hasty = bank.with_deadline(Duration::from_millis(50));
    let asked = hasty.request(deposit("Ada", 1)).await;
    let Err(error) = asked else { panic!("nobody could confirm it: {asked:?}") };
    println!("chapter 2: {error} ({:?})", error.outcome());

    drop(network_is_down);
    let receipt = match (error.outcome(), error.request()) {
        (Outcome::NotExecuted, _) => bank.request(deposit("Ada", 1)).await?,
        (Outcome::Unknown, Some(request)) => bank.resolve(request).await?,
        (Outcome::Unknown, None) => return Err(error.into()),
    };
    assert_eq!(receipt, Receipt::Balance(301)); // not 302

    let now = bank.read_linearizable(|bank| bank.balance("Ada")).await?;
    let reader = cluster.client_at(cluster.primary().await?)?;
    let at_least_mine = reader.read_after(bank.token(), |bank| bank.balance("Ada")).await?;
    let as_of = reader.read_stale(|bank| bank.balance("Ada")).await?;
    assert_eq!((now, at_least_mine), (301, 301));
    assert_eq!(bank.read_linearizable(Bank::books_balance).await?, Ok(()));
    println!("chapter 2: {} cents as of {}", as_of.value, as_of.op);

    Ok(cluster.shutdown().await?)
}
