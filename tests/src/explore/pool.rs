//! Things that come again and again in a search, each kept once and known by a small number.

use crate::checkers::Violation;
use std::collections::HashMap;
use vsr_core::{Body, Entry, Hash, Message, Nonce, OpNumber, ViewNumber};
use xxhash_rust::xxh3::xxh3_128;

/// Messages that concern one replica, and sets of them: the network forgets nothing that may still matter, so what is under way is
/// a set. A message belongs to its receiver, but a question to who asks it: it is over when the asker has its answer.
#[derive(Debug)]
pub(super) struct Messages {
    all: Vec<Known>,
    numbers: HashMap<(usize, u128), u32>,
    sets: Vec<Set>,
    set_numbers: HashMap<u128, u32>,
    ears: HashMap<Ears, u32>,
    all_ears: Vec<Ears>,
    /// What came of a set, more messages, and ears.
    unions: HashMap<(u32, u32, u32), u32>,
}

#[derive(Debug)]
struct Known {
    to: usize,
    message: Message,
}

#[derive(Debug, Default)]
struct Set {
    messages: Box<[u32]>,
    /// A bit for each message, and for some of them the same: what is not here is not in the set.
    bits: u64,
}

/// What a replica may still listen to, whatever happens to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ears {
    pub(super) durable_view: ViewNumber,
    pub(super) durable_log_view: ViewNumber,
    /// Questions are asked once: who has the answer asks another (decision 5).
    pub(super) question: Option<Nonce>,
    /// What others have acknowledged to the primary of `durable_view`.
    pub(super) acknowledged: Vec<OpNumber>,
}

impl Ears {
    /// Whether a message can never mean anything again: the core ignores it, and does not answer.
    fn are_deaf_to(&self, message: &Message) -> bool {
        match &message.body {
            Body::Prepare { .. } | Body::Commit { .. } => message.view < self.durable_view,
            Body::PrepareOk { op, .. } => {
                let known = self.acknowledged.get(message.from.0 as usize);
                message.view < self.durable_view || known.is_some_and(|known| op <= known)
            }
            Body::StartView(_) => message.view <= self.durable_log_view,
            Body::GetState { nonce, .. } => Some(*nonce) != self.question,
            Body::NewState(state) => Some(state.nonce) != self.question,
            _ => false,
        }
    }
}

impl Messages {
    /// The set of no messages.
    pub(super) const NONE: u32 = 0;

    pub(super) fn new() -> Self {
        Self {
            all: Vec::new(),
            numbers: HashMap::new(),
            sets: vec![Set::default()],
            set_numbers: HashMap::from([(xxh3_128(&[]), Self::NONE)]),
            ears: HashMap::new(),
            all_ears: Vec::new(),
            unions: HashMap::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn get(&self, number: u32) -> &Message {
        &self.all[number as usize].message
    }

    /// Whom it is sent to.
    pub(super) fn to(&self, number: u32) -> usize {
        self.all[number as usize].to
    }

    pub(super) fn of_set(&self, set: u32) -> &[u32] {
        &self.sets[set as usize].messages
    }

    /// The number of a replica's ears.
    pub(super) fn ears(&mut self, ears: Ears) -> u32 {
        let next = self.all_ears.len() as u32;
        let number = *self.ears.entry(ears.clone()).or_insert(next);
        if number == next {
            self.all_ears.push(ears);
        }
        number
    }

    /// The set of these messages.
    pub(super) fn set_of(&mut self, messages: impl IntoIterator<Item = (usize, Message)>) -> u32 {
        let numbers = messages.into_iter().map(|(to, message)| self.number(to, message)).collect();
        self.set(numbers)
    }

    /// What is under way when more was sent, without what nobody listens to.
    pub(super) fn union(&mut self, set: u32, more: u32, ears: u32) -> Result<u32, Violation> {
        if let Some(known) = self.unions.get(&(set, more, ears)) {
            return Ok(*known);
        }
        let mut numbers = [self.of_set(set), self.of_set(more)].concat();
        numbers.retain(|number| !self.all_ears[ears as usize].are_deaf_to(self.get(*number)));
        let union = self.set(numbers);
        self.no_two_entries(union)?;
        self.unions.insert((set, more, ears), union);
        Ok(union)
    }

    /// Whether `large` has all that `small` has.
    pub(super) fn includes(&self, large: u32, small: u32) -> bool {
        if self.sets[small as usize].bits & !self.sets[large as usize].bits != 0 {
            return false;
        }
        let mut large = self.of_set(large).iter();
        self.of_set(small)
            .iter()
            .all(|wanted| large.by_ref().find(|number| *number >= wanted) == Some(wanted))
    }

    /// J4: a view proposes one entry at an op.
    fn no_two_entries(&self, set: u32) -> Result<(), Violation> {
        let mut proposed: HashMap<(ViewNumber, OpNumber), Hash> = HashMap::new();
        for number in self.of_set(set) {
            if let Body::Prepare { entry, .. } = &self.get(*number).body {
                let place = (entry.view(), entry.first());
                if *proposed.entry(place).or_insert(entry.hash()) != entry.hash() {
                    let what = format!("{} proposes two entries at {}", place.0, place.1);
                    return Err(Violation::new("J4 uniqueness", what));
                }
            }
        }
        Ok(())
    }

    fn number(&mut self, to: usize, message: Message) -> u32 {
        let next = self.all.len() as u32;
        let number = *self.numbers.entry((to, xxh3_128(&message.encode()))).or_insert(next);
        if number == next {
            self.all.push(Known { to, message });
        }
        number
    }

    fn set(&mut self, mut numbers: Vec<u32>) -> u32 {
        numbers.sort_unstable();
        numbers.dedup();
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        let next = self.sets.len() as u32;
        let set = *self.set_numbers.entry(xxh3_128(&bytes)).or_insert(next);
        if set == next {
            let bits = numbers.iter().fold(0, |bits, number| bits | 1 << (number % 64));
            self.sets.push(Set { messages: numbers.into(), bits });
        }
        set
    }
}

/// Logs, each known by its last entry: the tree of all entries.
#[derive(Debug)]
pub(super) struct Logs {
    ends: Vec<End>,
    numbers: HashMap<Hash, u32>,
}

#[derive(Debug)]
struct End {
    op: OpNumber,
    parent: u32,
}

impl Logs {
    /// The log without an entry.
    pub(super) const EMPTY: u32 = 0;

    pub(super) fn new() -> Self {
        let ends = vec![End { op: OpNumber(0), parent: Self::EMPTY }];
        Self { ends, numbers: HashMap::from([(Hash::default(), Self::EMPTY)]) }
    }

    pub(super) fn add(&mut self, entry: &Entry) {
        let parent = self.ending_in(entry.parent());
        let next = self.ends.len() as u32;
        if *self.numbers.entry(entry.hash()).or_insert(next) == next {
            self.ends.push(End { op: entry.last(), parent });
        }
    }

    pub(super) fn ending_in(&self, hash: Hash) -> u32 {
        *self.numbers.get(&hash).expect("every entry was added when it was appended")
    }

    pub(super) fn op(&self, log: u32) -> OpNumber {
        self.ends[log as usize].op
    }

    /// Whether `log` begins with all of `prefix`.
    pub(super) fn has(&self, mut log: u32, prefix: u32) -> bool {
        while self.op(log) > self.op(prefix) {
            log = self.ends[log as usize].parent;
        }
        log == prefix
    }
}
