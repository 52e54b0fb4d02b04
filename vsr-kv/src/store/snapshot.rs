//! The store as bytes: a version, the moment, how many shards lost a key and how many keys there are; then those shards, then the keys
//! with what is under them, in an order that follows from the keys alone.

use super::{
    Moment, Store, VALUE_BYTES_MAX,
    keyspace::Keyspace,
    map::{Entry, Map, SHARDS, shard_of},
};
use bytes::Bytes;
use std::io::{self, Read, Write};
use vsr_actor::{Frozen, Snapshot};

const VERSION: u8 = 3;
/// A key cannot be longer than an operation, an entry of the map not longer than this.
const PART_BYTES_MAX: usize = 16 * VALUE_BYTES_MAX;

impl Snapshot for Store {
    fn snapshot(&self) -> Frozen {
        // A map of its own, as the view must not change however late it is written; what it shares is copied when it changes.
        let (entries, moment) = (self.keys.entries().clone(), self.keys.moment());
        Frozen::new(move |to| write(&entries, moment, to))
    }

    fn restore(&mut self, from: &mut dyn Read) -> io::Result<()> {
        self.keys = read(from)?;
        Ok(())
    }

    fn digest(&self) -> Option<u128> {
        Some(self.keys.digest())
    }
}

fn write(entries: &Map, moment: Moment, to: &mut dyn Write) -> io::Result<()> {
    let mut to = io::BufWriter::new(to);
    let gone = || entries.shards().enumerate().filter(|(_, shard)| shard.gone > 0);
    to.write_all(&[VERSION])?;
    for number in [moment.timestamp, moment.op, gone().count() as u64, entries.len() as u64] {
        to.write_all(&number.to_le_bytes())?;
    }
    for (index, shard) in gone() {
        to.write_all(&(index as u64).to_le_bytes())?;
        to.write_all(&shard.gone.to_le_bytes())?;
    }
    for (key, entry) in entries.iter() {
        to.write_all(&entry.changed.to_le_bytes())?;
        to.write_all(&[entry.expires.is_some().into()])?;
        if let Some(at) = entry.expires {
            to.write_all(&at.to_le_bytes())?;
        }
        for part in [key, &*entry.value] {
            let length = u32::try_from(part.len()).map_err(io::Error::other)?;
            to.write_all(&length.to_le_bytes())?;
            to.write_all(part)?;
        }
    }
    to.flush()
}

fn read(from: &mut dyn Read) -> io::Result<Keyspace> {
    let mut from = io::BufReader::new(from);
    let [version] = array(&mut from)?;
    if version != VERSION {
        return Err(invalid(format!("a snapshot of version {version}, this program reads {VERSION}")));
    }
    let moment = Moment { timestamp: number(&mut from)?, op: number(&mut from)? };
    let (gone, count) = (number(&mut from)?, number(&mut from)?);
    let mut entries = Map::default();
    for _ in 0..gone {
        let (index, changed) = (number(&mut from)?, number(&mut from)?);
        let index = usize::try_from(index).ok().filter(|index| *index < SHARDS);
        entries.note_gone(index.ok_or_else(|| invalid("there are fewer shards".into()))?, changed);
    }
    let mut last = None;
    for _ in 0..count {
        let changed = number(&mut from)?;
        let expires = match array(&mut from)? {
            [0] => None,
            [1] => Some(number(&mut from)?),
            [mark] => return Err(invalid(format!("a key has the mark {mark}"))),
        };
        let (key, value) = (part(&mut from)?, part(&mut from)?);
        let place = Some((shard_of(&key), key.clone()));
        if place <= last {
            return Err(invalid("the keys of the snapshot are not in order".into()));
        }
        last = place;
        let entry = Entry::new(&key, value, expires, changed);
        entries.insert(&key, entry);
    }
    match from.read(&mut [0])? {
        0 => Ok(Keyspace::restored(entries, moment)),
        _ => Err(invalid("bytes follow the snapshot".into())),
    }
}

fn number(from: &mut impl Read) -> io::Result<u64> {
    array(from).map(u64::from_le_bytes)
}

fn array<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn part(from: &mut impl Read) -> io::Result<Bytes> {
    let length = u32::from_le_bytes(array(from)?) as usize;
    if length > PART_BYTES_MAX {
        return Err(invalid(format!("a key or value of {length} bytes in the snapshot")));
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes)?;
    Ok(bytes.into())
}

fn invalid(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::super::{Condition, Expiry, Operation, When};
    use super::*;

    /// Keys of which some end, some have ended, and some are gone.
    fn filled(keys: impl Iterator<Item = u64>) -> Store {
        let mut store = Store::default();
        for number in keys {
            let (key, value) = (Bytes::from(number.to_string()), format!("value of {number}").into());
            let expiry =
                if number % 3 == 0 { Expiry::At(When::At(10 + number as i64)) } else { Expiry::Clear };
            // An op of its own for each key: the order of writing must not show.
            let moment = Moment { timestamp: 1, op: number + 1 };
            let (condition, get) = (Condition::Always, false);
            store.apply(moment, &Operation::Set { key: key.clone(), value, condition, get, expiry });
            if number % 7 == 5 {
                store.apply(moment, &Operation::Delete { keys: vec![key] });
            }
        }
        store.apply(Moment { timestamp: 40_000_000, op: 2000 }, &Operation::Size);
        store
    }

    fn bytes(store: &Store) -> Vec<u8> {
        let mut bytes = Vec::new();
        store.snapshot().write(&mut bytes).expect("a Vec takes all");
        bytes
    }

    #[test]
    fn a_snapshot_comes_back_and_is_the_same_whatever_the_order_of_writing() {
        let store = filled(0..100);
        let written = bytes(&store);
        let backwards = filled((0..100).rev());
        assert_eq!(written, bytes(&backwards));
        assert_eq!(store.digest(), backwards.digest());
        let mut other = filled(1000..1010);
        other.restore(&mut written.as_slice()).expect("a good snapshot");
        assert_eq!(other.keys, store.keys);
        other.check().expect("all in step");
        for number in 0..100_u64 {
            let key = number.to_string();
            assert_eq!(other.version(key.as_bytes()), store.version(key.as_bytes()), "{key}");
        }
    }

    #[test]
    fn a_snapshot_shows_the_moment_it_was_taken() {
        let mut store = filled(0..10);
        let (before, frozen) = (bytes(&store), store.snapshot());
        let moment = Moment { timestamp: 50_000_000, op: 3000 };
        store.apply(moment, &Operation::Append { key: "1".into(), value: "more".into() });
        store.apply(moment, &Operation::Delete { keys: vec!["2".into()] });
        let mut written = Vec::new();
        frozen.write(&mut written).expect("a Vec takes all");
        assert_eq!(written, before);
    }

    #[test]
    fn damaged_snapshots_are_refused() {
        let written = bytes(&filled(0..3));
        for end in 0..written.len() {
            assert!(Store::default().restore(&mut &written[..end]).is_err(), "cut at {end}");
        }
        let mut longer = written.clone();
        longer.push(0);
        assert!(Store::default().restore(&mut longer.as_slice()).is_err());
        let mut newer = written;
        newer[0] = 9;
        let error = Store::default().restore(&mut newer.as_slice()).expect_err("another version");
        assert!(error.to_string().contains("version 9"), "{error}");
    }
}
