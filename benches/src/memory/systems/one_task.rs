//! One task that applies and replies: no replicas at all.

use super::{
    DRAIN_MAX, Running,
    inbox::{Request, Submit},
};
use crate::memory::workload::Table;
use tokio::{sync::mpsc, task::JoinSet};

pub(super) struct Task {
    inbox: mpsc::UnboundedSender<Request>,
    _tasks: JoinSet<()>,
}

impl Running for Task {
    type Client = Submit<Request>;

    async fn start() -> Result<Self, String> {
        let (inbox, requests) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(apply(requests));
        Ok(Self { inbox, _tasks: tasks })
    }

    fn client(&self) -> Self::Client {
        Submit(self.inbox.clone())
    }
}

async fn apply(mut requests: mpsc::UnboundedReceiver<Request>) {
    let mut table = Table::default();
    let mut batch = Vec::with_capacity(DRAIN_MAX);
    let mut last = 0;
    loop {
        // As in the floor: others may have more to send.
        if last > 1 {
            tokio::task::yield_now().await;
        }
        last = requests.recv_many(&mut batch, DRAIN_MAX).await;
        if last == 0 {
            return;
        }
        for request in batch.drain(..) {
            // A client that is gone needs no reply.
            let _ = request.reply.send(table.put(&request.put));
        }
    }
}
