//! The store as bytes: a version, a count, then keys and values in an order that follows from the keys alone.

use super::{
    Store, VALUE_BYTES_MAX,
    map::{Map, shard_of},
};
use bytes::Bytes;
use std::io::{self, Read, Write};
use vsr_actor::{Frozen, Snapshot};

const VERSION: u8 = 2;
/// A key cannot be longer than an operation, an entry of the map not longer than this.
const PART_BYTES_MAX: usize = 16 * VALUE_BYTES_MAX;

impl Snapshot for Store {
    fn snapshot(&self) -> Frozen {
        // A map of its own, as the view must not change however late it is written; what it shares is copied when it changes.
        let values = self.values.clone();
        Frozen::new(move |to| write(&values, to))
    }

    fn restore(&mut self, from: &mut dyn Read) -> io::Result<()> {
        self.values = read(from)?;
        Ok(())
    }
}

fn write(values: &Map, to: &mut dyn Write) -> io::Result<()> {
    let mut to = io::BufWriter::new(to);
    to.write_all(&[VERSION])?;
    to.write_all(&(values.len() as u64).to_le_bytes())?;
    for (key, value) in values.iter() {
        for part in [key, value] {
            let length = u32::try_from(part.len()).map_err(io::Error::other)?;
            to.write_all(&length.to_le_bytes())?;
            to.write_all(part)?;
        }
    }
    to.flush()
}

fn read(from: &mut dyn Read) -> io::Result<Map> {
    let mut from = io::BufReader::new(from);
    let [version] = array(&mut from)?;
    if version != VERSION {
        return Err(invalid(format!("a snapshot of version {version}, this program reads {VERSION}")));
    }
    let count = u64::from_le_bytes(array(&mut from)?);
    let mut values = Map::default();
    let mut last = None;
    for _ in 0..count {
        let (key, value) = (part(&mut from)?, part(&mut from)?);
        let place = Some((shard_of(&key), key.clone()));
        if place <= last {
            return Err(invalid("the keys of the snapshot are not in order".into()));
        }
        last = place;
        values.insert(key, value);
    }
    match from.read(&mut [0])? {
        0 => Ok(values),
        _ => Err(invalid("bytes follow the snapshot".into())),
    }
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
    use super::super::Operation;
    use super::*;

    fn filled(keys: impl Iterator<Item = u32>) -> Store {
        let mut store = Store::default();
        for key in keys {
            let (key, value) = (key.to_string().into(), format!("value of {key}").into());
            store.apply(Operation::SetIfMissing { key, value });
        }
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
        assert_eq!(written, bytes(&filled((0..100).rev())));
        let mut other = filled(1000..1010);
        other.restore(&mut written.as_slice()).expect("a good snapshot");
        assert_eq!(other.values, store.values);
    }

    #[test]
    fn a_snapshot_shows_the_moment_it_was_taken() {
        let mut store = filled(0..10);
        let (before, frozen) = (bytes(&store), store.snapshot());
        store.apply(Operation::Append { key: "1".into(), value: "more".into() });
        store.apply(Operation::Delete { keys: vec!["2".into()] });
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
