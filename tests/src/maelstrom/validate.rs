//! What nodes may say, to the letter: Maelstrom refuses what it does not expect, and a node of which no line is understood looks quiet.

use serde_json::{Map, Value};

/// A line of a node.
#[derive(Debug, PartialEq)]
pub(super) struct Message {
    pub(super) src: String,
    pub(super) dest: String,
    pub(super) body: Map<String, Value>,
}

/// Reads a line: an object with a sender, a receiver and a body that has a type, and nothing else.
pub(super) fn message(line: &str) -> Result<Message, String> {
    let value = serde_json::from_str(line).map_err(|error| format!("no JSON: {error}"))?;
    let Value::Object(mut message) = value else { return Err("no object".into()) };
    let (src, dest, body) = (message.remove("src"), message.remove("dest"), message.remove("body"));
    if let Some(key) = message.keys().next() {
        return Err(format!("{key:?} does not belong into a message"));
    }
    let (Some(Value::String(src)), Some(Value::String(dest)), Some(Value::Object(body))) = (src, dest, body)
    else {
        return Err("it needs two texts \"src\" and \"dest\" and an object \"body\"".into());
    };
    if !body.get("type").is_some_and(Value::is_string) {
        return Err("the body needs a text \"type\"".into());
    }
    Ok(Message { src, dest, body })
}

/// What a client asked for, as far as the form of the reply depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Init,
    Read,
    Write,
    Cas,
}

/// What a reply says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    /// It is done.
    Done,
    /// It was read.
    Value(Value),
    /// It is not done, or may be: the number says what is known.
    Error(u64),
}

/// Reads a reply: exactly the keys that the protocol lists for what was asked.
pub(super) fn reply(kind: Kind, body: &Map<String, Value>) -> Result<Answer, String> {
    let said = body.get("type").and_then(Value::as_str).unwrap_or_default();
    let (expected, keys): (_, &[&str]) = match kind {
        Kind::Init => ("init_ok", &[]),
        Kind::Read => ("read_ok", &["value"]),
        Kind::Write => ("write_ok", &[]),
        Kind::Cas => ("cas_ok", &[]),
    };
    if let Some(id) = body.get("msg_id").filter(|id| !id.is_u64() && !id.is_i64()) {
        return Err(format!("\"msg_id\" is {id}"));
    }
    if said == "error" {
        return error(body).map(Answer::Error);
    }
    if said != expected {
        return Err(format!("the type of a reply to {kind:?} is {expected:?} or \"error\", not {said:?}"));
    }
    let known = ["type", "in_reply_to", "msg_id"];
    if let Some(key) = body.keys().find(|key| !known.contains(&key.as_str()) && !keys.contains(&key.as_str()))
    {
        return Err(format!("{key:?} does not belong into {said:?}"));
    }
    if let Some(key) = keys.iter().find(|key| !body.contains_key(**key)) {
        return Err(format!("{said:?} lacks {key:?}"));
    }
    Ok(body.get("value").map_or(Answer::Done, |value| Answer::Value(value.clone())))
}

/// The number of an error: one of those that the protocol knows, or one that the node made up, of a thousand or more.
fn error(body: &Map<String, Value>) -> Result<u64, String> {
    let code = body.get("code").and_then(Value::as_u64).ok_or("an error needs an integer \"code\"")?;
    if body.get("text").is_some_and(|text| !text.is_string()) {
        return Err("the \"text\" of an error is a text".into());
    }
    match code {
        0 | 1 | 10..=14 | 20..=22 | 30 | 1000.. => Ok(code),
        _ => Err(format!("there is no error {code}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_message_has_three_keys_and_a_type() {
        let body = json!({ "type": "x" });
        let good = json!({ "src": "n0", "dest": "n1", "body": body });
        assert!(message(&good.to_string()).is_ok());
        let bad = [
            json!([]),
            json!({ "src": "n0", "dest": "n1" }),
            json!({ "src": "n0", "body": body }),
            json!({ "src": 0, "dest": "n1", "body": body }),
            json!({ "src": "n0", "dest": "n1", "body": [] }),
            json!({ "src": "n0", "dest": "n1", "body": {} }),
            json!({ "src": "n0", "dest": "n1", "body": { "type": 1 } }),
            json!({ "src": "n0", "dest": "n1", "body": body, "extra": 1 }),
        ];
        for bad in bad {
            assert!(message(&bad.to_string()).is_err(), "{bad}");
        }
        for bad in ["", "hello", "{}{}", "{\"src\":\"n0\""] {
            assert!(message(bad).is_err(), "{bad}");
        }
    }

    fn told(kind: Kind, body: Value) -> Result<Answer, String> {
        let Value::Object(body) = body else { panic!("a body is an object") };
        reply(kind, &body)
    }

    #[test]
    fn a_reply_has_the_keys_of_its_type_and_no_other() {
        assert_eq!(told(Kind::Init, json!({ "type": "init_ok", "in_reply_to": 1 })), Ok(Answer::Done));
        assert_eq!(
            told(Kind::Write, json!({ "type": "write_ok", "in_reply_to": 1, "msg_id": 2 })),
            Ok(Answer::Done)
        );
        assert_eq!(told(Kind::Cas, json!({ "type": "cas_ok", "in_reply_to": 1 })), Ok(Answer::Done));
        let read = told(Kind::Read, json!({ "type": "read_ok", "in_reply_to": 1, "value": null }));
        assert_eq!(read, Ok(Answer::Value(Value::Null)));
        let bad = [
            (Kind::Read, json!({ "type": "read_ok", "in_reply_to": 1 })),
            (Kind::Read, json!({ "type": "read_ok", "in_reply_to": 1, "value": 1, "key": 1 })),
            (Kind::Read, json!({ "type": "write_ok", "in_reply_to": 1 })),
            (Kind::Write, json!({ "type": "write_ok", "in_reply_to": 1, "value": 1 })),
            (Kind::Write, json!({ "type": "write_ok", "in_reply_to": 1, "msg_id": "2" })),
            (Kind::Cas, json!({ "type": "write_ok", "in_reply_to": 1 })),
            (Kind::Init, json!({ "type": "init_ok", "in_reply_to": 1, "node_id": "n0" })),
        ];
        for (kind, body) in bad {
            assert!(told(kind, body.clone()).is_err(), "{body}");
        }
    }

    #[test]
    fn an_error_has_a_number_that_means_something() {
        for code in [0, 1, 10, 11, 12, 13, 14, 20, 21, 22, 30, 1000, 4711] {
            let body = json!({ "type": "error", "in_reply_to": 1, "code": code, "text": "?", "more": [] });
            assert_eq!(told(Kind::Cas, body), Ok(Answer::Error(code)));
        }
        for code in [json!(2), json!(999), json!(-1), json!("11"), json!(1.5), json!(null)] {
            assert!(told(Kind::Cas, json!({ "type": "error", "in_reply_to": 1, "code": code })).is_err());
        }
        assert!(told(Kind::Cas, json!({ "type": "error", "in_reply_to": 1 })).is_err());
        assert!(
            told(Kind::Cas, json!({ "type": "error", "in_reply_to": 1, "code": 11, "text": 1 })).is_err()
        );
    }
}
