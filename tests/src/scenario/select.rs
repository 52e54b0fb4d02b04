//! Which messages a command means: `R0->R1 Prepare op2`.

use crate::trace::describe;
use vsr_core::Message;

/// A pattern for messages under way.
#[derive(Clone, Debug)]
pub(crate) struct Selector {
    from: Option<usize>,
    to: Option<usize>,
    name: Option<String>,
    /// Words that must occur in the message as it is written in a transcript.
    words: Vec<String>,
    /// So many older ones of the kind are passed over.
    pub(crate) skip: usize,
}

impl Selector {
    pub(crate) fn parse(words: &[&str]) -> Result<Self, String> {
        let [link, rest @ ..] = words else { return Err("which messages?".into()) };
        let (from, to) = link.split_once("->").ok_or_else(|| format!("{link} is not like R0->R1"))?;
        let name = rest.first().filter(|name| **name != "*").map(ToString::to_string);
        let (numbers, words): (Vec<&str>, _) = rest.iter().skip(1).partition(|word| word.starts_with('#'));
        let number = numbers.first().map_or(Ok(1), |number| number[1..].parse::<usize>());
        let skip = number.ok().and_then(|number| number.checked_sub(1)).ok_or("they are counted from #1")?;
        let words = words.into_iter().map(String::from).collect();
        Ok(Self { from: end(from)?, to: end(to)?, name, words, skip })
    }

    pub(crate) fn matches(&self, from: usize, to: usize, message: &Message) -> bool {
        self.links(from, to) && self.describes(&describe(message))
    }

    /// Whether it means messages of this link.
    pub(crate) fn links(&self, from: usize, to: usize) -> bool {
        self.from.is_none_or(|it| it == from) && self.to.is_none_or(|it| it == to)
    }

    /// Whether it means a message that transcripts write like this.
    pub(crate) fn describes(&self, text: &str) -> bool {
        let mut words = words_of(text);
        let named = self.name.is_none() || self.name.as_deref() == words.next();
        named && self.words.iter().all(|word| words_of(text).any(|part| part == word))
    }
}

/// The words of a message as a transcript has it.
pub(crate) fn words_of(text: &str) -> impl Iterator<Item = &str> {
    text.split([' ', '[', ']', ',', ';']).filter(|word| !word.is_empty())
}

fn end(text: &str) -> Result<Option<usize>, String> {
    if text == "*" { Ok(None) } else { replica(text).map(Some) }
}

/// The position of a replica by its name.
pub(crate) fn replica(text: &str) -> Result<usize, String> {
    let number = text.strip_prefix('R').and_then(|number| number.parse().ok());
    number.ok_or_else(|| format!("{text} is not a replica"))
}
