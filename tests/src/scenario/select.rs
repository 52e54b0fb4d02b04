//! Which messages a command means: `R0->R1 Prepare op2`.

use crate::trace::describe;
use vsr_core::Message;

/// A pattern for messages under way.
#[derive(Clone, Debug)]
pub(super) struct Selector {
    from: Option<usize>,
    to: Option<usize>,
    name: Option<String>,
    /// Words that must occur in the message as it is written in a transcript.
    words: Vec<String>,
}

impl Selector {
    pub(super) fn parse(words: &[&str]) -> Result<Self, String> {
        let [link, rest @ ..] = words else { return Err("which messages?".into()) };
        let (from, to) = link.split_once("->").ok_or_else(|| format!("{link} is not like R0->R1"))?;
        let name = rest.first().filter(|name| **name != "*").map(ToString::to_string);
        let words = rest.iter().skip(1).map(ToString::to_string).collect();
        Ok(Self { from: end(from)?, to: end(to)?, name, words })
    }

    pub(super) fn matches(&self, from: usize, to: usize, message: &Message) -> bool {
        let ends = self.from.is_none_or(|it| it == from) && self.to.is_none_or(|it| it == to);
        let named = || self.name.as_ref().is_none_or(|name| format!("{:?}", message.body.name()) == *name);
        let described = || {
            let text = describe(message);
            let has = |word: &String| text.split([' ', '[', ']', ',', ';']).any(|part| part == word);
            self.words.is_empty() || self.words.iter().all(has)
        };
        ends && named() && described()
    }
}

fn end(text: &str) -> Result<Option<usize>, String> {
    if text == "*" { Ok(None) } else { replica(text).map(Some) }
}

/// The position of a replica by its name.
pub(super) fn replica(text: &str) -> Result<usize, String> {
    let number = text.strip_prefix('R').and_then(|number| number.parse().ok());
    number.ok_or_else(|| format!("{text} is not a replica"))
}
