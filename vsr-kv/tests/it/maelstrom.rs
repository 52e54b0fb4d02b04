//! Nodes of Maelstrom as their clients meet them: by lines. Time is paused, and messages between nodes arrive in any order.

mod alone;
mod group;
mod program;

use serde_json::{Value, json};
use std::collections::{HashSet, VecDeque};
use std::time::Duration;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex},
    sync::mpsc,
    task::JoinSet,
    time::timeout,
};
use vsr_kv::maelstrom::{NodeError, config, run};

/// Nodes `n0`, `n1`, ..., and the network between them.
struct Net {
    inputs: Vec<Option<DuplexStream>>,
    lines: mpsc::UnboundedReceiver<String>,
    from_nodes: mpsc::UnboundedSender<String>,
    /// Messages between nodes that have not arrived.
    under_way: Vec<(usize, String)>,
    answers: VecDeque<Value>,
    /// Nodes that others do not hear, and that hear no others.
    cut_off: HashSet<usize>,
    nodes: JoinSet<Result<(), NodeError>>,
    readers: JoinSet<()>,
    random: u64,
}

impl Net {
    /// Nodes that were not told who they are.
    fn started(nodes: usize) -> Self {
        let (from_nodes, lines) = mpsc::unbounded_channel();
        let mut net = Self {
            inputs: (0..nodes).map(|_| None).collect(),
            lines,
            from_nodes,
            under_way: Vec::new(),
            answers: VecDeque::new(),
            cut_off: HashSet::new(),
            nodes: JoinSet::new(),
            readers: JoinSet::new(),
            random: 1,
        };
        for node in 0..nodes {
            net.start(node);
        }
        net
    }

    /// Nodes that know each other.
    async fn new(nodes: usize) -> Self {
        let mut net = Self::started(nodes);
        for node in 0..nodes {
            net.init(node).await;
        }
        net
    }

    /// Starts a node, or a new one in its place.
    fn start(&mut self, node: usize) {
        let (input, node_input) = duplex(1 << 20);
        let (node_output, output) = duplex(1 << 20);
        self.inputs[node] = Some(input);
        self.nodes.spawn(async move { run(BufReader::new(node_input), node_output, config(), None).await });
        let from_nodes = self.from_nodes.clone();
        self.readers.spawn(async move {
            let mut lines = BufReader::new(output).lines();
            while let Some(line) = lines.next_line().await.expect("lines are UTF-8") {
                // The test may be over.
                let _ = from_nodes.send(line);
            }
        });
    }

    fn ids(&self) -> Vec<String> {
        (0..self.inputs.len()).map(|node| format!("n{node}")).collect()
    }

    async fn init(&mut self, node: usize) {
        let body =
            json!({ "type": "init", "msg_id": 1, "node_id": format!("n{node}"), "node_ids": self.ids() });
        assert_eq!(self.ask(node, body).await, json!({ "type": "init_ok", "in_reply_to": 1 }));
    }

    /// A line for a node; its end is added.
    async fn line(&mut self, node: usize, line: impl AsRef<[u8]>) {
        let input = self.inputs[node].as_mut().expect("it is open");
        input.write_all(&[line.as_ref(), b"\n"].concat()).await.expect("the node takes it");
    }

    /// A request of client `c1`.
    async fn send(&mut self, node: usize, body: Value) {
        let line = json!({ "id": 7, "src": "c1", "dest": format!("n{node}"), "body": body });
        self.line(node, line.to_string()).await;
    }

    /// What client `c1` is told next.
    async fn answer(&mut self) -> Value {
        let told = async {
            while self.answers.is_empty() {
                self.go_on().await;
            }
            self.answers.pop_front()
        };
        timeout(Duration::from_secs(60), told).await.ok().flatten().expect("an answer within a minute")
    }

    async fn ask(&mut self, node: usize, body: Value) -> Value {
        self.send(node, body).await;
        self.answer().await
    }

    /// The number of the error that a request ends with.
    async fn error(&mut self, node: usize, body: Value) -> Value {
        let mut answer = self.ask(node, body.clone()).await;
        let text = answer.as_object_mut().and_then(|answer| answer.remove("text"));
        assert!(text.is_some_and(|text| text.as_str().is_some_and(|text| !text.is_empty())), "{answer}");
        let code = answer["code"].take();
        let mut wanted = json!({ "type": "error", "code": null });
        if let Some(msg_id) = body.get("msg_id") {
            wanted["in_reply_to"] = msg_id.clone();
        }
        assert_eq!(answer, wanted);
        code
    }

    /// Nothing is under way, and nobody says anything to a client but `c1`'s next answer, which is to this.
    async fn expect_silence(&mut self, node: usize) {
        let echo = json!({ "type": "echo", "msg_id": 4711, "echo": "anybody there?" });
        let ok = json!({ "type": "echo_ok", "in_reply_to": 4711, "echo": "anybody there?" });
        assert_eq!(self.ask(node, echo).await, ok);
    }

    /// Takes a line of a node. When no node has anything to say, all that is under way arrives, in any order.
    async fn go_on(&mut self) {
        if let Ok(line) = timeout(Duration::from_millis(1), self.lines.recv()).await {
            return self.take(line.expect("this end is open"));
        }
        while !self.under_way.is_empty() {
            self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = (self.random >> 33) as usize % self.under_way.len();
            let (dest, line) = self.under_way.swap_remove(at);
            if self.inputs[dest].is_some() {
                self.line(dest, line).await;
            }
        }
    }

    fn take(&mut self, line: String) {
        let message: Value = serde_json::from_str(&line).expect("a line is JSON");
        let keys: Vec<_> = message.as_object().expect("a message is an object").keys().collect();
        assert_eq!(keys, ["body", "dest", "src"], "{line}");
        let node = |name: &str| {
            let id = message[name].as_str().expect("names are texts");
            id.strip_prefix('n').map(|number| number.parse::<usize>().expect("a number"))
        };
        let src = node("src").expect("only nodes speak");
        match node("dest") {
            None => self.answers.push_back(message["body"].clone()),
            Some(dest) if self.cut_off.contains(&src) || self.cut_off.contains(&dest) => {}
            Some(dest) => self.under_way.push((dest, line)),
        }
    }

    /// Ends all input; all nodes must end well.
    async fn end(mut self) {
        self.inputs.clear();
        while let Some(ended) = self.nodes.join_next().await {
            ended.expect("no node panics").expect("and all end well");
        }
    }
}

fn read(key: impl Into<Value>) -> Value {
    json!({ "type": "read", "msg_id": 2, "key": key.into() })
}

fn write(key: impl Into<Value>, value: impl Into<Value>) -> Value {
    json!({ "type": "write", "msg_id": 3, "key": key.into(), "value": value.into() })
}

fn cas(key: impl Into<Value>, from: impl Into<Value>, to: impl Into<Value>) -> Value {
    json!({ "type": "cas", "msg_id": 4, "key": key.into(), "from": from.into(), "to": to.into() })
}

fn read_ok(value: impl Into<Value>) -> Value {
    json!({ "type": "read_ok", "in_reply_to": 2, "value": value.into() })
}

fn write_ok() -> Value {
    json!({ "type": "write_ok", "in_reply_to": 3 })
}

fn cas_ok() -> Value {
    json!({ "type": "cas_ok", "in_reply_to": 4 })
}
