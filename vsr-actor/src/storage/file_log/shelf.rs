//! The snapshots: a file each. The two newest are kept, so that damage to the newest does not cost the log.

use super::{
    files::{DataFile, Files, failed},
    format::{BadPlate, Identity, Plate, SECTOR, SnapshotName, VERSION},
    stage::{FileBlob, FileStage, STATE_AT},
};
use crate::StorageError;
use bytes::{Buf, BufMut, Bytes};
use std::{
    any::Any,
    io::{self, Write as _},
    sync::{Arc, atomic::Ordering},
};
use vsr_core::{Hash, OpNumber, Snapshot, SnapshotHeader, State, StateDigest, checksum};

const PREFIX: &str = "snapshot-";
const MAGIC: [u8; 8] = *b"VSR snap";

/// So many are kept.
const KEPT: usize = 2;

/// So much of a state is in memory at a time.
const PIECE: usize = 1 << 20;

fn name(snapshot: SnapshotName) -> String {
    format!("{PREFIX}{:016x}-{:032x}", snapshot.op.0, snapshot.digest)
}

fn parse(name: &str) -> Option<SnapshotName> {
    let (op, digest) = name.strip_prefix(PREFIX)?.split_once('-')?;
    let op = OpNumber(u64::from_str_radix(op, 16).ok()?);
    Some(SnapshotName { op, digest: u128::from_str_radix(digest, 16).ok()? })
}

/// Whether it is a snapshot's.
pub(super) fn is_snapshot(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// What tells a snapshot from others.
pub(super) fn name_of(snapshot: &Snapshot) -> SnapshotName {
    SnapshotName { op: snapshot.op(), digest: snapshot.header().digest }
}

/// The snapshots that are there, the oldest first.
#[derive(Debug)]
pub(super) struct Shelf {
    files: Arc<dyn Files>,
    kept: Vec<SnapshotName>,
}

impl Shelf {
    pub(super) fn new(files: Arc<dyn Files>, names: &[String]) -> Self {
        let mut kept: Vec<_> = names.iter().filter_map(|name| parse(name)).collect();
        kept.sort_by_key(|snapshot| snapshot.op);
        Self { files, kept }
    }

    pub(super) fn kept(&self) -> &[SnapshotName] {
        &self.kept
    }

    /// The op of the older one: what follows it is still needed. 0 where there is none.
    pub(super) fn older(&self) -> OpNumber {
        self.kept.iter().rev().nth(KEPT - 1).map_or(OpNumber(0), |snapshot| snapshot.op)
    }

    /// Keeps a snapshot, durably. A state that was staged in this directory is where it is; any other is copied.
    pub(super) fn put(&mut self, snapshot: &Snapshot, identity: &Identity) -> io::Result<()> {
        let kept = name_of(snapshot);
        if self.kept.contains(&kept) {
            return Ok(());
        }
        let copy;
        let staged: &dyn Any = &**snapshot.state().blob();
        let blob = match staged.downcast_ref::<FileBlob>() {
            Some(blob) if blob.temporary.load(Ordering::Acquire) && Arc::ptr_eq(&blob.files, &self.files) => {
                blob
            }
            _ => {
                copy = self.copy(snapshot.state())?;
                let staged: &dyn Any = &**copy.blob();
                staged.downcast_ref::<FileBlob>().expect("it was staged here")
            }
        };
        let header = Header::of(snapshot, *identity);
        blob.file.write_at(STATE_AT + header.snapshot.state_bytes, snapshot.protocol())?;
        blob.file.write_at(0, &header.encode())?;
        blob.file.sync()?;
        self.files.rename(&blob.name, &name(kept))?;
        blob.temporary.store(false, Ordering::Release);
        self.files.sync_names()?;
        self.kept.retain(|other| other.op != kept.op);
        self.kept.push(kept);
        self.kept.sort_by_key(|snapshot| snapshot.op);
        Ok(())
    }

    fn copy(&self, state: &State) -> io::Result<State> {
        let mut stage = FileStage::new(self.files.clone());
        let mut offset = 0;
        while offset < state.len() {
            let piece = state.read(offset, PIECE).map_err(io::Error::other)?;
            stage.write_all(&piece)?;
            offset += piece.len() as u64;
        }
        stage.finish_file()
    }

    /// Reads a snapshot and checks all of it.
    ///
    /// # Errors
    /// It is of another version or another replica. What is merely damaged is none: in words.
    pub(super) fn get(
        &self,
        wanted: SnapshotName,
        identity: &Identity,
    ) -> Result<Result<Snapshot, String>, StorageError> {
        let (files, name) = (&self.files, name(wanted));
        let path = files.path(&name);
        if !self.kept.contains(&wanted) {
            return Ok(Err(format!("{path} is missing")));
        }
        let read = || -> io::Result<_> {
            let file = files.open(&name)?;
            let mut sector = vec![0; SECTOR.min(file.len()? as usize)];
            file.read_at(0, &mut sector)?;
            sector.resize(SECTOR, 0);
            Ok((file, sector))
        };
        let (file, sector) = read().map_err(|error| failed(&**files, "read", &name, error))?;
        let header = match Header::decode(&sector) {
            Ok(header) => header,
            Err(BadPlate::Version(found)) => {
                return Err(StorageError::new(format!(
                    "{path} was written by version {found} of the format, this program knows version {VERSION}: start the one that wrote it"
                )));
            }
            Err(BadPlate::Damaged) => return Ok(Err(format!("the header of {path} is damaged"))),
        };
        if !header.identity.is_same(identity) {
            let found = header.identity;
            return Err(StorageError::new(format!(
                "{path} is of {found}, the directory is of {identity}: take it out"
            )));
        }
        let read = header.read(files, file, name).map_err(|error| failed(&**files, "read", &path, error))?;
        Ok(read.filter(|snapshot| name_of(snapshot) == wanted).ok_or_else(|| format!("{path} is damaged")))
    }

    /// Gives up all but the newest two, and `newest` among them: files behind it are of writes that were never finished.
    pub(super) fn retire(&mut self, newest: SnapshotName) -> io::Result<()> {
        let behind = self.kept.iter().rev().skip_while(|kept| **kept != newest).take(KEPT);
        let keep: Vec<_> = behind.copied().collect();
        for snapshot in std::mem::take(&mut self.kept) {
            if keep.contains(&snapshot) {
                self.kept.push(snapshot);
            } else {
                self.files.remove(&name(snapshot))?;
            }
        }
        Ok(())
    }

    /// Gives one up: it is damaged.
    pub(super) fn discard(&mut self, snapshot: SnapshotName) -> io::Result<()> {
        self.kept.retain(|kept| *kept != snapshot);
        self.files.remove(&name(snapshot))
    }

    /// They count for nothing any more; the files stay until they are removed.
    pub(super) fn forget(&mut self) {
        self.kept.clear();
    }

    /// Whether a file is one of its snapshots.
    pub(super) fn holds(&self, file: &str) -> bool {
        parse(file).is_some_and(|snapshot| self.kept.contains(&snapshot))
    }
}

/// What is in front of the state.
struct Header {
    identity: Identity,
    snapshot: SnapshotHeader,
    state_digest: u128,
    protocol_sum: u64,
}

impl Header {
    fn of(snapshot: &Snapshot, identity: Identity) -> Self {
        Self {
            identity,
            snapshot: *snapshot.header(),
            state_digest: snapshot.state().digest(),
            protocol_sum: checksum(snapshot.protocol()),
        }
    }

    fn encode(&self) -> Vec<u8> {
        Plate::encode(MAGIC, SECTOR, |out| {
            self.identity.encode(out);
            out.put_u64_le(self.snapshot.op.0);
            out.put_u128_le(self.snapshot.hash.0);
            out.put_u64_le(self.snapshot.timestamp);
            out.put_u64_le(self.snapshot.protocol_bytes);
            out.put_u64_le(self.snapshot.state_bytes);
            out.put_u128_le(self.snapshot.digest);
            out.put_u128_le(self.state_digest);
            out.put_u64_le(self.protocol_sum);
        })
    }

    fn decode(sector: &[u8]) -> Result<Self, BadPlate> {
        let mut fields = Plate::decode(MAGIC, sector)?;
        let identity = Identity::decode(&mut fields);
        let snapshot = SnapshotHeader {
            op: OpNumber(fields.get_u64_le()),
            hash: Hash(fields.get_u128_le()),
            timestamp: fields.get_u64_le(),
            protocol_bytes: fields.get_u64_le(),
            state_bytes: fields.get_u64_le(),
            digest: fields.get_u128_le(),
        };
        Ok(Self { identity, snapshot, state_digest: fields.get_u128_le(), protocol_sum: fields.get_u64_le() })
    }

    /// The snapshot behind the header, if it is what the header says.
    fn read(
        &self,
        files: &Arc<dyn Files>,
        file: Arc<dyn DataFile>,
        name: String,
    ) -> io::Result<Option<Snapshot>> {
        let SnapshotHeader { protocol_bytes, state_bytes, .. } = self.snapshot;
        if Some(file.len()?)
            != state_bytes.checked_add(STATE_AT).and_then(|end| end.checked_add(protocol_bytes))
        {
            return Ok(None);
        }
        let mut protocol = vec![0; protocol_bytes as usize];
        file.read_at(STATE_AT + state_bytes, &mut protocol)?;
        let (mut digest, mut offset) = (StateDigest::new(), 0);
        let mut piece = vec![0; PIECE.min(state_bytes as usize)];
        while offset < state_bytes {
            let length = (state_bytes - offset).min(PIECE as u64) as usize;
            file.read_at(STATE_AT + offset, &mut piece[..length])?;
            digest.update(&piece[..length]);
            offset += length as u64;
        }
        if digest.finish() != self.state_digest || checksum(&protocol) != self.protocol_sum {
            return Ok(None);
        }
        let blob = FileBlob::of_snapshot(files.clone(), file, name, state_bytes);
        Ok(Snapshot::assemble(
            self.snapshot,
            Bytes::from(protocol),
            State::new(Arc::new(blob), self.state_digest),
        ))
    }
}
