//! What a body asks for.

use super::{
    fault::{Code, Fault},
    registers::{Json, Operation},
};
use serde_json::{Map, Value};

/// A request of a client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request {
    Init(Init),
    Echo(Value),
    Read(Json),
    Change(Operation),
}

/// Who this node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Init {
    pub(super) node_id: String,
    /// All nodes, in the order all of them are given.
    pub(super) node_ids: Vec<String>,
    /// The place of this node among them.
    pub(super) index: usize,
}

impl Request {
    /// Takes the request out of a body.
    pub(super) fn parse(mut body: Map<String, Value>) -> Result<Self, Fault> {
        let Some(Value::String(kind)) = body.remove("type") else {
            return Err(Fault::malformed("the body has no text \"type\""));
        };
        if body.get("msg_id").is_some_and(|id| !id.is_i64() && !id.is_u64()) {
            return Err(Fault::malformed("\"msg_id\" is not an integer"));
        }
        let mut field = |name: &str| {
            body.remove(name).ok_or_else(|| Fault::malformed(format!("{kind:?} needs {name:?}")))
        };
        match kind.as_str() {
            "init" => Init::parse(field("node_id")?, field("node_ids")?).map(Self::Init),
            "echo" => field("echo").map(Self::Echo),
            "read" => Ok(Self::Read(field("key")?.into())),
            "write" => Ok(Self::Change(Operation::Write {
                key: field("key")?.into(),
                value: field("value")?.into(),
            })),
            "cas" => {
                let (key, from, to) = (field("key")?.into(), field("from")?.into(), field("to")?.into());
                let create = match body.get("create_if_not_exists") {
                    None => false,
                    Some(Value::Bool(create)) => *create,
                    Some(_) => {
                        return Err(Fault::malformed("\"create_if_not_exists\" is neither true nor false"));
                    }
                };
                Ok(Self::Change(Operation::Cas { key, from, to, create }))
            }
            _ => Err(Fault::new(Code::NotSupported, format!("this node does not know {kind:?}"))),
        }
    }
}

impl Init {
    fn parse(node_id: Value, node_ids: Value) -> Result<Self, Fault> {
        let Value::String(node_id) = node_id else {
            return Err(Fault::malformed("\"node_id\" is not a text"));
        };
        let node_ids: Vec<String> = serde_json::from_value(node_ids)
            .map_err(|_| Fault::malformed("\"node_ids\" is not a list of texts"))?;
        let index = node_ids
            .iter()
            .position(|id| *id == node_id)
            .ok_or_else(|| Fault::malformed(format!("{node_id:?} is not among \"node_ids\"")))?;
        if let Some(twice) = node_ids.iter().enumerate().find(|(at, id)| node_ids[..*at].contains(id)) {
            return Err(Fault::malformed(format!("{:?} is twice among \"node_ids\"", twice.1)));
        }
        Ok(Self { node_id, node_ids, index })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(body: Value) -> Result<Request, Fault> {
        let Value::Object(body) = body else { panic!("a body is an object") };
        Request::parse(body)
    }

    fn json(value: Value) -> Json {
        value.into()
    }

    #[test]
    fn requests_hold_any_json() {
        for value in [json!(null), json!(false), json!(0), json!(""), json!([1, {"b": 2, "a": [null]}])] {
            let read = parse(json!({ "type": "read", "key": value }));
            assert_eq!(read, Ok(Request::Read(json(value.clone()))));
            let write = parse(json!({ "type": "write", "msg_id": 1, "key": value, "value": value }));
            let operation = Operation::Write { key: json(value.clone()), value: json(value.clone()) };
            assert_eq!(write, Ok(Request::Change(operation)));
            let cas =
                json!({ "type": "cas", "key": 0, "from": value, "to": value, "create_if_not_exists": true });
            let operation = Operation::Cas {
                key: json(json!(0)),
                from: json(value.clone()),
                to: json(value),
                create: true,
            };
            assert_eq!(parse(cas), Ok(Request::Change(operation)));
        }
    }

    #[test]
    fn wrong_shapes_are_malformed_and_say_why() {
        let wrong = [
            (json!({}), "type"),
            (json!({ "type": 3 }), "type"),
            (json!({ "type": "read" }), "key"),
            (json!({ "type": "read", "key": 1, "msg_id": "one" }), "msg_id"),
            (json!({ "type": "read", "key": 1, "msg_id": 1.5 }), "msg_id"),
            (json!({ "type": "write", "key": 1 }), "value"),
            (json!({ "type": "cas", "key": 1, "from": 1 }), "to"),
            (json!({ "type": "cas", "key": 1, "from": 1, "to": 2, "create_if_not_exists": 1 }), "create"),
            (json!({ "type": "echo" }), "echo"),
            (json!({ "type": "init", "node_id": 1, "node_ids": ["n1"] }), "node_id"),
            (json!({ "type": "init", "node_id": "n1", "node_ids": "n1" }), "node_ids"),
            (json!({ "type": "init", "node_id": "n1", "node_ids": [] }), "among"),
            (json!({ "type": "init", "node_id": "n1", "node_ids": ["n2"] }), "among"),
            (json!({ "type": "init", "node_id": "n1", "node_ids": ["n1", "n2", "n2"] }), "n2"),
        ];
        for (body, about) in wrong {
            let fault = parse(body.clone()).expect_err("it is wrong");
            assert_eq!(fault.code, Code::Malformed, "{body}");
            assert!(fault.text.contains(about), "{body}: {}", fault.text);
        }
        let fault = parse(json!({ "type": "txn", "txn": [] })).expect_err("it is unknown");
        assert_eq!(fault.code, Code::NotSupported);
    }
}
