//! What is replicated: values under numbers, as a user with a large state would keep them.

use bytes::{Buf, Bytes};
use std::{
    collections::BTreeMap,
    io::{self, BufReader, BufWriter, Read, Write},
    sync::Arc,
};
use vsr_actor::{Commit, Frozen, Payload, PayloadError, Snapshot, StateMachine};

/// Writes a value. Encoded without serde: a large value is copied, not walked through.
#[derive(Clone, Debug)]
pub(crate) struct Put {
    pub(crate) key: u64,
    pub(crate) value: Bytes,
}

/// Of an encoded operation: keys are padded, to be as long as those of the other benches.
pub(super) const KEY_BYTES: usize = 16;

impl Payload for Put {
    fn encode(&self, into: &mut Vec<u8>) {
        into.reserve(KEY_BYTES + self.value.len());
        into.extend_from_slice(&u128::from(self.key).to_le_bytes());
        into.extend_from_slice(&self.value);
    }

    fn decode(mut from: Bytes) -> Result<Self, PayloadError> {
        if from.len() < KEY_BYTES {
            return Err(PayloadError { wanted: "Put", why: format!("{} bytes are no key", from.len()) });
        }
        let key = from.get_u128_le() as u64;
        Ok(Self { key, value: from })
    }
}

/// Shards that a snapshot shares with the state: what is written to while it is being taken is copied, a shard at a time.
#[derive(Debug)]
pub(crate) struct Table {
    shards: Vec<Arc<Shard>>,
    puts: u64,
}

type Shard = BTreeMap<u64, Arc<[u8]>>;

/// Keys of a shard, about: few, for a shard is copied to change one.
const SHARD_KEYS: u64 = 64;

impl Table {
    /// An empty one that is made for so many keys.
    pub(crate) fn for_keys(keys: u64) -> Self {
        let shards = (0..keys.div_ceil(SHARD_KEYS).max(1)).map(|_| Arc::default()).collect();
        Self { shards, puts: 0 }
    }

    /// One that has values under so many keys already.
    pub(crate) fn filled(keys: u64, value_bytes: usize) -> Self {
        let mut table = Self::for_keys(keys);
        let value = vec![7; value_bytes];
        for key in 0..keys {
            // Each of its own: shared values would be no state of that size.
            table.insert(key, &value);
        }
        table
    }

    fn insert(&mut self, key: u64, value: &[u8]) {
        let shard = key % self.shards.len() as u64;
        Arc::make_mut(&mut self.shards[shard as usize]).insert(key, value.into());
    }
}

impl StateMachine for Table {
    type Operation = Put;
    type Reply = u64;

    fn handle_commit(&mut self, _: &Commit, put: Put) -> u64 {
        // Copied: the operation is a part of its entry, and would keep all of it in memory.
        self.insert(put.key, &put.value);
        self.puts += 1;
        self.puts
    }
}

impl Snapshot for Table {
    fn snapshot(&self) -> Frozen {
        let (shards, puts) = (self.shards.clone(), self.puts);
        Frozen::new(move |to| {
            let mut to = BufWriter::with_capacity(1 << 16, to);
            let rows: usize = shards.iter().map(|shard| shard.len()).sum();
            for number in [puts, rows as u64] {
                to.write_all(&number.to_le_bytes())?;
            }
            for (key, value) in shards.iter().flat_map(|shard| shard.iter()) {
                to.write_all(&key.to_le_bytes())?;
                to.write_all(&(value.len() as u64).to_le_bytes())?;
                to.write_all(value)?;
            }
            to.flush()
        })
    }

    fn restore(&mut self, from: &mut dyn Read) -> io::Result<()> {
        let mut from = BufReader::with_capacity(1 << 16, from);
        let number = |from: &mut BufReader<&mut dyn Read>| {
            let mut bytes = [0; 8];
            from.read_exact(&mut bytes).map(|()| u64::from_le_bytes(bytes))
        };
        self.puts = number(&mut from)?;
        self.shards.fill_with(Arc::default);
        let rows = number(&mut from)?;
        let mut value = Vec::new();
        for _ in 0..rows {
            let key = number(&mut from)?;
            value.resize(number(&mut from)? as usize, 0);
            from.read_exact(&mut value)?;
            self.insert(key, &value);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_restored_as_it_was_frozen() {
        let mut table = Table::filled(10_000, 5);
        let frozen = table.snapshot();
        table.insert(3, b"changed since");
        let mut bytes = Vec::new();
        frozen.write(&mut bytes).expect("a Vec takes all");
        let mut restored = Table::for_keys(10_000);
        restored.restore(&mut bytes.as_slice()).expect("it was just written");
        assert_eq!(restored.shards, Table::filled(10_000, 5).shards);
    }

    #[test]
    fn an_operation_is_read_as_it_was_written() {
        let mut bytes = Vec::new();
        Put { key: 7, value: Bytes::from_static(b"seven") }.encode(&mut bytes);
        let put = Put::decode(bytes.into()).expect("it was just written");
        assert_eq!((put.key, put.value.as_ref()), (7, b"seven".as_slice()));
        assert!(Put::decode(Bytes::from_static(b"short")).is_err());
    }
}
