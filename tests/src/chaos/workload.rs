//! Clients: each with a connection to some replica, one operation under way, and another replica when that one does not answer.

use super::{
    history::History,
    model::{Act, Key, Kind, Operation, Seen},
    resp::{Connection, Reply},
};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};
use vsr_test::Prng;

/// Keys of each kind that are in use at the same time.
const KEYS: u64 = 8;
/// After so many operations, other keys are used: the history of a key stays short enough to be checked, also with unknown outcomes.
const GENERATION_OPS: u64 = 4000;
/// How long a client waits for a reply, or for a connection.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long after a failure it tries elsewhere.
const RETRY_AFTER: Duration = Duration::from_millis(20);
/// Of a thousand operations, reads of keys of an earlier generation.
const OLD_READS_PER_MILLE: u64 = 50;

/// What clients share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) history: History,
    pub(super) addresses: Vec<SocketAddr>,
    /// The longest rest between two operations of a client, in microseconds.
    pub(super) rest_max: u64,
    /// Reads are stale on purpose: to see whether that is found.
    pub(super) stale_reads: bool,
    next: AtomicU64,
}

impl Shared {
    pub(super) fn new(addresses: Vec<SocketAddr>, rest_max: u64, stale_reads: bool) -> Self {
        Self { history: History::new(), addresses, rest_max, stale_reads, next: AtomicU64::new(1) }
    }
}

/// Clients that work until they are told to stop.
pub(super) struct Clients {
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Clients {
    pub(super) fn start(shared: &Arc<Shared>, count: usize, seed: u64) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for client in 0..count {
            let random = Prng::new(seed ^ ((client as u64 + 1) << 32));
            tasks.spawn(Client { shared: shared.clone(), random, connection: None }.run(stopped.clone()));
        }
        Self { tasks, stop }
    }

    /// Lets each finish what it has under way.
    pub(super) async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

struct Client {
    shared: Arc<Shared>,
    random: Prng,
    connection: Option<Connection>,
}

impl Client {
    async fn run(mut self, stopped: watch::Receiver<bool>) {
        while !*stopped.borrow() {
            let operation = self.operation();
            self.carry_out(operation).await;
            sleep(Duration::from_micros(self.random.below(self.shared.rest_max + 1))).await;
        }
    }

    fn operation(&mut self) -> Operation {
        // Numbers are never used twice: what is read says who wrote it.
        let fresh = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let random = &mut self.random;
        let generation = fresh / GENERATION_OPS;
        let old = generation > 0 && random.chance(OLD_READS_PER_MILLE);
        let generation = if old { random.below(generation) } else { generation };
        let key = Key { kind: random.pick(&Kind::ALL), number: generation * KEYS + random.below(KEYS) };
        let act = match key.kind {
            _ if old || random.chance(400) => Act::Read,
            // Now and then a comparison hits: with a value that somebody wrote a moment ago.
            Kind::Register if random.chance(300) => {
                Act::CompareAndSet { old: fresh.saturating_sub(random.range(1, 200)), new: fresh }
            }
            Kind::Register => Act::Write(fresh),
            Kind::Counter | Kind::Pair => Act::Increment,
            Kind::Text => Act::Append(fresh),
        };
        Operation { key, act }
    }

    async fn carry_out(&mut self, operation: Operation) {
        let Some(mut connection) = self.connected().await else { return sleep(RETRY_AFTER).await };
        let commands = operation.commands();
        let commands: Vec<_> = commands.iter().map(Vec::as_slice).collect();
        let ticket = self.shared.history.invoke(operation);
        // Without an answer the connection is given up: a late answer is not taken for that of another request.
        let Ok(Ok(replies)) = timeout(PATIENCE, connection.ask(&commands)).await else { return };
        let Some(reply) = replies.last() else { return };
        match reply {
            Reply::Error(text) => match outcome(text) {
                Outcome::NotExecuted => self.shared.history.refused(ticket),
                Outcome::Unknown => {}
                Outcome::Strange => {
                    let told = format!("{operation:?} was answered by {text:?}");
                    self.shared.history.returned(ticket, Seen::Strange(told));
                }
            },
            reply => self.shared.history.returned(ticket, operation.seen(reply)),
        }
        self.connection = Some(connection);
    }

    async fn connected(&mut self) -> Option<Connection> {
        // Sometimes elsewhere without need: every replica is asked.
        if let Some(connection) = self.connection.take().filter(|_| !self.random.chance(10)) {
            return Some(connection);
        }
        let address = self.random.pick(&self.shared.addresses);
        let mut connection = timeout(PATIENCE, Connection::open(address)).await.ok()?.ok()?;
        if self.shared.stale_reads {
            let readonly = ["READONLY".to_owned()];
            timeout(PATIENCE, connection.ask(&[&readonly])).await.ok()?.ok()?;
        }
        Some(connection)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    NotExecuted,
    Unknown,
    Strange,
}

/// What an error says of what became of the operation.
fn outcome(text: &str) -> Outcome {
    let starts = |words: &[&str]| words.iter().any(|word| text.starts_with(word));
    if starts(&["CLUSTERDOWN ", "TRYAGAIN ", "LOADING "]) || text.ends_with("it was not executed") {
        Outcome::NotExecuted
    } else if starts(&["ERR UNKNOWNOUTCOME "]) {
        Outcome::Unknown
    } else {
        Outcome::Strange
    }
}

/// Reads keys, at one replica; nothing where that replica does not answer.
pub(super) async fn read_all(
    shared: &Shared,
    address: SocketAddr,
    keys: impl IntoIterator<Item = Key>,
) -> Result<Vec<(Key, Reply)>, String> {
    let told = |error: std::io::Error| format!("the final reads at {address}: {error}");
    let mut connection = Connection::open(address).await.map_err(told)?;
    let mut all = Vec::new();
    for key in keys {
        let operation = Operation { key, act: Act::Read };
        let commands = operation.commands();
        let commands: Vec<_> = commands.iter().map(Vec::as_slice).collect();
        let ticket = shared.history.invoke(operation);
        let replies = timeout(PATIENCE, connection.ask(&commands)).await;
        let replies = replies.map_err(|_| format!("{address} does not answer final reads"))?.map_err(told)?;
        match replies.into_iter().last() {
            Some(Reply::Error(text)) => return Err(format!("a final read of {key:?} at {address}: {text}")),
            Some(reply) => {
                shared.history.returned(ticket, operation.seen(&reply));
                all.push((key, reply));
            }
            None => return Err("no reply".to_owned()),
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_became_of_the_operation() {
        let told = "CLUSTERDOWN no primary within 1s: a quorum of replicas cannot be reached";
        assert_eq!(outcome(told), Outcome::NotExecuted);
        assert_eq!(outcome("ERR UNKNOWNOUTCOME no reply within 1s"), Outcome::Unknown);
        assert_eq!(outcome("WRONGTYPE no"), Outcome::Strange);
    }
}
