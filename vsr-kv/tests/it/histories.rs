//! What clients of all doors saw, over sockets, while primaries died and were cut off: reads beside the log, writes, pipelines of both
//! and transactions must look as if one store had done them one at a time.

use super::wire::Peer;
use super::{dev, port, roles};
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;
use vsr_actor::linearizability::{CallId, Model, Recorder, check_by_key};
use vsr_test::Prng;

/// What is done to a key, all at once.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    Read,
    Write(u64),
    /// A transaction: it reads, writes and reads.
    Swap(u64),
}

/// What each command of it answered; nothing: a write.
type Seen = Vec<Option<u64>>;

struct Register;

impl Model for Register {
    type State = Option<u64>;
    type Op = (u64, Asked);
    type Reply = Seen;

    fn initial() -> Self::State {
        None
    }

    fn step(value: &Self::State, (_, asked): &Self::Op) -> (Self::State, Seen) {
        match asked {
            Asked::Read => (*value, vec![*value]),
            Asked::Write(new) => (Some(*new), vec![]),
            Asked::Swap(new) => (Some(*new), vec![*value, Some(*new)]),
        }
    }
}

type History = Recorder<(u64, Asked), Seen>;

async fn value(peer: &mut Peer) -> Result<Option<u64>, String> {
    match peer.line().await.as_str() {
        "$-1" => Ok(None),
        line if line.starts_with('$') => Ok(Some(peer.line().await.parse().expect("a number"))),
        other => Err(other.to_owned()),
    }
}

/// Takes the reply to what was asked; an error reply leaves the outcome open.
async fn reply(peer: &mut Peer, asked: &Asked) -> Option<Seen> {
    match asked {
        Asked::Read => value(peer).await.ok().map(|value| vec![value]),
        Asked::Write(_) => (peer.line().await == "+OK").then(Vec::new),
        Asked::Swap(_) => {
            for _ in 0..4 {
                peer.line().await;
            }
            if !peer.line().await.starts_with("*3") {
                return None;
            }
            let before = value(peer).await.expect("a value");
            assert_eq!(peer.line().await, "+OK");
            Some(vec![before, value(peer).await.expect("a value")])
        }
    }
}

fn request(key: u64, asked: &Asked) -> String {
    match asked {
        Asked::Read => format!("GET {key}\r\n"),
        Asked::Write(new) => format!("SET {key} {new}\r\n"),
        Asked::Swap(new) => format!("MULTI\r\nGET {key}\r\nSET {key} {new}\r\nGET {key}\r\nEXEC\r\n"),
    }
}

struct Client {
    peer: Peer,
    random: Prng,
    number: u64,
    written: u64,
    history: Arc<History>,
    done: watch::Sender<u64>,
}

impl Client {
    fn next(&mut self) -> (u64, Asked) {
        self.written += 1;
        // No two clients ever write the same.
        let new = self.number * 1_000_000 + self.written;
        let asked = match self.random.below(10) {
            0..=4 => Asked::Read,
            5..=7 => Asked::Write(new),
            _ => Asked::Swap(new),
        };
        (self.random.below(4), asked)
    }

    /// A few requests in one piece: each is called when the piece is sent, and their replies come in order.
    async fn work(mut self, stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            let requests: Vec<(u64, Asked)> = (0..self.random.range(1, 6)).map(|_| self.next()).collect();
            let calls: Vec<CallId> =
                requests.iter().map(|(key, asked)| self.history.invoke((*key, asked.clone()))).collect();
            let bytes: String = requests.iter().map(|(key, asked)| request(*key, asked)).collect();
            self.peer.send(bytes.as_bytes()).await;
            for ((_, asked), call) in requests.iter().zip(calls) {
                if let Some(seen) = reply(&mut self.peer, asked).await {
                    self.history.returned(call, seen);
                }
                self.done.send_modify(|done| *done += 1);
            }
        }
    }
}

/// Waits for some hundred requests more.
async fn progress(done: &mut watch::Receiver<u64>) {
    let wanted = *done.borrow_and_update() + 300;
    done.wait_for(|done| *done >= wanted).await.expect("clients at work");
}

/// The history of clients at all doors of a group to which bad things happen.
async fn record() -> Arc<History> {
    let dev = dev().await;
    let history = Arc::new(History::new());
    let (stop, stopped) = watch::channel(false);
    let (done, mut done_seen) = watch::channel(0);
    let mut clients = JoinSet::new();
    for number in 0..6 {
        let address = dev.addresses()[number as usize % 3];
        let client = Client {
            peer: Peer::connect(address.port()).await,
            random: Prng::new(number),
            number,
            written: 0,
            history: history.clone(),
            done: done.clone(),
        };
        clients.spawn(client.work(stopped.clone()));
    }
    for _ in 0..2 {
        progress(&mut done_seen).await;
        let (primary, backups) = roles(&dev).await;
        let mut control = Peer::connect(port(&dev, backups[0])).await;
        assert_eq!(control.ask("VSR.PARTITION").await, "+OK");
        progress(&mut done_seen).await;
        assert_eq!(control.ask("VSR.HEAL").await, "+OK");
        progress(&mut done_seen).await;
        let primary = dev.cluster().primary().await.unwrap_or(primary);
        dev.cluster().crash(primary).await.expect("it runs");
        progress(&mut done_seen).await;
        dev.cluster().restart(primary).await.expect("it is down");
    }
    progress(&mut done_seen).await;
    stop.send_replace(true);
    clients.join_all().await;
    dev.shutdown().await.expect("healthy replicas");
    history
}

fn calls(history: Arc<History>) -> Vec<vsr_actor::linearizability::Call<(u64, Asked), Seen>> {
    Arc::into_inner(history).expect("the clients are gone").into_calls()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_and_writes_of_all_doors_are_linearizable_while_primaries_die() {
    let calls = calls(record().await);
    check_by_key::<Register, _>(&calls, |(key, _)| *key).unwrap_or_else(|wrong| panic!("{wrong:?}"));
}

/// And what is not confirmed would be found: the check above can fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_read_at_a_door_that_is_cut_off_is_found_to_be_one() {
    let dev = dev().await;
    let (primary, backups) = roles(&dev).await;
    let mut cut_off = Peer::connect(port(&dev, primary)).await;
    assert_eq!(cut_off.ask("READONLY").await, "+OK");
    let mut others = Peer::connect(port(&dev, backups[0])).await;
    assert_eq!(others.ask("VSR.PARTITION").await, "+OK");
    let history = Arc::new(History::new());
    for (peer, asked) in [(&mut others, Asked::Write(1)), (&mut cut_off, Asked::Read)] {
        let call = history.invoke((0, asked.clone()));
        peer.send(request(0, &asked).as_bytes()).await;
        let seen = reply(peer, &asked).await.expect("an answer");
        history.returned(call, seen);
    }
    assert_eq!(others.ask("VSR.HEAL").await, "+OK");
    dev.shutdown().await.expect("healthy replicas");
    check_by_key::<Register, _>(&calls(history), |(key, _)| *key).expect_err("a stale read");
}
