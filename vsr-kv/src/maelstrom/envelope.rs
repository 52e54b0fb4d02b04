//! Messages as lines: from whom, to whom, and what.

use super::{fault::Fault, registers::Json};
use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD as BASE64};
use serde_json::{Map, Number, Value, json};
use vsr_actor::Message;
use vsr_actor::vsr_core::DecodeError;

/// A message that came in. Other fields of a line are ignored.
#[derive(Debug)]
pub(super) struct Envelope {
    pub(super) src: String,
    pub(super) dest: String,
    pub(super) body: Map<String, Value>,
}

/// Why a line is no message. Nobody can be told: it does not say who sent it.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoMessage {
    #[error("it is not JSON: {0}")]
    NotJson(#[from] serde_json::Error),
    #[error("it is not an object with a text {0:?}")]
    Without(&'static str),
}

impl Envelope {
    pub(super) fn parse(line: &[u8]) -> Result<Self, NoMessage> {
        let mut message: Value = serde_json::from_slice(line)?;
        let mut field = |name| message.get_mut(name).map(Value::take);
        let Some(Value::String(src)) = field("src") else { return Err(NoMessage::Without("src")) };
        let Some(Value::String(dest)) = field("dest") else { return Err(NoMessage::Without("dest")) };
        // Without a body there is no type: the sender is told so.
        let body = match field("body") {
            Some(Value::Object(body)) => body,
            _ => Map::new(),
        };
        Ok(Self { src, dest, body })
    }

    /// What the message is; nothing, if it does not say so.
    pub(super) fn kind(&self) -> Option<&str> {
        self.body.get("type")?.as_str()
    }

    /// Whether it answers something. Answers are never answered: two nodes could go on like that for ever.
    pub(super) fn is_answer(&self) -> bool {
        self.body.contains_key("in_reply_to") || self.kind() == Some("error")
    }

    /// Who is to be answered.
    pub(super) fn asker(&self) -> Asker {
        let msg_id = match self.body.get("msg_id") {
            Some(Value::Number(number)) => Some(number.clone()),
            _ => None,
        };
        Asker { node: self.dest.clone(), client: self.src.clone(), msg_id }
    }
}

/// Who asked for something, and whom.
#[derive(Clone, Debug)]
pub(super) struct Asker {
    node: String,
    client: String,
    /// Nothing: the answer cannot say what it answers.
    msg_id: Option<Number>,
}

impl Asker {
    /// The line that answers with `body`.
    pub(super) fn answer(&self, mut body: Value) -> String {
        if let Some(msg_id) = &self.msg_id {
            body["in_reply_to"] = Value::Number(msg_id.clone());
        }
        json!({ "src": self.node, "dest": self.client, "body": body }).to_string()
    }

    /// The line that brings what was read.
    pub(super) fn value(&self, value: &Json) -> String {
        self.answer(json!({ "type": "read_ok", "value": value.value() }))
    }

    /// The line that says why there is no result.
    pub(super) fn error(&self, fault: &Fault) -> String {
        self.answer(json!({ "type": "error", "code": fault.code as u16, "text": fault.text }))
    }
}

/// The type of messages between replicas.
pub(super) const VSR: &str = "vsr";

/// The line that carries a message to a peer. Its binary form in base64 is shorter than the message in JSON would be, where each byte
/// of an operation is a number, and brings its checksum and its version along.
pub(super) fn peer_line(src: &str, dest: &str, message: &Message) -> String {
    let message = BASE64.encode(message.encode());
    json!({ "src": src, "dest": dest, "body": { "type": VSR, "message": message } }).to_string()
}

/// Why a peer's message cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("it has no text \"message\"")]
    Missing,
    #[error("\"message\" is not base64: {0}")]
    NotBase64(#[from] base64::DecodeError),
    #[error("\"message\" is no message of a replica: {0}")]
    NoMessage(#[from] DecodeError),
}

/// The message that [`peer_line`] wrote.
pub(super) fn peer_message(body: &Map<String, Value>) -> Result<Message, Unreadable> {
    let text = body.get("message").and_then(Value::as_str).ok_or(Unreadable::Missing)?;
    Ok(Message::decode(BASE64.decode(text)?.into())?)
}
