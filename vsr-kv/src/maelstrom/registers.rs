//! The state machine: registers by key, both any JSON.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use vsr_actor::{Commit, StateMachine};

/// A JSON value as its text: without spaces, the keys of objects in order, numbers digit by digit as they came. Two values are equal
/// if these texts are: `1` and `1.0` are not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Json(String);

/// Whatever comes from elsewhere is JSON, or is refused.
impl TryFrom<String> for Json {
    type Error = serde_json::Error;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        serde_json::from_str::<Value>(&text).map(Self::from)
    }
}

impl From<Value> for Json {
    fn from(value: Value) -> Self {
        Self(value.to_string())
    }
}

impl Json {
    /// The value.
    pub(super) fn value(&self) -> Value {
        serde_json::from_str(&self.0).expect("all ways to make one begin with a value")
    }
}

/// A change of one register. Reads are not among them: they go beside the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Operation {
    /// Set it, whatever it was.
    Write {
        /// Which one.
        key: Json,
        /// To what.
        value: Json,
    },
    /// Set it, if it has a certain value.
    Cas {
        /// Which one.
        key: Json,
        /// The value it must have.
        from: Json,
        /// The value it gets.
        to: Json,
        /// Set it also if it does not exist.
        create: bool,
    },
}

/// What came of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Reply {
    /// The register is set.
    Done,
    /// There is no such register.
    Missing,
    /// It has another value.
    Differs,
}

/// All registers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Registers {
    values: BTreeMap<Json, Json>,
}

impl Registers {
    /// The value of a register, if it exists.
    pub(super) fn get(&self, key: &Json) -> Option<&Json> {
        self.values.get(key)
    }
}

impl StateMachine for Registers {
    type Operation = Operation;
    type Reply = Reply;

    fn handle_commit(&mut self, _commit: &Commit, operation: Operation) -> Reply {
        let (key, value) = match operation {
            Operation::Write { key, value } => (key, value),
            Operation::Cas { key, from, to, create } => match self.values.get(&key) {
                Some(there) if *there != from => return Reply::Differs,
                None if !create => return Reply::Missing,
                _ => (key, to),
            },
        };
        self.values.insert(key, value);
        Reply::Done
    }
}
