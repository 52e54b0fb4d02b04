//! What clients do, what they are told, and the machine that would say the same, one operation at a time.

use super::resp::Reply;
use vsr_actor::linearizability::Model;

/// Bytes of each text that is appended.
const TOKEN_BYTES: usize = 8;

/// What a key is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Kind {
    Register,
    Counter,
    Text,
    /// Two keys that are only ever changed and read together.
    Pair,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Register, Self::Counter, Self::Text, Self::Pair];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) kind: Kind,
    pub(super) number: u64,
}

impl Key {
    /// What it is called in the store; a pair has two names.
    pub(super) fn names(self) -> [String; 2] {
        let letters = match self.kind {
            Kind::Register => ["r", ""],
            Kind::Counter => ["n", ""],
            Kind::Text => ["t", ""],
            Kind::Pair => ["a", "b"],
        };
        letters.map(|letter| format!("{letter}{}", self.number))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Read,
    /// A register only.
    Write(u64),
    /// A register only.
    CompareAndSet {
        old: u64,
        new: u64,
    },
    /// Counters and pairs.
    Increment,
    /// A text only.
    Append(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Operation {
    pub(super) key: Key,
    pub(super) act: Act,
}

/// What a client learnt from a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Value(Option<u64>),
    Written,
    /// Of a comparison: whether the value was the expected one; nothing, if there was none.
    Swapped(Option<bool>),
    Number(u64),
    /// How many tokens were appended, and what they are in their order.
    Text(u64, u64),
    Length(u64),
    /// Both halves of a pair.
    Both(u64, u64),
    /// Something that no machine would say.
    Strange(String),
}

impl Operation {
    /// Whether it changes anything.
    pub(super) fn is_write(&self) -> bool {
        self.act != Act::Read
    }

    /// As commands of Redis; the last reply is the one that counts.
    pub(super) fn commands(&self) -> Vec<Vec<String>> {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let [key, other] = self.key.names();
        let one = |command: &[&str]| vec![words(command)];
        let both = |name: &str| {
            vec![words(&["MULTI"]), words(&[name, &key]), words(&[name, &other]), words(&["EXEC"])]
        };
        match (self.key.kind, self.act) {
            (Kind::Pair, Act::Read) => both("GET"),
            (Kind::Pair, _) => both("INCR"),
            (_, Act::Read) => one(&["GET", &key]),
            (_, Act::Write(value)) => one(&["SET", &key, &value.to_string()]),
            (_, Act::CompareAndSet { old, new }) => one(&["CAS", &key, &old.to_string(), &new.to_string()]),
            (_, Act::Increment) => one(&["INCR", &key]),
            (_, Act::Append(token)) => one(&["APPEND", &key, &token_text(token)]),
        }
    }

    /// What a reply says that is no error.
    pub(super) fn seen(&self, reply: &Reply) -> Seen {
        let strange = || Seen::Strange(format!("{self:?} was answered by {reply:?}"));
        let seen = match (self.key.kind, self.act, reply) {
            (Kind::Register, Act::Read, reply) => optional_number(reply).map(Seen::Value),
            (Kind::Register, Act::Write(_), Reply::Text(text)) if text == "OK" => Some(Seen::Written),
            (Kind::Register, Act::CompareAndSet { .. }, Reply::Nil) => Some(Seen::Swapped(None)),
            (Kind::Register, Act::CompareAndSet { .. }, Reply::Int(done @ 0..=1)) => {
                Some(Seen::Swapped(Some(*done == 1)))
            }
            (Kind::Counter, _, reply) => number(reply).map(Seen::Number),
            (Kind::Text, Act::Read, Reply::Nil) => Some(Seen::Text(0, 0)),
            (Kind::Text, Act::Read, Reply::Bulk(text)) => tokens(text).map(|tokens| {
                Seen::Text(tokens.len() as u64, tokens.iter().fold(0, |all, token| mixed(all, *token)))
            }),
            (Kind::Text, Act::Append(_), reply) => number(reply).map(Seen::Length),
            (Kind::Pair, _, Reply::Array(halves)) => match halves.as_slice() {
                [first, second] => {
                    number(first).zip(number(second)).map(|(first, second)| Seen::Both(first, second))
                }
                _ => None,
            },
            _ => None,
        };
        seen.unwrap_or_else(strange)
    }
}

fn token_text(token: u64) -> String {
    format!("{token:0width$x}", width = TOKEN_BYTES)
}

/// The tokens of a text in their order; nothing, if it is not made of such.
pub(super) fn tokens(text: &[u8]) -> Option<Vec<u64>> {
    let token = |bytes: &[u8]| u64::from_str_radix(std::str::from_utf8(bytes).ok()?, 16).ok();
    let whole = text.len().is_multiple_of(TOKEN_BYTES);
    text.chunks(TOKEN_BYTES).map(token).collect::<Option<_>>().filter(|_| whole)
}

fn optional_number(reply: &Reply) -> Option<Option<u64>> {
    match reply {
        Reply::Nil => Some(None),
        other => number(other).map(Some),
    }
}

fn number(reply: &Reply) -> Option<u64> {
    match reply {
        Reply::Nil => Some(0),
        Reply::Int(number) => u64::try_from(*number).ok(),
        Reply::Bulk(text) => std::str::from_utf8(text).ok()?.parse().ok(),
        _ => None,
    }
}

fn mixed(all: u64, token: u64) -> u64 {
    (all.rotate_left(5) ^ token).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// One key, whatever it is used for.
pub(super) struct OneKey;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Content {
    value: Option<u64>,
    count: u64,
    text: u64,
}

impl Model for OneKey {
    type State = Content;
    type Op = Operation;
    type Reply = Seen;

    fn initial() -> Content {
        Content::default()
    }

    fn step(state: &Content, operation: &Operation) -> (Content, Seen) {
        let mut next = state.clone();
        let seen = match operation.act {
            Act::Read => match operation.key.kind {
                Kind::Register => Seen::Value(state.value),
                Kind::Counter => Seen::Number(state.count),
                Kind::Text => Seen::Text(state.count, state.text),
                Kind::Pair => Seen::Both(state.count, state.count),
            },
            Act::Write(value) => {
                next.value = Some(value);
                Seen::Written
            }
            Act::CompareAndSet { old, new } => {
                let fits = state.value.map(|value| value == old);
                if fits == Some(true) {
                    next.value = Some(new);
                }
                Seen::Swapped(fits)
            }
            Act::Increment => {
                next.count += 1;
                match operation.key.kind {
                    Kind::Pair => Seen::Both(next.count, next.count),
                    _ => Seen::Number(next.count),
                }
            }
            Act::Append(token) => {
                next.count += 1;
                next.text = mixed(state.text, token);
                Seen::Length(next.count * TOKEN_BYTES as u64)
            }
        };
        (next, seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_and_what_comes_back_are_the_same_operation() {
        let on = |kind, act| Operation { key: Key { kind, number: 7 }, act };
        let text = |text: &str| Reply::Bulk(text.into());
        let joined = |operation: Operation| {
            operation.commands().iter().map(|words| words.join(" ")).collect::<Vec<_>>().join("; ")
        };
        let (get, append) = (on(Kind::Text, Act::Read), on(Kind::Text, Act::Append(0xab)));
        assert_eq!(joined(get), "GET t7");
        assert_eq!(joined(append), "APPEND t7 000000ab");
        assert_eq!(joined(on(Kind::Register, Act::CompareAndSet { old: 1, new: 2 })), "CAS r7 1 2");
        assert_eq!(joined(on(Kind::Pair, Act::Increment)), "MULTI; INCR a7; INCR b7; EXEC");
        let (state, length) = OneKey::step(&Content::default(), &append);
        assert_eq!(length, append.seen(&Reply::Int(8)));
        assert_eq!(OneKey::step(&state, &get).1, get.seen(&text("000000ab")));
        assert_ne!(OneKey::step(&state, &get).1, get.seen(&text("000000ac")));
        for strange in [text("000000a"), text("0000000g"), Reply::Int(1)] {
            assert!(matches!(get.seen(&strange), Seen::Strange(_)), "{strange:?}");
        }
        let both = on(Kind::Pair, Act::Read);
        let halves = Reply::Array(vec![text("3"), text("4")]);
        assert_eq!(both.seen(&halves), Seen::Both(3, 4));
    }
}
