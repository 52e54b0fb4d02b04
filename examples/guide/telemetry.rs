//! Chapter 6: what happens inside, told to whoever wants to know.
use crate::bank::{Bank, deposit};
use std::error::Error;
use tokio::sync::mpsc;
use tracing_subscriber::EnvFilter;
use vsr_actor::{
    Observer, Record,
    observe::{Definition, Event},
    prelude::*,
};

/// Tells an operator who leads, and for how long somebody did.
struct Leaders(mpsc::UnboundedSender<String>);

impl Observer for Leaders {
    fn wants(&self, row: &'static Definition) -> bool {
        row.name.starts_with("vsr.leadership.")
    }

    fn observe(&self, record: &Record<'_>) {
        let replica = record.common.node_id;
        let news = match record.event {
            Event::LeadershipStarted { view, .. } => format!("{replica} leads in {view}"),
            Event::LeadershipStopped { duration, .. } => format!("{replica} led for {duration:?}"),
            _ => return,
        };
        let _ = self.0.send(news);
    }
}

/// Tells a developer which callback held up its replica.
fn slow(record: &Record<'_>) {
    if let Event::CallbackSlow { callback, duration, .. } = record.event {
        println!("{}: {callback} took {duration:?}", record.common.node_id);
    }
}

pub async fn run() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_env_filter(EnvFilter::from_default_env()).init();

    let (tell, mut news) = mpsc::unbounded_channel();
    let cluster = Cluster::builder(3, Bank::default).observer(Leaders(tell)).observer(slow).start().await?;
    cluster.client().request(deposit("Ada", 500)).await?;
    println!("chapter 6: {}", news.recv().await.expect("somebody leads"));

    cluster.handle(cluster.primary().await?)?.shutdown().await?; // hands over
    for _ in 0..2 {
        println!("chapter 6: {}", news.recv().await.expect("somebody else leads"));
    }
    Ok(cluster.shutdown().await?)
}
