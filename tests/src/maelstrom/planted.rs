//! Nodes that speak the protocol well and replicate badly: what the runner must find.

use serde_json::{Value, json};
use std::{
    collections::HashMap,
    io::{self, BufRead, Write},
};

/// What is wrong with a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Broken {
    /// Changes are made at one node, which tells the others; each reads what it has heard of.
    StaleReads,
    /// Each node has a copy of its own, and tells nobody.
    OwnCopy,
}

/// A node: what it hears is one line, what it says is some.
pub(super) struct Node {
    /// It reads its own copy, whatever others do; else that of the first node.
    reads_here: bool,
    /// It changes its own copy, and tells nobody; else that of the first node.
    changes_here: bool,
    me: String,
    all: Vec<String>,
    /// By key: the value, and how many there were until then.
    values: HashMap<String, (Value, u64)>,
}

/// To whom, and what.
type Said = Vec<(String, Value)>;

impl Node {
    pub(super) fn new(broken: Broken) -> Self {
        Self::with(true, broken == Broken::OwnCopy)
    }

    pub(super) fn with(reads_here: bool, changes_here: bool) -> Self {
        Self { reads_here, changes_here, me: String::new(), all: Vec::new(), values: HashMap::new() }
    }

    pub(super) fn hear(&mut self, line: &str) -> Vec<String> {
        let message: Value = serde_json::from_str(line).unwrap_or_default();
        let said = self.answer(text(&message["src"]), &message["body"]);
        let line = |(dest, body)| json!({ "src": self.me, "dest": dest, "body": body }).to_string();
        said.into_iter().map(line).collect()
    }

    fn answer(&mut self, src: String, body: &Value) -> Said {
        match body["type"].as_str().unwrap_or_default() {
            "init" => {
                self.me = text(&body["node_id"]);
                self.all = body["node_ids"].as_array().into_iter().flatten().map(text).collect();
                vec![(src, json!({ "type": "init_ok", "in_reply_to": body["msg_id"] }))]
            }
            kind @ ("read" | "write" | "cas") => {
                let here = if kind == "read" { self.reads_here } else { self.changes_here };
                if here || self.all.first() == Some(&self.me) {
                    let (reply, copies) = self.execute(body);
                    return [vec![(src, reply)], copies].concat();
                }
                let passed_on = json!({ "type": "pass_on", "client": src, "request": body });
                self.all.first().map(|first| (first.clone(), passed_on)).into_iter().collect()
            }
            "pass_on" => {
                let (reply, copies) = self.execute(&body["request"]);
                let done = json!({ "type": "passed_on", "client": body["client"], "reply": reply });
                [vec![(src, done)], copies].concat()
            }
            "passed_on" => vec![(text(&body["client"]), body["reply"].clone())],
            "copy" => {
                let (key, version) = (body["key"].to_string(), body["version"].as_u64().unwrap_or_default());
                if self.values.get(&key).is_none_or(|(_, known)| *known < version) {
                    self.values.insert(key, (body["value"].clone(), version));
                }
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// Does a request on the copy of this node. The reply, and what other nodes are told.
    fn execute(&mut self, request: &Value) -> (Value, Said) {
        let key = request["key"].to_string();
        let known = self.values.get(&key);
        let (mut reply, new) = match (request["type"].as_str().unwrap_or_default(), known) {
            ("write", _) => (json!({ "type": "write_ok" }), Some(&request["value"])),
            (_, None) => (json!({ "type": "error", "code": 20 }), None),
            ("read", Some((value, _))) => (json!({ "type": "read_ok", "value": value }), None),
            (_, Some((value, _))) if *value == request["from"] => {
                (json!({ "type": "cas_ok" }), Some(&request["to"]))
            }
            _ => (json!({ "type": "error", "code": 22 }), None),
        };
        reply["in_reply_to"] = request["msg_id"].clone();
        let Some(value) = new else { return (reply, Vec::new()) };
        let version = known.map_or(1, |(_, version)| version + 1);
        self.values.insert(key, (value.clone(), version));
        if self.changes_here {
            return (reply, Vec::new());
        }
        let copy = json!({ "type": "copy", "key": request["key"], "value": value, "version": version });
        let others = self.all.iter().filter(|id| **id != self.me);
        (reply, others.map(|id| (id.clone(), copy.clone())).collect())
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Is such a node, on standard input and output, until the input ends.
///
/// # Errors
/// Those of input and output.
pub(crate) fn run(broken: Broken) -> io::Result<()> {
    let mut node = Node::new(broken);
    let mut output = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        for said in node.hear(&line?) {
            writeln!(output, "{said}")?;
        }
        output.flush()?;
    }
    Ok(())
}
