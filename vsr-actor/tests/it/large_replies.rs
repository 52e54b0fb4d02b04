//! Replies that are much larger than what asks for them.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};
use vsr_actor::{Frozen, Payload, PayloadError, prelude::*};

const REPLY_BYTES: usize = 40 << 10;
const REQUESTS: usize = 16;

/// How many replies of a machine there are, and how many there were at most.
#[derive(Default)]
struct Count {
    now: AtomicUsize,
    most: AtomicUsize,
}

struct Large(Option<Arc<Count>>);

impl Large {
    fn of(count: &Arc<Count>) -> Self {
        let now = count.now.fetch_add(1, Ordering::Relaxed) + 1;
        count.most.fetch_max(now, Ordering::Relaxed);
        Self(Some(count.clone()))
    }
}

impl Drop for Large {
    fn drop(&mut self) {
        if let Some(count) = &self.0 {
            count.now.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Payload for Large {
    fn encode(&self, into: &mut Vec<u8>) {
        into.resize(into.len() + REPLY_BYTES, 7);
    }

    fn decode(_from: bytes::Bytes) -> Result<Self, PayloadError> {
        Ok(Self(None))
    }
}

struct Talkative(Arc<Count>);

impl Snapshot for Talkative {
    fn snapshot(&self) -> Frozen {
        Frozen::new(|_| Ok(()))
    }

    fn restore(&mut self, _from: &mut dyn std::io::Read) -> std::io::Result<()> {
        Ok(())
    }
}

impl StateMachine for Talkative {
    type Operation = u8;
    type Reply = Large;

    fn handle_commit(&mut self, _commit: &Commit, _ask: u8) -> Large {
        Large::of(&self.0)
    }
}

/// One proposal asks for all of them; a backup has nobody to give them to.
#[tokio::test(start_paused = true)]
async fn replies_that_nobody_waits_for_do_not_gather() {
    let counts = Arc::new(Mutex::new(Vec::new()));
    let made = counts.clone();
    let machine = move || {
        let count = Arc::new(Count::default());
        made.lock().expect("nobody panics").push(count.clone());
        Talkative(count)
    };
    let cluster = Cluster::in_process(3, machine).await.expect("a valid configuration");
    let client = cluster.client();
    client.request(0).await.expect("the group is healthy");
    let tickets: Vec<_> = (0..REQUESTS).map(|_| client.try_submit(0).expect("the window has room")).collect();
    for ticket in tickets {
        ticket.await.expect("the group is healthy");
    }
    cluster.await_convergence().await.expect("all are connected");
    let counts = counts.lock().expect("nobody panics");
    let mut most: Vec<_> = counts.iter().map(|count| count.most.load(Ordering::Relaxed)).collect();
    most.sort_unstable();
    assert_eq!(most, [2, 2, REQUESTS], "two are more than 64 KiB; the primary keeps them for its clients");
}
