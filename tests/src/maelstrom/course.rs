//! One run: the network between nodes, and clients that ask them. It knows no clock and no process: whoever drives it says what time
//! it is, brings what nodes say, and takes what they are to hear.

use super::{
    history::{self, End, Op, Row, body, meaning},
    network::{Network, exponential},
    validate::{self, Kind},
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};
use vsr_test::Prng;

/// What a run is like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) nodes: usize,
    pub(super) clients: usize,
    /// How long clients work once every node has served one.
    pub(super) load: Duration,
    /// Mean latency between nodes. Clients' messages arrive at once.
    pub(super) latency: Duration,
    pub(super) partitions: bool,
}

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long nodes may take to say that they are initialised, then to serve for the first time, and to serve again at the end.
const STAGE_MAX: Duration = Duration::from_secs(10);
/// Mean time between an answer and the client's next request.
const THINKING: Duration = Duration::from_millis(10);
/// How long a partition, and the time without one, lasts, in milliseconds.
const PARTITION_MS: (u64, u64) = (300, 500);
/// Keys in use at a time, and how many requests they get together before others take their place: long histories of one key with many
/// unknown outcomes take long to check.
const KEYS: u64 = 3;
const REQUESTS_PER_ROUND: u64 = 900;
/// Values are below this: few, so that a compare-and-set often finds what it wants.
const VALUES: u64 = 5;

/// Clients' names begin at `c1`; `c0` initialises nodes.
struct Client {
    /// The request under way: its number, and its place in the history.
    open: Option<(u64, usize)>,
    /// The only node it uses.
    node: Option<usize>,
    /// It asks for nothing more.
    rests: bool,
}

enum Event {
    Arrive { src: usize, dest: usize, line: String },
    Ask { client: usize },
    LosePatience { client: usize, msg_id: u64 },
    ChangeNetwork,
    EndOfLoad,
    GiveUp(Stage),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// Nodes are told who they are.
    Starting,
    /// Clients work; some node has not served anybody yet.
    Filling,
    /// All nodes hold data.
    Working,
    /// The network is whole again; clients wait for what is under way.
    Waiting,
    /// Every node must serve again.
    Recovering,
    Over,
}

/// A request that nodes may answer, once.
struct Asked {
    node: usize,
    kind: Kind,
    answered: bool,
}

pub(super) struct Course {
    settings: Settings,
    random: Prng,
    now: Duration,
    stage: Stage,
    events: BTreeMap<(Duration, u64), Event>,
    network: Network,
    clients: Vec<Client>,
    asked: HashMap<(usize, u64), Asked>,
    initialised: usize,
    served: Vec<bool>,
    /// For nodes: which, and what.
    lines: Vec<(usize, String)>,
    rows: Vec<Row>,
    problems: Vec<String>,
    partitions: u64,
    messages: u64,
    dropped: u64,
    /// Counts everything that must not happen at once.
    count: u64,
}

/// What came out, not yet judged.
pub(super) struct Outcome {
    pub(super) rows: Vec<Row>,
    /// What nodes said or did that they must not, in the order in which it happened.
    pub(super) problems: Vec<String>,
    pub(super) partitions: u64,
    /// Between nodes.
    pub(super) messages: u64,
    pub(super) dropped: u64,
}

impl Course {
    pub(super) fn new(seed: u64, settings: Settings) -> Self {
        // At the end each node has a client of its own.
        let clients = settings.clients.max(settings.nodes);
        let mut course = Self {
            settings,
            random: Prng::new(seed),
            now: Duration::ZERO,
            stage: Stage::Starting,
            events: BTreeMap::new(),
            network: Network::whole(settings.nodes),
            clients: (0..clients).map(|_| Client { open: None, node: None, rests: false }).collect(),
            asked: HashMap::new(),
            initialised: 0,
            served: vec![false; settings.nodes],
            lines: Vec::new(),
            rows: Vec::new(),
            problems: Vec::new(),
            partitions: 0,
            messages: 0,
            dropped: 0,
            count: 0,
        };
        let ids: Vec<_> = (0..settings.nodes).map(|node| format!("n{node}")).collect();
        for node in 0..settings.nodes {
            let init = json!({ "type": "init", "node_id": ids[node], "node_ids": ids });
            course.send(0, node, Kind::Init, init);
        }
        course.enter(Stage::Starting);
        course
    }

    /// When something happens by itself next; nothing: the run is over.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.events.first_key_value().map(|((at, _), _)| *at).filter(|_| self.stage < Stage::Over)
    }

    /// Does what is due at `now`.
    pub(super) fn advance(&mut self, now: Duration) {
        self.now = self.now.max(now);
        while self.stage < Stage::Over
            && let Some(first) = self.events.first_entry()
            && first.key().0 <= self.now
        {
            let event = first.remove();
            self.happen(event);
        }
    }

    /// What nodes are to hear.
    pub(super) fn take_lines(&mut self) -> Vec<(usize, String)> {
        std::mem::take(&mut self.lines)
    }

    /// A node has said something.
    pub(super) fn hear(&mut self, now: Duration, node: usize, line: &str) {
        self.now = self.now.max(now);
        if let Err(why) = self.take(node, line) {
            self.problem(format!("n{node} said {line:?}: {why}"));
        }
    }

    /// A node did what no node may do.
    pub(super) fn problem(&mut self, problem: String) {
        // The first ones tell what is wrong.
        if self.problems.len() < 10 {
            self.problems.push(problem);
        }
    }

    pub(super) fn into_outcome(self) -> Outcome {
        let Self { rows, problems, partitions, messages, dropped, .. } = self;
        Outcome { rows, problems, partitions, messages, dropped }
    }

    fn at(&mut self, delay: Duration, event: Event) {
        self.count += 1;
        self.events.insert((self.now + delay, self.count), event);
    }

    fn enter(&mut self, stage: Stage) {
        self.stage = stage;
        if matches!(stage, Stage::Starting | Stage::Filling | Stage::Recovering) {
            self.at(STAGE_MAX, Event::GiveUp(stage));
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrive { src, dest, line } => {
                if self.network.hears(dest, src) {
                    self.lines.push((dest, line));
                } else {
                    self.dropped += 1;
                }
            }
            Event::Ask { client } => self.ask(client),
            Event::LosePatience { client, msg_id } => {
                if let Some((_, row)) = self.clients[client].open.filter(|(open, _)| *open == msg_id) {
                    self.ended(client, row, End::Unknown(None));
                }
            }
            Event::ChangeNetwork => self.change_network(),
            Event::EndOfLoad => {
                self.network = Network::whole(self.settings.nodes);
                self.enter(Stage::Waiting);
                self.recover_if_quiet();
            }
            Event::GiveUp(stage) if stage == self.stage => {
                let silent: Vec<_> = (0..self.settings.nodes).filter(|node| !self.served[*node]).collect();
                let nodes =
                    if stage == Stage::Starting { "some nodes".into() } else { format!("nodes {silent:?}") };
                self.problem(format!("{stage:?}: {nodes} did not serve anybody for {STAGE_MAX:?}"));
                self.enter(Stage::Over);
            }
            Event::GiveUp(_) => {}
        }
    }

    fn change_network(&mut self) {
        if self.stage != Stage::Working {
            return;
        }
        if self.network.is_whole() {
            self.network = Network::partition(self.settings.nodes, &mut self.random);
            self.partitions += 1;
        } else {
            self.network = Network::whole(self.settings.nodes);
        }
        let lasts = self.random.range(PARTITION_MS.0, PARTITION_MS.1);
        self.at(Duration::from_millis(lasts), Event::ChangeNetwork);
    }

    /// A client asks for something, unless it rests.
    fn ask(&mut self, client: usize) {
        if self.clients[client].rests || self.stage == Stage::Waiting {
            return;
        }
        let node = self.clients[client].node.unwrap_or_else(|| self.random.index(self.settings.nodes));
        let key = self.rows.len() as u64 / REQUESTS_PER_ROUND * KEYS + self.random.below(KEYS);
        let op = match self.random.below(3) {
            _ if self.stage == Stage::Recovering => Op::Read,
            0 => Op::Read,
            1 => Op::Write(self.random.below(VALUES)),
            _ => Op::Cas { from: self.random.below(VALUES), to: self.random.below(VALUES) },
        };
        self.count += 1;
        let row =
            Row { client: client + 1, node, key, op, invoked: self.count, asked_at: self.now, end: None };
        self.rows.push(row);
        let msg_id = self.send(client + 1, node, op.kind(), body(key, op));
        self.clients[client].open = Some((msg_id, self.rows.len() - 1));
        self.at(PATIENCE, Event::LosePatience { client, msg_id });
    }

    /// A client's message arrives at once. Its number, which no other message of its sender has.
    fn send(&mut self, client: usize, node: usize, kind: Kind, mut body: Value) -> u64 {
        self.count += 1;
        let msg_id = self.count;
        body["msg_id"] = msg_id.into();
        self.asked.insert((client, msg_id), Asked { node, kind, answered: false });
        let line = json!({ "src": format!("c{client}"), "dest": format!("n{node}"), "body": body });
        let line = self.with_id(&line.to_string());
        self.lines.push((node, line));
        msg_id
    }

    /// What arrives has an id that its sender did not give it.
    fn with_id(&mut self, line: &str) -> String {
        self.count += 1;
        format!("{{\"id\":{},{}", self.count, &line[1..])
    }

    fn take(&mut self, node: usize, line: &str) -> Result<(), String> {
        let message = validate::message(line)?;
        if self.number(&message.src, 'n') != Some(node) {
            return Err("it is from somebody else".into());
        }
        if let Some(dest) = self.number(&message.dest, 'n') {
            self.messages += 1;
            let line = self.with_id(line.trim_start());
            let latency = exponential(&mut self.random, self.settings.latency);
            self.at(latency, Event::Arrive { src: node, dest, line });
            return Ok(());
        }
        let client = self.number(&message.dest, 'c').ok_or("nobody has that name")?;
        let msg_id = message.body.get("in_reply_to").and_then(Value::as_u64).ok_or("it answers nothing")?;
        let asked = self.asked.get_mut(&(client, msg_id)).filter(|asked| asked.node == node);
        let asked = asked.ok_or("nobody asked this node for that")?;
        if std::mem::replace(&mut asked.answered, true) {
            return Err("that is answered already".into());
        }
        let answer = validate::reply(asked.kind, &message.body)?;
        if asked.kind == Kind::Init {
            return match answer {
                validate::Answer::Done => {
                    self.initialised();
                    Ok(())
                }
                answer => Err(format!("\"init\" is answered by {answer:?}")),
            };
        }
        let open = self.clients[client - 1].open;
        // An answer that comes too late is read, too, but nobody waits for it.
        if let Some((_, row)) = open.filter(|(open, _)| *open == msg_id) {
            let end = meaning(self.rows[row].op, &answer)?;
            self.ended(client - 1, row, end);
        }
        Ok(())
    }

    fn number(&self, name: &str, kind: char) -> Option<usize> {
        let number: usize = name.strip_prefix(kind)?.parse().ok()?;
        let bound = if kind == 'n' { self.settings.nodes } else { self.clients.len() + 1 };
        (number < bound).then_some(number)
    }

    fn initialised(&mut self) {
        self.initialised += 1;
        if self.initialised == self.settings.nodes {
            self.enter(Stage::Filling);
            for client in 0..self.clients.len() {
                self.think(client);
            }
        }
    }

    fn think(&mut self, client: usize) {
        let thinking = exponential(&mut self.random, THINKING);
        self.at(thinking, Event::Ask { client });
    }

    /// A request has ended for its client.
    fn ended(&mut self, client: usize, row: usize, end: End) {
        self.count += 1;
        self.rows[row].end = Some((end, self.count, self.now));
        self.clients[client].open = None;
        let told = matches!(end, End::Told(_));
        let wrote = told && self.rows[row].op.kind() != Kind::Read;
        match self.stage {
            Stage::Filling | Stage::Working | Stage::Waiting => {
                self.served[self.rows[row].node] |= wrote;
                if self.stage == Stage::Filling && self.served.iter().all(|served| *served) {
                    self.work();
                }
                if self.stage == Stage::Waiting {
                    self.recover_if_quiet();
                } else {
                    self.think(client);
                }
            }
            Stage::Recovering => {
                self.served[self.rows[row].node] |= told;
                self.clients[client].rests = told;
                self.think(client);
                if self.served.iter().all(|served| *served) {
                    self.enter(Stage::Over);
                }
            }
            Stage::Starting | Stage::Over => {}
        }
    }

    /// Every node holds data: from now on partitions mean something.
    fn work(&mut self) {
        self.enter(Stage::Working);
        self.at(self.settings.load, Event::EndOfLoad);
        if self.settings.partitions && self.settings.nodes > 1 {
            self.at(Duration::ZERO, Event::ChangeNetwork);
        }
    }

    fn recover_if_quiet(&mut self) {
        if self.clients.iter().any(|client| client.open.is_some()) {
            return;
        }
        // Requests that clients were thinking of are theirs no more.
        self.events.retain(|_, event| !matches!(event, Event::Ask { .. }));
        self.enter(Stage::Recovering);
        self.served.fill(false);
        for client in 0..self.clients.len() {
            self.clients[client].node = Some(client);
            self.clients[client].rests = client >= self.settings.nodes;
            self.think(client);
        }
    }
}

/// How many requests ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) requests: u64,
    pub(super) reads: u64,
    pub(super) writes: u64,
    pub(super) swaps: u64,
    /// Answered by what the register holds, and so neither done nor undecided: no key, another value.
    pub(super) refused: u64,
    /// Not done, for certain.
    pub(super) not_done: u64,
    pub(super) unknown: u64,
}

impl Counts {
    pub(super) fn of(rows: &[Row]) -> Self {
        let mut counts = Self { requests: rows.len() as u64, ..Self::default() };
        for row in rows {
            let counter = match (row.end, row.op) {
                (Some((End::Told(history::Told::Missing | history::Told::Differs), ..)), _) => {
                    &mut counts.refused
                }
                (Some((End::Told(_), ..)), Op::Read) => &mut counts.reads,
                (Some((End::Told(_), ..)), Op::Write(_)) => &mut counts.writes,
                (Some((End::Told(_), ..)), Op::Cas { .. }) => &mut counts.swaps,
                (Some((End::Not(_), ..)), _) => &mut counts.not_done,
                (Some((End::Unknown(_), ..)) | None, _) => &mut counts.unknown,
            };
            *counter += 1;
        }
        counts
    }

    pub(super) fn ok(&self) -> u64 {
        self.reads + self.writes + self.swaps
    }

    /// Of a hundred requests so many got what they asked for, or heard from the register that they cannot.
    pub(super) fn served_percent(&self) -> u64 {
        (self.ok() + self.refused) * 100 / self.requests.max(1)
    }
}
