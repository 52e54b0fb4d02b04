//! The replicated state machine of the tests: named numbers, and a digest of everything that ever happened to them.

use crate::prng::mix;
use bytes::Bytes;
use std::collections::BTreeMap;
use vsr_core::{OpNumber, checksum};

/// Named numbers. `put x 1` answers the old value, `add x 1` the new one, `get x` the value; `alarm 5` asks for a tick in
/// five milliseconds of replicated time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    values: BTreeMap<Vec<u8>, i64>,
    /// Operations executed, ticks included.
    executed: u64,
    /// Rolls over (op, operation, reply): equal digests at one op mean equal histories.
    digest: u64,
    alarm: Option<u64>,
}

impl Machine {
    /// Executes one operation; `None` is a tick.
    pub fn apply(&mut self, op: OpNumber, timestamp: u64, operation: Option<&[u8]>) -> Bytes {
        let reply = match operation {
            Some(operation) => self.execute(timestamp, operation),
            None => self.tick(timestamp),
        };
        self.executed += 1;
        let what = operation.map_or(0, checksum) ^ mix(checksum(&reply));
        self.digest = mix(self.digest ^ mix(op.0 ^ mix(timestamp)) ^ what);
        reply
    }

    fn execute(&mut self, timestamp: u64, operation: &[u8]) -> Bytes {
        let mut words = operation.split(|byte| *byte == b' ');
        let (verb, name, number) = (words.next(), words.next().unwrap_or_default(), words.next());
        let number = number.map_or(0, parse);
        match verb {
            Some(b"put") => render(self.values.insert(name.to_vec(), number)),
            Some(b"add") => {
                if let Some(value) = self.values.get_mut(name) {
                    *value += number;
                    return render(Some(*value));
                }
                self.values.insert(name.to_vec(), number);
                render(Some(number))
            }
            Some(b"get") => render(self.values.get(name).copied()),
            Some(b"alarm") => {
                self.alarm = Some(timestamp.saturating_add(parse(name) as u64 * 1_000_000));
                Bytes::from_static(b"set")
            }
            _ => Bytes::from_static(b"what?"),
        }
    }

    fn tick(&mut self, timestamp: u64) -> Bytes {
        match self.alarm {
            Some(alarm) if alarm <= timestamp => {
                self.alarm = None;
                Bytes::from_static(b"ring")
            }
            _ => Bytes::from_static(b"early"),
        }
    }

    /// When it wants replicated time to have reached.
    #[must_use]
    pub fn next_tick(&self) -> Option<u64> {
        self.alarm
    }

    /// The value of a name.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<i64> {
        self.values.get(name.as_bytes()).copied()
    }

    /// Digest of its whole history.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// Its state as bytes.
    #[must_use]
    pub fn snapshot(&self) -> Bytes {
        let mut bytes = Vec::with_capacity(32 + self.values.len() * 16);
        for number in [self.executed, self.digest, u64::from(self.alarm.is_some()), self.alarm.unwrap_or(0)] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for (name, value) in &self.values {
            bytes.push(name.len() as u8);
            bytes.extend_from_slice(name);
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        bytes.into()
    }

    /// The state that [`snapshot`](Self::snapshot) wrote.
    ///
    /// # Panics
    /// When the bytes are not a snapshot: then the protocol has damaged them.
    #[must_use]
    pub fn restore(mut bytes: &[u8]) -> Self {
        let number = |bytes: &mut &[u8]| {
            let (head, rest) = bytes.split_first_chunk().expect("a snapshot is whole");
            *bytes = rest;
            u64::from_le_bytes(*head)
        };
        let (executed, digest) = (number(&mut bytes), number(&mut bytes));
        let (armed, alarm) = (number(&mut bytes), number(&mut bytes));
        let mut values = BTreeMap::new();
        while let Some((len, rest)) = bytes.split_first() {
            let (name, rest) = rest.split_at(usize::from(*len));
            bytes = rest;
            values.insert(name.to_vec(), number(&mut bytes) as i64);
        }
        Self { values, executed, digest, alarm: (armed == 1).then_some(alarm) }
    }
}

fn parse(word: &[u8]) -> i64 {
    std::str::from_utf8(word).ok().and_then(|word| word.parse().ok()).unwrap_or(0)
}

fn render(value: Option<i64>) -> Bytes {
    value.map_or(Bytes::from_static(b"nil"), |value| value.to_string().into())
}
