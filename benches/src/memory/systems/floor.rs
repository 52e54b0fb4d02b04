//! Three tasks that batch, forward, acknowledge, apply and reply. No views, no sessions, no checks, nothing survives anything: what the
//! runtime and its channels cost by themselves.

use super::{
    DRAIN_MAX, Running,
    inbox::{Request, Submit},
};
use crate::memory::workload::{Put, Table};
use std::{collections::VecDeque, sync::Arc};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

pub(super) struct Group {
    primary: mpsc::UnboundedSender<ToPrimary>,
    _tasks: JoinSet<()>,
}

pub(super) enum ToPrimary {
    Request(Request),
    /// A backup has all batches up to this one.
    Acknowledged(u64),
}

impl From<Request> for ToPrimary {
    fn from(request: Request) -> Self {
        Self::Request(request)
    }
}

/// A batch is one allocation, whoever holds it.
struct Batch {
    number: u64,
    puts: Arc<[Put]>,
}

impl Running for Group {
    type Client = Submit<ToPrimary>;

    async fn start() -> Result<Self, String> {
        let mut tasks = JoinSet::new();
        let (primary, inbox) = mpsc::unbounded_channel();
        let backups = [(); 2].map(|()| {
            let (backup, batches) = mpsc::unbounded_channel();
            tasks.spawn(back_up(batches, primary.clone()));
            backup
        });
        tasks.spawn(lead(inbox, backups));
        Ok(Self { primary, _tasks: tasks })
    }

    fn client(&self) -> Self::Client {
        Submit(self.primary.clone())
    }
}

async fn lead(mut inbox: mpsc::UnboundedReceiver<ToPrimary>, backups: [mpsc::UnboundedSender<Batch>; 2]) {
    let mut table = Table::default();
    let mut messages = Vec::with_capacity(DRAIN_MAX);
    let (mut puts, mut replies) = (Vec::<Put>::new(), VecDeque::<oneshot::Sender<u64>>::new());
    let mut unacknowledged = VecDeque::<Batch>::new();
    let mut number = 0;
    let mut last = 0;
    loop {
        // Where a batch had company, more is about to come: clients that were answered in the last turn may go first.
        if last > 1 {
            tokio::task::yield_now().await;
        }
        if inbox.recv_many(&mut messages, DRAIN_MAX).await == 0 {
            return;
        }
        let mut acknowledged = 0;
        for message in messages.drain(..) {
            match message {
                ToPrimary::Request(Request { put, reply }) => {
                    puts.push(put);
                    replies.push_back(reply);
                }
                ToPrimary::Acknowledged(number) => acknowledged = acknowledged.max(number),
            }
        }
        last = puts.len();
        if last > 0 {
            number += 1;
            let puts: Arc<[Put]> = puts.drain(..).collect();
            for backup in &backups {
                // A backup ends after the primary.
                let _ = backup.send(Batch { number, puts: puts.clone() });
            }
            unacknowledged.push_back(Batch { number, puts });
        }
        // One of two backups and the primary itself are a quorum.
        while unacknowledged.front().is_some_and(|batch| batch.number <= acknowledged) {
            let Some(batch) = unacknowledged.pop_front() else { break };
            for (put, reply) in batch.puts.iter().zip(replies.drain(..batch.puts.len())) {
                let _ = reply.send(table.put(put));
            }
        }
    }
}

async fn back_up(mut batches: mpsc::UnboundedReceiver<Batch>, primary: mpsc::UnboundedSender<ToPrimary>) {
    let mut table = Table::default();
    let mut drained = Vec::with_capacity(DRAIN_MAX);
    while batches.recv_many(&mut drained, DRAIN_MAX).await > 0 {
        if let Some(last) = drained.last() {
            let _ = primary.send(ToPrimary::Acknowledged(last.number));
        }
        for batch in drained.drain(..) {
            for put in batch.puts.iter() {
                table.put(put);
            }
        }
    }
}
