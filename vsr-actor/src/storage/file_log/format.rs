//! The bytes: sectors, headers, checksums. docs/storage.md has the tables; a change of any of it is a new [`VERSION`].

use bytes::{Buf, BufMut};
use vsr_core::{ClusterId, EpochNumber, GroupId, Incarnation, OpNumber, Record, ReplicaId, checksum};

/// Of all files of a directory.
pub(super) const VERSION: u32 = 1;

/// What a disk writes whole or not at all. Frames begin at sectors.
pub(super) const SECTOR: usize = 512;

/// What a sector of a frame holds behind its stamp.
pub(super) const SECTOR_DATA: usize = SECTOR - STAMP;

const STAMP: usize = 4;

/// A header that is a sector: magic, version, its fields, and the checksum of all that at its end.
pub(super) struct Plate;

/// What is wrong with a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadPlate {
    /// It is not what was written.
    Damaged,
    /// Another version of this library wrote it.
    Version(u32),
}

impl Plate {
    /// `fields` in a block of `size` bytes.
    pub(super) fn encode(magic: [u8; 8], size: usize, fields: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut block = Vec::with_capacity(size);
        block.put_slice(&magic);
        block.put_u32_le(VERSION);
        fields(&mut block);
        assert!(block.len() <= size - 8, "the fields of a header fit into it");
        block.resize(size - 8, 0);
        let sum = checksum(&block);
        block.put_u64_le(sum);
        block
    }

    /// The fields, with the zeros behind them.
    pub(super) fn decode(magic: [u8; 8], block: &[u8]) -> Result<&[u8], BadPlate> {
        let (fields, mut sum) = block.split_at_checked(block.len() - 8).ok_or(BadPlate::Damaged)?;
        if sum.get_u64_le() != checksum(fields) || fields[..8] != magic {
            return Err(BadPlate::Damaged);
        }
        let mut rest = &fields[8..];
        match rest.get_u32_le() {
            VERSION => Ok(rest),
            other => Err(BadPlate::Version(other)),
        }
    }
}

/// Whose file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) cluster: ClusterId,
    pub(super) group: GroupId,
    pub(super) replica: ReplicaId,
    pub(super) incarnation: Incarnation,
    /// When the file was made; the others are for good.
    pub(super) epoch: EpochNumber,
}

impl Identity {
    pub(super) fn of(record: &Record) -> Self {
        let epoch = record.membership.as_ref().map_or(EpochNumber(0), |membership| membership.epoch);
        let Record { cluster, group, replica, incarnation, .. } = *record;
        Self { cluster, group, replica, incarnation, epoch }
    }

    /// Whether the file is of the same life of the same replica.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Self { epoch: other.epoch, ..*self } == *other
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u64_le(self.cluster.0);
        out.put_u64_le(self.group.0);
        out.put_u32_le(self.replica.0);
        out.put_u64_le(self.incarnation.0);
        out.put_u64_le(self.epoch.0);
    }

    pub(super) fn decode(fields: &mut &[u8]) -> Self {
        Self {
            cluster: ClusterId(fields.get_u64_le()),
            group: GroupId(fields.get_u64_le()),
            replica: ReplicaId(fields.get_u32_le()),
            incarnation: Incarnation(fields.get_u64_le()),
            epoch: EpochNumber(fields.get_u64_le()),
        }
    }
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { cluster, group, replica, incarnation, .. } = self;
        write!(f, "{replica} of {group} in {cluster}, life {incarnation}")
    }
}

/// The header of a segment: its first sector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) identity: Identity,
    /// 1, 2, 3, … for as long as the directory lives.
    pub(super) number: u64,
    /// Of the file, this sector included.
    pub(super) bytes: u64,
}

const SEGMENT_MAGIC: [u8; 8] = *b"VSR log\0";

impl SegmentHeader {
    pub(super) fn encode(&self) -> Vec<u8> {
        Plate::encode(SEGMENT_MAGIC, SECTOR, |out| {
            self.identity.encode(out);
            out.put_u64_le(self.number);
            out.put_u64_le(self.bytes);
        })
    }

    pub(super) fn decode(sector: &[u8]) -> Result<Self, BadPlate> {
        let mut fields = Plate::decode(SEGMENT_MAGIC, sector)?;
        let identity = Identity::decode(&mut fields);
        Ok(Self { identity, number: fields.get_u64_le(), bytes: fields.get_u64_le() })
    }
}

/// Which snapshot is the current one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SnapshotName {
    /// 0 if there is none.
    pub(super) op: OpNumber,
    pub(super) digest: u128,
}

/// The header of a frame. Everything in it but the payload's checksum is also what holds after the frame's writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FrameHeader {
    /// 1, 2, 3, …: one for each frame, and for each record that was written without one.
    pub(super) sequence: u64,
    /// The last frame that was known to be flushed when this one was written.
    pub(super) flushed: u64,
    /// Checksum of the header before this one.
    pub(super) previous: u64,
    pub(super) payload_bytes: u32,
    pub(super) payload_sum: u64,
    pub(super) commit: OpNumber,
    /// Entries up to this op are not needed.
    pub(super) trim: OpNumber,
    pub(super) snapshot: SnapshotName,
}

const FRAME_MAGIC: [u8; 4] = *b"VSRf";
pub(super) const FRAME_HEADER: usize = 96;

impl FrameHeader {
    /// The header's bytes; the last eight are its checksum, the link of the chain.
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(FRAME_HEADER);
        out.put_slice(&FRAME_MAGIC);
        out.put_u32_le(VERSION);
        out.put_u64_le(self.payload_bytes.into());
        out.put_u64_le(self.sequence);
        out.put_u64_le(self.flushed);
        out.put_u64_le(self.previous);
        out.put_u64_le(self.payload_sum);
        out.put_u64_le(self.commit.0);
        out.put_u64_le(self.trim.0);
        out.put_u64_le(self.snapshot.op.0);
        out.put_u128_le(self.snapshot.digest);
        let sum = checksum(&out);
        out.put_u64_le(sum);
        out
    }

    /// The header at the beginning of a frame's first sector, and its checksum; none if that is not right.
    pub(super) fn decode(sector: &[u8]) -> Option<(Self, u64)> {
        let bytes = &sector[STAMP..STAMP + FRAME_HEADER];
        let (mut fields, mut sum) = bytes.split_at(FRAME_HEADER - 8);
        let sum = sum.get_u64_le();
        if sum != checksum(fields) || fields[..4] != FRAME_MAGIC {
            return None;
        }
        fields.advance(4);
        // A frame is in a segment, whose header was of this version.
        let version = fields.get_u32_le();
        let payload_bytes = u32::try_from(fields.get_u64_le()).ok().filter(|_| version == VERSION)?;
        let header = Self {
            payload_bytes,
            sequence: fields.get_u64_le(),
            flushed: fields.get_u64_le(),
            previous: fields.get_u64_le(),
            payload_sum: fields.get_u64_le(),
            commit: OpNumber(fields.get_u64_le()),
            trim: OpNumber(fields.get_u64_le()),
            snapshot: SnapshotName { op: OpNumber(fields.get_u64_le()), digest: fields.get_u128_le() },
        };
        Some((header, sum))
    }

    /// Bytes of the whole frame: full sectors.
    pub(super) fn frame_bytes(&self) -> usize {
        frame_bytes(self.payload_bytes as usize)
    }

    /// The frame as it is in the file, and the header's checksum.
    pub(super) fn frame(&self, payload: &[u8]) -> (Vec<u8>, u64) {
        let mut bytes = self.encode();
        let sum = (&bytes[FRAME_HEADER - 8..]).get_u64_le();
        bytes.extend_from_slice(payload);
        let mut frame = Vec::with_capacity(self.frame_bytes());
        for data in bytes.chunks(SECTOR_DATA) {
            frame.put_slice(&stamp(self.sequence));
            frame.put_slice(data);
            frame.resize(frame.len().next_multiple_of(SECTOR), 0);
        }
        (frame, sum)
    }

    /// The payload of a frame whose sectors all have its stamp; none if its checksum is not right.
    pub(super) fn payload(&self, frame: &[u8]) -> Option<Vec<u8>> {
        let end = FRAME_HEADER + self.payload_bytes as usize;
        let mut payload = Vec::with_capacity(self.payload_bytes as usize);
        for (index, sector) in frame.chunks(SECTOR).enumerate() {
            let start = index * SECTOR_DATA;
            let data = &sector[STAMP..][..SECTOR_DATA.min(end - start)];
            payload.extend_from_slice(&data[if index == 0 { FRAME_HEADER } else { 0 }..]);
        }
        (checksum(&payload) == self.payload_sum).then_some(payload)
    }
}

/// Bytes of a frame with so much payload.
pub(super) fn frame_bytes(payload_bytes: usize) -> usize {
    (FRAME_HEADER + payload_bytes).div_ceil(SECTOR_DATA) * SECTOR
}

/// What every sector of a frame begins with. It is never zero: a sector of zeros was never written.
pub(super) fn stamp(sequence: u64) -> [u8; STAMP] {
    (1 << 31 | (sequence & 0x7fff_ffff) as u32).to_le_bytes()
}

/// Whether a sector belongs to the frame with this number.
pub(super) fn is_stamped(sector: &[u8], sequence: u64) -> bool {
    sector[..STAMP] == stamp(sequence)
}

/// Whether nothing was ever written there.
pub(super) fn is_zero(bytes: &[u8]) -> bool {
    const ZEROS: [u8; 4096] = [0; 4096];
    bytes.chunks(ZEROS.len()).all(|chunk| *chunk == ZEROS[..chunk.len()])
}
